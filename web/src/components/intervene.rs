//! What can be done at the step that is pinned: a copy of the lane with another input there, or a
//! lane that goes on from there. The lane itself stays as it is.

use latent_model::{
    address::{ChangeChoice, ChangeKind, ForkChoice, LaneChoice},
    record::{InputKind, StepRecord, flag},
    tasks::Picture,
};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::{
    focus::{Cursor, Focus},
    lanes::Lane,
    page_signals::PageSignals,
    page_state::MAX_LANES,
    runner::Runner,
    treatment::next_problem,
    view::lane_names::change_text,
    words::{fill, words},
};

/// Noise as large as the input itself.
const NOISE: ChangeKind = ChangeKind::Noise(1.0, 1);

/// Below the stream of the lane that is looked at, while one of its steps is pinned.
#[component]
pub fn StepActions(lane: Lane, index: Memo<usize>) -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let cursor = expect_context::<Cursor>();
    let focus = expect_context::<Focus>();
    // It outlives the step: whoever looks at several wants to do something at one of them.
    let is_open = RwSignal::new(false);
    let record = Memo::new(move |_| {
        let step = cursor.pinned()?;
        (focus.chosen(lanes) == Some(lane)).then_some(())?;
        let of_step = |record: &&StepRecord| !record.has(flag::DONE);
        lane.run
            .with(|run| run.records.get(step as usize).filter(of_step).copied())
    });
    view! {
        <ChangeList lane index/>
        {move || record.get().map(|record| view! { <Actions lane index record is_open/> })}
    }
}

/// The changes that make the lane what it is, each with a button that takes it back.
#[component]
fn ChangeList(lane: Lane, index: Memo<usize>) -> impl IntoView {
    let changes = Memo::new(move |_| lane.choice.with(|choice| choice.changes.clone()));
    let entry = move |(place, change): (usize, ChangeChoice)| {
        let take_back = move |_| {
            lane.choice.update(|choice| {
                if place < choice.changes.len() {
                    choice.changes.remove(place);
                }
            });
        };
        let text = change_text(&change);
        // Of a run that has ended; one that goes on may still come to it.
        let not_made = Memo::new(move |_| {
            let n_steps = lane
                .run
                .with(|run| run.is_done().then_some(run.records.len()))?;
            (!change.is_made(n_steps)).then(|| n_steps.saturating_sub(1).to_string())
        });
        let why = move || {
            not_made
                .get()
                .map(|last| fill(words().change_not_made, &[("n", &last)]))
        };
        view! {
            <li>
                {text}
                {why}
                <button class="quiet" aria-label=words().take_back on:click=take_back>"✕"</button>
            </li>
        }
    };
    view! {
        <Show when=move || changes.with(|changes| !changes.is_empty())>
            <ul class="changes" data-testid=move || format!("lane-{}-changes", index.get())>
                {move || changes.get().into_iter().enumerate().map(entry).collect_view()}
            </ul>
            <WhatItDid lane index/>
        </Show>
    }
}

/// Whether the answer is another one than that of the same lane without its changes, where both
/// are on the page and done.
#[component]
fn WhatItDid(lane: Lane, index: Memo<usize>) -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let answer = |lane: Lane| {
        lane.run
            .with(|run| run.is_done().then(|| run.answer.clone()))
    };
    let told = Memo::new(move |_| {
        let unchanged = LaneChoice {
            changes: Vec::new(),
            ..lane.choice.get()
        };
        let all = signals.lanes.get().into_iter().zip(1..);
        let mut alike = all.filter(|(other, _)| other.choice.with(|choice| *choice == unchanged));
        let (source, number) = alike.next()?;
        let is_same = answer(source)? == answer(lane)?;
        let text = match is_same {
            true => words().same_answer,
            false => words().other_answer,
        };
        let told = fill(text, &[("n", &number.to_string())]);
        (!signals.covers_answers()).then_some(told)
    });
    view! {
        {move || told.get().map(|told| view! {
            <p class="hint" data-testid=format!("lane-{}-changed-answer", index.get())>{told}</p>
        })}
    }
}

#[component]
fn Actions(
    lane: Lane,
    index: Memo<usize>,
    record: StepRecord,
    is_open: RwSignal<bool>,
) -> impl IntoView {
    let PageSignals {
        lanes,
        problem,
        task,
        ..
    } = expect_context();
    // The next problem of the same size, until another number is typed.
    let (difficulty, next) = problem.with_untracked(next_problem);
    let other_seed = RwSignal::new(next);
    let runner = expect_context::<Runner>();
    let step = record.step;
    let is_full = move || lanes.get().len() >= MAX_LANES;
    let add = move |choice: LaneChoice| {
        lanes.add(choice);
        runner.run_when_changed();
    };
    let change = move |kind: ChangeKind| {
        let mut choice = lane.choice.get_untracked();
        choice.changes.retain(|change| change.step != step);
        choice.changes.push(ChangeChoice { step, kind });
        add(choice.normalised());
    };
    let go_on = move |answers: bool| {
        add(LaneChoice {
            changes: Vec::new(),
            fork: Some(ForkChoice {
                lane: index.get_untracked() + 1,
                step,
                answers,
            }),
            ..lane.choice.get_untracked()
        });
    };
    let button = move |name: &'static str, label: &'static str, kind: ChangeKind| {
        view! {
            <button data-testid=format!("do-{name}") disabled=is_full on:click=move |_| change(kind.clone())>
                {label}
            </button>
        }
    };
    let swap = move |_| {
        let others = lanes.get().into_iter().enumerate();
        let others = others.filter(move |(_, other)| *other != lane);
        let option = |(place, _): (usize, Lane)| {
            let label = fill(words().lane_number, &[("n", &(place + 1).to_string())]);
            view! { <option value=(place + 1).to_string()>{label}</option> }
        };
        others.map(option).collect_view()
    };
    let on_swap = move |event| {
        if let Ok(source) = event_target_value(&event).parse::<usize>() {
            change(ChangeKind::Swap(source));
        }
    };
    let on_swap_problem = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        change(ChangeKind::SwapProblem(
            difficulty,
            other_seed.get_untracked(),
        ));
    };
    let on_other_seed = move |event| match event_target_value(&event).trim().parse() {
        Ok(seed) => other_seed.set(seed),
        Err(_) => other_seed.notify(),
    };
    let has_others = move || task.get().picture() != Picture::Text;
    let on_force = move |event| {
        let word = event_target_value(&event);
        let id = lane.run.with_untracked(|run| run.words.id(word.trim()));
        if let Some(id) = id {
            change(ChangeKind::Force(id));
        }
    };
    let is_mixture = record.input_kind() == InputKind::Concept;
    view! {
        <details
            class="step-actions"
            data-testid="step-actions"
            prop:open=is_open.get_untracked()
            on:toggle=move |event| is_open.set(event_target_open(&event))
        >
            <summary>{words().at_this_step}</summary>
            <div class="choices">
            <p class="hint">
                {fill(words().after_step, &[("n", &step.to_string())])}
                {move || is_full().then_some(words().no_room)}
            </p>
            {button("zero", words().do_zero, ChangeKind::Zero)}
            {button("noise", words().do_noise, NOISE)}
            {button("shuffle", words().do_shuffle, ChangeKind::Shuffle(1))}
            {button("freeze", words().do_freeze, ChangeKind::Freeze)}
            {button("nearest", words().do_nearest, ChangeKind::Nearest)}
            <select data-testid="do-swap" aria-label=words().do_swap disabled=is_full on:change=on_swap>
                <option value="" selected=true>{words().do_swap}</option>
                {move || swap(())}
            </select>
            <Show when=has_others>
                <form class="other-problem" on:submit=on_swap_problem>
                    <button data-testid="do-swap-problem" disabled=is_full>{words().do_swap_problem}</button>
                    <input
                        type="number"
                        min="0"
                        data-testid="other-problem"
                        aria-label=words().other_problem_label
                        disabled=is_full
                        prop:value=move || other_seed.get().to_string()
                        on:change=on_other_seed
                    />
                </form>
            </Show>
            <input
                data-testid="do-force"
                aria-label=words().do_force
                placeholder=words().do_force
                disabled=is_full
                on:change=on_force
            />
            <button data-testid="go-on-thinking" disabled=is_full on:click=move |_| go_on(false)>
                {words().go_on_thinking}
            </button>
            <button data-testid="go-on-answering" disabled=is_full on:click=move |_| go_on(true)>
                {words().go_on_answering}
            </button>
            {is_mixture.then(|| view! { <MixtureEditor lane record change=Callback::new(change)/> })}
            </div>
        </details>
    }
}

/// Whether what was toggled is open now.
pub fn event_target_open(event: &leptos::ev::Event) -> bool {
    let target = event.target();
    let element = target.and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    element.is_some_and(|element| element.has_attribute("open"))
}

/// A slider for each word of a mixture.
#[component]
fn MixtureEditor(lane: Lane, record: StepRecord, change: Callback<ChangeKind>) -> impl IntoView {
    let parts: Vec<(u32, RwSignal<f32>)> = record
        .kept()
        .filter(|kept| kept.weight > 0.0)
        .map(|kept| (kept.id, RwSignal::new(kept.weight)))
        .collect();
    let all = StoredValue::new(parts.clone());
    let sum = move || all.with_value(|all| all.iter().map(|(_, weight)| weight.get()).sum::<f32>());
    let slider = |(place, (id, weight)): (usize, (u32, RwSignal<f32>))| {
        let word = lane.run.with_untracked(|run| run.word(id));
        let on_input = move |event| {
            if let Ok(new) = event_target_value(&event).parse() {
                weight.set(new);
            }
        };
        let share = move || {
            format!(
                "{:.0} %",
                100.0 * weight.get() / sum().max(f32::MIN_POSITIVE)
            )
        };
        view! {
            <label class="setting">
                {word.clone()}
                <input
                    type="range"
                    min="0"
                    max="1"
                    step="0.01"
                    data-testid=format!("mix-{place}")
                    aria-label=word
                    prop:value=move || weight.get().to_string()
                    on:input=on_input
                />
                <output>{share}</output>
            </label>
        }
    };
    let apply = move |_| {
        let sum = untrack(sum);
        let mixed: Vec<(u32, f32)> = all.with_value(|all| {
            let mixed = all
                .iter()
                .map(|(id, weight)| (*id, weight.get_untracked() / sum));
            mixed.filter(|(_, weight)| *weight > 0.0).collect()
        });
        change.run(ChangeKind::Mix(mixed));
    };
    view! {
        <fieldset class="mixture-editor" data-testid="mixture-editor">
            <legend>{words().mix_by_hand}</legend>
            {parts.into_iter().enumerate().map(slider).collect_view()}
            <button data-testid="do-mix" disabled=move || { sum() <= 0.0 } on:click=apply>{words().do_mix}</button>
        </fieldset>
    }
}
