//! The problem panel: where the problem comes from, its text and its options.

use latent_model::tasks::{Difficulty, MARKERS, NAMED, Picture, Task};
use leptos::prelude::*;

use crate::{
    catalogue::SiteCatalogue,
    page_signals::{PageSignals, typed_problem},
    page_state::ProblemChoice,
    question::AllExamples,
    words::{fill, tables::task_title, words},
};

/// The task, the source and the question.
#[component]
pub fn ProblemPanel() -> impl IntoView {
    let question = expect_context::<PageSignals>().question;
    let asked = move || question.with(|question| question.headline());
    // A reason why there is none is told in the page's language.
    let language = move || question.with(|question| question.problem.is_ok().then_some("en"));
    view! {
        <div class="panel-head">
            <h2 class="asked" data-testid="question" lang=language>{asked}</h2>
            <TaskPicker/>
            <SourcePicker/>
        </div>
        <TypedText/>
    }
}

/// The tasks that have a checkpoint, free text, and the page's own.
#[component]
fn TaskPicker() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let site = expect_context::<SiteCatalogue>();
    let catalogue = site.catalogue;
    let known = catalogue.with_value(|catalogue| catalogue.tasks());
    let offered = move || {
        // Free text needs a model that somebody brings, and its page says how.
        let is_offered = |task: &Task| {
            let is_for_all = task.picture() == Picture::Text;
            is_for_all || known.contains(task) || *task == signals.task.get()
        };
        NAMED.iter().copied().filter(is_offered).collect::<Vec<_>>()
    };
    let option = move |task: Task| {
        let is_selected = move || signals.task.get() == task;
        view! { <option value=task.name() selected=is_selected>{task_title(task)}</option> }
    };
    let on_change = move |event| {
        if let Ok(task) = event_target_value(&event).parse::<Task>() {
            catalogue.with_value(|catalogue| signals.begin_task(task, catalogue));
        }
    };
    view! {
        <label class="field">
            <span class="visually-hidden">{words().task}</span>
            <select data-testid="task" title=words().task_title on:change=on_change>
                {move || offered().into_iter().map(option).collect_view()}
            </select>
        </label>
    }
}

/// Value of the source picker for each kind of choice.
fn source_value(choice: &ProblemChoice) -> String {
    match choice {
        ProblemChoice::Drawn { difficulty, .. } => difficulty.name().into(),
        ProblemChoice::Example(index) => format!("example:{index}"),
        ProblemChoice::Typed(_) | ProblemChoice::Said(_) => "typed".into(),
    }
}

#[component]
fn SourcePicker() -> impl IntoView {
    let source = expect_context::<PageSignals>().problem;
    let signals = expect_context::<PageSignals>();
    let site = expect_context::<SiteCatalogue>();
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
            (None, Err(_)) => return signals.begin_typing(),
        };
        signals.choose_problem(choice);
    };
    let drawn = [
        (Difficulty::Class, words().drawn_class),
        (Difficulty::Official, words().drawn_official),
    ];
    let option = move |value: String, label: String| {
        let is_selected = {
            let value = value.clone();
            move || current.get() == value
        };
        view! { <option value=value selected=is_selected>{label}</option> }
    };
    let examples = move || {
        let of_task = |all: &AllExamples| all.of(signals.task.get()).cloned();
        let known = site.examples.with_value(of_task).unwrap_or_default();
        let official = known.problems.into_iter();
        let official =
            official.map(|example| fill(words().official_problem, &[("title", &example.title)]));
        let prompts = signals.task.get().prompts().iter();
        let prompts = prompts.map(|prompt| prompt.title.to_string());
        let numbered = official.chain(prompts).enumerate();
        numbered
            .map(|(index, title)| option(format!("example:{index}"), title))
            .collect_view()
    };
    let drawn = move || {
        let is_drawn = signals.task.get().picture() != Picture::Text;
        let drawn = drawn.into_iter().filter(|_| is_drawn);
        drawn
            .map(|(difficulty, label)| option(difficulty.name().into(), label.into()))
            .collect_view()
    };
    view! {
        <label class="field">
            <span class="visually-hidden">{words().source_label}</span>
            <select data-testid="problem-source" on:change=on_change>
                {drawn}
                {examples}
                {option("typed".into(), words().typed.into())}
            </select>
        </label>
        <DrawnSeed/>
    }
}

/// The seed of a drawn problem, and a button for the next one.
#[component]
fn DrawnSeed() -> impl IntoView {
    let source = expect_context::<PageSignals>().problem;
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
            <label class="field" title=words().number_title>
                {words().number}
                <input
                    type="number"
                    min="0"
                    data-testid="problem-seed"
                    prop:value=move || drawn().map_or(String::new(), |(_, seed)| seed.to_string())
                    on:change=on_change
                />
            </label>
            <button data-testid="next-problem" on:click=on_next>{words().next}</button>
        </Show>
    }
}

/// Where the visitor writes the problem.
#[component]
fn TypedText() -> impl IntoView {
    let source = expect_context::<PageSignals>().problem;
    let task = expect_context::<PageSignals>().task;
    let is_typed = Memo::new(move |_| {
        source.with(|s| matches!(s, ProblemChoice::Typed(_) | ProblemChoice::Said(_)))
    });
    let is_free = move || task.get().picture() == Picture::Text;
    let is_said = move || source.with(|source| matches!(source, ProblemChoice::Said(_)));
    let set = move |text: String| source.set(typed_problem(text, untrack(is_said)));
    let known = move || {
        let task = task.get();
        let vocabulary = task.vocabulary();
        let is_word = |word: &&String| !MARKERS.contains(&word.as_str());
        vocabulary
            .iter()
            .filter(is_word)
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let typed = move || match source.get() {
        ProblemChoice::Typed(text) | ProblemChoice::Said(text) => text,
        _ => String::new(),
    };
    let on_chat = move |event| {
        let is_said = event_target_checked(&event);
        source.set(typed_problem(untrack(typed), is_said));
    };
    view! {
        <Show when=move || is_typed.get()>
            <textarea
                data-testid="problem-input"
                aria-label=words().typed_label
                rows="3"
                spellcheck="false"
                prop:value=typed
                on:input=move |event| set(event_target_value(&event))
            ></textarea>
            <Show
                when=is_free
                fallback=move || view! {
                    <details class="words">
                        <summary>{words().known_words}</summary>
                        <p data-testid="known-words" lang="en">{known}</p>
                    </details>
                }
            >
                <label class="switch" title=words().chat_title>
                    <input type="checkbox" data-testid="chat" prop:checked=is_said on:change=on_chat/>
                    {words().chat}
                </label>
            </Show>
        </Show>
    }
}

/// A prompt in the place of a picture, and how it is put to the model.
#[component]
pub fn Prompt() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let is_offered = move || {
        signals
            .problem
            .with(|choice| matches!(choice, ProblemChoice::Example(_)))
    };
    let text = move || signals.question.with(|question| question.text.clone());
    let way = move || match signals.question.with(|question| question.is_said) {
        true => words().said_in_chat,
        false => words().goes_on,
    };
    view! {
        <Show when=is_offered>
            <blockquote class="prompt" data-testid="prompt">{text}</blockquote>
            <p class="hint">{way}</p>
        </Show>
    }
}

/// The whole text as the model reads it, folded away.
#[component]
pub fn Statements() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    view! {
        <details class="statements">
            <summary>{words().whole_text}</summary>
            <p data-testid="problem-text" lang="en">
                {move || signals.question.with(|question| question.text.clone())}
            </p>
            <Credit/>
        </details>
    }
}

/// Where an official problem comes from.
#[component]
fn Credit() -> impl IntoView {
    let PageSignals { task, problem, .. } = expect_context::<PageSignals>();
    let examples = expect_context::<SiteCatalogue>().examples;
    let source = move || {
        let is_example = problem.with(|choice| matches!(choice, ProblemChoice::Example(_)));
        let of_task = |all: &AllExamples| Some(all.of(task.get())?.source.clone());
        examples.with_value(of_task).filter(|_| is_example)
    };
    move || source().map(|source| view! { <p class="hint" lang="en">{source}</p> })
}
