//! The buttons of a run: run, pause, step, reset, speed and seed.

use latent_model::strategy::Setting;
use leptos::{prelude::*, task::spawn_local};

use super::teacher::Uncover;
use crate::{
    browser::{copy_address, sleep_ms},
    focus::Cursor,
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    page_state::{Speed, moved_thoughts, thoughts_range},
    run_state::RunStatus,
    runner::Runner,
    startup::Reports,
    view::lane_names::{announcement, lane_names},
    words::{fill, words},
};

/// The slider's end; a lane's own settings go on to what a program can hold.
const MOST_THOUGHTS: u32 = 8;

/// The bar above the panels.
#[component]
pub fn Controls() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let status = runner.status;
    let is_running = move || status.get() == RunStatus::Running;
    let reports = expect_context::<Reports>();
    let signals = expect_context::<PageSignals>();
    let PageSignals {
        lanes, question, ..
    } = signals;
    let is_asked = move || question.with(|question| !question.text.is_empty());
    let waits = move || signals.waits_for_prediction();
    let can_run = move || reports.is_ready() && !lanes.get().is_empty() && is_asked() && !waits();
    let cursor = expect_context::<Cursor>();
    let run_or_pause = move |_| {
        if is_running() {
            runner.pause()
        } else {
            cursor.follow();
            runner.run()
        }
    };
    let step = move |_| {
        cursor.follow();
        runner.step();
    };
    let reset = move |_| {
        cursor.follow();
        runner.reset();
    };
    let shows_sheet = RwSignal::new(false);
    let run_label = move || match status.get() {
        RunStatus::Running => words().pause,
        RunStatus::Paused => words().go_on,
        RunStatus::Done => words().run_again,
        RunStatus::Idle => words().run,
    };
    view! {
        <div class="controls" role="group" aria-label=words().the_run>
            <div class="run-buttons">
                <button
                    class="primary"
                    data-testid="run"
                    disabled=move || !can_run()
                    title=move || waits().then_some(words().commit_first)
                    on:click=run_or_pause
                >
                    {run_label}
                </button>
                <button
                    data-testid="step"
                    disabled=move || is_running() || status.get() == RunStatus::Done || !can_run()
                    title=words().step_title
                    on:click=step
                >
                    {words().step}
                </button>
                <button
                    data-testid="reset"
                    title=words().reset_title
                    on:click=reset
                >
                    {words().reset}
                </button>
                // A phone has no room for the settings beside the buttons.
                <button
                    class="sheet-button"
                    data-testid="run-settings"
                    aria-expanded=move || shows_sheet.get().to_string()
                    aria-label=words().run_settings
                    on:click=move |_| shows_sheet.update(|shown| *shown = !*shown)
                >
                    "⚙"
                </button>
                <Uncover/>
                <Progress/>
            </div>
            <div class="run-settings" class:is-open=shows_sheet>
                <SpeedPicker/>
                <ThoughtsSlider/>
                <SeedField/>
                <CopyLink/>
                <button class="sheet-button primary" data-testid="close-sheet" on:click=move |_| shows_sheet.set(false)>
                    {words().close_sheet}
                </button>
            </div>
        </div>
    }
}

#[component]
fn SpeedPicker() -> impl IntoView {
    let speed = expect_context::<PageSignals>().speed;
    let option = move |offered: Speed| {
        let label = match offered {
            Speed::PerSecond(1) => words().one_a_second.to_string(),
            Speed::PerSecond(rate) => fill(words().so_many_a_second, &[("n", &rate.to_string())]),
            Speed::Max => words().as_fast.to_string(),
        };
        let is_selected = move || speed.get() == offered;
        view! { <option value=offered.to_string() selected=is_selected>{label}</option> }
    };
    let on_change = move |event| {
        if let Ok(chosen) = event_target_value(&event).parse() {
            speed.set(chosen);
        }
    };
    view! {
        <label class="field">
            {words().speed}
            <select data-testid="speed" on:change=on_change>
                {Speed::OFFERED.map(option).collect_view()}
            </select>
        </label>
    }
}

/// The number of thoughts of every lane that has one, where there is such a lane.
#[component]
fn ThoughtsSlider() -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let spec = Setting::Thoughts.spec();
    let range = Memo::new(move |_| thoughts_range(&lanes.choices()));
    let set = move |event| {
        let Ok(most) = event_target_value(&event).parse::<f32>() else {
            return;
        };
        for (lane, thoughts) in lanes
            .get_untracked()
            .iter()
            .zip(moved_thoughts(&lanes.choices_untracked(), most))
        {
            if let Some(thoughts) = thoughts {
                lane.choice
                    .update(|choice| choice.settings.set(Setting::Thoughts, thoughts));
            }
        }
    };
    let most = move || {
        range
            .get()
            .map_or(String::new(), |(_, most)| most.to_string())
    };
    let text = move || match range.get() {
        Some((fewest, most)) if fewest < most => format!("{fewest}–{most}"),
        _ => most(),
    };
    view! {
        <Show when=move || range.get().is_some()>
            <label
                class="field"
                title=words().thoughts_title
            >
                {words().thoughts}
                <input
                    type="range"
                    min=spec.range.0.to_string()
                    max=MOST_THOUGHTS.to_string()
                    step="1"
                    data-testid="thoughts"
                    prop:value=most
                    on:input=set
                />
                <output data-testid="thoughts-range">{text}</output>
            </label>
        </Show>
    }
}

#[component]
fn SeedField() -> impl IntoView {
    let seed = expect_context::<PageSignals>().seed;
    let on_change = move |event| {
        // Text that is no seed is put back to the one that counts.
        match event_target_value(&event).trim().parse() {
            Ok(new) => seed.set(new),
            Err(_) => seed.notify(),
        }
    };
    view! {
        <label class="field" title=words().seed_title>
            {words().seed}
            <input
                type="number"
                min="0"
                max=u32::MAX.to_string()
                data-testid="seed"
                prop:value=move || seed.get().to_string()
                on:change=on_change
            />
        </label>
    }
}

/// Copies the address, which holds the whole set-up, for others to open.
#[component]
fn CopyLink() -> impl IntoView {
    let label = RwSignal::new(words().copy_link);
    let copy = move |_| {
        spawn_local(async move {
            let copied = copy_address().await;
            label.set(if copied {
                words().copied
            } else {
                words().copy_from_bar
            });
            sleep_ms(2000.0).await;
            label.set(words().copy_link);
        });
    };
    view! {
        <button
            class="quiet"
            data-testid="copy-link"
            title=words().copy_title
            on:click=copy
        >
            {label}
        </button>
    }
}

/// Where the run stands, and how far the longest lane has come.
#[component]
fn Progress() -> impl IntoView {
    let runner = expect_context::<Runner>();
    let signals = expect_context::<PageSignals>();
    let lanes = signals.lanes;
    let last_step = move || {
        let lanes = lanes.get();
        let steps = lanes
            .iter()
            .filter_map(|lane| lane.run.with(LaneRun::last_step));
        steps.max()
    };
    let announced = move || {
        let is_told = runner.status.get() == RunStatus::Done && !signals.covers_answers();
        is_told.then(|| {
            let verdict = |lane: &Lane| lane.run.with(|run| run.verdict);
            let verdicts: Vec<_> = lanes.get().iter().map(verdict).collect();
            announcement(&lane_names(&lanes.choices()), &verdicts)
        })
    };
    view! {
        <span class="progress-text">
            <span class="status" data-status=move || runner.status.get().word() data-testid="status">
                {move || status_text(runner.status.get())}
            </span>
            <span data-testid="steps-done">
                {move || last_step().map(|step| fill(words().step_reached, &[("n", &step.to_string())]))}
            </span>
            <span class="visually-hidden" role="status" data-testid="announcement">{announced}</span>
        </span>
    }
}

/// Where the run stands, in the page's language.
fn status_text(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Idle => words().status_idle,
        RunStatus::Running => words().status_running,
        RunStatus::Paused => words().status_paused,
        RunStatus::Done => words().status_done,
    }
}
