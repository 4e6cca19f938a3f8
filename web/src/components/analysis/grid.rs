//! What the drawer's two maps of layers share: cells for step and layer, and how one is pointed at.

use std::iter;

use leptos::{ev, prelude::*};

use super::{
    super::lane_table::{FoldedTable, TableRow},
    Looking,
};
use crate::words::{fill, words};

pub const CELL_WIDTH: f32 = 74.0;
pub const CELL_HEIGHT: f32 = 26.0;
pub const LEFT: f32 = 34.0;
pub const TOP: f32 = 26.0;
/// Letters that fit into a cell.
const MOST_LETTERS: usize = 11;

/// A place in a map: position and layer, from 0.
pub type Place = (usize, usize);

/// The cell that is looked at: under the pointer, else the one that was chosen.
#[derive(Clone, Copy)]
pub struct Pointing {
    pub chosen: RwSignal<Option<Place>>,
    hovered: RwSignal<Option<Place>>,
    /// What a click or the Enter key on a cell does beside choosing it.
    on_pick: Option<Callback<Place>>,
}

impl Pointing {
    pub fn new(on_pick: Option<Callback<Place>>) -> Self {
        Self {
            chosen: RwSignal::new(None),
            hovered: RwSignal::new(None),
            on_pick,
        }
    }

    fn pick(self, place: Place) {
        self.chosen.set(Some(place));
        if let Some(on_pick) = self.on_pick {
            on_pick.run(place);
        }
    }

    /// The cell that is looked at.
    pub fn place(self) -> Option<Place> {
        self.hovered.get().or(self.chosen.get())
    }

    /// Arrow keys choose the cell beside, in a map of so many positions and layers; Enter picks it.
    fn walk(self, event: &ev::KeyboardEvent, (n_positions, n_layers): (usize, usize)) {
        if n_positions == 0 || n_layers == 0 {
            return;
        }
        let (position, layer) = self.chosen.get_untracked().unwrap_or((0, n_layers - 1));
        let moved = match &*event.key() {
            "ArrowLeft" => (position.saturating_sub(1), layer),
            "ArrowRight" => ((position + 1).min(n_positions - 1), layer),
            "ArrowUp" => (position, (layer + 1).min(n_layers - 1)),
            "ArrowDown" => (position, layer.saturating_sub(1)),
            "Enter" => return self.pick((position, layer)),
            _ => return,
        };
        // The page's own arrow keys walk through steps.
        event.prevent_default();
        event.stop_propagation();
        self.chosen.set(Some(moved));
    }
}

/// The last layer stands above, as in a drawing of a model.
pub fn layer_y(layer: usize, n_layers: usize) -> f32 {
    TOP + CELL_HEIGHT * (n_layers - 1 - layer) as f32
}

/// The map around its columns, which `children` are.
#[component]
pub fn Grid(
    testid: &'static str,
    label: &'static str,
    /// The same with what keys do.
    keys: &'static str,
    looking: Looking,
    /// Positions and layers.
    size: Memo<(usize, usize)>,
    pointing: Pointing,
    children: Children,
) -> impl IntoView {
    let width = move || LEFT + CELL_WIDTH * size.get().0 as f32;
    let height = move || TOP + CELL_HEIGHT * size.get().1 as f32;
    let layer_names = move || {
        let (_, n_layers) = size.get();
        let name = |layer: usize| {
            let y = layer_y(layer, n_layers) + CELL_HEIGHT / 2.0;
            view! {
                <text class="tick" x=LEFT - 6.0 y=y text-anchor="end" dominant-baseline="central">{layer + 1}</text>
            }
        };
        (0..n_layers).map(name).collect_view()
    };
    view! {
        <div
            class="scrolling lens"
            role="group"
            aria-label=keys
            tabindex="0"
            on:keydown=move |event| pointing.walk(&event, size.get_untracked())
            on:pointerleave=move |_| pointing.hovered.set(None)
        >
            <svg
                data-testid=testid
                data-lane-colour=move || looking.lane().map_or(0, |lane| lane.colour)
                width=width
                height=height
                viewBox=move || format!("0 0 {} {}", width(), height())
                role="img"
                aria-label=label
            >
                {layer_names}
                {children()}
            </svg>
        </div>
    }
}

/// The name above a column.
pub fn column_name(position: usize, name: String) -> impl IntoView {
    let x = LEFT + CELL_WIDTH * position as f32;
    view! {
        <text class="tick" x=x + CELL_WIDTH / 2.0 - 1.0 y=TOP - 9.0 text-anchor="middle">
            {shortened(&name)}
            <title>{name}</title>
        </text>
    }
}

/// A cell, as full as `full` says (0 to 1), with a text and what else is drawn in it.
pub fn cell(
    (pointing, n_layers): (Pointing, usize),
    place: Place,
    testid: &str,
    full: impl Fn() -> f64 + Copy + Send + 'static,
    inside: (impl IntoView + 'static, impl IntoView + 'static),
) -> impl IntoView {
    let (position, layer) = place;
    let x = LEFT + CELL_WIDTH * position as f32;
    let (text, more) = inside;
    view! {
        <g
            class="lens-cell"
            class:is-full=move || { full() > 0.55 }
            class:is-chosen=move || pointing.chosen.get() == Some(place)
            data-testid=format!("{testid}-{position}-{layer}")
            transform=format!("translate({x} {})", layer_y(layer, n_layers))
            on:click=move |_| pointing.pick(place)
            on:pointerenter=move |_| pointing.hovered.set(Some(place))
        >
            <rect class="ground" width=CELL_WIDTH - 2.0 height=CELL_HEIGHT - 2.0 rx="3"></rect>
            <rect class="heat" width=CELL_WIDTH - 2.0 height=CELL_HEIGHT - 2.0 rx="3" fill-opacity=full></rect>
            {more}
            <text x=CELL_WIDTH / 2.0 - 1.0 y=CELL_HEIGHT / 2.0 - 1.0 text-anchor="middle" dominant-baseline="central">
                {text}
            </text>
        </g>
    }
}

/// As much of a word as a cell holds.
pub fn shortened(word: &str) -> String {
    let word = word.trim();
    match word.chars().count() > MOST_LETTERS {
        true => word.chars().take(MOST_LETTERS - 1).chain(['…']).collect(),
        false => word.into(),
    }
}

/// The map as a table, a row for each position with its name; made while it is open.
#[component]
pub fn AsTable(
    testid: &'static str,
    label: &'static str,
    /// Positions and layers.
    size: Memo<(usize, usize)>,
    /// Positions with their cells.
    rows: impl Fn() -> Vec<(String, Vec<String>)> + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let heads = move || {
        let of_layer = |n: usize| fill(words().lens_layer, &[("n", &n.to_string())]);
        let of_layers = (1..=size.get().1).map(of_layer);
        iter::once(words().lens_fed.into())
            .chain(of_layers)
            .collect()
    };
    let rows = move || {
        let row = |(at, (name, cells)): (usize, (String, Vec<String>))| TableRow {
            head: format!("{at} {name}"),
            cells,
        };
        rows().into_iter().enumerate().map(row).collect()
    };
    view! { <FoldedTable testid label heads rows/> }
}
