//! One lane: what it is, its stream, its answer and verdict.

use latent_model::{
    catalogue::{Catalogue, folder_and_adapters},
    program::{Adapter, Feed, Role},
    record::{StepRecord, flag},
    strategy::{COMPOSED, STRATEGIES, Setting, Strategy},
    tasks::{Difficulty, Grade},
    training_record::Accuracy,
};
use leptos::prelude::*;

use super::{
    composition::first_composition,
    guide::cited,
    panel::{Inside, Panel},
    stream::Stream,
};
use crate::{
    browser::{focus_test_id, in_next_frame_of_page},
    catalogue::SiteCatalogue,
    focus::{Cursor, Focus},
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    page_state::{LaneChoice, ProblemChoice},
    runner::Runner,
    startup::Reports,
    view::{
        accuracies::{own_and_rest, sentence},
        chart::words_at_once,
    },
    words::{
        fill,
        tables::{lacks_text, strategy_summary, verdict_word},
        words,
    },
};

/// A lane's card.
#[component]
pub fn LaneCard(lane: Lane) -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let focus = expect_context::<Focus>();
    // The place on the page; it changes when a lane before this one is removed.
    let index = Memo::new(move |_| {
        let place = lanes.get().iter().position(|other| *other == lane);
        place.unwrap_or_default()
    });
    let number = move || index.get() + 1;
    let shows_settings = RwSignal::new(false);
    let name = move || lanes.name(lane);
    let remove = move |_| {
        let place = index.get_untracked();
        lanes.remove(lane.id);
        // The button that had the keyboard is gone: the lane that stands in its place has it now.
        in_next_frame_of_page(move || {
            focus_test_id(&["add-lane", &format!("lane-{place}-remove")])
        });
    };
    let strategy = move || lane.choice.with(|choice| choice.strategy);
    let has_begun = Memo::new(move |_| lane.run.with(|run| !run.records.is_empty()));
    let cursor = expect_context::<Cursor>();
    let acts = Signal::derive(move || {
        let is_pinned = cursor.pinned().is_some() && focus.chosen(lanes) == Some(lane);
        is_pinned || lane.choice.with(|choice| !choice.changes.is_empty())
    });
    view! {
        <article
            class="lane"
            class:is-aside=move || focus.chosen(lanes) != Some(lane)
            data-lane-colour=lane.colour
            data-testid=move || format!("lane-{}", index.get())
            data-strategy=move || strategy().name
            aria-label=move || fill(words().lane_named, &[("name", &name().text())])
        >
            <header class="lane-head">
                <span class="number" aria-hidden="true">{number}</span>
                <StrategyPicker lane number shows_settings/>
                <button
                    class="quiet"
                    data-testid=move || format!("lane-{}-settings", index.get())
                    aria-expanded=move || shows_settings.get().to_string()
                    aria-label=move || of_number(words().settings_of_lane, number())
                    title=words().lane_settings_title
                    on:click=move |_| shows_settings.update(|shown| *shown = !*shown)
                >
                    "⚙"
                </button>
                <button
                    class="quiet"
                    data-testid=move || format!("lane-{}-remove", index.get())
                    aria-label=move || of_number(words().remove_lane_n, number())
                    title=words().remove_lane
                    on:click=remove
                >
                    "✕"
                </button>
            </header>
            <p class="differs" data-testid=move || format!("lane-{}-name", index.get()) title=move || name().text()>
                {move || name().details()}
            </p>
            <p class="summary" title=move || strategy_summary(strategy())>{move || strategy_summary(strategy())}</p>
            <Untrained lane index/>
            <Show when=move || shows_settings.get()>
                <div class="settings">
                    <Inside panel=Panel::LaneSettings(lane) is_open=shows_settings/>
                    <button class="sheet-button primary" on:click=move |_| shows_settings.set(false)>
                        {words().close_sheet}
                    </button>
                </div>
            </Show>
            <Show when=move || has_begun.get() fallback=move || view! { <BeforeRun lane/> }>
                <Stream lane/>
            </Show>
            <Thought lane index/>
            <Inside panel=Panel::StepActions(lane, index) is_open=acts/>
            <LaneFoot index lane/>
        </article>
    }
}

/// Every strategy; one that the lane's checkpoint does not know moves the lane to one that does.
#[component]
fn StrategyPicker(
    lane: Lane,
    number: impl Fn() -> usize + Copy + Send + 'static,
    shows_settings: RwSignal<bool>,
) -> impl IntoView {
    let catalogue = expect_context::<SiteCatalogue>().catalogue;
    let task = expect_context::<PageSignals>().task;
    let option = move |strategy: &'static Strategy| {
        let is_selected = move || {
            lane.choice
                .with(|choice| choice.strategy.name == strategy.name)
        };
        let lacks = move || {
            let model = lane.choice.with(|choice| choice.model.clone());
            catalogue.with_value(|known| known.lacks(task.get(), strategy, &model))
        };
        view! {
            <option
                value=strategy.name
                selected=is_selected
                disabled=move || lacks().is_some()
                title=move || lacks().map(lacks_text)
            >
                {strategy.title}
            </option>
        }
    };
    let is_composed = move || lane.choice.with(|choice| choice.composition.is_some());
    let on_change = move |event| {
        let name = event_target_value(&event);
        if name == COMPOSED.name {
            let composed = |choice: &LaneChoice| LaneChoice {
                fork: choice.fork,
                ..first_composition(&choice.model)
            };
            let composed = lane.choice.with_untracked(composed);
            lane.choice.set(composed);
            // Nothing is composed but in the settings.
            shows_settings.set(true);
        }
        if let Ok(strategy) = Strategy::by_name(&name) {
            let before = lane.choice.get_untracked();
            let task = task.get_untracked();
            // Settings belong to a strategy; another one begins with its own defaults.
            let choice = catalogue.with_value(|known| {
                let model = known.model_for(task, strategy.name, &before.model);
                // Where another lane is gone on from, it is in another way: soft, then hard.
                LaneChoice {
                    fork: before.fork.filter(|_| model == before.model),
                    ..LaneChoice::new(model, strategy)
                }
            });
            lane.choice.set(choice);
        }
    };
    view! {
        <select
            class="strategy"
            data-testid=move || format!("lane-{}-strategy", number() - 1)
            aria-label=move || of_number(words().strategy_of_lane, number())
            on:change=on_change
        >
            {STRATEGIES.iter().map(option).collect_view()}
            <option value=COMPOSED.name selected=is_composed>{words().composed_option}</option>
        </select>
    }
}

/// Says on the card that a checkpoint was not trained for what it is asked to do.
#[component]
fn Untrained(lane: Lane, index: Memo<usize>) -> impl IntoView {
    let catalogue = expect_context::<SiteCatalogue>().catalogue;
    let warning = move || {
        let choice = lane.choice.get();
        let suits =
            |known: &Catalogue| Some(known.entry(&choice.model)?.suits(choice.strategy.name));
        (catalogue.with_value(suits) == Some(false))
            .then(|| fill(words().untrained, &[("model", &choice.model)]))
    };
    view! {
        {move || warning().map(|text| view! {
            <p class="warning untrained" data-testid=move || format!("lane-{}-untrained", index.get())>{text}</p>
        })}
    }
}

/// Says that Cold Stop ended the thinking, and runs without it if asked.
#[component]
fn EndedEarly(lane: Lane, index: Memo<usize>) -> impl IntoView {
    let runner = expect_context::<Runner>();
    let cursor = expect_context::<Cursor>();
    let n_steps = Memo::new(move |_| {
        lane.run.with(|run| {
            let cold = |record: &StepRecord| record.has(flag::COLD_STOP);
            let ended = run.records.iter().any(cold);
            ended.then(|| run.view.think_steps())
        })
    });
    let without = move |_| {
        lane.choice
            .update(|choice| choice.settings.set(Setting::ColdEntropy, 0.0));
        cursor.follow();
        runner.run_when_changed();
    };
    view! {
        {move || n_steps.get().map(|n_steps| view! {
            <p class="ended-early" data-testid=move || format!("lane-{}-ended-early", index.get())>
                {of_number(words().ended_early, n_steps)} " "
                <button
                    class="quiet"
                    data-testid=move || format!("lane-{}-without-cold-stop", index.get())
                    on:click=without
                >
                    {words().run_without}
                </button>
            </p>
        })}
    }
}

/// How often a checkpoint was right with the lane's strategy, as its `training.json` says, and
/// folded away how often with every other one.
#[component]
pub fn Accuracies(lane: Lane, model: Memo<String>) -> impl IntoView {
    let shipped = expect_context::<SiteCatalogue>();
    let problem = expect_context::<PageSignals>().problem;
    let size = Memo::new(move |_| match problem.get() {
        ProblemChoice::Drawn { difficulty, .. } => difficulty,
        _ => Difficulty::Official,
    });
    let lines = move |found: Vec<Accuracy>| {
        let strategy = lane.choice.with(|choice| choice.strategy.name);
        let first = shipped.catalogue.with_value(|known| {
            let entry = known.entry(&model.get());
            entry.and_then(|entry| entry.strategies.first().cloned())
        });
        let (own, rest) = own_and_rest(&found, strategy, first.as_deref(), size.get().name());
        let own = own.map_or(words().accuracy_not_measured.into(), sentence);
        let line = |accuracy: &Accuracy| view! { <li>{sentence(accuracy)}</li> };
        view! {
            <p class="paper" data-testid="accuracy">{own}</p>
            <details>
                <summary>{words().how_often_right}</summary>
                <ul class="accuracies">{rest.into_iter().map(line).collect_view()}</ul>
            </details>
        }
    };
    move || match shipped.accuracies(&model.get()) {
        None => view! { <p class="paper">{words().fetching_accuracies}</p> }.into_any(),
        // Nobody has measured what a visitor brings.
        Some(Ok(found)) if found.is_empty() => ().into_any(),
        Some(Ok(found)) => lines(found).into_any(),
        Some(Err(error)) => {
            let text = fill(words().accuracies_unknown, &[("error", &error)]);
            view! { <p class="paper">{text}</p> }.into_any()
        }
    }
}

/// In place of the stream before there is one: what will run.
#[component]
fn BeforeRun(lane: Lane) -> impl IntoView {
    let full_name = Memo::new(move |_| lane.choice.with(|choice| choice.model.clone()));
    let model = Memo::new(move |_| full_name.with(|name| folder_and_adapters(name).0.to_string()));
    let strategy = move || lane.choice.with(|choice| choice.strategy);
    // What it was measured at comes after what it runs with.
    let reports = expect_context::<Reports>();
    view! {
        // It may scroll, so keys must reach it.
        <div class="stream before-run" tabindex="0">
            <p class="long">{move || strategy_summary(strategy())}</p>
            <p>{move || cited(strategy().paper)}</p>
            <p>{words().checkpoint} " " <b>{full_name}</b></p>
            <Show when=move || reports.is_ready()>
                <Accuracies lane model/>
            </Show>
        </div>
    }
}

/// What the lane has thought as text, where words of a language model are parts of it.
#[component]
fn Thought(lane: Lane, index: Memo<usize>) -> impl IntoView {
    let thought = Memo::new(move |_| lane.run.with(|run| run.thought.clone()));
    view! {
        <Show when=move || thought.with(|thought| !thought.is_empty())>
            <p class="thought-text" tabindex="0" data-testid=move || format!("lane-{}-thought", index.get())>
                {thought}
            </p>
        </Show>
    }
}

/// Answer, verdict, steps and time.
#[component]
fn LaneFoot(index: Memo<usize>, lane: Lane) -> impl IntoView {
    let numbers = move || lane.run.with(numbers_text);
    let signals = expect_context::<PageSignals>();
    let answer = move || {
        if signals.covers_answers() {
            return words().covered.to_string();
        }
        lane.run
            .with(|run| run.answer.trim_start_matches("###").trim().to_string())
    };
    let language = move || (!signals.covers_answers()).then_some("en");
    let verdict = move || {
        let found = lane.run.with(|run| run.verdict);
        found.filter(|_| !signals.covers_answers())
    };
    let testid = move |part: &str| format!("lane-{}-{part}", index.get());
    let word = move || verdict().map_or(String::new(), |verdict| verdict.to_string());
    let told = move || verdict().map(verdict_word);
    let mark = move || match verdict() {
        Some(Grade::Right) => "✓ ",
        Some(Grade::Wrong) => "✗ ",
        Some(Grade::Malformed) => "⚠ ",
        None => "",
    };
    view! {
        <footer class="lane-foot">
            <EndedEarly lane index/>
            <p class="answer">
                <span class="text" lang=language title=answer data-testid=move || testid("answer")>{answer}</span>
                <span class="verdict" data-verdict=word>
                    <span aria-hidden="true">{mark}</span>
                    <span data-testid=move || testid("verdict")>{told}</span>
                </span>
            </p>
            <p class="numbers" title=words().numbers_title>
                <span>{move || lane.run.with(phase_text)}</span>
                <span>{numbers}</span>
            </p>
        </footer>
    }
}

/// A text with its place `{n}` filled.
fn of_number(text: &str, n: usize) -> String {
    fill(text, &[("n", &n.to_string())])
}

/// What the lane is doing, in words.
fn phase_text(run: &LaneRun) -> &'static str {
    let Some(program) = &run.program else {
        return words().not_begun;
    };
    if run.is_done() {
        return words().done;
    }
    let Some(last) = run.records.last() else {
        return words().reading;
    };
    let phase = &program.phases[last.phase as usize];
    match (phase.role, phase.feed) {
        (Role::Answer, _) if phase.adapter == Adapter::Decoder => words().answering_decoder,
        (Role::Answer, _) => words().answering,
        (Role::Think, Feed::CONTEMPLATION) => words().contemplating,
        (Role::Think, Feed::Token) => words().thinking_words,
        (Role::Think, Feed::Concept) => words().thinking_mixtures,
        (Role::Think, Feed::Hidden { .. }) => words().thinking_hidden,
        (Role::Think, Feed::Pause(_)) => words().waiting,
    }
}

fn numbers_text(run: &LaneRun) -> String {
    if run.records.is_empty() {
        return String::new();
    }
    let entropy = run.view.mean_entropy().map_or(String::new(), |nats| {
        fill(
            words().lane_mean_entropy,
            &[
                ("nats", &format!("{nats:.2}")),
                ("words", &words_at_once(nats)),
            ],
        )
    });
    // The status counts all steps of a run; here are those in which the lane thought.
    fill(
        words().lane_numbers,
        &[
            ("n", &run.view.think_steps().to_string()),
            ("entropy", &entropy),
            ("seconds", &format!("{:.2}", run.elapsed_secs)),
        ],
    )
}
