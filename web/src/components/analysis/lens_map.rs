//! The logit lens as a heat map: layer by position, the first token in each cell, and tokens that are
//! followed through the layers.

use latent_model::analysis::lens::LensCell;
use leptos::prelude::*;

use super::{
    DASHES, Looking,
    grid::{AsTable, Grid, Place, Pointing, cell, column_name, shortened},
};
use crate::{
    analysis::Looked,
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
        // A chip takes it away again.
        if let Some(id) = first.filter(|id| pins.with_untracked(|pins| !pins.contains(id))) {
            pin(pins, id);
        }
    });
    let pointing = Pointing::new(Some(pin_first));
    let size = Memo::new(move |_| {
        let size = |looked: &Looked| (looked.lens.positions.len(), looked.lens.cells.len());
        looking.with(|_, looked| size(looked)).unwrap_or_default()
    });
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
        let (n_positions, _) = size.get();
        let of = looking.with(|lane, looked| (lane.id, looked.run));
        (0..n_positions).map(|at| (of, at)).collect::<Vec<_>>()
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
            <Grid testid="lens" label=words().lens keys=words().lens_keys looking size pointing>
                <For each=keys key=|key| *key let((_, at))>
                    <Column at looking heat pointing/>
                </For>
            </Grid>
            <p class="hint cell-told" role="status" data-testid="lens-cell">{told}</p>
            <Pins looking pointing pins/>
            <button class="quiet" data-testid="lens-json" on:click=move |_| offer_lens(looking)>
                {words().lens_json}
            </button>
            <AsTable testid="lens-table" label=words().lens size rows/>
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
const HEIGHT: f32 = 156.0;
const LEFT: f32 = 40.0;
const RIGHT: f32 = 12.0;
const TOP: f32 = 10.0;
const BOTTOM: f32 = 40.0;

/// The tokens of the chosen cell as buttons, and the lines of those that are pinned.
#[component]
fn Pins(looking: Looking, pointing: Pointing, pins: RwSignal<Vec<u32>>) -> impl IntoView {
    let chip = move |(place, id): (usize, u32)| {
        let is_pinned = place < pins.with_untracked(Vec::len);
        view! {
            <button
                class="lane-chip series"
                class:is-focused=is_pinned
                data-series=is_pinned.then_some(place)
                data-testid=format!("pin-{place}")
                aria-pressed=is_pinned.to_string()
                on:click=move |_| pin(pins, id)
            >
                {looking.word(id)} {is_pinned.then_some(" ✕")}
            </button>
        }
    };
    // Those that are pinned, then what else the chosen cell says.
    let chips = move || {
        let mut offered = pins.get();
        let cell = pointing
            .chosen
            .get()
            .and_then(|place| lens_cell(looking, place));
        for (id, _) in cell.map(|cell| cell.top).unwrap_or_default() {
            if !offered.contains(&id) {
                offered.push(id);
            }
        }
        offered.into_iter().enumerate().map(chip).collect_view()
    };
    let drawn = move || {
        let (at, _) = pointing.place()?;
        let lane = looking.lane()?;
        let line = |id: u32| Some((looking.word(id), looking.analysis.trajectory(lane, at, id)?));
        let lines: Vec<(String, Vec<f64>)> = pins.get().into_iter().filter_map(line).collect();
        let name = looking.with(|_, looked| looked.lens.positions.get(at).cloned())??;
        (!lines.is_empty()).then(|| trajectories(&name, &lines))
    };
    view! {
        <div class="lane-chips" role="group" aria-label=words().pins>{chips}</div>
        {drawn}
    }
}

/// The probabilities of tokens after every layer at a position, a line for each token.
fn trajectories(position: &str, lines: &[(String, Vec<f64>)]) -> impl IntoView + use<> {
    let n_layers = lines[0].1.len();
    let x = |layer: usize| {
        LEFT + (WIDTH - LEFT - RIGHT) * layer as f32 / n_layers.saturating_sub(1).max(1) as f32
    };
    let y = |p: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - p as f32);
    let line = |(series, (_, values)): (usize, &(String, Vec<f64>))| {
        let places = values.iter().enumerate();
        let places: Vec<String> = places
            .map(|(layer, p)| format!("{:.1} {:.1}", x(layer), y(*p)))
            .collect();
        view! {
            <g class="curve series" data-series=series>
                <path class="line" d=format!("M{}", places.join("L")) stroke-dasharray=DASHES[series]></path>
            </g>
        }
    };
    let label = |x: f32, y: f32, text: String| {
        view! { <text class="tick" x=x y=y text-anchor="middle" dominant-baseline="central">{text}</text> }
    };
    let scale = [0.0, 0.5, 1.0].map(|p| label(LEFT - 16.0, y(p), p.to_string()));
    let layers = (0..n_layers).step_by(n_layers.div_ceil(12).max(1));
    let layers = layers.map(|layer| label(x(layer), HEIGHT - 26.0, (layer + 1).to_string()));
    let grid = format!("M{LEFT} {}V{}H{}", y(1.0), y(0.0), WIDTH - RIGHT);
    // Numbers for those who do not see the lines.
    let told = lines.iter().map(|(word, values)| {
        let values: Vec<String> = values.iter().map(|p| format!("{p:.3}")).collect();
        format!("{}: {}", word.trim(), values.join(" → "))
    });
    let told: Vec<String> = told.collect();
    view! {
        <p class="hint">{fill(words().pins_told, &[("position", position)])}</p>
        <svg
            class="chart pins"
            data-testid="pins"
            viewBox=format!("0 0 {WIDTH} {HEIGHT}")
            role="img"
            aria-label=told.join("; ")
        >
            <path class="grid" d=grid fill="none"></path>
            {scale.collect_view()}
            {layers.collect_view()}
            {label((LEFT + WIDTH) / 2.0, HEIGHT - 9.0, words().pins_layer.into())}
            {lines.iter().enumerate().map(line).collect_view()}
        </svg>
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
