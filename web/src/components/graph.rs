//! The problem's graph, shaded by what a lane has in mind, so that one sees the search widen.

use latent_model::tasks::Graph;
use leptos::prelude::*;

use crate::{
    focus::{Cursor, Focus},
    lanes::Lane,
    runner::Runner,
    view::{
        layout::{Layout, NODE_HEIGHT, PlacedNode},
        shares::{Shares, shares, shown_record, trail},
    },
};

/// Shares below this leave a node as it is.
const LEAST_SHARE: f32 = 0.015;

/// Nodes and edges that the shortest ways run through.
#[derive(Clone, Default, PartialEq)]
struct Ways {
    nodes: Vec<usize>,
    edges: Vec<usize>,
}

/// The graph, with its shortest ways where the teacher wants them.
#[component]
pub fn Drawing(
    graph: Graph,
    /// Width by height of where it is drawn.
    aspect: f32,
    shows_solution: RwSignal<bool>,
) -> impl IntoView {
    let runner = expect_context::<Runner>();
    let cursor = expect_context::<Cursor>().0;
    let focus = expect_context::<Focus>();
    let layout = Layout::new(&graph, aspect);
    let all_ways = Ways::of(&graph);
    let ways = Memo::new(move |_| {
        if shows_solution.get() {
            all_ways.clone()
        } else {
            Ways::default()
        }
    });
    let focused = Memo::new(move |_| focus.lane(runner.lanes));
    let shaded = Memo::new(move |_| {
        focused
            .get()
            .map(|lane| node_shares(lane, cursor.get()))
            .unwrap_or_default()
    });
    let colour = move || focused.get().map_or(0, |lane| lane.colour);
    let walked = {
        let graph = graph.clone();
        Memo::new(move |_| {
            focused
                .get()
                .map(|lane| graph.edges_said(&words_of(lane, cursor.get())))
                .unwrap_or_default()
        })
    };
    let edges = edge_paths(&layout, walked, ways);
    let nodes = (0..graph.n_nodes())
        .map(|node| {
            let place = layout.nodes[node];
            view! { <Node graph=graph.clone() node place shaded ways shows_solution/> }
        })
        .collect_view();
    view! {
        <svg
            class="graph"
            data-testid="graph"
            data-lane-colour=colour
            viewBox=format!("0 0 {} {}", layout.width, layout.height)
            role="img"
            aria-label="The problem's graph: every arrow says that one thing is another"
        >
            {edges}
            {nodes}
        </svg>
    }
}

/// Every edge with the head of its arrow.
fn edge_paths(
    layout: &Layout,
    walked: Memo<Vec<usize>>,
    ways: Memo<Ways>,
) -> impl IntoView + use<> {
    let edge = |(index, path): (usize, &String)| {
        view! {
            <path
                class="edge"
                class:is-walked=move || walked.with(|edges| edges.contains(&index))
                class:is-oracle=move || ways.with(|ways| ways.edges.contains(&index))
                d=path.clone()
                marker-end="url(#arrow)"
            ></path>
        }
    };
    let edges = layout.edges.iter().enumerate().map(edge).collect_view();
    view! {
        <defs>
            <marker
                id="arrow"
                viewBox="0 0 8 8"
                refX="3"
                refY="4"
                markerWidth="8"
                markerHeight="8"
                orient="auto"
                markerUnits="userSpaceOnUse"
            >
                <path class="arrow" d="M0 0L8 4L0 8Z"></path>
            </marker>
        </defs>
        {edges}
    }
}

#[component]
fn Node(
    graph: Graph,
    node: usize,
    place: PlacedNode,
    shaded: Memo<Shares>,
    ways: Memo<Ways>,
    shows_solution: RwSignal<bool>,
) -> impl IntoView {
    let token = graph.nodes[node].token;
    let name = graph.nodes[node].name.clone();
    let share = move || shaded.with(|shares| shares.get(&token).copied().unwrap_or(0.0));
    let is_option = graph.options.contains(&node);
    let is_target = node == graph.target;
    let [width, height] = [place.width, NODE_HEIGHT];
    let title = {
        let name = name.clone();
        move || match share() {
            share if share >= LEAST_SHARE => format!("{name}: {:.0} %", 100.0 * share),
            _ => name.clone(),
        }
    };
    view! {
        <g
            class="node"
            class:is-root=node == graph.root
            class:is-option=is_option
            class:is-strong=move || { share() > 0.4 }
            class:is-oracle=move || ways.with(|ways| ways.nodes.contains(&node))
            class:is-target=move || shows_solution.get() && is_target
            class:is-unreached=move || shows_solution.get() && !place.is_reached
            transform=format!("translate({:.1} {:.1})", place.x, place.y)
        >
            <title>{title}</title>
            <rect class="pill" x=-width / 2.0 y=-height / 2.0 width=width height=height rx=height / 2.0></rect>
            <rect
                class="shade"
                x=-width / 2.0
                y=-height / 2.0
                width=width
                height=height
                rx=height / 2.0
                fill-opacity=move || shade_opacity(share())
            ></rect>
            <text class="name" text-anchor="middle" dominant-baseline="central">
                {name}
                {is_option.then_some("?")}
            </text>
            <LaneDots token/>
        </g>
    }
}

/// A dot for every lane that has this word in mind, on the lower edge of the pill.
#[component]
fn LaneDots(token: u32) -> impl IntoView {
    const APART: f32 = 11.0;
    let runner = expect_context::<Runner>();
    let cursor = expect_context::<Cursor>().0;
    let dot = move |lane: Lane, x: f32| {
        let radius = move || {
            let share = node_shares(lane, cursor.get()).get(&token).copied();
            match share.unwrap_or(0.0) {
                share if share < LEAST_SHARE => 0.0,
                share => 1.5 + 3.5 * share.sqrt(),
            }
        };
        view! {
            <circle class="lane-dot" data-lane-colour=lane.colour cx=x cy=NODE_HEIGHT / 2.0 r=radius></circle>
        }
    };
    move || {
        let lanes = runner.lanes.get();
        let middle = (lanes.len() as f32 - 1.0) / 2.0;
        let numbered = lanes.into_iter().enumerate();
        numbered
            .map(|(index, lane)| dot(lane, (index as f32 - middle) * APART))
            .collect_view()
    }
}

/// Small shares must be visible: a wide search spreads a thought over a dozen nodes.
fn shade_opacity(share: f32) -> f32 {
    if share < LEAST_SHARE {
        0.0
    } else {
        0.94 * share.powf(0.42)
    }
}

/// What a lane has in mind at the cursor, by token id.
fn node_shares(lane: Lane, cursor: Option<u32>) -> Shares {
    lane.run.with(|run| {
        let program = run.program.as_ref();
        let record = program.and_then(|program| shown_record(&run.records, program, cursor));
        record.map(shares).unwrap_or_default()
    })
}

/// What a lane has thought in words up to the cursor.
fn words_of(lane: Lane, cursor: Option<u32>) -> Vec<u32> {
    lane.run.with(|run| match &run.program {
        Some(program) => trail(&run.records, program, cursor),
        None => Vec::new(),
    })
}

impl Ways {
    fn of(graph: &Graph) -> Self {
        let mut found = Self::default();
        for way in &graph.ways {
            for pair in way.windows(2) {
                let edge = graph.edges.iter().position(|edge| edge[..] == *pair);
                found.edges.extend(edge);
            }
            found.nodes.extend(way);
        }
        found
    }
}
