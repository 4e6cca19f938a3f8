//! The layout of a problem's graph: nodes in layers by their distance from the root.

use std::collections::BTreeMap;

use latent_model::tasks::{Adjacency, Graph};

/// Width by height of the panel that a drawing fills, beside the chart.
pub const WIDE: f32 = 2.8;
/// The same on a phone.
pub const NARROW: f32 = 1.2;
/// Height of a node's pill, in the drawing's own units.
pub const NODE_HEIGHT: f32 = 24.0;
/// Narrowest pill of the longest name.
const LEAST_NODE_WIDTH: f32 = 84.0;
/// What a letter takes of a pill, in the boldest face that a name has; how many of these the widest
/// letters take; and what stands beside the name: its ends and a question mark.
const LETTER_WIDTH: f32 = 8.2;
const WIDEST_LETTER: f32 = 1.6;
const NAME_ROOM: f32 = 20.0;
/// Between the tops of two neighbours in a layer.
const NODE_PITCH: f32 = 32.0;
/// What an edge takes of a layer that it only passes.
const PASSING_PITCH: f32 = 12.0;
/// The least height, so that a small graph does not become huge letters.
const LEAST_HEIGHT: f32 = 210.0;
/// What a layer has at least beside its pills, for the edges.
const EDGE_ROOM: f32 = 28.0;
/// How far a loose graph is spread to fill the height.
const MOST_STRETCH: f32 = 1.6;
/// Beside the pills of the first and the last layer.
const MARGIN: f32 = 8.0;
/// In front of a pill, for the head of an arrow.
const ARROW_ROOM: f32 = 5.0;
/// Between the ends of two edges at one side of a pill, and the most that they take from its middle.
const PORT_PITCH: f32 = 4.5;
const PORT_SPAN: f32 = 8.0;
/// Behind the last layer, for edges that swing round there.
const SWING_ROOM: f32 = 44.0;
/// Sweeps that order the layers, then place their slots.
const SWEEPS: usize = 12;

/// A node's place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacedNode {
    /// Column, from 0.
    pub layer: usize,
    /// Horizontal middle.
    pub x: f32,
    /// Vertical middle.
    pub y: f32,
    /// Width of the pill.
    pub width: f32,
    /// Whether the root reaches it.
    pub is_reached: bool,
}

/// A laid-out graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// One place per node of the graph.
    pub nodes: Vec<PlacedNode>,
    /// SVG path text of each edge of the graph.
    pub edges: Vec<String>,
    /// Width of the drawing, in its own units.
    pub width: f32,
    /// Height of the drawing.
    pub height: f32,
    /// Number of layers.
    pub n_layers: usize,
}

/// A place in a layer: a node, or an edge that passes through.
struct Slot {
    layer: usize,
    pitch: f32,
    y: f32,
    /// Slots that it is tied to by an edge.
    neighbours: Vec<usize>,
}

impl Layout {
    /// Lays out a graph in a drawing whose width by its height is `aspect`, or wider where the layers
    /// need it.
    pub fn new(graph: &Graph, aspect: f32) -> Self {
        let (layers, is_reached) = layers(graph);
        let n_layers = layers.iter().max().map_or(1, |last| last + 1);
        let mut slots: Vec<Slot> = layers
            .iter()
            .map(|&layer| Slot::new(layer, NODE_PITCH))
            .collect();
        let chains: Vec<Vec<usize>> = graph
            .edges
            .iter()
            .map(|&[from, to]| chain(&mut slots, from, to))
            .collect();
        let mut columns: Vec<Vec<usize>> = vec![Vec::new(); n_layers];
        for (index, slot) in slots.iter().enumerate() {
            columns[slot.layer].push(index);
        }
        let tallest = columns.iter().map(|column| pitch_sum(&slots, column));
        let height = tallest.fold(LEAST_HEIGHT, f32::max);
        order_columns(&mut slots, &mut columns, height);
        for _ in 0..SWEEPS {
            for column in &columns {
                relax(&mut slots, column, height);
            }
            for column in columns.iter().rev() {
                relax(&mut slots, column, height);
            }
        }
        fill_height(&mut slots, height);
        let width = node_width(graph);
        let swings =
            |&[from, to]: &[usize; 2]| layers[to] <= layers[from] && layers[to] + 1 != layers[from];
        // Edges that swing round behind the last layer need room there.
        let is_behind_last = |edge: &&[usize; 2]| {
            swings(edge) && layers[edge[0]].max(layers[edge[1]]) + 1 == n_layers
        };
        let behind = match graph.edges.iter().find(is_behind_last) {
            Some(_) => SWING_ROOM,
            None => 0.0,
        };
        let least_width = n_layers as f32 * (width + EDGE_ROOM) + behind;
        let drawing_width = (aspect * height).max(least_width);
        let side = width / 2.0 + MARGIN;
        let between = (drawing_width - behind - 2.0 * side) / (n_layers.max(2) - 1) as f32;
        let x = |layer: usize| side + layer as f32 * between;
        let nodes: Vec<PlacedNode> = (0..graph.n_nodes())
            .map(|node| PlacedNode {
                layer: layers[node],
                x: x(layers[node]),
                y: slots[node].y,
                width,
                is_reached: is_reached[node],
            })
            .collect();
        let ports = ports(&graph.edges, &chains, &slots);
        let swing_room = match n_layers {
            1 => SWING_ROOM,
            _ => SWING_ROOM.min(between - width),
        };
        let edge = |(chain, [out, into]): (&Vec<usize>, &[f32; 2])| {
            let place = |&slot: &usize| (x(slots[slot].layer), slots[slot].y);
            let mut points: Vec<(f32, f32)> = chain.iter().map(place).collect();
            let last = points.len() - 1;
            points[0].1 += out;
            points[last].1 += into;
            let is_back = slots[chain[0]].layer == slots[chain[last]].layer + 1;
            edge_path(&points, width, swing_room, is_back)
        };
        let edges = chains.iter().zip(&ports).map(edge).collect();
        Self {
            nodes,
            edges,
            width: drawing_width,
            height,
            n_layers,
        }
    }
}

impl Slot {
    fn new(layer: usize, pitch: f32) -> Self {
        Self {
            layer,
            pitch,
            y: 0.0,
            neighbours: Vec::new(),
        }
    }
}

/// Each node's layer, and whether the root reaches it: the distance from the root, or for the
/// rest the distance from the nearest node that nothing points to.
fn layers(graph: &Graph) -> (Vec<usize>, Vec<bool>) {
    let n_nodes = graph.n_nodes();
    let successors = graph.successors();
    let from_root = successors.distances(graph.root);
    let predecessors = Adjacency::predecessors(n_nodes, &graph.edges);
    let sources = (0..n_nodes).filter(|&node| predecessors.of(node).is_empty());
    let from_sources: Vec<_> = sources.map(|source| successors.distances(source)).collect();
    let layer = |node: usize| {
        let from_source = || {
            from_sources
                .iter()
                .filter_map(|distances| distances[node])
                .min()
        };
        from_root[node].or_else(from_source).unwrap_or(0)
    };
    let is_reached = from_root.iter().map(Option::is_some).collect();
    ((0..n_nodes).map(layer).collect(), is_reached)
}

/// All pills are as wide as the longest name needs, so that the layers stand straight.
fn node_width(graph: &Graph) -> f32 {
    let longest = graph.nodes.iter().map(|node| name_width(&node.name));
    (longest.fold(0.0, f32::max) + NAME_ROOM).max(LEAST_NODE_WIDTH)
}

/// About what a name takes: a browser test measures it.
fn name_width(name: &str) -> f32 {
    let letter = |letter: char| match letter {
        'm' | 'w' | 'M' | 'W' => WIDEST_LETTER,
        _ => 1.0,
    };
    LETTER_WIDTH * name.chars().map(letter).sum::<f32>()
}

/// The slots that an edge runs through, with one new slot in every layer that it passes.
fn chain(slots: &mut Vec<Slot>, from: usize, to: usize) -> Vec<usize> {
    let (first, last) = (slots[from].layer, slots[to].layer);
    let mut chain = vec![from];
    for layer in first + 1..last {
        slots.push(Slot::new(layer, PASSING_PITCH));
        chain.push(slots.len() - 1);
    }
    chain.push(to);
    for pair in chain.windows(2) {
        slots[pair[0]].neighbours.push(pair[1]);
        slots[pair[1]].neighbours.push(pair[0]);
    }
    chain
}

fn pitch_sum(slots: &[Slot], column: &[usize]) -> f32 {
    column.iter().map(|&slot| slots[slot].pitch).sum()
}

/// Orders each column by the mean place of its neighbours (Sugiyama's barycentre sweeps).
fn order_columns(slots: &mut [Slot], columns: &mut [Vec<usize>], height: f32) {
    for column in columns.iter() {
        spread(slots, column, height);
    }
    for sweep in 0..SWEEPS {
        let n_columns = columns.len();
        for step in 0..n_columns {
            let index = if sweep % 2 == 0 {
                step
            } else {
                n_columns - 1 - step
            };
            let column = &mut columns[index];
            let wishes: Vec<f32> = slots.iter().map(|slot| mean_y(slots, slot)).collect();
            column.sort_by(|&a, &b| wishes[a].total_cmp(&wishes[b]).then(a.cmp(&b)));
            spread(slots, column, height);
        }
    }
}

fn mean_y(slots: &[Slot], slot: &Slot) -> f32 {
    if slot.neighbours.is_empty() {
        return slot.y;
    }
    let sum: f32 = slot
        .neighbours
        .iter()
        .map(|&neighbour| slots[neighbour].y)
        .sum();
    sum / slot.neighbours.len() as f32
}

/// Places a column's slots one below the other, over the whole height.
fn spread(slots: &mut [Slot], column: &[usize], height: f32) {
    let spare = (height - pitch_sum(slots, column)) / (column.len() + 1) as f32;
    let mut top = spare;
    for &slot in column {
        slots[slot].y = top + slots[slot].pitch / 2.0;
        top += slots[slot].pitch + spare;
    }
}

/// Moves a column's slots toward their neighbours, in order, without overlap.
fn relax(slots: &mut [Slot], column: &[usize], height: f32) {
    let wishes: Vec<f32> = column
        .iter()
        .map(|&slot| mean_y(slots, &slots[slot]))
        .collect();
    let gap = |slots: &[Slot], a: usize, b: usize| (slots[a].pitch + slots[b].pitch) / 2.0;
    let mut bottom = f32::NEG_INFINITY;
    for (index, &slot) in column.iter().enumerate() {
        let least = match index {
            0 => slots[slot].pitch / 2.0,
            _ => bottom + gap(slots, column[index - 1], slot),
        };
        slots[slot].y = (0.5 * (wishes[index] + slots[slot].y)).max(least);
        bottom = slots[slot].y;
    }
    let mut most = f32::INFINITY;
    for index in (0..column.len()).rev() {
        let slot = column[index];
        let limit = match column.get(index + 1) {
            None => height - slots[slot].pitch / 2.0,
            Some(&below) => most - gap(slots, slot, below),
        };
        slots[slot].y = slots[slot].y.min(limit);
        most = slots[slot].y;
    }
}

/// Spreads all slots about the middle of the drawing, so that it is filled.
fn fill_height(slots: &mut [Slot], height: f32) {
    let tops = slots.iter().map(|slot| slot.y - slot.pitch / 2.0);
    let bottoms = slots.iter().map(|slot| slot.y + slot.pitch / 2.0);
    let (top, bottom) = (tops.fold(height, f32::min), bottoms.fold(0.0, f32::max));
    let stretch = (height / (bottom - top)).clamp(1.0, MOST_STRETCH);
    let middle = (top + bottom) / 2.0;
    for slot in slots {
        slot.y = height / 2.0 + (slot.y - middle) * stretch;
    }
}

/// Where each edge leaves its first pill and meets its last one, from their middles: the edges at
/// one side of a pill are spread over it in the order of where they come from and go to.
fn ports(edges: &[[usize; 2]], chains: &[Vec<usize>], slots: &[Slot]) -> Vec<[f32; 2]> {
    /// Height of the next slot of an edge, the edge, and which of its ends.
    type Port = (f32, usize, usize);
    // By node, and whether it is the left side.
    let mut sides: BTreeMap<(usize, bool), Vec<Port>> = BTreeMap::new();
    for (index, (&[from, to], chain)) in edges.iter().zip(chains).enumerate() {
        let is_forward = slots[to].layer > slots[from].layer;
        let (after, before) = (chain[1], chain[chain.len() - 2]);
        let mut put = |node, is_left, next: usize, end| {
            let side = sides.entry((node, is_left)).or_default();
            side.push((slots[next].y, index, end));
        };
        // What leads to the layer before goes straight back; the rest swings round on the right.
        put(from, slots[from].layer == slots[to].layer + 1, after, 0);
        put(to, is_forward, before, 1);
    }
    let mut ports = vec![[0.0; 2]; edges.len()];
    for side in sides.values_mut() {
        side.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let middle = (side.len() - 1) as f32 / 2.0;
        let pitch = PORT_PITCH.min(PORT_SPAN / middle.max(1.0));
        for (place, &(_, edge, end)) in side.iter().enumerate() {
            ports[edge][end] = (place as f32 - middle) * pitch;
        }
    }
    ports
}

/// A smooth line from the right end of the first pill to the left end of the last one; one that
/// leads to the layer before goes straight back, and any other that leads to no later layer swings
/// round on the right, no further than it has room.
fn edge_path(points: &[(f32, f32)], node_width: f32, swing_room: f32, is_back: bool) -> String {
    let (mut from, mut to) = (points[0], points[points.len() - 1]);
    from.0 += node_width / 2.0;
    if is_back {
        let (from, to) = (
            points[0].0 - node_width / 2.0,
            to.0 + node_width / 2.0 + ARROW_ROOM,
        );
        let middle = (from + to) / 2.0;
        let (from_y, to_y) = (points[0].1, points[1].1);
        return format!(
            "M{from:.1} {from_y:.1}C{middle:.1} {from_y:.1} {middle:.1} {to_y:.1} {to:.1} {to_y:.1}"
        );
    }
    if to.0 <= points[0].0 {
        let side = to.0 + node_width / 2.0;
        // Longer ways swing further, so that parallel ones stay apart.
        let swing = from.0.max(side) + (16.0 + 0.16 * (to.1 - from.1).abs()).min(swing_room);
        return format!(
            "M{:.1} {:.1}C{swing:.1} {:.1} {swing:.1} {:.1} {:.1} {:.1}",
            from.0,
            from.1,
            from.1,
            to.1,
            side + ARROW_ROOM,
            to.1
        );
    }
    to.0 -= node_width / 2.0 + ARROW_ROOM;
    let mut path = format!("M{:.1} {:.1}", from.0, from.1);
    let mut last = from;
    let inner = points[1..points.len() - 1].iter().copied();
    for point in inner.chain([to]) {
        let middle = (last.0 + point.0) / 2.0;
        path += &format!(
            "C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}",
            last.1, point.1, point.0, point.1
        );
        last = point;
    }
    path
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::{Difficulty, Task, prontoqa, prosqa};
    use proptest::prelude::*;

    use super::*;

    fn graph(task: Task, seed: u64, difficulty: Difficulty) -> Graph {
        let problem = task.generate(seed, difficulty);
        problem.graph().expect("a task of statements").clone()
    }

    /// The points and control points of a path.
    fn points(path: &str) -> Vec<(f32, f32)> {
        let numbers = path.split(|c: char| c == ' ' || c.is_ascii_alphabetic());
        let numbers: Vec<f32> = numbers.filter_map(|number| number.parse().ok()).collect();
        numbers
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect()
    }

    fn any_graph() -> impl Strategy<Value = Graph> {
        let parts = (any::<u64>(), any::<bool>(), any::<bool>());
        parts.prop_map(|(seed, is_official, is_ontology)| {
            let difficulty = if is_official {
                Difficulty::Official
            } else {
                Difficulty::Class
            };
            let task = if is_ontology {
                prontoqa::TASK
            } else {
                prosqa::TASK
            };
            graph(task, seed, difficulty)
        })
    }

    proptest! {
        #[test]
        fn nodes_do_not_overlap_and_lie_inside(
            graph in any_graph(),
            aspect in prop::sample::select(&[WIDE, NARROW][..]),
        ) {
            let layout = Layout::new(&graph, aspect);
            for (index, a) in layout.nodes.iter().enumerate() {
                prop_assert!(a.x - a.width / 2.0 >= 0.0 && a.x + a.width / 2.0 <= layout.width);
                prop_assert!(a.y - NODE_HEIGHT / 2.0 >= 0.0, "{a:?}");
                prop_assert!(a.y + NODE_HEIGHT / 2.0 <= layout.height, "{a:?}");
                let name = &graph.nodes[index].name;
                prop_assert!(a.width > name_width(name), "{name}");
                for b in &layout.nodes[index + 1..] {
                    let apart_x = (a.x - b.x).abs() >= (a.width + b.width) / 2.0;
                    let apart_y = (a.y - b.y).abs() >= NODE_HEIGHT;
                    prop_assert!(apart_x || apart_y, "{a:?} {b:?}");
                }
            }
        }

        #[test]
        fn reached_nodes_stand_in_the_layer_of_their_distance(graph in any_graph()) {
            let layout = Layout::new(&graph, WIDE);
            let distances = graph.successors().distances(graph.root);
            for (place, distance) in layout.nodes.iter().zip(distances) {
                prop_assert_eq!(place.is_reached, distance.is_some());
                if let Some(distance) = distance {
                    prop_assert_eq!(place.layer, distance);
                }
            }
            prop_assert_eq!(layout.edges.len(), graph.edges.len());
            // A curve lies inside the hull of its points.
            for path in &layout.edges {
                for (x, y) in points(path) {
                    prop_assert!((0.0..=layout.width).contains(&x), "{path}: {}", layout.width);
                    prop_assert!((0.0..=layout.height).contains(&y), "{path}");
                }
            }
            // No two ends of edges meet in one place.
            let ends = layout.edges.iter().flat_map(|path| {
                let points = points(path);
                [points[0], points[points.len() - 1]]
            });
            let mut ends: Vec<String> = ends.map(|end| format!("{end:?}")).collect();
            ends.sort();
            let n_ends = ends.len();
            ends.dedup();
            prop_assert_eq!(ends.len(), n_ends);
        }

        #[test]
        fn layers_stand_from_left_to_right(seed in any::<u64>()) {
            let layout = Layout::new(&graph(prosqa::TASK, seed, Difficulty::Class), WIDE);
            for a in &layout.nodes {
                for b in &layout.nodes {
                    prop_assert_eq!(a.layer < b.layer, a.x < b.x);
                }
            }
        }
    }

    #[test]
    fn a_path_of_two_is_laid_out_too() {
        let text = "Tom is a terpus. Bob is a gerpus. Is Tom a gerpus or terpus?";
        let problem = prosqa::TASK.read(text).expect("decided");
        let graph = problem.graph().expect("statements are a graph");
        assert_eq!(Layout::new(graph, WIDE).n_layers, 2);
    }
}
