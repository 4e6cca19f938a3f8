//! The logit lens as a heat map: layer by position, the first token in each cell, and tokens that are
//! followed through the layers.

use latent_model::analysis::lens::LensCell;
use leptos::prelude::*;

use super::{
    DASHES, Looking,
    grid::{AsTable, Grid, Place, Pointing, cell, column_name, shortened},
};
use crate::{
    take_away::offer_text,
    view::looks::Heat,
    words::{fill, words},
};

/// Tokens that are followed at a time, each with a line of its own.
const MOST_PINS: usize = DASHES.len();

/// The map with its modes, what the chosen cell says, and a table behind it.
#[component]
pub fn LensHeat() -> impl IntoView {
    let looking = Looking::of_page();
    let heat = RwSignal::new(Heat::default());
    let pins = RwSignal::new(Vec::<u32>::new());
    let pin_first = Callback::new(move |place: Place| {
        let first =
            untrack(|| lens_cell(looking, place)).and_then(|cell| Some(cell.top.first()?.0));
        if let Some(id) = first {
            pin(pins, id);
        }
    });
    let pointing = Pointing::new(Some(pin_first));
    let size = Memo::new(move |_| {
        looking.with(|lane, looked| {
            let run = lane.run.with_untracked(|run| run.run);
            (
                lane.id,
                run,
                looked.lens.positions.len(),
                looked.lens.cells.len(),
            )
        })
    });
    let grid_size = Memo::new(move |_| {
        let size = size.get();
        size.map_or((0, 0), |(_, _, n_positions, n_layers)| {
            (n_positions, n_layers)
        })
    });
    let n_layers = Memo::new(move |_| grid_size.get().1);
    let colour = Memo::new(move |_| looking.lane().map_or(0, |lane| lane.colour));
    let option = move |offered: Heat| {
        let is_selected = move || heat.get() == offered;
        view! { <option value=offered.name() selected=is_selected>{heat_title(offered)}</option> }
    };
    let on_heat = move |event| {
        let name = event_target_value(&event);
        if let Some(new) = Heat::ALL.into_iter().find(|heat| heat.name() == name) {
            heat.set(new);
        }
    };
    let keys = move || {
        let run = size.get().map(|(lane, run, ..)| (lane, run));
        let n_positions = grid_size.get().0;
        (0..n_positions).map(|at| (run, at)).collect::<Vec<_>>()
    };
    let told = move || {
        let text = pointing.place().and_then(|place| cell_text(looking, place));
        text.unwrap_or_else(|| words().lens_choose.to_string())
    };
    let rows = move || {
        let heat = heat.get();
        let rows = looking.with(|_, looked| {
            let lens = &looked.lens;
            let of_cell = |cell: &LensCell| {
                let word = cell.top.first().map(|(id, _)| looking.word(*id));
                format!("{} {}", word.unwrap_or_default(), heat.value(cell))
            };
            let row = |(at, name): (usize, &String)| {
                let cells = lens.cells.iter().filter_map(|layer| layer.get(at));
                (name.clone(), cells.map(of_cell).collect())
            };
            lens.positions
                .iter()
                .enumerate()
                .map(row)
                .collect::<Vec<_>>()
        });
        rows.unwrap_or_default()
    };
    view! {
        <section aria-label=words().lens>
            <div class="panel-head">
                <h3>{words().lens}</h3>
                <label class="field">
                    {words().lens_colour}
                    <select data-testid="lens-heat" on:change=on_heat>
                        {Heat::ALL.map(option).collect_view()}
                    </select>
                </label>
            </div>
            <p class="hint">{words().lens_hint}</p>
            <Grid testid="lens" label=words().lens keys=words().lens_keys colour size=grid_size pointing>
                <For each=keys key=|key| *key let((_, at))>
                    <Column at looking heat pointing/>
                </For>
            </Grid>
            <p class="hint cell-told" role="status" data-testid="lens-cell">{told}</p>
            <Pins looking pointing pins/>
            <button class="quiet" data-testid="lens-json" on:click=move |_| offer_lens(looking)>
                {words().lens_json}
            </button>
            <AsTable testid="lens-table" label=words().lens n_layers rows/>
        </section>
    }
}

/// The map as logitlenskit's widget reads it.
fn offer_lens(looking: Looking) {
    let timestamp = String::from(js_sys::Date::new_0().to_iso_string());
    let json = untrack(|| {
        looking.with(|lane, looked| {
            let model = lane.choice.with_untracked(|choice| choice.model.clone());
            let name = |id| looking.word(id);
            looked.lens.to_logitlenskit(&model, &timestamp, name)
        })
    });
    if let Some(json) = json {
        offer_text("latent-lens.json", "application/json", &json.to_string());
    }
}

/// One position, drawn once.
#[component]
fn Column(at: usize, looking: Looking, heat: RwSignal<Heat>, pointing: Pointing) -> impl IntoView {
    let column = untrack(|| {
        looking.with(|_, looked| {
            let cells: Vec<LensCell> = (looked.lens.cells.iter())
                .filter_map(|layer| layer.get(at).cloned())
                .collect();
            let name = looked.lens.positions.get(at).cloned();
            (name.unwrap_or_default(), cells, looked.first.len())
        })
    });
    let (name, cells, vocab_size) = column.unwrap_or_default();
    let n_layers = cells.len();
    let of_layer = move |(layer, found): (usize, LensCell)| {
        let word = found.top.first().map(|(id, _)| looking.word(*id));
        let fullness = Heat::ALL.map(|heat| heat.fullness(&found, vocab_size));
        let full = move || {
            let place = Heat::ALL.iter().position(|known| *known == heat.get());
            place.map_or(0.0, |place| fullness[place])
        };
        let text = shortened(&word.unwrap_or_default());
        cell((pointing, n_layers), (at, layer), "lens", full, (text, ()))
    };
    view! {
        {column_name(at, name)}
        {cells.into_iter().enumerate().map(of_layer).collect_view()}
    }
}

fn lens_cell(looking: Looking, (position, layer): Place) -> Option<LensCell> {
    looking.with(|_, looked| looked.lens.cells.get(layer)?.get(position).cloned())?
}

/// Follows a token, or follows it no longer; the oldest gives way where there are too many.
fn pin(pins: RwSignal<Vec<u32>>, id: u32) {
    pins.update(|pins| {
        let n_before = pins.len();
        pins.retain(|known| *known != id);
        if pins.len() == n_before {
            pins.push(id);
        }
        pins.drain(..pins.len().saturating_sub(MOST_PINS));
    });
}

const WIDTH: f32 = 480.0;
const HEIGHT: f32 = 150.0;
const LEFT: f32 = 40.0;
const RIGHT: f32 = 12.0;
const TOP: f32 = 10.0;
const BOTTOM: f32 = 34.0;

/// The tokens of the chosen cell as buttons, and the lines of those that are pinned.
#[component]
fn Pins(looking: Looking, pointing: Pointing, pins: RwSignal<Vec<u32>>) -> impl IntoView {
    let offered = Memo::new(move |_| {
        let cell = pointing
            .chosen
            .get()
            .and_then(|place| lens_cell(looking, place));
        let mut offered = pins.get();
        for (id, _) in cell.map(|cell| cell.top).unwrap_or_default() {
            if !offered.contains(&id) {
                offered.push(id);
            }
        }
        offered
    });
    let chip = move |(place, id): (usize, u32)| {
        let series = pins.with(|pins| pins.iter().position(|known| *known == id));
        view! {
            <button
                class="lane-chip series"
                class:is-focused=series.is_some()
                data-series=series
                data-testid=format!("pin-{place}")
                aria-pressed=series.is_some().to_string()
                on:click=move |_| pin(pins, id)
            >
                {looking.word(id)} {series.map(|_| " ✕")}
            </button>
        }
    };
    // Of the position that is looked at: a line for each pinned token.
    let lines = Memo::new(move |_| {
        let (at, _) = pointing.place()?;
        let lane = looking.lane()?;
        let line = |id: u32| Some((id, looking.analysis.trajectory(lane, at, id)?));
        Some(pins.get().into_iter().filter_map(line).collect::<Vec<_>>())
    });
    let x = |layer: usize, n: usize| {
        LEFT + (WIDTH - LEFT - RIGHT) * layer as f32 / n.saturating_sub(1).max(1) as f32
    };
    let y = |p: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - p as f32);
    let line = move |(series, (_, values)): (usize, (u32, Vec<f64>))| {
        let n = values.len();
        let places = values.iter().enumerate();
        let places: Vec<(f32, f32)> = places.map(|(layer, p)| (x(layer, n), y(*p))).collect();
        let way: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        let dots = places
            .into_iter()
            .map(|(x, y)| view! { <circle class="point" cx=x cy=y r="3"></circle> });
        view! {
            <g class="curve series" data-series=series>
                <path class="line" d=format!("M{}", way.join("L")) stroke-dasharray=DASHES[series]></path>
                {dots.collect_view()}
            </g>
        }
    };
    let ticks = move || {
        let tick = |p: f64| {
            view! {
                <line class="grid" x1=LEFT x2=WIDTH - RIGHT y1=y(p) y2=y(p)></line>
                <text class="tick" x=LEFT - 8.0 y=y(p) text-anchor="end" dominant-baseline="central">{p.to_string()}</text>
            }
        };
        [0.0, 0.5, 1.0].map(tick).collect_view()
    };
    let layers = move || {
        let n = lines
            .get()
            .and_then(|lines| Some(lines.first()?.1.len()))
            .unwrap_or(0);
        let every = n.div_ceil(12).max(1);
        let name = |layer: usize| {
            view! {
                <text class="tick" x=x(layer, n) y=HEIGHT - 18.0 text-anchor="middle">{layer + 1}</text>
            }
        };
        (0..n).step_by(every).map(name).collect_view()
    };
    // Numbers for those who do not see the lines.
    let told = move || {
        let told = lines
            .get()
            .unwrap_or_default()
            .into_iter()
            .map(|(id, values)| {
                let values: Vec<String> = values.iter().map(|p| format!("{p:.3}")).collect();
                format!("{}: {}", looking.word(id).trim(), values.join(" → "))
            });
        told.collect::<Vec<_>>().join("; ")
    };
    let position = move || {
        let name = pointing.place().and_then(|(at, _)| {
            looking.with(|_, looked| looked.lens.positions.get(at).cloned())?
        });
        fill(
            words().pins_told,
            &[("position", &name.unwrap_or_default())],
        )
    };
    let has_lines =
        move || lines.with(|lines| lines.as_ref().is_some_and(|lines| !lines.is_empty()));
    view! {
        <div class="lane-chips" role="group" aria-label=words().pins>
            {move || offered.get().into_iter().enumerate().map(chip).collect_view()}
        </div>
        <Show when=has_lines>
            <p class="hint">{position}</p>
            <svg
                class="chart pins"
                data-testid="pins"
                viewBox=format!("0 0 {WIDTH} {HEIGHT}")
                role="img"
                aria-label=told
            >
                {ticks}
                {layers}
                <text class="label" x=(LEFT + WIDTH - RIGHT) / 2.0 y=HEIGHT - 3.0 text-anchor="middle">
                    {words().pins_layer}
                </text>
                {move || lines.get().unwrap_or_default().into_iter().enumerate().map(line).collect_view()}
            </svg>
        </Show>
    }
}

fn heat_title(heat: Heat) -> &'static str {
    match heat {
        Heat::Probability => words().lens_probability,
        Heat::Rank => words().lens_rank,
        Heat::Entropy => words().lens_entropy,
        Heat::Divergence => words().lens_divergence,
    }
}

/// A cell in a sentence: its first tokens, and all that it can be coloured by.
fn cell_text(looking: Looking, (position, layer): Place) -> Option<String> {
    let cell = lens_cell(looking, (position, layer))?;
    let name = looking.with(|_, looked| looked.lens.positions.get(position).cloned())??;
    let top = cell.top.iter();
    let top = top.map(|(id, p)| format!("{} {:.1} %", looking.word(*id).trim(), 100.0 * p));
    Some(fill(
        words().lens_cell,
        &[
            ("position", &name),
            ("layer", &(layer + 1).to_string()),
            ("top", &top.collect::<Vec<_>>().join(", ")),
            ("probability", &Heat::Probability.value(&cell)),
            ("rank", &Heat::Rank.value(&cell)),
            ("entropy", &Heat::Entropy.value(&cell)),
            ("divergence", &Heat::Divergence.value(&cell)),
        ],
    ))
}
