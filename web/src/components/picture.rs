//! What stands below the question: the problem's graph or its story, and how it is solved.

use latent_model::tasks;
use leptos::{either::EitherOf3, prelude::*};

use super::{
    graph::Drawing, lanes_panel::LaneChips, problem::Statements, screen::is_phone, story::Story,
};
use crate::{
    focus::Cursor,
    runner::Runner,
    view::{
        layout::{NARROW, WIDE},
        solution::Solution,
    },
};

/// The picture with its step slider and the teacher's switch.
#[component]
pub fn Picture() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let shows_solution = RwSignal::new(false);
    let is_phone = is_phone();
    let aspect = move || if is_phone.get() { NARROW } else { WIDE };
    let problem = Memo::new(move |_| runner.question.with(|q| q.problem.clone().ok()));
    move || match (runner.task.get().picture(), problem.get()) {
        (tasks::Picture::Story, problem) => EitherOf3::A(view! {
            <Story/>
            <Footer has_shades=false/>
            <div class="problem-foot">
                {problem.map(|problem| view! {
                    <Teacher solution=Solution::of(&problem) shows_solution/>
                })}
            </div>
        }),
        (tasks::Picture::Graph, Some(problem)) => EitherOf3::B(view! {
            {problem.graph().cloned().map(|graph| view! {
                <Drawing graph aspect=aspect() shows_solution/>
            })}
            <Footer has_shades=true/>
            <div class="problem-foot">
                <Teacher solution=Solution::of(&problem) shows_solution/>
                <Statements/>
            </div>
        }),
        (tasks::Picture::Graph, None) => EitherOf3::C(view! {
            <p class="empty">"The graph appears here when the text is a whole problem."</p>
            <Statements/>
        }),
    }
}

/// Which lane shades the graph, and a slider through its steps; a story has no shades.
#[component]
fn Footer(has_shades: bool) -> impl IntoView {
    let runner = expect_context::<Runner>();
    let cursor = expect_context::<Cursor>().0;
    let last_step = move || {
        let lanes = runner.lanes.get();
        let lasts = lanes
            .iter()
            .map(|lane| lane.run.with(|run| run.records.len()));
        lasts.max().unwrap_or(0).saturating_sub(1) as u32
    };
    let shades = has_shades.then(|| {
        view! {
            <span class="hint" title="The dots below a word are all lanes at once">"Shaded by"</span>
            <LaneChips testid="shade-lane"/>
        }
    });
    let on_slide = move |event| cursor.set(event_target_value(&event).parse().ok());
    view! {
        <div class="graph-foot">
            {shades}
            <span class="spring"></span>
            <label class="field">
                {move || match cursor.get() {
                    Some(step) => format!("Step {step}"),
                    None => "Latest".to_string(),
                }}
                <input
                    type="range"
                    min="0"
                    max=move || last_step().to_string()
                    prop:value=move || cursor.get().unwrap_or_else(last_step).to_string()
                    disabled=move || last_step() == 0
                    aria-label="Step that is shown"
                    on:input=on_slide
                />
            </label>
            <button class="quiet" disabled=move || cursor.get().is_none() on:click=move |_| cursor.set(None)>
                "Follow"
            </button>
        </div>
    }
}

/// The teacher's switch, and the solution in words.
#[component]
fn Teacher(solution: Solution, shows_solution: RwSignal<bool>) -> impl IntoView {
    view! {
        <div class="oracle">
            <label class="switch">
                <input
                    type="checkbox"
                    data-testid="oracle"
                    prop:checked=shows_solution
                    on:change=move |event| shows_solution.set(event_target_checked(&event))
                />
                "For the teacher: show the way"
            </label>
            <Show when=move || shows_solution.get()>
                <span data-testid="oracle-path">{solution.sentence()}</span>
            </Show>
        </div>
    }
}
