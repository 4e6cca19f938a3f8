//! The problem panel: where the problem comes from, its text and its options.

use latent_model::tasks::Difficulty;
use leptos::prelude::*;

use super::app::ProblemSource;
use crate::{page_state::ProblemChoice, question::Question, runner::Runner, startup::Shipped};

/// The source and the question.
#[component]
pub fn ProblemPanel() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let asked = move || runner.question.with(question_sentence);
    view! {
        <div class="panel-head">
            <h2 class="asked" data-testid="question">{asked}</h2>
            <SourcePicker/>
        </div>
        <TypedText/>
    }
}

/// The question alone, without the statements that the graph shows.
fn question_sentence(question: &Question) -> String {
    match &question.problem {
        Ok(problem) => {
            let name = |node: usize| problem.symbols[node].name();
            let [a, b] = problem.options();
            format!("Is {} a {} or a {}?", name(problem.root), name(a), name(b))
        }
        Err(reason) => format!("No graph and no verdict: {reason}"),
    }
}

/// Value of the source picker for each kind of choice.
fn source_value(choice: &ProblemChoice) -> String {
    match choice {
        ProblemChoice::Drawn { difficulty, .. } => difficulty.name().into(),
        ProblemChoice::Example(index) => format!("example:{index}"),
        ProblemChoice::Typed(_) => "typed".into(),
    }
}

#[component]
fn SourcePicker() -> impl IntoView {
    let source = expect_context::<ProblemSource>().0;
    let runner = expect_context::<Runner>();
    let shipped = expect_context::<Shipped>();
    let current = Memo::new(move |_| source.with(source_value));
    let on_change = move |event| {
        let value = event_target_value(&event);
        let example = value
            .strip_prefix("example:")
            .and_then(|index| index.parse().ok());
        let choice = match (example, value.parse::<Difficulty>()) {
            (Some(index), _) => ProblemChoice::Example(index),
            (None, Ok(difficulty)) => ProblemChoice::Drawn {
                difficulty,
                seed: 1,
            },
            // What was drawn or picked is the text to begin with.
            (None, Err(_)) => {
                ProblemChoice::Typed(runner.question.with_untracked(|q| q.text.clone()))
            }
        };
        source.set(choice);
    };
    let drawn = [
        (Difficulty::Class, "Drawn: class size"),
        (Difficulty::Official, "Drawn: official size"),
    ];
    let option = move |value: String, label: String| {
        let is_selected = {
            let value = value.clone();
            move || current.get() == value
        };
        view! { <option value=value selected=is_selected>{label}</option> }
    };
    let examples = move || {
        let known = shipped.examples.get().problems.into_iter().enumerate();
        known
            .map(|(index, example)| {
                option(
                    format!("example:{index}"),
                    format!("Official: {}", example.title),
                )
            })
            .collect_view()
    };
    view! {
        <label class="field">
            <span class="visually-hidden">"Source of the problem"</span>
            <select data-testid="problem-source" on:change=on_change>
                {drawn.map(|(difficulty, label)| option(difficulty.name().into(), label.into())).collect_view()}
                {examples}
                {option("typed".into(), "Typed".into())}
            </select>
        </label>
        <DrawnSeed/>
    }
}

/// The seed of a drawn problem, and a button for the next one.
#[component]
fn DrawnSeed() -> impl IntoView {
    let source = expect_context::<ProblemSource>().0;
    let drawn = move || match source.get() {
        ProblemChoice::Drawn { difficulty, seed } => Some((difficulty, seed)),
        _ => None,
    };
    let set_seed = move |new: u64| {
        if let Some((difficulty, _)) = drawn() {
            source.set(ProblemChoice::Drawn {
                difficulty,
                seed: new,
            });
        }
    };
    let on_change = move |event| match event_target_value(&event).trim().parse() {
        Ok(seed) => set_seed(seed),
        Err(_) => source.notify(),
    };
    let on_next = move |_| {
        if let Some((_, seed)) = drawn() {
            set_seed(seed.wrapping_add(1));
        }
    };
    view! {
        <Show when=move || drawn().is_some()>
            <label class="field" title="Number of the drawn problem">
                "No."
                <input
                    type="number"
                    min="0"
                    data-testid="problem-seed"
                    prop:value=move || drawn().map_or(String::new(), |(_, seed)| seed.to_string())
                    on:change=on_change
                />
            </label>
            <button data-testid="next-problem" on:click=on_next>"Next"</button>
        </Show>
    }
}

/// Where the visitor writes the problem.
#[component]
fn TypedText() -> impl IntoView {
    let source = expect_context::<ProblemSource>().0;
    let is_typed = Memo::new(move |_| source.with(|s| matches!(s, ProblemChoice::Typed(_))));
    let typed = move || match source.get() {
        ProblemChoice::Typed(text) => text,
        _ => String::new(),
    };
    view! {
        <Show when=move || is_typed.get()>
            <textarea
                data-testid="problem-input"
                aria-label="Statements and question in English"
                rows="3"
                spellcheck="false"
                prop:value=typed
                on:input=move |event| source.set(ProblemChoice::Typed(event_target_value(&event)))
            ></textarea>
        </Show>
    }
}

/// All statements as the model reads them.
#[component]
pub fn Statements() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let shipped = expect_context::<Shipped>();
    let source = expect_context::<ProblemSource>().0;
    let credit = move || match source.get() {
        ProblemChoice::Example(_) => Some(shipped.examples.get().source),
        _ => None,
    };
    view! {
        <details class="statements">
            <summary>"The whole text"</summary>
            <p data-testid="problem-text">
                {move || runner.question.with(|question| question.text.clone())}
            </p>
            {move || credit().map(|credit| view! { <p class="hint">{credit}</p> })}
        </details>
    }
}
