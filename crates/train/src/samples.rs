//! Graphs with several questions each: what one training step learns from.

use std::ops::RangeInclusive;

use latent_model::tasks::prosqa::{Adjacency, Problem, RandomGraph, marker};
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// How hard the problems of one stretch of the curriculum are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Fewest and most nodes offered to the generator.
    pub nodes: [usize; 2],
    /// Fewest and most steps from root to target.
    pub hops: [usize; 2],
    /// Continuous thoughts a question (`coconut` only).
    #[serde(default)]
    pub thoughts: usize,
}

/// A question about a graph; nodes are indices into the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Where the search begins.
    pub root: usize,
    /// The options as the question names them.
    pub options: [usize; 2],
    /// The option that the root reaches.
    pub target: usize,
}

/// A graph, the order of its statements, and the questions asked about it.
pub struct Sample {
    /// Token id of each node.
    pub ids: Vec<u32>,
    /// `[from, to]` in the order in which the statements are printed.
    pub statements: Vec<[usize; 2]>,
    /// Along the statements.
    pub successors: Adjacency,
    /// Against the statements.
    pub predecessors: Adjacency,
    /// What is asked.
    pub asks: Vec<Ask>,
}

impl Sample {
    /// Draws a graph with `n_main` questions like the official ones (about the two main roots)
    /// and `n_extra` about other nodes, which make a batch more diverse.
    pub fn draw(random: &mut Random, level: &Level, n_main: usize, n_extra: usize) -> Sample {
        let hops = level.hops[0] + random.below(level.hops[1] - level.hops[0] + 1);
        // A wished distance that this graph size hardly ever has gives way to any in the range.
        for wished in [hops..=hops, level.hops[0]..=level.hops[1]].iter().cycle() {
            for _ in 0..60 {
                let nodes = level.nodes[0]..=level.nodes[1];
                let graph = RandomGraph::generate(random.bits(), nodes);
                if let Some(sample) =
                    Sample::from_graph(random, &graph, wished, level, n_main, n_extra)
                {
                    return sample;
                }
            }
        }
        unreachable!("the cycle of wishes has no end")
    }

    fn from_graph(
        random: &mut Random,
        graph: &RandomGraph,
        wished: &RangeInclusive<usize>,
        level: &Level,
        n_main: usize,
        n_extra: usize,
    ) -> Option<Sample> {
        let wished = graph.questions(wished);
        if wished.is_empty() {
            return None;
        }
        let questions = graph.questions(&(level.hops[0]..=level.hops[1]));
        let mut sample = Sample::without_asks(random, graph);
        for index in 0..n_main {
            // The first question has the wished distance; the others take turns between the roots.
            let root = index % 2;
            let about_root: Vec<_> = questions.iter().filter(|q| q.root == root).collect();
            let question = if index == 0 || about_root.is_empty() {
                wished[random.below(wished.len())]
            } else {
                *about_root[random.below(about_root.len())]
            };
            sample.ask(random, question.root, question.target, question.neg_target);
        }
        for _ in 0..n_extra {
            sample.ask_about_any_node(random);
        }
        Some(sample)
    }

    fn without_asks(random: &mut Random, graph: &RandomGraph) -> Sample {
        let mut statements = graph.edges.clone();
        random.shuffle(&mut statements);
        Sample {
            ids: graph.symbols.iter().map(|symbol| symbol.id()).collect(),
            successors: Adjacency::successors(graph.n_nodes(), &graph.edges),
            predecessors: Adjacency::predecessors(graph.n_nodes(), &graph.edges),
            statements,
            asks: Vec::new(),
        }
    }

    /// One problem as it is printed, with its one question.
    pub fn from_problem(problem: &Problem) -> Sample {
        let statements = problem
            .statement_order
            .iter()
            .map(|&s| problem.edges[s])
            .collect();
        Sample {
            ids: problem.symbols.iter().map(|symbol| symbol.id()).collect(),
            statements,
            successors: Adjacency::successors(problem.n_nodes(), &problem.edges),
            predecessors: Adjacency::predecessors(problem.n_nodes(), &problem.edges),
            asks: vec![Ask {
                root: problem.root,
                options: problem.options(),
                target: problem.target,
            }],
        }
    }

    fn ask(&mut self, random: &mut Random, root: usize, target: usize, neg_target: usize) {
        let options = if random.below(2) == 0 {
            [target, neg_target]
        } else {
            [neg_target, target]
        };
        self.asks.push(Ask {
            root,
            options,
            target,
        });
    }

    /// Asks about a random node that has successors; both options are leaves where possible.
    fn ask_about_any_node(&mut self, random: &mut Random) {
        let n_nodes = self.ids.len();
        let inner: Vec<usize> = (0..n_nodes)
            .filter(|&node| !self.successors.of(node).is_empty())
            .collect();
        for _ in 0..20 {
            let root = inner[random.below(inner.len())];
            let distances = self.successors.distances(root);
            let is_leaf = |node: usize| self.successors.of(node).is_empty();
            let (mut targets, mut others) = (Vec::new(), Vec::new());
            for node in (0..n_nodes).filter(|&node| is_leaf(node)) {
                if distances[node].is_some() {
                    targets.push(node);
                } else {
                    others.push(node);
                }
            }
            if !others.is_empty() {
                let target = targets[random.below(targets.len())];
                let other = others[random.below(others.len())];
                return self.ask(random, root, target, other);
            }
        }
        // Every try found a root that reaches all leaves: repeat a main question.
        self.asks.push(self.asks[0]);
    }

    /// The statements in an order of their own: equal for equal graphs, however printed.
    pub fn statement_set(&self) -> Vec<[u32; 2]> {
        let ids = self.statements.iter();
        let mut set: Vec<[u32; 2]> = ids.map(|pair| pair.map(|node| self.ids[node])).collect();
        set.sort_unstable();
        set
    }

    /// The statements' token ids, two a statement.
    pub fn statement_tokens(&self) -> impl Iterator<Item = u32> {
        self.statements.iter().flatten().map(|&node| self.ids[node])
    }

    /// The token ids of `? R A B`.
    pub fn question_tokens(&self, ask: &Ask) -> [u32; 4] {
        let [a, b] = ask.options;
        [
            marker::QUESTION,
            self.ids[ask.root],
            self.ids[a],
            self.ids[b],
        ]
    }
}
