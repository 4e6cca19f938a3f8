//! Graphs to learn from: drawn like those of the problems, with several questions each.

use std::ops::RangeInclusive;

use super::{MARKER, Problem, RandomGraph, fingerprint};
use crate::tasks::{
    Fingerprint,
    random::SplitMix64,
    supervision::{BatchSize, Extent, GraphQuestion, StatementGraph, not_withheld},
};

/// Draws graphs with `main_questions` questions like the official ones (about the two main roots)
/// and `extra_questions` about other nodes.
pub(super) fn draw_graphs(
    random: &mut SplitMix64,
    extent: &Extent,
    size: &BatchSize,
    is_withheld: &dyn Fn(&Fingerprint) -> bool,
) -> Vec<StatementGraph> {
    let mut draw = || not_withheld(is_withheld, || draw_graph(random, extent, size));
    (0..size.texts).map(|_| draw()).collect()
}

fn draw_graph(
    random: &mut SplitMix64,
    extent: &Extent,
    size: &BatchSize,
) -> (StatementGraph, Fingerprint) {
    let [fewest, most] = extent.hops;
    let hops = fewest + random.below(most - fewest + 1);
    // A wished distance that this graph size hardly ever has gives way to any in the range.
    for wished in [hops..=hops, fewest..=most].iter().cycle() {
        for _ in 0..60 {
            let nodes = extent.nodes[0]..=extent.nodes[1];
            let graph = RandomGraph::generate(random.bits(), nodes);
            if let Some(asked) = asked_about(random, &graph, wished, extent, size) {
                let name = |node: usize| graph.symbols[node].name();
                let edges = graph.edges.iter().map(|edge| edge.map(name));
                return (asked, fingerprint(edges));
            }
        }
    }
    unreachable!("the cycle of wishes has no end")
}

impl Problem {
    /// The statements as they are printed, with their one question.
    pub fn statement_graph(&self) -> StatementGraph {
        let ids = self.symbols.iter().map(|symbol| symbol.id()).collect();
        let statements = self.statement_order.iter().map(|&s| self.edges[s]);
        StatementGraph {
            statements: statements.collect(),
            questions: vec![GraphQuestion {
                root: self.root,
                options: self.options(),
                target: self.target,
            }],
            ..StatementGraph::new(ids, self.edges.clone(), MARKER.question)
        }
    }
}

/// The graph with its questions; `None` where it has none of the wished distance.
fn asked_about(
    random: &mut SplitMix64,
    graph: &RandomGraph,
    wished: &RangeInclusive<usize>,
    extent: &Extent,
    size: &BatchSize,
) -> Option<StatementGraph> {
    let wished = graph.questions(wished);
    if wished.is_empty() {
        return None;
    }
    let questions = graph.questions(&(extent.hops[0]..=extent.hops[1]));
    let mut asked = without_questions(random, graph);
    for index in 0..size.main_questions {
        // The first question has the wished distance; the others take turns between the roots.
        let root = index % 2;
        let about_root: Vec<_> = questions.iter().filter(|q| q.root == root).collect();
        let question = if index == 0 || about_root.is_empty() {
            wished[random.below(wished.len())]
        } else {
            *about_root[random.below(about_root.len())]
        };
        let question = ask(random, question.root, question.target, question.neg_target);
        asked.questions.push(question);
    }
    for _ in 0..size.extra_questions {
        // Where every try finds a root that reaches all leaves, a main question is repeated.
        let question = ask_about_any_node(random, &asked).unwrap_or(asked.questions[0]);
        asked.questions.push(question);
    }
    Some(asked)
}

fn without_questions(random: &mut SplitMix64, graph: &RandomGraph) -> StatementGraph {
    let mut statements = graph.edges.clone();
    random.shuffle(&mut statements);
    let ids = graph.symbols.iter().map(|symbol| symbol.id()).collect();
    StatementGraph {
        statements,
        ..StatementGraph::new(ids, graph.edges.clone(), MARKER.question)
    }
}

fn ask(random: &mut SplitMix64, root: usize, target: usize, neg_target: usize) -> GraphQuestion {
    let options = if random.below(2) == 0 {
        [target, neg_target]
    } else {
        [neg_target, target]
    };
    GraphQuestion {
        root,
        options,
        target,
    }
}

/// Asks about a random node that has successors; both options are leaves.
fn ask_about_any_node(random: &mut SplitMix64, graph: &StatementGraph) -> Option<GraphQuestion> {
    let n_nodes = graph.ids.len();
    let is_leaf = |node: usize| graph.successors.of(node).is_empty();
    let inner: Vec<usize> = (0..n_nodes).filter(|&node| !is_leaf(node)).collect();
    for _ in 0..20 {
        let root = inner[random.below(inner.len())];
        let distances = graph.successors.distances(root);
        let leaves = (0..n_nodes).filter(|&node| is_leaf(node));
        let (targets, others): (Vec<usize>, Vec<usize>) =
            leaves.partition(|&leaf| distances[leaf].is_some());
        if !others.is_empty() {
            let target = targets[random.below(targets.len())];
            let other = others[random.below(others.len())];
            return Some(ask(random, root, target, other));
        }
    }
    None
}
