//! The problem's graph, shaded by what a lane has in mind, so that one sees the search widen.

use latent_model::tasks::Graph;
use leptos::prelude::*;

use super::{
    graph_editor::GraphEditor,
    graph_node::{Arrivals, Minds, Node, Ways, name_with_role},
    lane_table::{LaneTable, TableRow},
};
use crate::{
    focus::{Cursor, Focus},
    lanes::{Lane, LaneRun},
    page_signals::PageSignals,
    view::{
        arrival::{contemplates, first_arrivals},
        layout::Layout,
        reach::Oracle,
        shares::{Shares, shares, shown_record},
    },
    words::{fill, words},
};

/// The graph, with its shortest ways where the teacher wants them.
#[component]
pub fn Drawing(
    graph: Graph,
    /// Width by height of where it is drawn.
    aspect: f32,
    shows_solution: RwSignal<bool>,
    editor: GraphEditor,
) -> impl IntoView {
    let PageSignals {
        lanes,
        oracle,
        by_arrival,
        ..
    } = expect_context();
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
    let arrivals: Arrivals = Memo::new(move |_| {
        let of_lane = |lane: Lane| {
            lane.run.with(|run| {
                let program = run.program.as_ref()?;
                Some(first_arrivals(&run.records, program, cursor.get()))
            })
        };
        let lane = focused.get().filter(|_| by_arrival.get());
        lane.map(|lane| of_lane(lane).unwrap_or_default())
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
            view! { <Node graph=graph.clone() node place shaded arrivals minds ways shows_solution editor/> }
        })
        .collect_view();
    view! {
        <svg
            class="graph"
            data-testid="graph"
            data-lane-colour=colour
            viewBox=format!("0 0 {} {}", layout.width, layout.height)
            // Those who edit reach into it.
            role=move || if editor.is_on.get() { "group" } else { "img" }
            class:is-edited=editor.is_on
            aria-label=words().graph_label
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
    let graph = StoredValue::new(graph);
    let rows = move || {
        let minds = minds.get();
        graph.with_value(|graph| {
            let successors = graph.successors();
            let distances = successors.distances(graph.root);
            let row = |node: usize| {
                let names = successors.of(node).iter().map(|&to| &*graph.nodes[to].name);
                let distance = distances[node].filter(|_| graph.is_asked);
                let away = distance.map_or(words().not_reachable.into(), |n| n.to_string());
                let mut cells = vec![names.collect::<Vec<_>>().join(", "), away];
                cells.extend(minds.iter().map(|(_, shares)| {
                    let share = shares.get(&graph.nodes[node].token).copied();
                    format!("{:.0} %", 100.0 * share.unwrap_or(0.0))
                }));
                TableRow {
                    head: name_with_role(graph, node),
                    cells,
                }
            };
            (0..graph.n_nodes()).map(row).collect()
        })
    };
    view! {
        <LaneTable
            testid="graph-table"
            label=words().graph_as_table
            heads=vec![words().head_word, words().head_arrows_to, words().head_arrows_from]
            rows
        />
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
                contemplates(record, program),
            ))
        });
        let (step, thought, contemplates) = step?;
        if contemplates {
            return Some(words().contemplation_has_no_frontier.to_string());
        }
        let mass = oracle.with(|oracle| {
            let oracle = oracle.as_ref()?;
            Some(
                shaded
                    .with(|shares| oracle.mass(shares, thought))
                    .sentence(),
            )
        });
        let mass = mass?;
        let said = |text, n: &dyn ToString| fill(text, &[("n", &n.to_string()), ("mass", &mass)]);
        Some(match thought {
            Some(thought) => said(words().mass_thought, &thought),
            None => said(words().mass_step, &step),
        })
    };
    view! {
        <p
            class="hint mass"
            data-testid="mass"
            title=words().mass_title
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

/// What a lane has in mind at the cursor, by token id.
fn node_shares(lane: Lane, cursor: Option<u32>) -> Shares {
    lane.run.with(|run| {
        let program = run.program.as_ref();
        let record = program.and_then(|program| {
            let shown = shown_record(&run.records, program, cursor)?;
            // What a contemplation token decodes to is no place in the graph.
            (!contemplates(shown, program)).then_some(shown)
        });
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
