//! ProsQA: is the root one concept or the other? A search in a directed graph, told in words.
//!
//! Hao et al., "Training Large Language Models to Reason in a Continuous Latent Space"
//! (Coconut, arXiv 2412.06769), section 4 and appendix.

mod generator;
mod official;
mod oracle;
mod task;
mod text;
mod training;
mod vocabulary;

use crate::tasks::Fingerprint;

pub use generator::{Difficulty, Question, RandomGraph};
pub use task::TASK;
pub use text::ParseError;
pub use vocabulary::{CONCEPTS, MARKER, Symbol, VOCABULARY_SIZE, vocabulary};

/// One problem: a graph of statements, and which of two concepts the root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The word of each node.
    pub symbols: Vec<Symbol>,
    /// `[subject, object]` of each statement, as node indices.
    pub edges: Vec<[usize; 2]>,
    /// The order in which the statements are printed: indices into `edges`.
    pub statement_order: Vec<usize>,
    /// The node that the question is about.
    pub root: usize,
    /// The right option.
    pub target: usize,
    /// The wrong option.
    pub neg_target: usize,
    /// Whether the question names the target before the wrong option.
    pub target_first: bool,
}

impl Problem {
    /// How many nodes the graph has.
    pub fn n_nodes(&self) -> usize {
        self.symbols.len()
    }

    /// The two options in the order in which the question names them.
    pub fn options(&self) -> [usize; 2] {
        if self.target_first {
            [self.target, self.neg_target]
        } else {
            [self.neg_target, self.target]
        }
    }

    /// The token ids of the question: `X Y` for each statement, then `? R A B`.
    pub fn encode(&self) -> Vec<u32> {
        let id = |node: usize| self.symbols[node].id();
        let [a, b] = self.options();
        self.statement_order
            .iter()
            .flat_map(|&statement| self.edges[statement].map(id))
            .chain([MARKER.question, id(self.root), id(a), id(b)])
            .collect()
    }

    /// The token ids of a path, `X Y` for each step.
    pub fn step_tokens(&self, path: &[usize]) -> Vec<Vec<u32>> {
        let id = |node: usize| self.symbols[node].id();
        path.windows(2)
            .map(|pair| vec![id(pair[0]), id(pair[1])])
            .collect()
    }

    /// The token ids of the right answer, `R T`, which follow `###`.
    pub fn answer_tokens(&self) -> Vec<u32> {
        [self.root, self.target]
            .map(|node| self.symbols[node].id())
            .to_vec()
    }

    /// What two problems about the same graph have in common: the set of statements.
    pub fn fingerprint(&self) -> Fingerprint {
        let name = |node: usize| self.symbols[node].name();
        fingerprint(self.edges.iter().map(|edge| edge.map(name)))
    }
}

/// What problems about the same graph have in common: the set of statements, `[subject, object]`
/// each, whatever their order.
pub fn fingerprint<'a>(statements: impl Iterator<Item = [&'a str; 2]>) -> Fingerprint {
    Fingerprint::of_set(statements.map(|pair| pair.join(" ")))
}
