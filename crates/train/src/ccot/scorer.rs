//! A learned linear scorer of a chain's tokens, from what the frozen model's answer looks at.
//!
//! The paper takes the scores of a model that was trained elsewhere to keep a tenth of a text
//! (Linear → ReLU → Linear on an early layer's states). Here nothing is known of the task either:
//! θ reads query, chain and answer; the k tokens of the chain that the answer's positions attend
//! to most, over the heads of all layers above the scorer's, shall score above the others; and a
//! logistic regression learns that from the state after one early layer. The score of a token
//! depends on the query and on the chain up to it, not on what follows.

use anyhow::ensure;
use burn::tensor::{ExecutionError, Tensor};
use latent_model::contemplation::n_kept;
use serde::{Deserialize, Serialize};

use super::reading::Chains;
use crate::example::Context;
use crate::llama::Llama;
use crate::logistic::{Examples, LinearClassifier};
use crate::objective::Objective;
use crate::tensor_ops::{flat, read};

/// How the scorer is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScorerConfig {
    /// The layer, counted from 0, whose states are scored.
    pub layer: usize,
    /// Batches of problems that it learns from.
    pub batches: usize,
    /// Weight of ½‖w‖² against the mean loss.
    pub ridge: f64,
}

impl ScorerConfig {
    pub(super) fn check(&self, n_layers: usize) -> anyhow::Result<()> {
        ensure!(
            self.layer + 1 < n_layers,
            "ccot.scorer.layer must have a layer above it of {n_layers}, found {}",
            self.layer
        );
        ensure!(
            self.batches > 0,
            "ccot.scorer.batches must be at least 1, found 0"
        );
        Ok(())
    }
}

/// Scores tokens of a chain by the state after an early layer.
pub struct Scorer {
    layer: usize,
    classifier: LinearClassifier,
}

impl Scorer {
    /// Fits a scorer for the share `ratio` of a chain to the problems that `draw` gives.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn fit(
        config: &ScorerConfig,
        ratio: f64,
        objective: &Objective<'_>,
        theta: &Llama<'_>,
        mut draw: impl FnMut() -> Vec<Context>,
    ) -> Result<Scorer, ExecutionError> {
        let mut examples = Examples::default();
        for _ in 0..config.batches {
            let contexts = draw();
            let contexts: Vec<&Context> = contexts.iter().collect();
            let chains = Chains::read(objective, theta, &contexts, true);
            for index in 0..contexts.len() {
                let attention = chains.attention(index, config.layer + 1).await?;
                let states = chains.states(index, config.layer).await?;
                let kept = highest(&attention, n_kept(attention.len(), ratio));
                let labels = (0..attention.len()).map(|token| kept.contains(&token));
                examples.labels.extend(labels);
                examples.states.extend(states);
            }
        }
        Ok(Scorer {
            layer: config.layer,
            classifier: LinearClassifier::fit(&examples, config.ridge),
        })
    }

    /// The indices of the `k` tokens of a chain with the highest scores, ascending.
    ///
    /// # Errors
    /// If the device failed.
    pub(super) async fn kept(
        &self,
        chains: &Chains,
        index: usize,
        k: usize,
    ) -> Result<Vec<usize>, ExecutionError> {
        let states = chains.states(index, self.layer).await?;
        let scores: Vec<f64> = states.iter().map(|z| self.classifier.logit(z)).collect();
        Ok(highest(&scores, k))
    }
}

impl Chains {
    /// The states after a layer at a chain's tokens.
    async fn states(&self, index: usize, layer: usize) -> Result<Vec<Vec<f64>>, ExecutionError> {
        let states = self.of_chain(&self.residuals.by_layer[layer], index);
        let d = states.dims()[1];
        let numbers = read(vec![flat(states)]).await?.concat();
        let row = |row: &[f32]| row.iter().map(|&z| f64::from(z)).collect();
        Ok(numbers.chunks_exact(d).map(row).collect())
    }

    /// How much the positions after a chain attend to each of its tokens, summed over the heads of
    /// the layers from `first_layer` on and over those positions.
    async fn attention(
        &self,
        index: usize,
        first_layer: usize,
    ) -> Result<Vec<f64>, ExecutionError> {
        let (chain, after) = (self.rows_of_chain(index), self.rows_after(index));
        let n_shared = 1;
        let of_layer = |weights: &Tensor<4>| {
            weights
                .clone()
                .narrow(0, index, 1)
                .narrow(2, after.start, after.len())
                .narrow(3, n_shared + chain.start, chain.len())
                .sum_dim(1)
                .sum_dim(2)
                .reshape([chain.len()])
        };
        let layers = self.residuals.attention[first_layer..].iter().map(of_layer);
        let sum = layers.reduce(|a, b| a + b).expect("a layer lies above");
        let numbers = read(vec![sum]).await?.concat();
        Ok(numbers.into_iter().map(f64::from).collect())
    }
}

/// The indices of the `k` largest numbers, ascending; of equal ones the first.
fn highest(numbers: &[f64], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[b].total_cmp(&numbers[a]));
    order.truncate(k);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{contexts, objective, theta};
    use super::*;
    use crate::parameters::LlamaConfig;

    const SIZES: LlamaConfig = LlamaConfig {
        hidden_size: 16,
        n_layers: 3,
        n_heads: 2,
        head_dim: 8,
        intermediate_size: 16,
        rope_theta: 1e4,
        rms_norm_eps: 1e-6,
    };
    /// The attention of the positions after a chain, of a batch and of each sequence alone.
    #[test]
    fn padding_takes_no_part_in_what_an_answer_looks_at() {
        let (objective, theta, contexts) = (objective(), theta(&SIZES), contexts(0..4));
        let all: Vec<&Context> = contexts.iter().collect();
        let together = Chains::read(&objective, &theta, &all, true);
        let looks_at = |chains: &Chains, index| {
            pollster::block_on(chains.attention(index, 1)).expect("the device works")
        };
        for (index, context) in contexts.iter().enumerate() {
            let alone = Chains::read(&objective, &theta, &[context], true);
            let (found, expected) = (looks_at(&together, index), looks_at(&alone, 0));
            let n_chain = context.examples[0].steps.concat().len();
            assert_eq!([found.len(), expected.len()], [n_chain; 2]);
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-4, "{found:?} {expected:?}");
            }
            // Two layers of two heads give each position a mass of four at most.
            let n_after = alone.rows_after(0).len() as f64;
            let sum: f64 = found.iter().sum();
            assert!(sum > 0.1 * n_after && sum < 4.0 * n_after, "{sum}");
        }
    }

    #[test]
    fn what_a_scorer_keeps_is_what_the_answer_looks_at() {
        let (objective, theta) = (objective(), theta(&SIZES));
        let config = ScorerConfig {
            layer: 0,
            batches: 24,
            ridge: 1e-4,
        };
        let (mut next, ratio) = (1000, 0.25);
        let draw = || {
            next += 16;
            contexts(next - 16..next)
        };
        let scorer = Scorer::fit(&config, ratio, &objective, &theta, draw);
        let scorer = pollster::block_on(scorer).expect("the device works");
        let fresh = contexts(0..160);
        let fresh: Vec<&Context> = fresh.iter().collect();
        let chains = Chains::read(&objective, &theta, &fresh, true);
        let (mut n_right, mut n_by_chance, mut n_all) = (0, 0.0, 0);
        for index in 0..fresh.len() {
            let attention = chains.attention(index, 1);
            let attention = pollster::block_on(attention).expect("the device works");
            let k = n_kept(attention.len(), ratio);
            let kept = pollster::block_on(scorer.kept(&chains, index, k));
            let (kept, wanted) = (kept.expect("the device works"), highest(&attention, k));
            n_right += kept.iter().filter(|token| wanted.contains(token)).count();
            n_by_chance += (k * k) as f64 / attention.len() as f64;
            n_all += k;
        }
        let (n_right, n_all) = (n_right as f64, n_all as f64);
        let above_chance = (n_right - n_by_chance) / (n_all - n_by_chance);
        // Random weights look at nothing in particular, so a linear score finds a part of it.
        assert!(
            above_chance > 0.15,
            "{n_right} of {n_all}, by chance {n_by_chance}"
        );
    }

    #[test]
    fn of_equal_scores_the_first_are_kept() {
        assert_eq!(highest(&[1.0, 3.0, 2.0, 3.0, 2.0], 3), [1, 2, 3]);
        assert!(highest(&[1.0], 0).is_empty());
    }
}
