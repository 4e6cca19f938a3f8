//! A word problem's story, and the computations that the lanes have written about it.

use latent_model::tasks;
use leptos::prelude::*;

use super::stream::Judged;
use crate::{
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    run_state::RunNumber,
    words::{fill, words},
};

/// The whole story, a sentence a line, and below it each lane's computations.
#[component]
pub fn Story() -> impl IntoView {
    let question = expect_context::<PageSignals>().question;
    let lines = move || {
        question.with(|question| {
            let line = |sentence: &str| view! { <p>{sentence.to_string()}</p> };
            tasks::sentences(&question.text).map(line).collect_view()
        })
    };
    let reason = move || {
        let reason = question.with(|question| question.problem.clone().err());
        reason.map(|reason| {
            view! { <p class="warning" data-testid="no-verdict">{fill(words().no_verdict, &[("reason", &reason)])} "."</p> }
        })
    };
    view! {
        <div class="story">
            <div class="story-text" data-testid="problem-text" lang="en">{lines}</div>
            {reason}
            <Computations/>
        </div>
    }
}

/// What every lane that thinks in words has computed so far.
#[component]
fn Computations() -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let row = move |lane: Lane| {
        // Which run, and the steps that completed a sentence: the new ones are drawn, no others.
        let said = Memo::new(move |_| {
            let key = |run: &LaneRun| {
                let sentences = run.view.sentences.all().iter();
                sentences
                    .map(|sentence| (run.run, sentence.step))
                    .collect::<Vec<_>>()
            };
            lane.run.with(key)
        });
        let one = move |(_, step): (RunNumber, u32)| {
            let sentence = |run: &LaneRun| run.view.sentences.at(step).cloned();
            let sentence = lane.run.with_untracked(sentence);
            sentence.map(|sentence| view! { <Judged sentence/> })
        };
        view! {
            <Show when=move || said.with(|said| !said.is_empty())>
                <p class="computations" data-lane-colour=lane.colour>
                    <b>{move || lanes.name(lane).text()}</b>
                    <For each=move || said.get() key=|key| *key children=one/>
                </p>
            </Show>
        }
    };
    move || lanes.get().into_iter().map(row).collect_view()
}
