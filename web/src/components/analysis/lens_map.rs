//! The logit lens as a heat map: layer by position, the first token in each cell.

use latent_model::analysis::lens::LensCell;
use leptos::{ev, prelude::*};

use super::Looking;
use crate::{
    view::looks::Heat,
    words::{fill, words},
};

const CELL_WIDTH: f32 = 74.0;
const CELL_HEIGHT: f32 = 26.0;
const LEFT: f32 = 34.0;
const TOP: f32 = 26.0;
/// Letters of a token that fit into a cell.
const MOST_LETTERS: usize = 11;

/// A place in the map: position and layer, from 0.
type Place = (usize, usize);

/// The map with its modes, what the chosen cell says, and a table behind it.
#[component]
pub fn LensHeat() -> impl IntoView {
    let looking = Looking::of_page();
    let heat = RwSignal::new(Heat::default());
    let chosen = RwSignal::new(None::<Place>);
    let hovered = RwSignal::new(None::<Place>);
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
    let n_positions = move || size.get().map_or(0, |(_, _, n, _)| n);
    let n_layers = Memo::new(move |_| size.get().map_or(0, |(_, _, _, n)| n));
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
    let on_key = move |event: ev::KeyboardEvent| {
        let (n_positions, n_layers) = (untrack(n_positions), n_layers.get_untracked());
        if n_positions == 0 || n_layers == 0 {
            return;
        }
        let (position, layer) = chosen.get_untracked().unwrap_or((0, n_layers - 1));
        let moved = match &*event.key() {
            "ArrowLeft" => (position.saturating_sub(1), layer),
            "ArrowRight" => ((position + 1).min(n_positions - 1), layer),
            "ArrowUp" => (position, (layer + 1).min(n_layers - 1)),
            "ArrowDown" => (position, layer.saturating_sub(1)),
            _ => return,
        };
        // The page's own arrow keys walk through steps.
        event.prevent_default();
        event.stop_propagation();
        chosen.set(Some(moved));
    };
    let keys = move || {
        let run = size.get().map(|(lane, run, ..)| (lane, run));
        (0..n_positions()).map(|at| (run, at)).collect::<Vec<_>>()
    };
    let width = move || LEFT + CELL_WIDTH * n_positions() as f32;
    let height = move || TOP + CELL_HEIGHT * n_layers.get() as f32;
    let layer_names = move || {
        let n_layers = n_layers.get();
        let name = |layer: usize| {
            let y = layer_y(layer, n_layers) + CELL_HEIGHT / 2.0;
            view! {
                <text class="tick" x=LEFT - 6.0 y=y text-anchor="end" dominant-baseline="central">{layer + 1}</text>
            }
        };
        (0..n_layers).map(name).collect_view()
    };
    let told = move || {
        let place = hovered.get().or(chosen.get());
        let text = place.and_then(|place| cell_text(looking, place));
        text.unwrap_or_else(|| words().lens_choose.to_string())
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
            <div
                class="scrolling lens"
                role="group"
                aria-label=words().lens_keys
                tabindex="0"
                on:keydown=on_key
                on:pointerleave=move |_| hovered.set(None)
            >
                <svg
                    data-testid="lens"
                    data-lane-colour=move || looking.lane().map_or(0, |lane| lane.colour)
                    width=width
                    height=height
                    viewBox=move || format!("0 0 {} {}", width(), height())
                    role="img"
                    aria-label=words().lens
                >
                    {layer_names}
                    <For each=keys key=|key| *key let((_, at))>
                        <Column at looking heat chosen hovered/>
                    </For>
                </svg>
            </div>
            <p class="hint cell-told" role="status" data-testid="lens-cell">{told}</p>
            <Table looking heat/>
        </section>
    }
}

/// The last layer stands above, as in a drawing of a model.
fn layer_y(layer: usize, n_layers: usize) -> f32 {
    TOP + CELL_HEIGHT * (n_layers - 1 - layer) as f32
}

/// One position, drawn once.
#[component]
fn Column(
    at: usize,
    looking: Looking,
    heat: RwSignal<Heat>,
    chosen: RwSignal<Option<Place>>,
    hovered: RwSignal<Option<Place>>,
) -> impl IntoView {
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
    let x = LEFT + CELL_WIDTH * at as f32;
    let cell = move |(layer, cell): (usize, LensCell)| {
        let word = cell.top.first().map(|(id, _)| looking.word(*id));
        let fullness = Heat::ALL.map(|heat| heat.fullness(&cell, vocab_size));
        let full = move || {
            let place = Heat::ALL.iter().position(|known| *known == heat.get());
            place.map_or(0.0, |place| fullness[place])
        };
        view! {
            <g
                class="lens-cell"
                class:is-full=move || { full() > 0.55 }
                class:is-chosen=move || chosen.get() == Some((at, layer))
                data-testid=format!("lens-{at}-{layer}")
                transform=format!("translate({x} {})", layer_y(layer, n_layers))
                on:click=move |_| chosen.set(Some((at, layer)))
                on:pointerenter=move |_| hovered.set(Some((at, layer)))
            >
                <rect class="ground" width=CELL_WIDTH - 2.0 height=CELL_HEIGHT - 2.0 rx="3"></rect>
                <rect class="heat" width=CELL_WIDTH - 2.0 height=CELL_HEIGHT - 2.0 rx="3" fill-opacity=full></rect>
                <text x=CELL_WIDTH / 2.0 - 1.0 y=CELL_HEIGHT / 2.0 - 1.0 text-anchor="middle" dominant-baseline="central">
                    {shortened(&word.unwrap_or_default())}
                </text>
            </g>
        }
    };
    view! {
        <text class="tick" x=x + CELL_WIDTH / 2.0 - 1.0 y=TOP - 9.0 text-anchor="middle">
            {shortened(&name)}
            <title>{name.clone()}</title>
        </text>
        {cells.into_iter().enumerate().map(cell).collect_view()}
    }
}

fn shortened(word: &str) -> String {
    let word = word.trim();
    match word.chars().count() > MOST_LETTERS {
        true => word.chars().take(MOST_LETTERS - 1).chain(['…']).collect(),
        false => word.into(),
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
    let found = looking.with(|_, looked| {
        let cell = looked.lens.cells.get(layer)?.get(position)?.clone();
        Some((looked.lens.positions.get(position)?.clone(), cell))
    });
    let (name, cell) = found.flatten()?;
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

/// The map as a table, in what its colour stands for; made while it is open.
#[component]
fn Table(looking: Looking, heat: RwSignal<Heat>) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let row = move |(at, name): (usize, String), cells: Vec<LensCell>| {
        let cell = |cell: LensCell| {
            let word = cell.top.first().map(|(id, _)| looking.word(*id));
            view! { <td>{word.unwrap_or_default()} " " {heat.get().value(&cell)}</td> }
        };
        view! {
            <tr>
                <th scope="row">{at} " " {name}</th>
                {cells.into_iter().map(cell).collect_view()}
            </tr>
        }
    };
    let rows = move || {
        let lens = looking.with(|_, looked| looked.lens.clone());
        lens.map(|lens| {
            let column = |at: usize| {
                lens.cells
                    .iter()
                    .filter_map(|l| l.get(at).cloned())
                    .collect()
            };
            let named = lens.positions.iter().cloned().enumerate();
            named
                .map(|named| row(named.clone(), column(named.0)))
                .collect_view()
        })
    };
    let heads = move || {
        let n_layers = looking
            .with(|_, looked| looked.lens.cells.len())
            .unwrap_or(0);
        let head = |layer: usize| {
            let text = fill(words().lens_layer, &[("n", &(layer + 1).to_string())]);
            view! { <th scope="col">{text}</th> }
        };
        (0..n_layers).map(head).collect_view()
    };
    view! {
        <details class="as-table" on:toggle=move |_| is_open.update(|open| *open = !*open)>
            <summary>{words().as_table}</summary>
            <Show when=move || is_open.get()>
                <div class="scrolling" role="region" aria-label=words().lens tabindex="0">
                    <table data-testid="lens-table">
                        <thead>
                            <tr><th scope="col">{words().lens_fed}</th>{heads}</tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </Show>
        </details>
    }
}
