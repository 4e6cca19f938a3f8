//! The live chart of entropy per step, all lanes on shared axes.

use leptos::{
    ev::{MouseEvent, PointerEvent},
    prelude::*,
};
use wasm_bindgen::JsCast;

use super::{
    lane_table::{LaneTable, TableRow},
    roving::{tabindex, walk_lanes},
};
use crate::{
    focus::{Cursor, Focus},
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    view::{
        chart::{Axes, BOTTOM, Curve, HEIGHT, LEFT, Measure, RIGHT, TOP, WIDTH, words_at_once},
        lane_names::LaneName,
    },
    words::{fill, words},
};

/// Dash pattern of each palette entry, so that lanes differ without colour too.
const DASHES: [&str; 6] = ["none", "7 4", "2 3", "10 3 2 3", "5 2", "1 4"];

/// The chart with its legend.
#[component]
pub fn EntropyChart() -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let cursor = expect_context::<Cursor>();
    let curves = Memo::new(move |_| {
        let curve = |lane: &Lane| lane.run.with(|run| run.view.curve.clone());
        lanes.get().iter().map(curve).collect::<Vec<_>>()
    });
    let shows_sampler = RwSignal::new(false);
    let measures = Memo::new(move |_| match shows_sampler.get() {
        true => vec![Measure::Raw, Measure::Sampler],
        false => vec![Measure::Raw],
    });
    let axes = Memo::new(move |_| curves.with(|curves| Axes::new(curves, &measures.get())));
    let step_under = move |event: &PointerEvent| {
        pointer_x(event, HEIGHT).map(|x| axes.get_untracked().step_at(x))
    };
    let on_click = move |event: MouseEvent| {
        if let Some(step) = pointer_x(&event, HEIGHT).map(|x| axes.get_untracked().step_at(x)) {
            cursor.pin(step);
        }
    };
    let is_empty = move || curves.with(|curves| curves.iter().all(|curve| curve.points.is_empty()));
    view! {
        <div class="panel-head">
            <h2>{words().chart_title}</h2>
            <label class="switch hint" title=words().samplers_title>
                <input
                    type="checkbox"
                    data-testid="sampler-entropy"
                    prop:checked=shows_sampler
                    on:change=move |event| shows_sampler.set(event_target_checked(&event))
                />
                {words().samplers_too}
            </label>
        </div>
        <svg
            class="chart"
            data-testid="entropy-chart"
            viewBox=format!("0 0 {WIDTH} {HEIGHT}")
            role="img"
            aria-label=words().chart_label
            on:pointermove=move |event| cursor.preview(step_under(&event))
            on:pointerleave=move |_| cursor.preview(None)
            on:click=on_click
        >
            <Grid axes/>
            <Show when=is_empty>
                <text class="empty" x=(LEFT + WIDTH - RIGHT) / 2.0 y=HEIGHT / 2.0 - 30.0 text-anchor="middle">
                    {words().chart_empty}
                </text>
            </Show>
            {move || cursor.get().map(|step| view! {
                <line
                    class="cursor"
                    x1=axes.get().x(step.min(axes.get().last_step))
                    x2=axes.get().x(step.min(axes.get().last_step))
                    y1=TOP
                    y2=HEIGHT - BOTTOM
                ></line>
            })}
            {move || {
                let drawn = lanes.get().into_iter().zip(curves.get());
                let drawn = drawn.map(|(lane, curve)| {
                    lane_curve(lane, &curve, axes.get(), shows_sampler.get())
                });
                drawn.collect_view()
            }}
        </svg>
        <Legend curves/>
        <div class="below">
            <p class="hint">{words().chart_marks}</p>
            <ChartTable curves/>
        </div>
    }
}

/// What the chart shows, for those who do not see it: a row for each step.
#[component]
fn ChartTable(curves: Memo<Vec<Curve>>) -> impl IntoView {
    let rows = move || {
        let curves = curves.get();
        let lasts = curves.iter().filter_map(|curve| curve.points.last());
        let n_steps = lasts.map(|point| point.step + 1).max().unwrap_or(0);
        let cell = |curve: &Curve, step: u32| {
            let nats = curve.at(step).and_then(|point| point.raw);
            nats.map_or(String::new(), |nats| format!("{nats:.2}"))
        };
        let row = |step: u32| TableRow {
            head: step.to_string(),
            cells: curves.iter().map(|curve| cell(curve, step)).collect(),
        };
        (0..n_steps).map(row).collect()
    };
    view! {
        <LaneTable testid="chart-table" label=words().chart_as_table heads=vec![words().chart_step] rows/>
    }
}

/// Where the pointer is, in the own units of a drawing of this height.
pub fn pointer_x(event: &MouseEvent, height: f32) -> Option<f32> {
    let target = event
        .current_target()?
        .dyn_into::<web_sys::Element>()
        .ok()?;
    let bounds = target.get_bounding_client_rect();
    // The drawing keeps its shape, so it may have room on both sides.
    let scale = (bounds.width() as f32 / WIDTH).min(bounds.height() as f32 / height);
    let room = (bounds.width() as f32 - WIDTH * scale) / 2.0;
    (scale > 0.0).then(|| (event.client_x() as f32 - bounds.left() as f32 - room) / scale)
}

#[component]
fn Grid(axes: Memo<Axes>) -> impl IntoView {
    let right = WIDTH - RIGHT;
    let bottom = HEIGHT - BOTTOM;
    let horizontal = move || {
        let axes = axes.get();
        let line = |nats: f32| {
            let y = axes.y(nats);
            view! {
                <line class="grid" x1=LEFT x2=right y1=y y2=y></line>
                <text class="tick" x=LEFT - 8.0 y=y text-anchor="end" dominant-baseline="central">
                    {format!("{nats}")}
                </text>
            }
        };
        axes.nats_ticks().into_iter().map(line).collect_view()
    };
    let vertical = move || {
        let axes = axes.get();
        let label = |step: u32| {
            view! {
                <text class="tick" x=axes.x(step) y=bottom + 16.0 text-anchor="middle">{step}</text>
            }
        };
        axes.step_ticks().into_iter().map(label).collect_view()
    };
    let word_labels = move || {
        let axes = axes.get();
        let label = |(words, nats): (u32, f32)| {
            view! {
                <text class="tick" x=right + 6.0 y=axes.y(nats) dominant-baseline="central">{words}</text>
            }
        };
        axes.word_ticks().into_iter().map(label).collect_view()
    };
    view! {
        {horizontal}
        {vertical}
        {word_labels}
        <line class="axis" x1=LEFT x2=right y1=bottom y2=bottom></line>
        <text class="label" x=(LEFT + right) / 2.0 y=HEIGHT - 6.0 text-anchor="middle">{words().chart_step}</text>
        <text class="label" transform=format!("translate(13 {}) rotate(-90)", (TOP + bottom) / 2.0) text-anchor="middle">
            {words().chart_axis}
        </text>
        <text
            class="label"
            transform=format!("translate({} {}) rotate(90)", WIDTH - 9.0, (TOP + bottom) / 2.0)
            text-anchor="middle"
        >
            {words().chart_words}
        </text>
    }
}

/// A lane's line, points and marks; with a thin line for its sampler's entropy where that is
/// another one.
fn lane_curve(lane: Lane, curve: &Curve, axes: Axes, shows_sampler: bool) -> impl IntoView + use<> {
    let bottom = HEIGHT - BOTTOM;
    // One element however many steps there are: all are drawn anew with every step.
    let markers = curve.points.iter().filter_map(|point| {
        let (x, y) = (axes.x(point.step), axes.y(point.raw?));
        Some(marker_path(lane.colour, x, y))
    });
    let markers = markers.collect::<String>();
    let marks = curve
        .points
        .iter()
        .filter(|point| point.ends_phase || point.cold_stop);
    let marks = marks.map(|point| {
        let x = axes.x(point.step);
        // Lanes that change phase at the same step stand beside each other.
        let y = bottom - 5.0 - 12.0 * lane.colour as f32;
        let (mark, title) = if point.cold_stop {
            ("❄", words().chart_cold_stop)
        } else {
            ("A", words().chart_answer)
        };
        view! {
            <text class="mark" x=x y=y text-anchor="middle">{mark}<title>{title}</title></text>
        }
    });
    let marks = marks.collect_view();
    let sampler = (shows_sampler && curve.has_two_measures()).then(|| {
        view! {
            <path class="line is-sampler" data-testid="sampler-line" d=axes.path(curve, Measure::Sampler)>
                <title>{words().chart_sampler}</title>
            </path>
        }
    });
    view! {
        <g class="curve" data-lane-colour=lane.colour>
            {sampler}
            <path class="line" d=axes.path(curve, Measure::Raw) stroke-dasharray=DASHES[lane.colour % DASHES.len()]></path>
            <path class="point" d=markers></path>
            {marks}
        </g>
    }
}

/// A small circle, square, diamond or triangle around a place.
pub fn marker_path(colour: usize, x: f32, y: f32) -> String {
    match colour % 4 {
        0 => format!(
            "M{:.1} {y:.1}a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0 -6.8 0Z",
            x - 3.4
        ),
        1 => format!("M{:.1} {:.1}h6v6h-6Z", x - 3.0, y - 3.0),
        2 => format!("M{x:.1} {:.1}l4 7h-8Z", y - 4.3),
        _ => format!("M{x:.1} {:.1}l4.2 4.2l-4.2 4.2l-4.2 -4.2Z", y - 4.2),
    }
}

/// Each lane's line with its name, and its entropy at the cursor, or its thinking's mean once it is
/// done, or its newest.
#[component]
fn Legend(curves: Memo<Vec<Curve>>) -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let cursor = expect_context::<Cursor>();
    let focus = expect_context::<Focus>();
    let entry = move |(index, (lane, curve)): (usize, (Lane, Curve))| {
        let mean = move || {
            let of_done = |run: &LaneRun| run.view.mean_entropy().filter(|_| run.is_done());
            lane.run.with(of_done)
        };
        let newest = curve.points.iter().rev().find_map(|point| point.raw);
        let value = match (cursor.get(), mean()) {
            (Some(step), _) => curve
                .at(step)
                .and_then(|point| point.raw)
                .map(nats_and_words),
            (None, Some(mean)) => Some(format!("⌀ {}", nats_and_words(mean))),
            (None, None) => newest.map(nats_and_words),
        };
        let name = move || lanes.name(lane);
        let is_chosen = move || focus.chosen(lanes) == Some(lane);
        view! {
            <li data-lane-colour=lane.colour>
                <button
                    class="quiet"
                    data-testid=format!("legend-{index}")
                    aria-pressed=move || is_chosen().to_string()
                    tabindex=move || tabindex(is_chosen())
                    title=words().shade_by_lane
                    on:keydown=move |event| walk_lanes(&event, index, "legend", (lanes, focus))
                    on:click=move |_| focus.choose(lane.id)
                >
                    <svg class="swatch" viewBox="0 0 30 12" aria-hidden="true">
                        <g class="curve" data-lane-colour=lane.colour>
                            <path class="line" d="M1 6H29" stroke-dasharray=DASHES[lane.colour % DASHES.len()]></path>
                            <path class="point" d=marker_path(lane.colour, 15.0, 6.0)></path>
                        </g>
                    </svg>
                    <span class="name" title=move || name().text()>{move || LaneName::text(&name())}</span>
                    " "
                    <b>{value.unwrap_or_else(|| "–".into())}</b>
                </button>
            </li>
        }
    };
    let caption = move || match cursor.get() {
        Some(step) => fill(words().legend_at, &[("n", &step.to_string())]),
        None => words().legend_newest.to_string(),
    };
    view! {
        <ul class="legend" data-testid="legend">
            <li class="hint">{caption}</li>
            {move || lanes.get().into_iter().zip(curves.get()).enumerate().map(entry).collect_view()}
        </ul>
    }
}

/// `0.64, 1.9`
fn nats_and_words(nats: f32) -> String {
    format!("{nats:.2}, {}", words_at_once(nats))
}
