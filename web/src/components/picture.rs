//! What stands below the question: the problem's graph or its story, and how it is solved.

use latent_model::tasks;
use leptos::{either::EitherOf4, ev, prelude::*};
use wasm_bindgen::JsCast;

use super::{
    graph::Drawing,
    graph_editor::{EditorBar, GraphEditor},
    lanes_panel::LaneChips,
    problem::{Prompt, Statements},
    screen::is_phone,
    story::Story,
};
use crate::{
    focus::Cursor,
    lanes::LaneRun,
    page_signals::PageSignals,
    view::{
        layout::{NARROW, WIDE},
        solution::Solution,
    },
    words::{fill, words},
};

/// The picture with its step slider and the teacher's switch.
#[component]
pub fn Picture() -> impl IntoView {
    let PageSignals { question, task, .. } = expect_context();
    let shows_solution = RwSignal::new(false);
    let is_phone = is_phone();
    let aspect = move || if is_phone.get() { NARROW } else { WIDE };
    let problem = Memo::new(move |_| question.with(|q| q.problem.clone().ok()));
    let graph = Memo::new(move |_| question.with(|q| q.graph().cloned()));
    let editor = GraphEditor::new(expect_context());
    let teacher = move || {
        problem.get().map(|problem| {
            view! {
                <Teacher solution=Solution::of(&problem) shows_solution/>
            }
        })
    };
    // A text that asks nothing yet is not whole enough to be written again after an edit.
    let is_asked = move || graph.with(|graph| graph.as_ref().is_some_and(|graph| graph.is_asked));
    move || match (task.get().picture(), graph.get()) {
        (tasks::Picture::Story, _) => EitherOf4::A(view! {
            <Story/>
            <Footer has_shades=false/>
            <div class="problem-foot">
                {teacher}
            </div>
        }),
        (tasks::Picture::Graph, Some(graph)) => EitherOf4::B(view! {
            <Drawing graph aspect=aspect() shows_solution editor/>
            <Footer has_shades=true/>
            <div class="problem-foot">
                {teacher}
                <Statements/>
                <Paint/>
                {is_asked().then(|| view! { <EditorBar editor/> })}
            </div>
        }),
        (tasks::Picture::Text, _) => EitherOf4::D(view! {
            <Prompt/>
            <Footer has_shades=false/>
        }),
        (tasks::Picture::Graph, None) => EitherOf4::C(view! {
            <p class="empty">{words().no_graph_yet}</p>
            <Statements/>
        }),
    }
}

/// Whether the graph is coloured by shares or by first arrival.
#[component]
fn Paint() -> impl IntoView {
    let by_arrival = expect_context::<PageSignals>().by_arrival;
    view! {
        <label class="switch" title=words().by_arrival_title>
            <input
                type="checkbox"
                data-testid="by-arrival"
                prop:checked=by_arrival
                on:change=move |event| by_arrival.set(event_target_checked(&event))
            />
            {words().by_arrival}
        </label>
    }
}

/// Which lane shades the graph, and a slider through its steps; a story has no shades.
#[component]
fn Footer(has_shades: bool) -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let cursor = expect_context::<Cursor>();
    let last_step = Memo::new(move |_| {
        let lanes = lanes.get();
        let lasts = lanes
            .iter()
            .filter_map(|lane| lane.run.with(LaneRun::last_step));
        lasts.max().unwrap_or(0)
    });
    let shades = has_shades.then(|| {
        view! {
            <span class="hint" title=words().shaded_title>{words().shaded_by}</span>
            <LaneChips testid="shade-lane"/>
        }
    });
    let walk = move |by: i32| cursor.walk(by, last_step.get_untracked());
    let keys = window_event_listener(ev::keydown, move |event| {
        if last_step.get_untracked() > 0
            && let Some(by) = arrow(&event)
        {
            event.prevent_default();
            walk(by);
        }
    });
    on_cleanup(move || keys.remove());
    let on_slide = move |event| {
        if let Ok(step) = event_target_value(&event).parse() {
            cursor.pin(step);
        }
    };
    // Set anew with every new end: a slider that was shorter has put it at its own end.
    let value = move || {
        let last = last_step.get();
        cursor.get().unwrap_or(last).to_string()
    };
    let is_at_end = move |by: i32| {
        let last = last_step.get();
        match by < 0 {
            true => cursor.pinned() == Some(0) || last == 0,
            false => cursor.pinned().unwrap_or(last) >= last,
        }
    };
    let turn = |testid, sign, [label, title]: [&'static str; 2], by| {
        view! {
            <button
                class="quiet"
                data-testid=testid
                aria-label=label
                title=title
                disabled=move || is_at_end(by)
                on:click=move |_| walk(by)
            >
                {sign}
            </button>
        }
    };
    view! {
        <div class="graph-foot" data-testid="picture-foot">
            {shades}
            <span class="scrubber">
                {turn("step-back", "◀", [words().step_before, words().step_before_title], -1)}
                <label class="field">
                    <span data-testid="shown-step">
                        {move || match cursor.get() {
                            Some(step) => fill(words().step_number, &[("n", &step.to_string())]),
                            None => words().newest.to_string(),
                        }}
                    </span>
                    <input
                        type="range"
                        min="0"
                        max=move || last_step.get().to_string()
                        prop:value=value
                        disabled=move || last_step.get() == 0
                        aria-label=words().step_shown
                        data-testid="step-slider"
                        on:input=on_slide
                    />
                </label>
                {turn("step-on", "▶", [words().step_after, words().step_after_title], 1)}
                <button
                    class="quiet"
                    data-testid="follow"
                    disabled=move || cursor.pinned().is_none()
                    on:click=move |_| cursor.follow()
                >
                    {words().follow}
                </button>
            </span>
        </div>
    }
}

/// Where a left or right arrow leads, unless something that has the keyboard needs it.
fn arrow(event: &ev::KeyboardEvent) -> Option<i32> {
    let target = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    let has_own_arrows = matches!(target.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA");
    let is_plain = !event.ctrl_key() && !event.alt_key() && !event.meta_key() && !event.shift_key();
    match event.key().as_str() {
        _ if has_own_arrows || !is_plain => None,
        "ArrowLeft" => Some(-1),
        "ArrowRight" => Some(1),
        _ => None,
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
                {words().show_way}
            </label>
            <Show when=move || shows_solution.get()>
                <span data-testid="oracle-path">{solution.sentence()}</span>
            </Show>
        </div>
    }
}
