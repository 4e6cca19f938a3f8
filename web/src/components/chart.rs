//! The live chart of entropy per step, all lanes on shared axes.

use leptos::{ev::PointerEvent, prelude::*};
use wasm_bindgen::JsCast;

use crate::{
    focus::{Cursor, Focus},
    lanes::Lane,
    page_signals::PageSignals,
    page_state::LaneChoice,
    view::chart::{Axes, BOTTOM, Curve, HEIGHT, LEFT, RIGHT, TOP, WIDTH},
};

/// Dash pattern of each palette entry, so that lanes differ without colour too.
const DASHES: [&str; 6] = ["none", "7 4", "2 3", "10 3 2 3", "5 2", "1 4"];

/// The chart with its legend.
#[component]
pub fn EntropyChart() -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let cursor = expect_context::<Cursor>().0;
    let curves = Memo::new(move |_| {
        let curve = |lane: &Lane| lane.run.with(|run| run.view.curve.clone());
        lanes.get().iter().map(curve).collect::<Vec<_>>()
    });
    let axes = Memo::new(move |_| curves.with(|curves| Axes::new(curves)));
    let on_move = move |event: PointerEvent| {
        let step = pointer_x(&event).map(|x| axes.get_untracked().step_at(x));
        cursor.set(step);
    };
    let is_empty = move || curves.with(|curves| curves.iter().all(|curve| curve.points.is_empty()));
    view! {
        <div class="panel-head">
            <h2>"Entropy of each step"</h2>
            <span class="hint">"▲ answer begins   ❄ Cold Stop"</span>
        </div>
        <svg
            class="chart"
            data-testid="entropy-chart"
            viewBox=format!("0 0 {WIDTH} {HEIGHT}")
            role="img"
            aria-label="Entropy in nats at each step of every lane"
            on:pointermove=on_move
            on:pointerleave=move |_| cursor.set(None)
        >
            <Grid axes/>
            <Show when=is_empty>
                <text class="empty" x=(LEFT + WIDTH - RIGHT) / 2.0 y=HEIGHT / 2.0 - 30.0 text-anchor="middle">
                    "Press Run: a curve for each lane"
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
                drawn.map(|(lane, curve)| lane_curve(lane, &curve, axes.get())).collect_view()
            }}
        </svg>
        <Legend curves/>
    }
}

/// Where the pointer is, in the drawing's own units.
fn pointer_x(event: &PointerEvent) -> Option<f32> {
    let target = event
        .current_target()?
        .dyn_into::<web_sys::Element>()
        .ok()?;
    let bounds = target.get_bounding_client_rect();
    // The drawing keeps its shape, so it may have room on both sides.
    let scale = (bounds.width() as f32 / WIDTH).min(bounds.height() as f32 / HEIGHT);
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
    view! {
        {horizontal}
        {vertical}
        <line class="axis" x1=LEFT x2=right y1=bottom y2=bottom></line>
        <text class="label" x=(LEFT + right) / 2.0 y=HEIGHT - 6.0 text-anchor="middle">"step"</text>
        <text class="label" transform=format!("translate(13 {}) rotate(-90)", (TOP + bottom) / 2.0) text-anchor="middle">
            "entropy, nats"
        </text>
    }
}

/// A lane's line, points and marks.
fn lane_curve(lane: Lane, curve: &Curve, axes: Axes) -> impl IntoView + use<> {
    let bottom = HEIGHT - BOTTOM;
    let points = curve.points.iter().filter_map(|point| {
        let (x, y) = (axes.x(point.step), axes.y(point.entropy?));
        Some(view! { <path class="point" d=marker_path(lane.colour, x, y)></path> })
    });
    let points = points.collect_view();
    let marks = curve
        .points
        .iter()
        .filter(|point| point.ends_phase || point.cold_stop);
    let marks = marks.map(|point| {
        let x = axes.x(point.step);
        // Lanes that change phase at the same step stand beside each other.
        let y = bottom - 5.0 - 12.0 * lane.colour as f32;
        let (mark, title) = if point.cold_stop {
            ("❄", "Cold Stop ended thinking here")
        } else {
            ("▲", "Thinking ends, the answer begins")
        };
        view! {
            <text class="mark" x=x y=y text-anchor="middle">{mark}<title>{title}</title></text>
        }
    });
    let marks = marks.collect_view();
    view! {
        <g class="curve" data-lane-colour=lane.colour>
            <path class="line" d=axes.path(curve) stroke-dasharray=DASHES[lane.colour % DASHES.len()]></path>
            {points}
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

/// Each lane's line with its name, and its value at the cursor or at its last step.
#[component]
fn Legend(curves: Memo<Vec<Curve>>) -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let cursor = expect_context::<Cursor>().0;
    let focus = expect_context::<Focus>();
    let entry = move |(lane, curve): (Lane, Curve)| {
        let last = curve
            .points
            .iter()
            .rev()
            .find(|point| point.entropy.is_some());
        let step = cursor.get().or(last.map(|point| point.step));
        let value = match step.and_then(|step| curve.at(step)) {
            Some(nats) => format!("{nats:.2}"),
            None => "–".into(),
        };
        view! {
            <li data-lane-colour=lane.colour>
                <button class="quiet" title="Shade the graph by this lane" on:click=move |_| focus.0.set(Some(lane.id))>
                    <svg class="swatch" viewBox="0 0 30 12" aria-hidden="true">
                        <g class="curve" data-lane-colour=lane.colour>
                            <path class="line" d="M1 6H29" stroke-dasharray=DASHES[lane.colour % DASHES.len()]></path>
                            <path class="point" d=marker_path(lane.colour, 15.0, 6.0)></path>
                        </g>
                    </svg>
                    <span class="name" title=move || lane.choice.with(LaneChoice::label)>
                        {move || lane.choice.with(LaneChoice::label)}
                    </span>
                    " "
                    <b>{value}</b>
                </button>
            </li>
        }
    };
    let caption = move || match cursor.get() {
        Some(step) => format!("at step {step}"),
        None => "latest".to_string(),
    };
    view! {
        <ul class="legend">
            <li class="hint">{caption}</li>
            {move || lanes.get().into_iter().zip(curves.get()).map(entry).collect_view()}
        </ul>
    }
}
