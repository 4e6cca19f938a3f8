//! A word of the graph: its pill, its shade, and a dot for every lane that has it in mind.

use std::collections::BTreeMap;

use latent_model::tasks::Graph;
use leptos::{ev, prelude::*};

use super::graph_editor::GraphEditor;
use crate::{
    lanes::Lane,
    page_signals::PageSignals,
    view::{
        layout::{NODE_HEIGHT, PlacedNode},
        shares::{LEAST_SHADED, Shares},
    },
    words::{fill, words},
};

/// Colours of first arrivals in the style sheet; later ones share the last.
const MOST_ARRIVALS: usize = 8;

/// What each lane has in mind at the cursor, worked out once for all nodes.
pub type Minds = Memo<Vec<(Lane, Shares)>>;

/// The thought at which each token first came to the shading lane's mind, where that is shown.
pub type Arrivals = Memo<Option<BTreeMap<u32, usize>>>;

/// Nodes and edges that the shortest ways run through.
#[derive(Clone, Default, PartialEq)]
pub struct Ways {
    /// Indices of nodes.
    pub nodes: Vec<usize>,
    /// Indices of edges.
    pub edges: Vec<usize>,
}

/// One node of the drawing.
#[component]
pub fn Node(
    graph: Graph,
    node: usize,
    place: PlacedNode,
    shaded: Memo<Shares>,
    arrivals: Arrivals,
    minds: Minds,
    ways: Memo<Ways>,
    shows_solution: RwSignal<bool>,
    editor: GraphEditor,
) -> impl IntoView {
    let word = graph.nodes[node].word.clone();
    let token = graph.nodes[node].token;
    let name = graph.nodes[node].name.clone();
    let arrived = move || arrivals.with(|all| all.as_ref()?.get(&token).copied());
    let share = move || shaded.with(|shares| shares.get(&token).copied().unwrap_or(0.0));
    let is_option = graph.is_asked && graph.options.contains(&node);
    let is_target = node == graph.target;
    let [width, height] = [place.width, NODE_HEIGHT];
    let is_outside = graph.is_asked && !place.is_reached;
    let title = {
        let name = name.clone();
        let what = if is_outside {
            words().node_unreached
        } else {
            ""
        };
        move || match (share(), arrived()) {
            (_, Some(n)) => fill(
                words().arrived_with,
                &[("name", &name), ("n", &n.to_string())],
            ),
            (share, None) if share >= LEAST_SHADED => {
                format!("{name}{what}: {:.0} %", 100.0 * share)
            }
            (_, None) => format!("{name}{what}"),
        }
    };
    let spoken = name_with_role(&graph, node);
    let word = StoredValue::new(word);
    let press = move || {
        if editor.is_on.get_untracked() {
            word.with_value(|word| editor.press(word));
        }
    };
    let on_key = move |event: ev::KeyboardEvent| {
        if editor.is_on.get_untracked() && ["Enter", " "].contains(&&*event.key()) {
            event.prevent_default();
            press();
        }
    };
    let is_selected = move || {
        let selected = editor.selected.get();
        word.with_value(|word| selected.as_deref() == Some(word))
    };
    view! {
        <g
            class="node"
            class:is-root=graph.is_asked && node == graph.root
            class:is-option=is_option
            class:is-strong=move || { share() > 0.4 && !is_outside }
            class:is-oracle=move || ways.with(|ways| ways.nodes.contains(&node))
            class:is-target=move || shows_solution.get() && is_target
            class:is-selected=is_selected
            data-word=graph.nodes[node].word.clone()
            data-arrival=move || arrived().map(|n| n.min(MOST_ARRIVALS).to_string())
            role=move || editor.is_on.get().then_some("button")
            tabindex=move || editor.is_on.get().then_some("0")
            aria-label=move || editor.is_on.get().then(|| spoken.clone())
            on:click=move |_| press()
            on:keydown=on_key
            class:is-unreached=move || shows_solution.get() && !place.is_reached
            transform=format!("translate({:.1} {:.1})", place.x, place.y)
        >
            <title>{title}</title>
            <rect class="pill" x=-width / 2.0 y=-height / 2.0 width=width height=height rx=height / 2.0></rect>
            <rect
                class="shade"
                class:is-outside=is_outside
                fill=is_outside.then_some("url(#outside)")
                x=-width / 2.0
                y=-height / 2.0
                width=width
                height=height
                rx=height / 2.0
                fill-opacity=move || match arrivals.with(Option::is_some) {
                    true => f32::from(u8::from(arrived().is_some())),
                    false => shade_opacity(share()),
                }
            ></rect>
            <text class="name" text-anchor="middle" dominant-baseline="central">
                {name}
                {is_option.then_some("?")}
                {move || arrived().map(|n| format!(" {n}"))}
            </text>
            <LaneDots token minds/>
        </g>
    }
}

/// A dot for every lane that has this word in mind, on the lower edge of the pill.
#[component]
fn LaneDots(token: u32, minds: Minds) -> impl IntoView {
    const APART: f32 = 11.0;
    let lanes = expect_context::<PageSignals>().lanes;
    let share_of = move |lane: Lane| {
        minds.with(|minds| {
            let (_, shares) = minds.iter().find(|(other, _)| *other == lane)?;
            shares.get(&token).copied()
        })
    };
    let dot = move |lane: Lane, x: f32| {
        let radius = move || match share_of(lane).unwrap_or(0.0) {
            share if share < LEAST_SHADED => 0.0,
            share => 1.5 + 3.5 * share.sqrt(),
        };
        view! {
            <circle class="lane-dot" data-lane-colour=lane.colour cx=x cy=NODE_HEIGHT / 2.0 r=radius></circle>
        }
    };
    move || {
        let lanes = lanes.get();
        let middle = (lanes.len() as f32 - 1.0) / 2.0;
        let numbered = lanes.into_iter().enumerate();
        numbered
            .map(|(index, lane)| dot(lane, (index as f32 - middle) * APART))
            .collect_view()
    }
}

/// Small shares must be visible: a wide search spreads a thought over a dozen nodes.
fn shade_opacity(share: f32) -> f32 {
    if share < LEAST_SHADED {
        0.0
    } else {
        0.94 * share.powf(0.42)
    }
}

/// `Tom (start)`
pub fn name_with_role(graph: &Graph, node: usize) -> String {
    let name = &graph.nodes[node].name;
    match node {
        _ if !graph.is_asked => name.clone(),
        _ if node == graph.root => fill(words().node_start, &[("name", name)]),
        _ if graph.options.contains(&node) => fill(words().node_option, &[("name", name)]),
        _ => name.clone(),
    }
}
