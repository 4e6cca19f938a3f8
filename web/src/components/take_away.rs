//! What a visitor takes away: the run as JSON and CSV, graph and chart as SVG and PNG, a frame.

use leptos::{prelude::*, task::spawn_local};

use super::playback::Recordings;
use crate::{
    browser::{copy_text, hash},
    lanes::LaneRun,
    page_signals::PageSignals,
    page_state::LaneChoice,
    runner::Runner,
    take_away::{frame, offer_png, offer_text, svg_text},
    view::{
        csv::{self, csv},
        lane_names::lane_names,
    },
    words::words,
};

/// A button for each.
#[component]
pub fn TakeAwayParts() -> impl IntoView {
    let signals = expect_context::<PageSignals>();
    let runner = expect_context::<Runner>();
    let told = RwSignal::new(String::new());
    let has_run = move || runner.trace_json.with(|json| !json.is_empty());
    let json = move |_| {
        let text = runner.trace_json.get_untracked();
        offer_text("latent-run.json", "application/json", &text);
    };
    let table = move |_| offer_text("latent-run.csv", "text/csv", &table(signals));
    let drawing =
        move |testid: &'static str, name: &'static str, [as_svg, as_png]: [&'static str; 2]| {
            let svg = move |_| {
                let text = svg_text(testid);
                offer_text(&format!("{name}.svg"), "image/svg+xml", &text);
            };
            let png = move |_| {
                spawn_local(async move {
                    let drawn = offer_png(&format!("{name}.png"), &svg_text(testid)).await;
                    if drawn.is_err() {
                        told.set(words().png_failed.into());
                    }
                });
            };
            view! {
                <button data-testid=format!("{name}-svg") on:click=svg>{as_svg}</button>
                <button data-testid=format!("{name}-png") on:click=png>{as_png}</button>
            }
        };
    let embed = move |_| {
        let page = window().location().href().unwrap_or_default();
        let page = page.split('#').next().unwrap_or_default().to_string();
        let html = frame(&page, hash().trim_start_matches('#'));
        spawn_local(async move {
            let told_now = match copy_text(&html).await {
                true => words().frame_copied.to_string(),
                false => html,
            };
            told.set(told_now);
        });
    };
    let has_graph = move || signals.oracle.with(Option::is_some);
    view! {
        <p class="hint">{words().take_away_hint}</p>
        <div class="options">
            <button data-testid="run-json" disabled=move || !has_run() on:click=json>{words().run_json}</button>
            <button data-testid="run-csv" disabled=move || !has_run() on:click=table>{words().run_csv}</button>
            <Show when=has_graph>{drawing("graph", "graph", [words().graph_svg, words().graph_png])}</Show>
            {drawing("entropy-chart", "chart", [words().chart_svg, words().chart_png])}
            <Recordings/>
            <button data-testid="embed" on:click=embed>{words().frame}</button>
        </div>
        <p class="hint" role="status" data-testid="taken">{told}</p>
    }
}

/// The run of all lanes as comma-separated values.
fn table(signals: PageSignals) -> String {
    let choices = signals.lanes.choices_untracked();
    let names = lane_names(&choices);
    let runs: Vec<LaneRun> = signals
        .lanes
        .get_untracked()
        .iter()
        .map(|lane| lane.run.get_untracked())
        .collect();
    let begun = runs.iter().zip(&choices).zip(&names);
    let begun: Vec<(&LaneRun, csv::Lane)> = begun
        .filter_map(|((run, choice), name)| {
            Some((run, line_of(run, choice, &name.title, name.number)?))
        })
        .collect();
    let (runs, lanes): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
    csv(lanes, |index, id| runs[index].word(id))
}

fn line_of<'a>(
    run: &'a LaneRun,
    choice: &'a LaneChoice,
    name: &'a str,
    number: usize,
) -> Option<csv::Lane<'a>> {
    Some(csv::Lane {
        number,
        name,
        model: &choice.model,
        strategy: choice.strategy.name,
        program: run.program.as_deref()?,
        records: &run.records,
    })
}
