//! How fast is this device: a button, a table, and a roofline.

use latent_model::address::LaneChoice;
use leptos::{prelude::*, task::spawn_local};

use crate::{
    browser::copy_text,
    page_signals::PageSignals,
    speed::{Speed, SpeedStatus},
    startup::Reports,
    view::speed::{FRAME, Roofline, SIZE, SpeedReport, heads, roofline},
    words::{fill, words},
};

/// The button, how far it is, and what was found.
#[component]
pub fn SpeedParts() -> impl IntoView {
    let speed = expect_context::<Speed>();
    let reports = expect_context::<Reports>();
    let lanes = expect_context::<PageSignals>().lanes;
    let checkpoint = move || {
        let choices: Vec<LaneChoice> = lanes.choices_untracked();
        choices.first().map(|lane| lane.model.clone())
    };
    let is_measuring = move || matches!(speed.status.get(), SpeedStatus::Measuring(_));
    let can_measure = move || reports.is_settled() && !is_measuring() && !lanes.get().is_empty();
    let measure = move |_| {
        if let Some(checkpoint) = checkpoint() {
            speed.measure(checkpoint);
        }
    };
    let progress = move || match speed.status.get() {
        SpeedStatus::Measuring(what) => fill(words().speed_measuring, &[("what", &what)]),
        SpeedStatus::Failed(error) => fill(words().speed_failed, &[("error", &error)]),
        SpeedStatus::Waiting | SpeedStatus::Done(_) => String::new(),
    };
    let report = move || match speed.status.get() {
        SpeedStatus::Done(report) => Some(view! { <Report report/> }),
        _ => None,
    };
    view! {
        <p class="hint">{words().speed_hint}</p>
        <div class="options">
            <button data-testid="speed-measure" disabled=move || !can_measure() on:click=measure>
                {words().speed_measure}
            </button>
            <span class="hint" role="status" data-testid="speed-progress">{progress}</span>
        </div>
        {report}
    }
}

#[component]
fn Report(report: SpeedReport) -> impl IntoView {
    let told = RwSignal::new(String::new());
    let markdown = report.markdown();
    let copy = move |_| {
        let text = markdown.clone();
        spawn_local(async move {
            told.set(match copy_text(&text).await {
                true => words().copied.into(),
                false => text,
            });
        });
    };
    let row = |cells: [String; 5]| {
        let [engine, numbers @ ..] = cells;
        view! {
            <tr>
                <th scope="row">{engine}</th>
                {numbers.map(|number| view! { <td>{number}</td> })}
            </tr>
        }
    };
    let rows: Vec<_> = report.rows.iter().map(|of| row(report.cells(of))).collect();
    let checkpoint = fill(
        words().speed_checkpoint,
        &[
            ("checkpoint", &report.checkpoint),
            ("format", &report.format),
        ],
    );
    view! {
        <p>{checkpoint} " " {report.roofs_sentence()}</p>
        <div class="scrolling" role="region" aria-label=words().device_speed tabindex="0">
            <table class="scores" data-testid="speed-table">
                <thead>
                    <tr>{heads().map(|head| view! { <th scope="col">{head}</th> })}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {roofline(&report).map(drawing)}
        <div class="options">
            <button data-testid="speed-copy" on:click=copy>{words().speed_copy}</button>
            <span class="hint" role="status" data-testid="speed-copied">{told}</span>
        </div>
    }
}

fn drawing(line: Roofline) -> impl IntoView {
    let [x0, y0, x1, y1] = FRAME;
    let [width, height] = SIZE;
    let roof: Vec<String> = line
        .roof
        .iter()
        .map(|[x, y]| format!("{x:.1},{y:.1}"))
        .collect();
    let point = |([x, y], n_lanes): ([f64; 2], usize)| {
        view! {
            <circle class="point" cx=x cy=y r="4"></circle>
            <text class="tick" x=x + 7.0 y=y + 4.0>{n_lanes}</text>
        }
    };
    let along = |(x, label): (f64, String)| {
        view! {
            <line class="grid" x1=x x2=x y1=y0 y2=y1></line>
            <text class="tick" x=x y=y1 + 16.0 text-anchor="middle">{label}</text>
        }
    };
    let up = |(y, label): (f64, String)| {
        view! {
            <line class="grid" x1=x0 x2=x1 y1=y y2=y></line>
            <text class="tick" x=x0 - 6.0 y=y + 4.0 text-anchor="end">{label}</text>
        }
    };
    view! {
        <svg
            class="chart roofline"
            viewBox=format!("0 0 {width} {height}")
            role="img"
            aria-label=words().speed_chart
            data-testid="speed-roofline"
        >
            {line.intensities.into_iter().map(along).collect_view()}
            {line.speeds.into_iter().map(up).collect_view()}
            <polyline class="line" fill="none" points=roof.join(" ")></polyline>
            {line.points.into_iter().map(point).collect_view()}
            <text class="tick" x=f64::midpoint(x0, x1) y=y1 + 34.0 text-anchor="middle">
                {words().speed_intensity}
            </text>
        </svg>
        <p class="hint">{words().speed_chart}</p>
    }
}
