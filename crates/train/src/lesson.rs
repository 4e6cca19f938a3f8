//! What a question teaches, whatever the task: its words, its steps, its answer.
//!
//! Every training method is a way of lining up the same lesson ([`crate::method`]).

/// Weights over token ids; what a state shall decode to.
pub type Distribution = Vec<(u32, f32)>;

/// How a set of nodes is weighted when a state has to decode to it.
#[derive(Clone, Copy, Debug)]
pub struct Ageing {
    /// A node found one step earlier weighs this much less …
    pub gamma: f32,
    /// … but never less than this.
    pub floor: f32,
}

impl Ageing {
    /// The distribution over the nodes at a distance of at most `horizon`: γ^age, the newest
    /// (age 0) the most, summing to 1. This is the continuous supervision of CoT2
    /// (Gozeten et al. 2025) with ageing.
    pub fn weights(self, ids: &[u32], distances: &[Option<usize>], horizon: usize) -> Distribution {
        // Where the search has run dry, the newest are those found last.
        let farthest = distances.iter().flatten().copied().max().unwrap_or(0);
        let horizon = horizon.min(farthest);
        let mut weights: Distribution = distances
            .iter()
            .enumerate()
            .filter_map(|(node, distance)| {
                let age = horizon.checked_sub((*distance)?)?;
                Some((ids[node], self.gamma.powi(age as i32).max(self.floor)))
            })
            .collect();
        let sum: f32 = weights.iter().map(|(_, weight)| weight).sum();
        weights.iter_mut().for_each(|(_, weight)| *weight /= sum);
        weights
    }
}

/// A token of a training sequence: what is read at its position, and what may stand there.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The token that is read.
    pub id: u32,
    /// What the position before shall predict, with the loss's weight; empty: nothing.
    pub targets: Distribution,
}

impl Word {
    /// A token that nothing has to predict: the question, a forced marker.
    pub fn given(id: u32) -> Word {
        Word {
            id,
            targets: Vec::new(),
        }
    }

    /// A token to predict, with its weight in the loss.
    pub fn wanted(id: u32, weight: f32) -> Word {
        Word {
            id,
            targets: vec![(id, weight)],
        }
    }

    /// The same token, wanted alone and with this weight.
    pub fn alone(&self, weight: f32) -> Word {
        Word::wanted(self.id, weight)
    }
}

/// A position of the question at which a search backward from an option is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// The index of the option's token in the question.
    pub position: usize,
    /// What its state shall decode to after 1, 2, … steps backward.
    pub by_steps: Vec<Distribution>,
}

/// One question with everything that some method may want to teach about it.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    /// The question's tokens.
    pub question: Vec<u32>,
    /// The chain of thought, step by step.
    pub steps: Vec<Vec<Word>>,
    /// The loss's weight of the end of the chain: where it ends may be a decision.
    pub stop_weight: f32,
    /// What follows `###`, without `<eos>`.
    pub answer: Vec<u32>,
    /// The wrong option, where the last token of the answer is a choice of two.
    pub rival: Option<u32>,
    /// What the thoughts shall decode to, thought by thought; beyond its end the last one holds.
    /// Empty: thoughts are not supervised.
    pub reach: Vec<Distribution>,
    /// Searches backward.
    pub goals: Vec<Goal>,
}

impl Lesson {
    /// What thought `k` (from 0) shall decode to.
    pub fn reach(&self, k: usize) -> Distribution {
        let last = self.reach.len().checked_sub(1);
        last.map_or_else(Vec::new, |last| self.reach[k.min(last)].clone())
    }
}

/// What is read once, and the questions about it.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// Tokens that all questions share: a graph's statements, or nothing.
    pub context: Vec<u32>,
    /// The same number for every passage of a batch.
    pub lessons: Vec<Lesson>,
}
