//! How far what follows a mixture lies from what follows its words, step by step.

use std::f64::consts::LN_2;

use latent_model::analysis::{observe::ObservedStep, probe::N_TOP};
use leptos::{ev, prelude::*};

use super::{super::chart::pointer_x, DASHES, Looking};
use crate::{
    focus::Cursor,
    view::chart::{Axes, LEFT, RIGHT, WIDTH},
    words::words,
};

const HEIGHT: f32 = 210.0;
const TOP: f32 = 12.0;
const BOTTOM: f32 = 40.0;
/// JS(top-i, soft), then JS(noised, clean).
const N_SERIES: usize = N_TOP + 1;

/// A step and its divergences, nats.
type Row = (u32, [Option<f64>; N_SERIES]);

/// Traces on the axis of steps that the entropy chart has.
#[component]
pub fn Divergences() -> impl IntoView {
    let looking = Looking::of_page();
    let cursor = expect_context::<Cursor>();
    let rows = Memo::new(move |_| {
        looking
            .with(|_, looked| rows(&looked.steps))
            .unwrap_or_default()
    });
    let axes = Memo::new(move |_| {
        let curve = |lane: &crate::lanes::Lane| lane.run.with(|run| run.view.curve.clone());
        let curves: Vec<_> = looking.signals.lanes.get().iter().map(curve).collect();
        Axes::new(&curves, &[])
    });
    let step_under = move |event: &ev::MouseEvent| {
        pointer_x(event, HEIGHT).map(|x| axes.get_untracked().step_at(x))
    };
    let names = move || {
        [
            words().js_top1,
            words().js_top2,
            words().js_top3,
            words().js_noised,
        ]
    };
    let is_empty =
        move || rows.with(|rows| rows.iter().all(|(_, js)| js.iter().all(Option::is_none)));
    let line = move |series: usize| {
        let axes = axes.get();
        let places = rows.with(|rows| {
            let point = |(step, js): &Row| Some((axes.x(*step), y(js[series]?)));
            rows.iter().filter_map(point).collect::<Vec<_>>()
        });
        let way: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        let dots = places
            .iter()
            .map(|(x, y)| view! { <circle class="point" cx=*x cy=*y r="3"></circle> })
            .collect_view();
        let path = (!way.is_empty()).then(|| format!("M{}", way.join("L")));
        view! {
            <g class="curve series" data-series=series>
                <path class="line" d=path stroke-dasharray=DASHES[series]></path>
                {dots}
            </g>
        }
    };
    let ticks = [0.0, 0.2, 0.4, 0.6].map(|nats| {
        view! {
            <line class="grid" x1=LEFT x2=WIDTH - RIGHT y1=y(nats) y2=y(nats)></line>
            <text class="tick" x=LEFT - 8.0 y=y(nats) text-anchor="end" dominant-baseline="central">
                {nats.to_string()}
            </text>
        }
    });
    let steps = move || {
        let axes = axes.get();
        let label = |step: u32| {
            view! { <text class="tick" x=axes.x(step) y=HEIGHT - 24.0 text-anchor="middle">{step}</text> }
        };
        axes.step_ticks().into_iter().map(label).collect_view()
    };
    let legend = move || {
        let entry = |(series, name): (usize, &'static str)| {
            view! {
                <li class="series" data-series=series>
                    <svg class="swatch" viewBox="0 0 30 12" aria-hidden="true">
                        <g class="curve series" data-series=series>
                            <path class="line" d="M1 6H29" stroke-dasharray=DASHES[series]></path>
                        </g>
                    </svg>
                    {name}
                </li>
            }
        };
        names().into_iter().enumerate().map(entry).collect_view()
    };
    view! {
        <section aria-label=words().js>
            <h3>{words().js}</h3>
            <p class="hint">{words().js_hint}</p>
            <svg
                class="chart"
                data-testid="divergences"
                viewBox=format!("0 0 {WIDTH} {HEIGHT}")
                role="img"
                aria-label=words().js_label
                on:pointermove=move |event| cursor.preview(step_under(&event))
                on:pointerleave=move |_| cursor.preview(None)
                on:click=move |event| {
                    if let Some(step) = step_under(&event) {
                        cursor.pin(step);
                    }
                }
            >
                {ticks.collect_view()}
                {steps}
                <text class="label" x=(LEFT + WIDTH - RIGHT) / 2.0 y=HEIGHT - 6.0 text-anchor="middle">
                    {words().chart_step}
                </text>
                <Show when=is_empty>
                    <text class="empty" x=WIDTH / 2.0 y=HEIGHT / 2.0 text-anchor="middle">{words().js_empty}</text>
                </Show>
                {move || cursor.get().map(|step| {
                    let x = axes.get().x(step.min(axes.get().last_step));
                    view! { <line class="cursor" x1=x x2=x y1=TOP y2=HEIGHT - BOTTOM></line> }
                })}
                {move || (0..N_SERIES).map(line).collect_view()}
            </svg>
            <ul class="legend">{legend}</ul>
            <Table rows/>
        </section>
    }
}

/// Nats, 0 to ln 2, as a place.
fn y(nats: f64) -> f32 {
    TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (nats / LN_2) as f32)
}

/// The steps at which something was found.
fn rows(steps: &[std::sync::Arc<ObservedStep>]) -> Vec<Row> {
    let row = |step: &std::sync::Arc<ObservedStep>| {
        let [a, b, c] = step.probed.top;
        (step.step, [a, b, c, step.noised_clean])
    };
    let found = |(_, js): &Row| js.iter().any(Option::is_some);
    steps.iter().map(row).filter(found).collect()
}

/// The traces as numbers.
#[component]
fn Table(rows: Memo<Vec<Row>>) -> impl IntoView {
    let row = |(step, js): Row| {
        let cell = |nats: Option<f64>| {
            view! { <td>{nats.map_or("–".into(), |nats| format!("{nats:.4}"))}</td> }
        };
        view! {
            <tr>
                <th scope="row">{step}</th>
                {js.map(cell).collect_view()}
            </tr>
        }
    };
    view! {
        <details class="as-table">
            <summary>{words().as_table}</summary>
            <div class="scrolling" role="region" aria-label=words().js_label tabindex="0">
                <table data-testid="divergence-table">
                    <thead>
                        <tr>
                            <th scope="col">{words().chart_step}</th>
                            <th scope="col">{words().js_top1}</th>
                            <th scope="col">{words().js_top2}</th>
                            <th scope="col">{words().js_top3}</th>
                            <th scope="col">{words().js_noised}</th>
                        </tr>
                    </thead>
                    <tbody>{move || rows.get().into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        </details>
    }
}
