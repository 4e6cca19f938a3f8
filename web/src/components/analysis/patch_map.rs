//! Does a state cause the answer? One state after the other replaced by another run's, and how far
//! each moves the answer: a heat map with the cone of the cell that is looked at.

use leptos::prelude::*;

use super::{
    Looking,
    grid::{
        AsTable, CELL_HEIGHT, CELL_WIDTH, Grid, LEFT, Place, Pointing, cell, column_name, layer_y,
    },
};
use crate::{
    lanes::Lane,
    patching::{Found, PatchStatus, Patching, Source},
    treatment::next_problem,
    view::patches::{Effect, PatchMap},
    words::{fill, words},
};

/// The map of the lane that is looked at, with what starts and stops it.
#[component]
pub fn PatchHeat() -> impl IntoView {
    let looking = Looking::of_page();
    let patching = expect_context::<Patching>();
    let pointing = Pointing::new(None);
    let asked = RwSignal::new(Effect::default());
    let sources = move || {
        let lane = looking.lane();
        lane.map(|lane| patching.sources(lane)).unwrap_or_default()
    };
    // Its place among them.
    let chosen = RwSignal::new(0);
    let source = move || {
        let sources = sources();
        sources.get(chosen.get()).or(sources.first()).copied()
    };
    let is_patching = move || {
        let lane = looking.lane();
        lane.is_some_and(|lane| patching.status.get() == PatchStatus::Patching(lane.id))
    };
    let on_button = move |_| {
        untrack(|| match (looking.lane(), source()) {
            _ if is_patching() => patching.stop(),
            (Some(lane), Some(source)) => patching.start(lane, source),
            _ => {}
        })
    };
    let button = move || match is_patching() {
        true => words().patch_stop,
        false => words().patch_start,
    };
    let option = move |(place, offered): (usize, Source)| {
        let is_selected = move || source() == Some(offered);
        view! { <option value=place.to_string() selected=is_selected>{source_name(looking, offered)}</option> }
    };
    let on_source = move |event| chosen.set(event_target_value(&event).parse().unwrap_or(0));
    let progress = move || match patching.status.get() {
        PatchStatus::Failed(error) => fill(words().patch_failed, &[("error", &error)]),
        _ if sources().is_empty() => words().patch_no_source.to_string(),
        _ => {
            let counts = with_map(looking, patching, |_, map| (map.n_done(), map.n_all()));
            let told = counts.map(|(done, all)| {
                let (done, all) = (done.to_string(), all.to_string());
                fill(words().patch_progress, &[("done", &done), ("total", &all)])
            });
            told.unwrap_or_default()
        }
    };
    // Drawn anew for another lane, run or source, and filled in as it is found.
    let drawn_of = Memo::new(move |_| {
        with_map(looking, patching, |found, map| {
            (
                found.lane,
                found.run,
                found.source,
                (map.columns.len(), map.n_layers),
            )
        })
    });
    view! {
        <section aria-label=words().patch>
            <h3>{words().patch}</h3>
            <p class="hint">{words().patch_hint}</p>
            <div class="patch-bar">
                <label class="field">
                    {words().patch_source}
                    <select
                        data-testid="patch-source"
                        disabled=move || sources().is_empty()
                        on:change=on_source
                    >
                        {move || sources().into_iter().enumerate().map(option).collect_view()}
                    </select>
                </label>
                <button
                    data-testid="patch"
                    disabled=move || source().is_none()
                    on:click=on_button
                >
                    {button}
                </button>
                <span role="status" data-testid="patch-progress">{progress}</span>
            </div>
            {move || drawn_of.get().map(|(.., size)| view! { <Map looking patching pointing asked size/> })}
        </section>
    }
}

/// Something of what was found of the chosen lane; tracks it.
fn with_map<T>(
    looking: Looking,
    patching: Patching,
    of: impl FnOnce(&Found, &PatchMap) -> T,
) -> Option<T> {
    let lane: Lane = looking.lane()?;
    patching.found.with(|found| {
        let found = found.iter().find(|found| found.lane == lane.id)?;
        Some(of(found, &found.map))
    })
}

fn source_name(looking: Looking, source: Source) -> String {
    match source {
        Source::Twin => words().patch_twin.into(),
        Source::NextProblem => {
            let (_, seed) = looking.signals.problem.with(next_problem);
            fill(words().patch_problem, &[("seed", &seed.to_string())])
        }
        Source::Lane(id) => {
            let lanes = looking.signals.lanes;
            let other = lanes.get().into_iter().find(|lane| lane.id == id);
            other.map_or(String::new(), |lane| lanes.name(lane).text())
        }
    }
}

#[component]
fn Map(
    looking: Looking,
    patching: Patching,
    pointing: Pointing,
    asked: RwSignal<Effect>,
    size: (usize, usize),
) -> impl IntoView {
    let parts = move || with_map(looking, patching, |_, map| map.parts()).unwrap_or(false);
    let drawn = move || {
        let asked = asked.get();
        with_map(looking, patching, |_, map| map.drawn(asked)).unwrap_or(asked)
    };
    let (n_columns, n_layers) = size;
    let size = Memo::new(move |_| size);
    let share = move |place: Place| {
        let drawn = drawn();
        with_map(looking, patching, |_, map| map.share(place, drawn)).flatten()
    };
    let column = move |at: usize| {
        let name = untrack(|| with_map(looking, patching, |_, map| map.columns[at].name.clone()));
        let cell_at = move |layer: usize| {
            let place = (at, layer);
            let full = move || share(place).unwrap_or(0.0).clamp(0.0, 1.0);
            let text = move || percent(share(place));
            let reached = move || {
                let looked_at = pointing.place()?;
                let reach = with_map(looking, patching, |_, map| map.reach(looked_at, place))?;
                (reach > 0.0).then(|| {
                    view! {
                        <rect
                            class="cone"
                            x="1.5"
                            y="1.5"
                            width=CELL_WIDTH - 5.0
                            height=CELL_HEIGHT - 5.0
                            rx="3"
                            stroke-opacity=(0.25 + reach).min(1.0)
                        ></rect>
                    }
                })
            };
            cell((pointing, n_layers), place, "patch", full, (text, reached))
        };
        view! {
            {column_name(at, name.unwrap_or_default())}
            {(0..n_layers).map(cell_at).collect_view()}
        }
    };
    let feedback = move || {
        let looked_at = pointing.place()?;
        let columns = with_map(looking, patching, |_, map| map.fed_back(looked_at))?;
        let ways = columns.into_iter();
        let way: String = ways.map(|at| feedback_way(at, n_layers)).collect();
        Some(view! { <path class="feedback" data-testid="patch-feedback" d=way></path> })
    };
    let option = move |offered: Effect| {
        let is_selected = move || drawn() == offered;
        let is_disabled = move || offered == Effect::Moved && !parts();
        view! {
            <option value=offered.name() selected=is_selected disabled=is_disabled>
                {effect_title(offered)}
            </option>
        }
    };
    let on_effect = move |event| {
        let name = event_target_value(&event);
        if let Some(new) = Effect::ALL.into_iter().find(|effect| effect.name() == name) {
            asked.set(new);
        }
    };
    let told = move || {
        let text = pointing
            .place()
            .and_then(|place| cell_text(looking, patching, place));
        text.unwrap_or_else(|| words().patch_choose.to_string())
    };
    let rows = move || {
        let drawn = drawn();
        let rows = with_map(looking, patching, |_, map| {
            let row = |at: usize| {
                let layers = 0..map.n_layers;
                let cells = layers.map(|layer| percent(map.share((at, layer), drawn)));
                (map.columns[at].name.clone(), cells.collect())
            };
            (0..map.columns.len()).map(row).collect::<Vec<_>>()
        });
        rows.unwrap_or_default()
    };
    view! {
        <p data-testid="patch-measured">{move || measured(looking, patching, drawn())}</p>
        <label class="field">
            {words().lens_colour}
            <select data-testid="patch-effect" on:change=on_effect>
                {Effect::ALL.map(option).collect_view()}
            </select>
        </label>
        <Grid testid="patches" label=words().patch keys=words().patch_keys looking size pointing>
            {(0..n_columns).map(column).collect_view()}
            {feedback}
        </Grid>
        <p class="hint cell-told" role="status" data-testid="patch-cell">{told}</p>
        <AsTable testid="patch-table" label=words().patch size rows/>
    }
}

/// Down the gap before a column: the state above, fed below.
fn feedback_way(at: usize, n_layers: usize) -> String {
    let x = LEFT + CELL_WIDTH * at as f32 - 1.0;
    let from = layer_y(n_layers - 1, n_layers) + CELL_HEIGHT / 2.0;
    let to = layer_y(0, n_layers) + CELL_HEIGHT / 2.0;
    format!("M{x} {from}V{to}m-4 -6l4 6l4 -6")
}

fn percent(share: Option<f64>) -> String {
    // No −0.
    share.map_or(String::new(), |share| {
        format!("{} %", (100.0 * share).round() + 0.0)
    })
}

fn effect_title(effect: Effect) -> &'static str {
    match effect {
        Effect::Moved => words().patch_moved,
        Effect::Lost => words().patch_lost,
    }
}

/// The answers without a patch and of the other run, or a sign for each where they are covered.
fn answers(looking: Looking, map: &PatchMap) -> [String; 2] {
    match looking.signals.covers_answers() {
        true => ["A", "B"].map(String::from),
        false => map.answers.clone(),
    }
}

/// What the map measures, in a sentence, and what kind of lane it is of.
fn measured(looking: Looking, patching: Patching, drawn: Effect) -> String {
    let told = with_map(looking, patching, |_, map| {
        let [own, other] = answers(looking, map);
        let p_own = format!("{:.3}", map.clean.own);
        let text = match (map.parts(), drawn) {
            (true, Effect::Moved) => fill(
                words().patch_moved_told,
                &[("own", &own), ("other", &other)],
            ),
            (true, Effect::Lost) => fill(words().patch_lost_told, &[("own", &own), ("p", &p_own)]),
            (false, _) => fill(words().patch_same, &[("own", &own), ("p", &p_own)]),
        };
        match map.is_of_pauses {
            true => text + " " + words().patch_control,
            false => text,
        }
    });
    told.unwrap_or_default()
}

/// A cell in a sentence: what the lane answers then, and how far the patch reaches.
fn cell_text(looking: Looking, patching: Patching, place: Place) -> Option<String> {
    let (at, layer) = place;
    let told = with_map(looking, patching, |_, map| {
        let patched = map.at(place)?;
        let [own, other] = answers(looking, map);
        let answer = match &patched.answer {
            same if *same == map.answers[0] => own.clone(),
            same if *same == map.answers[1] => other.clone(),
            _ if looking.signals.covers_answers() => "…".into(),
            else_said => else_said.clone(),
        };
        let moved = percent(map.share(place, Effect::Moved));
        Some(fill(
            words().patch_cell,
            &[
                ("position", &map.columns[at].name),
                ("layer", &(layer + 1).to_string()),
                ("answer", &answer),
                ("moved", if moved.is_empty() { "–" } else { &moved }),
                ("own", &own),
                ("p_own", &format!("{:.3}", patched.standing.own)),
                ("before", &format!("{:.3}", map.clean.own)),
                ("p_other", &format!("{:.3}", patched.standing.source)),
                ("n", &map.n_reached(place).to_string()),
            ],
        ))
    });
    told.flatten()
}
