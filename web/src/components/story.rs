//! A word problem's story, and the computations that the lanes have written about it.

use latent_model::tasks;
use leptos::prelude::*;

use super::stream::{Judged, sentences_of};
use crate::{lanes::Lane, page_state::LaneChoice, runner::Runner, view::sentences::Sentence};

/// The whole story, a sentence a line, and below it each lane's computations.
#[component]
pub fn Story() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let lines = move || {
        runner.question.with(|question| {
            let line = |sentence: &str| view! { <p>{sentence.to_string()}</p> };
            tasks::sentences(&question.text).map(line).collect_view()
        })
    };
    let reason = move || {
        let reason = runner
            .question
            .with(|question| question.problem.clone().err());
        reason.map(|reason| {
            view! { <p class="warning" data-testid="no-verdict">"No verdict: " {reason} "."</p> }
        })
    };
    view! {
        <div class="story">
            <div class="story-text" data-testid="problem-text">{lines}</div>
            {reason}
            <Computations/>
        </div>
    }
}

/// What every lane that thinks in words has computed so far.
#[component]
fn Computations() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let row = move |lane: Lane| {
        let said = Memo::new(move |_| lane.run.with(|run| sentences_of(run, runner.task.get())));
        let one = |sentence: Sentence| view! { <Judged sentence/> };
        view! {
            <Show when=move || said.with(|said| !said.is_empty())>
                <p class="computations" data-lane-colour=lane.colour>
                    <b>{move || lane.choice.with(LaneChoice::label)}</b>
                    {move || said.get().into_iter().map(one).collect_view()}
                </p>
            </Show>
        }
    };
    move || runner.lanes.get().into_iter().map(row).collect_view()
}
