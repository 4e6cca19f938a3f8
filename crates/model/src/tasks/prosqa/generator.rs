//! Random problems that follow the distribution of the official ProsQA files.
//!
//! The graph algorithm is the appendix of Coconut (arXiv 2412.06769) with three constants fitted
//! to the published problems: see [`PARENTLESS_KEPT`], [`BASE_WEIGHT`] and [`ROOT_WEIGHT`].

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Problem, Symbol, vocabulary};
use crate::tasks::{Adjacency, random::SplitMix64};

/// How large a graph is and how far its target lies from its root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difficulty {
    /// Nodes of the graph. Those that end up without an edge are dropped, so it may be fewer.
    pub nodes: RangeInclusive<usize>,
    /// Steps from the root to the target.
    pub hops: RangeInclusive<usize>,
}

impl Difficulty {
    /// The classroom size: small enough to follow on a projector.
    pub const CLASS: Difficulty = Difficulty {
        nodes: 10..=14,
        hops: 2..=4,
    };
    /// The size of the official files: about 23 nodes and 36 statements.
    pub const OFFICIAL: Difficulty = Difficulty {
        nodes: 19..=27,
        hops: 3..=6,
    };
}

/// e^(−1.5): the number of parents of a node is Poisson with mean 1.5.
const EXP_MINUS_MEAN_PARENTS: f64 = 0.223_130_160_148_429_83;
/// How often a node without a parent stays in the graph (official files: 2.5 % of the nodes).
const PARENTLESS_KEPT: f64 = 1.0 / 8.0;
/// A candidate parent weighs 1.5 for each step of its depth …
const DEPTH_WEIGHT: f64 = 1.5;
/// … and this much beside …
const BASE_WEIGHT: f64 = 0.3;
/// … and this much more if it is one of the two roots.
const ROOT_WEIGHT: f64 = 1.0;
/// Relative frequency of problems with 3, 4, 5 and 6 steps in the official files, in percent.
const OFFICIAL_HOPS: [(usize, f64); 4] = [(3, 41.0), (4, 44.0), (5, 12.0), (6, 3.0)];
/// Graphs drawn for one wished number of steps before another number is drawn.
const ATTEMPTS: usize = 200;

/// Reached from root 0, as a bit of [`RandomGraph::reached_from`].
const FROM_ROOT_0: u8 = 1;
/// Reached from root 1.
const FROM_ROOT_1: u8 = 2;

/// A random graph with two roots, before anything is asked about it.
#[derive(Clone, Debug)]
pub struct RandomGraph {
    /// The name of each node. Nodes 0 and 1 are the roots.
    pub symbols: Vec<Symbol>,
    /// `[from, to]`, from always below to.
    pub edges: Vec<[usize; 2]>,
    /// For each node a bit for each of the two roots that reaches it.
    pub reached_from: Vec<u8>,
}

/// A question that can be asked about a [`RandomGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// One of the two roots.
    pub root: usize,
    /// A leaf that only this root reaches.
    pub target: usize,
    /// A leaf that only the other root reaches.
    pub neg_target: usize,
    /// Steps from the root to the target.
    pub hops: usize,
}

impl RandomGraph {
    /// Draws a graph of `nodes` nodes. The same seed gives the same graph everywhere.
    pub fn generate(seed: u64, nodes: RangeInclusive<usize>) -> RandomGraph {
        RandomGraph::draw(&mut SplitMix64::new(seed), nodes)
    }

    fn draw(rng: &mut SplitMix64, nodes: RangeInclusive<usize>) -> RandomGraph {
        let n_nodes = nodes.start() + rng.below(nodes.end() - nodes.start() + 1);
        let mut reached_from = vec![FROM_ROOT_0, FROM_ROOT_1];
        let mut depth = vec![0_usize; 2];
        let mut edges = Vec::new();
        while depth.len() < n_nodes {
            let parents = draw_parents(rng, &reached_from, &depth);
            if parents.is_empty() && rng.uniform() >= PARENTLESS_KEPT {
                continue;
            }
            let node = depth.len();
            reached_from.push(parents.iter().fold(0, |bits, &p| bits | reached_from[p]));
            depth.push(parents.iter().map(|&p| depth[p] + 1).max().unwrap_or(0));
            edges.extend(parents.iter().map(|&parent| [parent, node]));
        }
        let (reached_from, edges) = without_isolated(&reached_from, &edges);
        let symbols = draw_symbols(rng, reached_from.len(), &edges);
        RandomGraph {
            symbols,
            edges,
            reached_from,
        }
    }

    /// How many nodes the graph has.
    pub fn n_nodes(&self) -> usize {
        self.symbols.len()
    }

    /// Every question whose two options are leaves that one root only reaches.
    pub fn questions(&self, hops: &RangeInclusive<usize>) -> Vec<Question> {
        let successors = Adjacency::successors(self.n_nodes(), &self.edges);
        let leaves_of = |bits: u8| -> Vec<usize> {
            (2..self.n_nodes())
                .filter(|&n| self.reached_from[n] == bits && successors.of(n).is_empty())
                .collect()
        };
        let leaves = [leaves_of(FROM_ROOT_0), leaves_of(FROM_ROOT_1)];
        let mut questions = Vec::new();
        for root in 0..2 {
            let distances = successors.distances(root);
            for &target in &leaves[root] {
                let Some(n_hops) = distances[target].filter(|n| hops.contains(n)) else {
                    continue;
                };
                questions.extend(leaves[1 - root].iter().map(|&neg_target| Question {
                    root,
                    target,
                    neg_target,
                    hops: n_hops,
                }));
            }
        }
        questions
    }
}

impl Problem {
    /// Draws a problem. The same seed gives the same problem on every machine.
    ///
    /// At the official size the numbers of steps come out as in the official files; at any other
    /// size all are equally likely.
    ///
    /// # Panics
    /// If no graph of this size holds a target that far away (see [`Difficulty`]).
    pub fn generate(seed: u64, difficulty: &Difficulty) -> Problem {
        let mut rng = SplitMix64::new(seed);
        for _ in 0..ATTEMPTS {
            let hops = draw_hops(&mut rng, difficulty);
            for _ in 0..ATTEMPTS {
                let graph = RandomGraph::draw(&mut rng, difficulty.nodes.clone());
                let questions = graph.questions(&(hops..=hops));
                if !questions.is_empty() {
                    let question = questions[rng.below(questions.len())];
                    return problem_from_question(&mut rng, graph, question);
                }
            }
        }
        panic!(
            "found no problem of {difficulty:?} in {} graphs",
            ATTEMPTS * ATTEMPTS
        );
    }
}

/// Draws the parents of the next node: none, or distinct ones of the nodes so far.
fn draw_parents(rng: &mut SplitMix64, reached_from: &[u8], depth: &[usize]) -> Vec<usize> {
    let n_wished = rng.poisson(EXP_MINUS_MEAN_PARENTS);
    let r = rng.uniform();
    let excluded = if r < 0.35 {
        FROM_ROOT_1
    } else if r < 0.7 {
        FROM_ROOT_0
    } else {
        0
    };
    let mut weights: Vec<f64> = depth
        .iter()
        .zip(reached_from)
        .enumerate()
        .map(|(node, (&depth, &bits))| {
            let root_weight = if node < 2 { ROOT_WEIGHT } else { 0.0 };
            let weight = DEPTH_WEIGHT * depth as f64 + BASE_WEIGHT + root_weight;
            if bits & excluded == 0 { weight } else { 0.0 }
        })
        .collect();
    let mut parents = Vec::new();
    while parents.len() < n_wished {
        let Some(parent) = rng.weighted(&weights) else {
            break;
        };
        weights[parent] = 0.0;
        parents.push(parent);
    }
    parents
}

/// Drops nodes that no edge touches, except the two roots, and renumbers the others.
fn without_isolated(reached_from: &[u8], edges: &[[usize; 2]]) -> (Vec<u8>, Vec<[usize; 2]>) {
    let mut touched = vec![false; reached_from.len()];
    touched[..2].fill(true);
    edges
        .iter()
        .flatten()
        .for_each(|&node| touched[node] = true);
    let mut new_index = vec![0; touched.len()];
    let mut kept = Vec::new();
    for (node, &stays) in touched.iter().enumerate() {
        new_index[node] = kept.len();
        if stays {
            kept.push(reached_from[node]);
        }
    }
    let edges = edges
        .iter()
        .map(|e| e.map(|node| new_index[node]))
        .collect();
    (kept, edges)
}

/// Names the nodes: a person where nothing points to, else a concept, no word twice.
fn draw_symbols(rng: &mut SplitMix64, n_nodes: usize, edges: &[[usize; 2]]) -> Vec<Symbol> {
    let mut has_parent = vec![false; n_nodes];
    edges.iter().for_each(|&[_, to]| has_parent[to] = true);
    let mut people: Vec<usize> = (0..vocabulary::PEOPLE.len()).collect();
    let mut concepts: Vec<usize> = (0..vocabulary::CONCEPTS.len()).collect();
    rng.shuffle(&mut people);
    rng.shuffle(&mut concepts);
    let (mut people, mut concepts) = (people.into_iter(), concepts.into_iter());
    has_parent
        .iter()
        .map(|&has_parent| {
            let symbol = if has_parent {
                concepts.next().map(Symbol::concept)
            } else {
                people.next().map(Symbol::person)
            };
            symbol.expect("a graph has at most 38 concepts and 17 people")
        })
        .collect()
}

/// Draws the number of steps: as in the official files at their size, else uniformly.
fn draw_hops(rng: &mut SplitMix64, difficulty: &Difficulty) -> usize {
    let hops = &difficulty.hops;
    if *difficulty == Difficulty::OFFICIAL {
        let weights = OFFICIAL_HOPS.map(|(_, weight)| weight);
        let index = rng.weighted(&weights).unwrap_or(0);
        OFFICIAL_HOPS[index].0
    } else {
        hops.start() + rng.below(hops.end() - hops.start() + 1)
    }
}

fn problem_from_question(rng: &mut SplitMix64, graph: RandomGraph, question: Question) -> Problem {
    let mut statement_order: Vec<usize> = (0..graph.edges.len()).collect();
    rng.shuffle(&mut statement_order);
    Problem {
        symbols: graph.symbols,
        edges: graph.edges,
        statement_order,
        root: question.root,
        target: question.target,
        neg_target: question.neg_target,
        target_first: rng.uniform() < 0.5,
    }
}
