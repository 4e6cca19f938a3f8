//! The arena's panel: what to run, what has been counted, and files of it.

use latent_model::{address::ArenaChoice, metrics::Proportion, tasks::Difficulty};
use leptos::prelude::*;

use super::{
    chart::marker_path,
    intervene::event_target_open,
    panel::{Inside, Panel},
};
use crate::{
    arena::{Arena, ArenaStatus, MOST_THOUGHTS},
    page_signals::PageSignals,
    startup::Reports,
    take_away::offer_text,
    view::{
        chart::LEFT,
        lane_names::lane_label,
        score::{self, Curve, Row, Trial, curves, histogram},
    },
    words::{fill, tables::difficulty_word, words},
};

/// Offered numbers of problems.
const N_PROBLEMS: [usize; 5] = [20, 50, 100, 200, 500];
/// Offered numbers of runs of each.
const N_SAMPLES: [usize; 4] = [1, 5, 10, 20];

/// Folded away until somebody asks.
#[component]
pub fn ArenaPanel() -> impl IntoView {
    let in_address = expect_context::<PageSignals>().arena;
    // What is set stays while the panel is folded, when the address says nothing of it.
    let asked = RwSignal::new(in_address.get_untracked().unwrap_or(ArenaChoice::FIRST));
    Effect::new(move |_| {
        if let Some(choice) = in_address.get() {
            asked.set(choice);
        }
    });
    let on_toggle = move |event: leptos::web_sys::ToggleEvent| {
        let is_open = event_target_open(&event);
        if is_open != in_address.with_untracked(Option::is_some) {
            in_address.set(is_open.then(|| asked.get_untracked()));
        }
    };
    provide_context(Asked(asked));
    view! {
        <details
            class="panel arena"
            data-testid="arena"
            prop:open=move || in_address.with(Option::is_some)
            on:toggle=on_toggle
        >
            <summary>{words().arena}</summary>
            <Inside panel=Panel::Arena is_open=Signal::derive(move || in_address.with(Option::is_some))/>
        </details>
    }
}

/// What is set in the panel.
#[derive(Clone, Copy)]
struct Asked(RwSignal<ArenaChoice>);

/// All that is in it.
#[component]
pub fn ArenaParts() -> impl IntoView {
    let arena = expect_context::<Arena>();
    let Asked(asked) = expect_context();
    let failure = move || {
        let text = |error: String| fill(words().arena_failed, &[("error", &error)]);
        arena.failure.get().map(text)
    };
    let has_rows = move || arena.rows.with(|rows| !rows.is_empty());
    let is_sweep = move || {
        let rows = arena.rows.get();
        rows.windows(2).any(|pair| pair[0].lane == pair[1].lane)
    };
    view! {
        <p class="hint">{words().arena_hint}</p>
        <Setup asked/>
        {move || failure().map(|text| view! {
            <p class="warning" role="alert" data-testid="arena-failure">{text}</p>
        })}
        <Show when=has_rows>
            <ScoreTable/>
            <Show when=is_sweep>
                <SweepChart/>
            </Show>
            <Files/>
        </Show>
    }
}

#[component]
fn Setup(asked: RwSignal<ArenaChoice>) -> impl IntoView {
    let arena = expect_context::<Arena>();
    let reports = expect_context::<Reports>();
    let PageSignals {
        task,
        seed,
        lanes,
        arena: in_address,
        ..
    } = expect_context();
    let change = move |change: &dyn Fn(&mut ArenaChoice)| {
        let mut choice = asked.get_untracked();
        change(&mut choice);
        in_address.set(Some(choice));
    };
    let is_running = move || arena.status.get() == ArenaStatus::Running;
    let can_start = move || reports.is_ready() && !lanes.get().is_empty() && !is_running();
    let start = move |_| {
        let ArenaChoice {
            difficulty,
            n,
            samples,
            sweeps,
        } = asked.get_untracked();
        let trial = Trial {
            task: task.get_untracked(),
            difficulty,
            n,
            samples,
            seed: seed.get_untracked(),
        };
        arena.start(trial, sweeps);
    };
    let progress = move || {
        let rows = arena.rows.get();
        let sum = |of: fn(&Row) -> usize| rows.iter().map(of).sum::<usize>().to_string();
        let seed = arena.trial.get()?.seed.to_string();
        let (done, total) = (sum(|row| row.n_done), sum(|row| row.n_runs));
        Some(fill(
            words().arena_progress,
            &[("done", &done), ("total", &total), ("seed", &seed)],
        ))
    };
    let size = [Difficulty::Class, Difficulty::Official].map(|difficulty| {
        let label = difficulty_word(difficulty);
        let is_selected = move || asked.get().difficulty == difficulty;
        view! { <option value=difficulty.name() selected=is_selected>{label}</option> }
    });
    let on_size = move |event| {
        if let Ok(difficulty) = event_target_value(&event).parse() {
            change(&|choice| choice.difficulty = difficulty);
        }
    };
    view! {
        <div class="arena-setup">
            <label class="field">
                {words().arena_size}
                <select data-testid="arena-size" on:change=on_size>{size.collect_view()}</select>
            </label>
            <NumberPicker
                label=words().arena_problems
                testid="arena-n"
                offered=&N_PROBLEMS
                chosen=Signal::derive(move || asked.get().n)
                on_choice=Callback::new(move |n| change(&|choice| choice.n = n))
            />
            <NumberPicker
                label=words().arena_samples
                testid="arena-samples"
                offered=&N_SAMPLES
                chosen=Signal::derive(move || asked.get().samples)
                on_choice=Callback::new(move |n| change(&|choice| choice.samples = n))
            />
            <label class="switch">
                <input
                    type="checkbox"
                    data-testid="arena-sweep"
                    prop:checked=move || asked.get().sweeps
                    on:change=move |event| {
                        let sweeps = event_target_checked(&event);
                        change(&|choice| choice.sweeps = sweeps);
                    }
                />
                {words().arena_sweep}
            </label>
            <button class="primary" data-testid="arena-start" disabled=move || !can_start() on:click=start>
                {words().arena_start}
            </button>
            <button data-testid="arena-stop" disabled=move || !is_running() on:click=move |_| arena.stop()>
                {words().arena_stop}
            </button>
            <button
                data-testid="arena-resume"
                disabled=move || arena.status.get() != ArenaStatus::Stopped || !reports.is_ready()
                on:click=move |_| arena.resume()
            >
                {words().arena_resume}
            </button>
            <span class="hint" role="status" data-testid="arena-progress" data-status=move || format!("{:?}", arena.status.get())>
                {progress}
            </span>
        </div>
    }
}

#[component]
fn NumberPicker(
    label: &'static str,
    testid: &'static str,
    offered: &'static [usize],
    chosen: Signal<usize>,
    on_choice: Callback<usize>,
) -> impl IntoView {
    let options = move || {
        // An address may ask for another number; it stays visible.
        let chosen = chosen.get();
        let own = Some(chosen).filter(|n| !offered.contains(n));
        let option = |n: usize| {
            view! { <option value=n.to_string() selected=chosen == n>{n}</option> }
        };
        let all = offered.iter().copied().chain(own);
        all.map(option).collect_view()
    };
    let on_change = move |event| {
        if let Ok(n) = event_target_value(&event).parse() {
            on_choice.run(n);
        }
    };
    view! {
        <label class="field">
            {label}
            <select data-testid=testid on:change=on_change>
                {options}
            </select>
        </label>
    }
}

/// A row for every lane and setting, with its interval drawn.
#[component]
fn ScoreTable() -> impl IntoView {
    let arena = expect_context::<Arena>();
    let body = move || {
        let Some(trial) = arena.trial.get() else {
            return Vec::new();
        };
        let rows = arena.rows.get();
        let row = |(index, row): (usize, Row)| {
            let found = row.evaluation.as_ref();
            let malformed = found.map(|found| format!("{:.1} %", 100.0 * found.malformed));
            let steps = found.map(|found| format!("{:.1}", found.mean_think_steps));
            let bins = found.filter(|_| trial.samples > 1);
            let bins = bins.map(|found| histogram(found, trial.samples));
            let name = format!(
                "{} {} · {}",
                row.lane,
                lane_label(&row.choice),
                row.choice.model
            );
            view! {
                <tr data-lane-colour=row.colour data-testid=format!("arena-row-{index}")>
                    <th scope="row" title=row.command(&trial)>{name}</th>
                    <td data-testid=format!("arena-done-{index}")>{format!("{}/{}", row.n_done, row.n_runs)}</td>
                    <td data-testid=format!("arena-right-{index}")>{row.n_right}</td>
                    <td data-testid=format!("arena-accuracy-{index}")>{row.accuracy()}</td>
                    <td>{found.map(|found| interval(&found.accuracy))}</td>
                    <td>{malformed}</td>
                    <td>{steps}</td>
                    <td>{bins.map(|bins| bars(&bins))}</td>
                </tr>
            }
        };
        rows.into_iter().enumerate().map(row).collect::<Vec<_>>()
    };
    view! {
        <div class="scrolling" role="region" aria-label=words().arena tabindex="0">
            <table class="scores" data-testid="arena-table">
                <thead>
                    <tr>
                        <th scope="col">{words().arena_lane}</th>
                        <th scope="col">{words().arena_done}</th>
                        <th scope="col">{words().arena_right}</th>
                        <th scope="col" colspan="2">{words().arena_interval}</th>
                        <th scope="col">{words().arena_malformed}</th>
                        <th scope="col">{words().arena_steps}</th>
                        <th scope="col">{words().arena_histogram}</th>
                    </tr>
                </thead>
                <tbody>{body}</tbody>
            </table>
        </div>
    }
}

/// A share with its interval on a line from 0 to 1.
fn interval(accuracy: &Proportion) -> impl IntoView + use<> {
    const WIDTH: f64 = 120.0;
    let [value, low, high] =
        [accuracy.value, accuracy.low, accuracy.high].map(|share| 2.0 + WIDTH * share);
    view! {
        <svg class="interval curve" viewBox="0 0 124 16" width="124" height="16" aria-hidden="true">
            <line class="grid" x1="2" x2=WIDTH + 2.0 y1="8" y2="8"></line>
            <line class="line" x1=low x2=high y1="8" y2="8"></line>
            <circle class="point" cx=value cy="8" r="3.5"></circle>
        </svg>
    }
}

/// How many problems had each number of right runs.
fn bars(bins: &[usize]) -> impl IntoView + use<> {
    const HEIGHT: f64 = 26.0;
    const STEP: f64 = 9.0;
    let most = bins.iter().copied().max().unwrap_or(0).max(1) as f64;
    let bar = |(right, &n): (usize, &usize)| {
        let height = HEIGHT * n as f64 / most;
        view! {
            <rect class="bin" x=right as f64 * STEP y=HEIGHT - height width=STEP - 2.0 height=height>
                <title>{format!("{right}: {n}")}</title>
            </rect>
        }
    };
    let width = bins.len() as f64 * STEP;
    let spoken: Vec<String> = bins
        .iter()
        .enumerate()
        .map(|(k, n)| format!("{k}: {n}"))
        .collect();
    view! {
        <svg
            class="histogram"
            viewBox=format!("0 0 {width} {HEIGHT}")
            width=width
            height=HEIGHT
            role="img"
            aria-label=spoken.join(", ")
        >
            {bins.iter().enumerate().map(bar).collect_view()}
        </svg>
    }
}

/// The share right against the number of thoughts, a line for each lane.
#[component]
fn SweepChart() -> impl IntoView {
    const SIZE: [f32; 2] = [560.0, 240.0];
    const RIGHT: f32 = 12.0;
    const TOP: f32 = 10.0;
    const BOTTOM: f32 = 34.0;
    let x = |thoughts: f32| LEFT + (SIZE[0] - LEFT - RIGHT) * thoughts / MOST_THOUGHTS as f32;
    let y = |share: f64| TOP + (SIZE[1] - TOP - BOTTOM) * (1.0 - share as f32);
    let arena = expect_context::<Arena>();
    let line = move |curve: &Curve| {
        let colour = curve.colour;
        // A lane without thoughts is a level that the others are seen beside.
        let places = curve
            .points
            .iter()
            .flat_map(|(thoughts, share)| match thoughts {
                Some(thoughts) => vec![(x(*thoughts), *share)],
                None => vec![(LEFT, *share), (SIZE[0] - RIGHT, *share)],
            });
        let places: Vec<(f32, Proportion)> = places.collect();
        let way: Vec<String> = places
            .iter()
            .map(|(x, share)| format!("{x:.1} {:.1}", y(share.value)))
            .collect();
        let marks = places.iter().map(|(x, share)| {
            view! {
                <line class="error" x1=*x x2=*x y1=y(share.low) y2=y(share.high)></line>
                <path class="point" d=marker_path(colour, *x, y(share.value))></path>
            }
        });
        view! {
            <g class="curve" data-lane-colour=colour>
                <path class="line" d=format!("M{}", way.join("L"))></path>
                {marks.collect_view()}
            </g>
        }
    };
    let shares = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| {
        view! {
            <line class="grid" x1=LEFT x2=SIZE[0] - RIGHT y1=y(share) y2=y(share)></line>
            <text class="tick" x=LEFT - 6.0 y=y(share) text-anchor="end" dominant-baseline="central">
                {format!("{:.0} %", 100.0 * share)}
            </text>
        }
    });
    let thoughts = (0..=MOST_THOUGHTS).map(|n| {
        view! { <text class="tick" x=x(n as f32) y=SIZE[1] - 20.0 text-anchor="middle">{n}</text> }
    });
    view! {
        <svg
            class="chart sweep"
            data-testid="sweep"
            viewBox=format!("0 0 {} {}", SIZE[0], SIZE[1])
            role="img"
            aria-label=words().arena_sweep_title
        >
            {shares.collect_view()}
            {thoughts.collect_view()}
            <text class="label" x=SIZE[0] / 2.0 y=SIZE[1] - 4.0 text-anchor="middle">{words().arena_thoughts}</text>
            {move || arena.rows.with(|rows| curves(rows).iter().map(line).collect_view())}
        </svg>
    }
}

/// The table as files.
#[component]
fn Files() -> impl IntoView {
    let arena = expect_context::<Arena>();
    let offer =
        move |name: &'static str, kind: &'static str, text: fn(&Trial, &[Row]) -> String| {
            move |_| {
                if let Some(trial) = arena.trial.get_untracked() {
                    let text = arena.rows.with_untracked(|rows| text(&trial, rows));
                    offer_text(name, kind, &text);
                }
            }
        };
    view! {
        <div class="options">
            <button data-testid="arena-csv" on:click=offer("latent-arena.csv", "text/csv", score::csv)>
                {words().arena_csv}
            </button>
            <button data-testid="arena-markdown" on:click=offer("latent-arena.md", "text/markdown", score::markdown)>
                {words().arena_markdown}
            </button>
        </div>
    }
}
