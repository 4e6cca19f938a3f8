//! For a class: predict first, cover the answers, large letters, full screen, nothing but the run.

use leptos::prelude::*;

use crate::{
    browser::full_screen,
    page_signals::PageSignals,
    question::Question,
    run_state::RunStatus,
    runner::Runner,
    startup::Reports,
    view::prediction::Choices,
    words::{fill, words},
};

/// What a class is shown; all of it is in the address.
#[component]
pub fn ForAClass() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let switch = |testid: &'static str, label: &'static str, is: RwSignal<bool>| {
        view! {
            <label class="switch">
                <input
                    type="checkbox"
                    data-testid=testid
                    prop:checked=is
                    on:change=move |event| is.set(event_target_checked(&event))
                />
                {label}
            </label>
        }
    };
    view! {
        <details class="panel for-a-class" data-testid="for-a-class">
            <summary>{words().for_a_class}</summary>
            <p class="hint">{words().for_a_class_hint}</p>
            <div class="options">
                {switch("predict-first", words().predict_first, signals.predicts_first)}
                {switch("hide-answers", words().hide_answers, signals.hides_answers)}
                {switch("hide-controls", words().hide_controls, signals.hides_controls)}
                {switch("run-at-once", words().run_at_once, signals.runs_at_once)}
                {switch("fill-screen", words().fill_screen, signals.fills_screen)}
                <button data-testid="full-screen" on:click=move |_| full_screen()>
                    {words().full_screen}
                </button>
            </div>
        </details>
    }
}

/// Uncovers what the page hides: answers until the next run, controls until they are hidden again.
#[component]
pub fn Uncover() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    view! {
        <Show when=move || signals.covers_answers()>
            <button class="primary" data-testid="reveal" on:click=move |_| signals.is_revealed.set(true)>
                {words().reveal}
            </button>
        </Show>
        <Show when=move || signals.hides_controls.get()>
            <button class="quiet" data-testid="show-controls" on:click=move |_| signals.hides_controls.set(false)>
                {words().show_controls}
            </button>
        </Show>
    }
}

/// The prediction that a run waits for, and what came of it.
#[component]
pub fn PredictFirst() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let is_asked = move || signals.predicts_first.get() && signals.chapter.get().is_none();
    let choices = Memo::new(move |_| {
        let of = |question: &Question| question.problem.as_ref().ok().map(Choices::of);
        signals.question.with(of)
    });
    // A prediction is of one question.
    Effect::new(move |before: Option<Option<Choices>>| {
        let now = choices.get();
        if before.is_some_and(|before| before != now) {
            signals.prediction.set(None);
        }
        now
    });
    view! {
        <Show when=is_asked>
            {move || choices.get().map(|choices| view! { <Asked choices/> })}
        </Show>
    }
}

#[component]
fn Asked(choices: Choices) -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let runner = expect_context::<Runner>();
    let commit = move |predicted: String| {
        signals.prediction.set(Some(predicted));
        runner.run_when_changed();
    };
    let reports = expect_context::<Reports>();
    let is_open = move || signals.prediction.with(Option::is_none);
    // A commitment begins a run, which needs an engine.
    let can_commit = move || is_open() && reports.is_ready();
    let answers = match &choices {
        Choices::Options(names, _) => {
            let button = |(index, name): (usize, &String)| {
                let (name, shown) = (name.clone(), name.clone());
                let is_mine = {
                    let name = name.clone();
                    move || (signals.prediction.get().as_ref() == Some(&name)).to_string()
                };
                view! {
                    <button
                        data-testid=format!("answer-{index}")
                        aria-pressed=is_mine
                        disabled=move || !can_commit()
                        on:click=move |_| commit(name.clone())
                    >
                        {shown}
                    </button>
                }
            };
            let buttons = names.iter().enumerate().map(button);
            leptos::either::Either::Left(buttons.collect_view())
        }
        Choices::Text(_) => leptos::either::Either::Right(view! {
            <input
                class="prediction"
                data-testid="answer-text"
                inputmode="decimal"
                aria-label=words().your_answer
                disabled=move || !can_commit()
                on:change=move |event| commit(event_target_value(&event))
            />
        }),
    };
    let choices = StoredValue::new(choices);
    let said = move || {
        let Some(predicted) = signals.prediction.get() else {
            return words().predict_commit.to_string();
        };
        if runner.status.get() != RunStatus::Done || signals.covers_answers() {
            return fill(words().predicted, &[("answer", &predicted)]);
        }
        let lanes = signals.lanes.get();
        let is_right = |lane: &&crate::lanes::Lane| {
            lane.run
                .with(|run| run.verdict == Some(latent_model::tasks::Grade::Right))
        };
        let n_right = lanes.iter().filter(is_right).count().to_string();
        let text = match choices.with_value(|choices| choices.is_right(&predicted)) {
            true => words().predicted_right,
            false => words().predicted_wrong,
        };
        let n = lanes.len().to_string();
        fill(
            text,
            &[("answer", &predicted), ("right", &n_right), ("lanes", &n)],
        )
    };
    view! {
        <section class="panel tour" data-testid="predict" aria-label=words().your_answer>
            <div class="options" role="group" aria-label=words().your_answer>
                <b>{words().predict_asks}</b>
                {answers}
                <button
                    class="quiet"
                    data-testid="predict-again"
                    disabled=is_open
                    on:click=move |_| signals.prediction.set(None)
                >
                    {words().predict_again}
                </button>
            </div>
            <p class="said" role="status" data-testid="predict-says">{said}</p>
        </section>
    }
}
