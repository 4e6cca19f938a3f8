//! A problem's statements as a graph: words, arrows between them, and what is asked.

use std::collections::BTreeSet;

/// Statements that each say that one thing is another, and a question about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The words.
    pub nodes: Vec<Node>,
    /// `[subject, object]` of each statement, as node indices.
    pub edges: Vec<[usize; 2]>,
    /// Whether there is a question; without one the root is the first statement's subject, and the
    /// options and the target stand for nothing.
    pub is_asked: bool,
    /// The node that the question is about.
    pub root: usize,
    /// The two answers that the question leaves open.
    pub options: [usize; 2],
    /// The option that follows.
    pub target: usize,
    /// Shortest ways from the root to the target, as nodes, both ends included: all of them, or
    /// the one that the solution takes.
    pub ways: Vec<Vec<usize>>,
}

/// A word of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As it is written on the node.
    pub name: String,
    /// As it stands in the task's vocabulary.
    pub word: String,
    /// Its id there.
    pub token: u32,
}

/// The nodes of a directed graph with their neighbours in one direction.
#[derive(Clone, Debug)]
pub struct Adjacency {
    neighbours: Vec<Vec<usize>>,
}

impl Graph {
    /// How many nodes there are.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes that statements lead to from each node.
    pub fn successors(&self) -> Adjacency {
        Adjacency::successors(self.n_nodes(), &self.edges)
    }

    /// The node of this word of the vocabulary.
    pub fn node(&self, word: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.word == word)
    }

    /// Whether a statement says that `subject` is `object`, both words of the vocabulary.
    pub fn states(&self, subject: &str, object: &str) -> bool {
        let edge = [self.node(subject), self.node(object)];
        let mut edges = self.edges.iter();
        edges.any(|&[from, to]| edge == [Some(from), Some(to)])
    }

    /// The edges whose statements are among these words, two by two in the order of a lane's
    /// thinking: every statement is a pair of tokens, so pairs begin at even places.
    pub fn edges_said(&self, words: &[u32]) -> Vec<usize> {
        let pairs: BTreeSet<&[u32]> = words.chunks_exact(2).collect();
        let is_said = |edge: &[usize; 2]| {
            let pair = edge.map(|node| self.nodes[node].token);
            pairs.contains(&pair[..])
        };
        let edges = self.edges.iter().enumerate();
        let said = edges.filter(|(_, edge)| is_said(edge));
        said.map(|(index, _)| index).collect()
    }
}

impl Adjacency {
    /// Along the edges: whose statements name this node as subject.
    pub fn successors(n_nodes: usize, edges: &[[usize; 2]]) -> Adjacency {
        let mut neighbours = vec![Vec::new(); n_nodes];
        for &[from, to] in edges {
            neighbours[from].push(to);
        }
        Adjacency { neighbours }
    }

    /// Against the edges.
    pub fn predecessors(n_nodes: usize, edges: &[[usize; 2]]) -> Adjacency {
        let mut neighbours = vec![Vec::new(); n_nodes];
        for &[from, to] in edges {
            neighbours[to].push(from);
        }
        Adjacency { neighbours }
    }

    /// The neighbours of one node.
    pub fn of(&self, node: usize) -> &[usize] {
        &self.neighbours[node]
    }

    /// The same with each node's neighbours in the order of their indices.
    pub(super) fn sorted(mut self) -> Adjacency {
        self.neighbours.iter_mut().for_each(|n| n.sort_unstable());
        self
    }

    /// Steps from `start` to every node; `None` where there is no way.
    pub fn distances(&self, start: usize) -> Vec<Option<usize>> {
        let mut distances = vec![None; self.neighbours.len()];
        distances[start] = Some(0);
        let mut frontier = vec![start];
        let mut steps = 0;
        while !frontier.is_empty() {
            steps += 1;
            let mut next = Vec::new();
            for node in frontier {
                for &neighbour in &self.neighbours[node] {
                    if distances[neighbour].is_none() {
                        distances[neighbour] = Some(steps);
                        next.push(neighbour);
                    }
                }
            }
            frontier = next;
        }
        distances
    }
}

#[cfg(test)]
mod tests {
    use crate::tasks::{Difficulty, Picture, TASKS, prontoqa};

    use super::*;

    const ONTOLOGY: &str = "Wumpuses are impuses. Each impus is not red. Every tumpus is red. \
                            Fae is a wumpus. True or false: Fae is red.";

    fn graph(text: &str) -> Graph {
        let problem = prontoqa::TASK.read(text).expect("a decided question");
        problem.graph().expect("statements are a graph").clone()
    }

    fn ontology() -> Graph {
        graph(ONTOLOGY)
    }

    #[test]
    fn an_ontology_leads_from_the_entity_to_the_property_that_it_has() {
        let graph = ontology();
        let name = |node: usize| graph.nodes[node].name.as_str();
        assert_eq!(name(graph.root), "Fae");
        assert_eq!(graph.options.map(name), ["red", "not red"]);
        assert_eq!(name(graph.target), "not red");
        let way: Vec<&str> = graph.ways[0].iter().map(|&node| name(node)).collect();
        assert_eq!(way, ["Fae", "wumpus", "impus", "not red"]);
        let first = graph.edges[0].map(name);
        assert_eq!(first, ["wumpus", "impus"]);
    }

    #[test]
    fn an_option_that_no_statement_names_is_drawn_too() {
        let text = "Fae is a wumpus. Wumpuses are red. True or false: Fae is not red.";
        let graph = graph(text);
        assert_eq!(graph.n_nodes(), 4);
        assert_ne!(graph.options[0], graph.options[1]);
    }

    #[test]
    fn every_way_is_made_of_statements_and_ends_at_the_right_option() {
        for task in TASKS {
            for seed in 0..50 {
                let problem = task.generate(seed, Difficulty::Official);
                let Some(graph) = problem.graph() else {
                    assert_eq!(task.picture(), Picture::Story);
                    continue;
                };
                assert_eq!(task.picture(), Picture::Graph);
                let tokens: Vec<u32> = graph.nodes.iter().map(|node| node.token).collect();
                for way in &graph.ways {
                    assert_eq!(way.first(), Some(&graph.root));
                    assert_eq!(way.last(), Some(&graph.target));
                    let is_stated = |pair: &[usize]| graph.edges.iter().any(|edge| edge == pair);
                    assert!(way.windows(2).all(is_stated), "{} {seed}", task.name());
                }
                let steps = problem.step_tokens().concat();
                assert_eq!(steps.first(), Some(&tokens[graph.root]));
                assert_eq!(steps.last(), Some(&tokens[graph.target]));
                assert_eq!(graph.edges_said(&steps).len(), steps.len() / 2);
            }
        }
    }

    #[test]
    fn only_statements_are_stated() {
        let graph = ontology();
        assert!(graph.states("impus", "not-red"));
        assert!(!graph.states("impus", "red"));
        assert!(!graph.states("impus", "wumpus"));
    }

    #[test]
    fn an_edge_is_said_by_its_two_words_at_an_even_place() {
        let graph = ontology();
        let [from, to] = graph.edges[0].map(|node| graph.nodes[node].token);
        assert_eq!(graph.edges_said(&[from, to]), [0]);
        assert_eq!(graph.edges_said(&[to, from, to]), [] as [usize; 0]);
        assert_eq!(graph.edges_said(&[from]), [] as [usize; 0]);
    }
}
