//! One lane: what it is, its stream, its answer and verdict.

use latent_model::{
    contemplation::ContemplationSpec,
    program::{Adapter, Feed, Role},
    strategy::{STRATEGIES, Strategy},
    tasks::Grade,
    training_record::Accuracy,
};
use leptos::prelude::*;

use super::{lane_settings::LaneSettings, stream::Stream};
use crate::{
    catalogue::SiteCatalogue,
    focus::Focus,
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    page_state::LaneChoice,
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
    let shows_settings = RwSignal::new(false);
    let strategy = move || lane.choice.with(|choice| choice.strategy);
    let has_begun = Memo::new(move |_| lane.run.with(|run| !run.records.is_empty()));
    view! {
        <article
            class="lane"
            class:is-aside=move || focus.lane(lanes) != Some(lane)
            data-lane-colour=lane.colour
            data-testid=move || format!("lane-{}", index.get())
            data-strategy=move || strategy().name
            aria-label=move || format!("Lane {}: {}", index.get() + 1, strategy().title)
        >
            <header class="lane-head">
                <StrategyPicker lane/>
                <button
                    class="quiet"
                    data-testid=move || format!("lane-{}-settings", index.get())
                    aria-expanded=move || shows_settings.get().to_string()
                    title="Checkpoint, sampler settings and what this is"
                    on:click=move |_| shows_settings.update(|shown| *shown = !*shown)
                >
                    "⚙"
                </button>
                <button
                    class="quiet"
                    data-testid=move || format!("lane-{}-remove", index.get())
                    aria-label="Remove this lane"
                    title="Remove this lane"
                    on:click=move |_| lanes.remove(lane.id)
                >
                    "✕"
                </button>
            </header>
            <p class="summary" title=move || strategy().summary>{move || strategy().summary}</p>
            <Show when=move || shows_settings.get()>
                <div class="settings">
                    <CheckpointPicker lane/>
                    <LaneSettings lane/>
                    <p class="paper">{move || strategy().summary} " " {move || strategy().paper}</p>
                </div>
            </Show>
            <Show when=move || has_begun.get() fallback=move || view! { <BeforeRun lane/> }>
                <Stream lane/>
            </Show>
            <LaneFoot index lane/>
        </article>
    }
}

/// Every strategy; one that the lane's checkpoint does not know moves the lane to one that does.
#[component]
fn StrategyPicker(lane: Lane) -> impl IntoView {
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
                title=lacks
            >
                {strategy.title}
            </option>
        }
    };
    let on_change = move |event| {
        if let Ok(strategy) = Strategy::by_name(&event_target_value(&event)) {
            let current = lane.choice.with_untracked(|choice| choice.model.clone());
            let task = task.get_untracked();
            // Settings belong to a strategy; another one begins with its own defaults.
            let choice = catalogue.with_value(|known| {
                let model = known.model_for(task, strategy.name, &current);
                LaneChoice::new(model, strategy)
            });
            lane.choice.set(choice);
        }
    };
    view! {
        <select class="strategy" aria-label="Strategy" on:change=on_change>
            {STRATEGIES.iter().map(option).collect_view()}
        </select>
    }
}

/// The task's checkpoints, and how the lane's own was evaluated.
#[component]
fn CheckpointPicker(lane: Lane) -> impl IntoView {
    let catalogue = expect_context::<SiteCatalogue>().catalogue;
    let task = expect_context::<PageSignals>().task;
    let model = Memo::new(move |_| lane.choice.with(|choice| choice.model.clone()));
    let strategy = Memo::new(move |_| lane.choice.with(|choice| choice.strategy.name));
    let offered = move || {
        let mut offered = catalogue.with_value(|known| known.offered(task.get(), strategy.get()));
        // An address may name a checkpoint that does not ship; it stays visible.
        if offered.iter().all(|(name, _)| *name != model.get()) {
            offered.push((model.get(), None));
        }
        offered
    };
    let option = move |(name, lacks): (String, Option<&'static str>)| {
        let is_selected = name == model.get();
        view! {
            <option
                value=name.clone()
                selected=is_selected
                disabled=lacks.is_some() && !is_selected
                title=lacks
            >
                {name.clone()}
            </option>
        }
    };
    let on_change = move |event| {
        let name = event_target_value(&event);
        lane.choice.update(|choice| choice.model = name);
    };
    let about = move || {
        catalogue.with_value(|known| {
            known.entry(&model.get()).map(|entry| {
                let warning = (!entry.suits(strategy.get()))
                    .then_some("This checkpoint was not trained for this strategy.");
                view! {
                    <p class="paper">{entry.summary.clone()}</p>
                    <p class="paper">{entry.contemplation().map(contemplation_text)}</p>
                    <p class="warning">{warning}</p>
                }
            })
        })
    };
    view! {
        <label class="field wide">
            "Checkpoint"
            <select on:change=on_change>
                {move || offered().into_iter().map(option).collect_view()}
            </select>
        </label>
        {about}
        <Accuracies model/>
    }
}

/// How a checkpoint contemplates, in words.
fn contemplation_text(ContemplationSpec { layer, ratio }: ContemplationSpec) -> String {
    format!(
        "CCOT: the base reads the problem, the generator contemplates and the decoder answers. \
         What is fed is the state after layer ℓ = {layer}, counted from 0; r = {ratio} steps stand \
         for each token of a written solution."
    )
}

/// How often a checkpoint was right, as its `training.json` says.
#[component]
fn Accuracies(model: Memo<String>) -> impl IntoView {
    let shipped = expect_context::<SiteCatalogue>();
    let lines = move || match shipped.accuracies(&model.get()) {
        None => vec!["How often it was right: fetching …".to_string()],
        Some(Ok(found)) => found.iter().map(Accuracy::sentence).collect(),
        Some(Err(error)) => vec![format!("How often it was right is not known: {error}")],
    };
    let line = |text: String| view! { <li>{text}</li> };
    view! { <ul class="accuracies">{move || lines().into_iter().map(line).collect_view()}</ul> }
}

/// In place of the stream before there is one: what will run.
#[component]
fn BeforeRun(lane: Lane) -> impl IntoView {
    let model = Memo::new(move |_| lane.choice.with(|choice| choice.model.clone()));
    let strategy = move || lane.choice.with(|choice| choice.strategy);
    view! {
        // It may scroll, so keys must reach it.
        <div class="stream before-run" tabindex="0">
            <p class="long">{move || strategy().summary}</p>
            <p>{move || strategy().paper}</p>
            <p>"Checkpoint " <b>{model}</b></p>
            <Accuracies model/>
        </div>
    }
}

/// Answer, verdict, steps and time.
#[component]
fn LaneFoot(index: Memo<usize>, lane: Lane) -> impl IntoView {
    let numbers = move || lane.run.with(numbers_text);
    let answer = move || {
        lane.run
            .with(|run| run.answer.trim_start_matches("###").trim().to_string())
    };
    let verdict = move || lane.run.with(|run| run.verdict);
    let testid = move |part: &str| format!("lane-{}-{part}", index.get());
    let word = move || verdict().map_or(String::new(), |verdict| verdict.to_string());
    let mark = move || match verdict() {
        Some(Grade::Right) => "✓ ",
        Some(Grade::Wrong) => "✗ ",
        Some(Grade::Malformed) => "⚠ ",
        None => "",
    };
    view! {
        <footer class="lane-foot">
            <p class="answer">
                <span class="text" title=answer data-testid=move || testid("answer")>{answer}</span>
                <span class="verdict" data-verdict=word>
                    <span aria-hidden="true">{mark}</span>
                    <span data-testid=move || testid("verdict")>{word}</span>
                </span>
            </p>
            <p class="numbers" title="Thinking steps, their mean entropy, and time in the engine">
                <span>{move || lane.run.with(phase_text)}</span>
                <span>{numbers}</span>
            </p>
        </footer>
    }
}

/// What the lane is doing, in words.
fn phase_text(run: &LaneRun) -> &'static str {
    let Some(program) = &run.program else {
        return "not begun";
    };
    if run.is_done() {
        return "done";
    }
    let Some(last) = run.records.last() else {
        return "reading the problem";
    };
    let phase = &program.phases[last.phase as usize];
    match (phase.role, phase.feed) {
        (Role::Answer, _) if phase.adapter == Adapter::Decoder => "answering (decoder)",
        (Role::Answer, _) => "answering",
        (Role::Think, Feed::CONTEMPLATION) => "contemplating (generator)",
        (Role::Think, Feed::Token) => "thinking in words",
        (Role::Think, Feed::Concept) => "thinking in mixtures",
        (Role::Think, Feed::Hidden { .. }) => "thinking in hidden states",
        (Role::Think, Feed::Pause(_)) => "waiting",
    }
}

fn numbers_text(run: &LaneRun) -> String {
    if run.records.is_empty() {
        return String::new();
    }
    let counts = run.view.summary();
    let entropy = counts
        .mean_entropy
        .map_or(String::new(), |nats| format!(" · ⌀ {nats:.2} nats"));
    // The status counts all steps of a run; here are those in which the lane thought.
    let n_thinking = counts.think_steps;
    format!("{n_thinking} thinking{entropy} · {:.2} s", run.elapsed_secs)
}
