//! A problem's statements as a graph: words, arrows between them, and what is asked.

/// Statements that each say that one thing is another, and a question about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The words.
    pub nodes: Vec<Node>,
    /// `[subject, object]` of each statement, as node indices.
    pub edges: Vec<[usize; 2]>,
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
        let is_said = |edge: &[usize; 2]| {
            let pair = edge.map(|node| self.nodes[node].token);
            words.chunks_exact(2).any(|said| said == pair)
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
