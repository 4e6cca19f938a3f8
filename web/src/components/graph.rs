//! The problem's graph, shaded by what a lane has in mind, so that one sees the search widen.

use latent_model::tasks::Graph;
use leptos::prelude::*;

use crate::{
    focus::{Cursor, Focus},
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    view::{
        layout::{Layout, NODE_HEIGHT, PlacedNode},
        reach::Oracle,
        shares::{Shares, shares, shown_record},
    },
};

/// Shares below this leave a node as it is.
const LEAST_SHARE: f32 = 0.015;

/// What each lane has in mind at the cursor, worked out once for all nodes.
type Minds = Memo<Vec<(Lane, Shares)>>;

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
    let PageSignals { lanes, oracle, .. } = expect_context();
    let cursor = expect_context::<Cursor>();
    let focus = expect_context::<Focus>();
    let layout = Layout::new(&graph, aspect);
    let table_graph = graph.clone();
    let all_ways = Ways::of(&graph);
    let ways = Memo::new(move |_| {
        if shows_solution.get() {
            all_ways.clone()
        } else {
            Ways::default()
        }
    });
    let focused = Memo::new(move |_| focus.lane(lanes));
    let minds: Minds = Memo::new(move |_| {
        let of_lane = |lane: Lane| (lane, node_shares(lane, cursor.get()));
        lanes.get().into_iter().map(of_lane).collect()
    });
    let shaded = Memo::new(move |_| {
        let is_focused = |(lane, _): &&(Lane, Shares)| Some(*lane) == focused.get();
        let of_focused = |minds: &Vec<(Lane, Shares)>| {
            minds
                .iter()
                .find(is_focused)
                .map(|(_, shares)| shares.clone())
        };
        minds.with(of_focused).unwrap_or_default()
    });
    let colour = move || focused.get().map_or(0, |lane| lane.colour);
    let walked = {
        let graph = graph.clone();
        Memo::new(move |_| {
            focused
                .get()
                .map(|lane| {
                    let said = |run: &LaneRun| graph.edges_said(run.view.trail.upto(cursor.get()));
                    lane.run.with(said)
                })
                .unwrap_or_default()
        })
    };
    let edges = edge_paths(&layout, walked, ways);
    let nodes = (0..graph.n_nodes())
        .map(|node| {
            let place = layout.nodes[node];
            view! { <Node graph=graph.clone() node place shaded minds ways shows_solution/> }
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
        <div class="below">
            <MassLine focused shaded oracle/>
            <GraphTable graph=table_graph minds/>
        </div>
    }
}

/// What the drawing shows, for those who do not see it: a row for each word.
#[component]
fn GraphTable(graph: Graph, minds: Minds) -> impl IntoView {
    let PageSignals { lanes, .. } = expect_context();
    let is_open = RwSignal::new(false);
    let distances = graph.successors().distances(graph.root);
    let rows: Vec<(String, String, String, u32)> = (0..graph.n_nodes())
        .map(|node| {
            let role = match node {
                _ if node == graph.root => "start".to_string(),
                _ if graph.options.contains(&node) => "option".to_string(),
                _ => String::new(),
            };
            let away = distances[node].map_or("not reachable".into(), |n| n.to_string());
            let successors = graph.successors();
            let names = successors
                .of(node)
                .iter()
                .map(|&to| graph.nodes[to].name.as_str());
            let leads_to = names.collect::<Vec<_>>().join(", ");
            let name = &graph.nodes[node].name;
            let name = if role.is_empty() {
                name.clone()
            } else {
                format!("{name} ({role})")
            };
            (name, away, leads_to, graph.nodes[node].token)
        })
        .collect();
    let rows = StoredValue::new(rows);
    let heads = move || {
        let head = |lane: Lane| view! { <th scope="col">{lanes.name(lane).text()}</th> };
        lanes.get().into_iter().map(head).collect_view()
    };
    let body = move || {
        let minds = minds.get();
        let row = |(name, away, leads_to, token): &(String, String, String, u32)| {
            let cell = |(_, shares): &(Lane, Shares)| {
                let share = shares.get(token).copied().unwrap_or(0.0);
                view! { <td>{format!("{:.0} %", 100.0 * share)}</td> }
            };
            view! {
                <tr>
                    <th scope="row">{name.clone()}</th>
                    <td>{leads_to.clone()}</td>
                    <td>{away.clone()}</td>
                    {minds.iter().map(cell).collect_view()}
                </tr>
            }
        };
        rows.with_value(|rows| rows.iter().map(row).collect_view())
    };
    view! {
        <details class="as-table" on:toggle=move |_| is_open.update(|open| *open = !*open)>
            <summary>"As a table"</summary>
            <Show when=move || is_open.get()>
                <div class="scrolling" role="region" aria-label="The graph as a table" tabindex="0">
                    <table data-testid="graph-table">
                        <thead>
                            <tr>
                                <th scope="col">"word"</th>
                                <th scope="col">"arrows to"</th>
                                <th scope="col">"arrows from the start"</th>
                                {heads}
                            </tr>
                        </thead>
                        <tbody>{body}</tbody>
                    </table>
                </div>
            </Show>
        </details>
    }
}

/// Where the shading lies on the graph, in numbers.
#[component]
fn MassLine(
    focused: Memo<Option<Lane>>,
    shaded: Memo<Shares>,
    oracle: Memo<Option<Oracle>>,
) -> impl IntoView {
    let cursor = expect_context::<Cursor>();
    let line = move || {
        let lane = focused.get()?;
        let step = lane.run.with(|run| {
            let program = run.program.as_ref()?;
            let record = shown_record(&run.records, program, cursor.get())?;
            Some((
                record.step,
                run.view.rows.get(record.step as usize)?.thought(),
            ))
        });
        let (step, thought) = step?;
        let mass = oracle.with(|oracle| {
            let oracle = oracle.as_ref()?;
            Some(
                shaded
                    .with(|shares| oracle.mass(shares, thought))
                    .sentence(),
            )
        });
        let what = match thought {
            Some(thought) => format!("Thought {thought}"),
            None => format!("Step {step}"),
        };
        Some(format!("{what}: {}", mass?))
    };
    view! {
        <p
            class="hint mass"
            data-testid="mass"
            title="Reachable: a way of arrows leads there from the start. Frontier: as many arrows away as thoughts were made. Outside: no way leads there (hatched), or no word of the problem."
        >
            {line}
        </p>
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
            <pattern id="outside" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                <path class="hatch" d="M1.5 0V6"></path>
            </pattern>
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
    minds: Minds,
    ways: Memo<Ways>,
    shows_solution: RwSignal<bool>,
) -> impl IntoView {
    let token = graph.nodes[node].token;
    let name = graph.nodes[node].name.clone();
    let share = move || shaded.with(|shares| shares.get(&token).copied().unwrap_or(0.0));
    let is_option = graph.options.contains(&node);
    let is_target = node == graph.target;
    let [width, height] = [place.width, NODE_HEIGHT];
    let is_outside = !place.is_reached;
    let title = {
        let name = name.clone();
        let what = if is_outside {
            ", which the start does not reach"
        } else {
            ""
        };
        move || match share() {
            share if share >= LEAST_SHARE => format!("{name}{what}: {:.0} %", 100.0 * share),
            _ => format!("{name}{what}"),
        }
    };
    view! {
        <g
            class="node"
            class:is-root=node == graph.root
            class:is-option=is_option
            class:is-strong=move || { share() > 0.4 && !is_outside }
            class:is-oracle=move || ways.with(|ways| ways.nodes.contains(&node))
            class:is-target=move || shows_solution.get() && is_target
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
                fill-opacity=move || shade_opacity(share())
            ></rect>
            <text class="name" text-anchor="middle" dominant-baseline="central">
                {name}
                {is_option.then_some("?")}
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
            share if share < LEAST_SHARE => 0.0,
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
