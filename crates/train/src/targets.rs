//! Dense rows over the vocabulary: what is fed in, and what the head should say.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use latent_model::tasks::prosqa::{VOCABULARY_SIZE, marker};

use crate::llama::Llama;
use crate::samples::Sample;

/// Rows of weights over the vocabulary, `[N, V]`, built on the host.
#[derive(Clone, Default)]
pub struct Rows {
    values: Vec<f32>,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / VOCABULARY_SIZE
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds a row with all its `weight` on one token.
    pub fn push_token(&mut self, id: u32, weight: f32) {
        self.push_weights([(id, weight)]);
    }

    /// Adds a row with these weights and 0 elsewhere.
    pub fn push_weights(&mut self, weights: impl IntoIterator<Item = (u32, f32)>) {
        let start = self.values.len();
        self.values.resize(start + VOCABULARY_SIZE, 0.0);
        for (id, weight) in weights {
            self.values[start + id as usize] += weight;
        }
    }

    /// One row's weights.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * VOCABULARY_SIZE..(index + 1) * VOCABULARY_SIZE]
    }

    /// The rows on the device, `[N, V]`.
    pub fn into_tensor(self, device: &Device) -> Tensor<2> {
        let n_rows = self.len();
        Tensor::from_data(
            TensorData::new(self.values, [n_rows, VOCABULARY_SIZE]),
            device,
        )
    }
}

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
    /// (age 0) the most, summing to `total`. This is the continuous supervision of CoT2
    /// (Gozeten et al. 2025) with ageing.
    pub fn weights(
        self,
        sample: &Sample,
        distances: &[Option<usize>],
        horizon: usize,
        total: f32,
    ) -> Vec<(u32, f32)> {
        // Where the search has run dry, the newest are those found last.
        let farthest = distances.iter().flatten().copied().max().unwrap_or(0);
        let horizon = horizon.min(farthest);
        let mut weights: Vec<(u32, f32)> = distances
            .iter()
            .enumerate()
            .filter_map(|(node, distance)| {
                let age = horizon.checked_sub((*distance)?)?;
                Some((
                    sample.ids[node],
                    self.gamma.powi(age as i32).max(self.floor),
                ))
            })
            .collect();
        let sum: f32 = weights.iter().map(|(_, weight)| weight).sum();
        weights
            .iter_mut()
            .for_each(|(_, weight)| *weight *= total / sum);
        weights
    }
}

/// −Σ target · log softmax(head(states)) over all rows, as a `[1]` tensor, with the logits.
///
/// `states` are `[N, d]` after the final norm; target rows carry their own weights.
pub fn cross_entropy(model: &Llama, states: Tensor<2>, targets: Rows) -> (Tensor<1>, Tensor<2>) {
    let logits = model.logits(states);
    let targets = targets.into_tensor(&model.device);
    let loss = (log_softmax(logits.clone(), 1) * targets).sum().neg();
    (loss, logits)
}

/// The statements of a batch as input rows, padded to the longest, and their lengths.
pub fn statement_rows(samples: &[Sample]) -> (Rows, Vec<usize>) {
    let lengths: Vec<usize> = samples.iter().map(|s| 2 * s.statements.len()).collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut rows = Rows::default();
    for (sample, &length) in samples.iter().zip(&lengths) {
        sample
            .statement_tokens()
            .for_each(|id| rows.push_token(id, 1.0));
        (length..longest).for_each(|_| rows.push_token(marker::PAD, 1.0));
    }
    (rows, lengths)
}
