//! Coconut's mode switch (arXiv 2412.06769, section 3): a binary classifier on the hidden state
//! that ends the thoughts, fitted when the model is trained, with the model frozen.
//!
//! After k thoughts have been fed, σ(w·h + b) of the newest state h shall say whether the search
//! has come as far as the answer: k ≥ the number of steps of the problem's shortest chain.

use burn::tensor::ExecutionError;
use serde::{Deserialize, Serialize};

use crate::example::{Context, Example, Target};
use crate::llama::{Llama, QuestionCache};
use crate::logistic::{Examples, LinearClassifier};
use crate::method::{SequenceLayout, Stage};
use crate::objective::{Objective, read_contexts};
use crate::tensor_ops::{flat, positions, read};

/// How the classifier is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndClassifierConfig {
    /// Batches of the last level that it learns from.
    pub batches: usize,
    /// Thoughts a question; one state each.
    pub thoughts: usize,
    /// Weight of ½‖w‖² against the mean loss.
    pub ridge: f64,
}

/// A classifier, and how it does on states that it was not fitted to.
pub struct Fitted {
    /// The classifier.
    pub classifier: LinearClassifier,
    /// Share of fresh states on which it is right.
    pub accuracy: f64,
    /// How many those are.
    pub n_states: usize,
}

/// Fits a classifier to the states of `config.batches` batches, and tries it on as many more.
///
/// # Errors
/// If the device failed.
pub async fn fit(
    config: &EndClassifierConfig,
    objective: &Objective<'_>,
    model: &Llama<'_>,
    mut draw: impl FnMut() -> Vec<Context>,
) -> Result<Fitted, ExecutionError> {
    let [mut known, mut fresh] = [Examples::default(), Examples::default()];
    for examples in [&mut known, &mut fresh] {
        for _ in 0..config.batches {
            let contexts = draw();
            examples
                .add(objective, model, &contexts, config.thoughts)
                .await?;
        }
    }
    let classifier = LinearClassifier::fit(&known, config.ridge);
    Ok(Fitted {
        accuracy: fresh.accuracy(&classifier),
        n_states: fresh.labels.len(),
        classifier,
    })
}

impl Examples {
    /// Adds the states after each of `n_thoughts` thoughts about the examples of a batch, read all
    /// at once.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn add(
        &mut self,
        objective: &Objective<'_>,
        model: &Llama<'_>,
        contexts: &[Context],
        n_thoughts: usize,
    ) -> Result<(), ExecutionError> {
        let tokens = contexts.iter().map(|c| c.tokens.as_slice());
        let mut batch = read_contexts(model, tokens, objective.markers.pad);
        let examples: Vec<&Example> = contexts.iter().flat_map(|c| &c.examples).collect();
        let sequences: Vec<Vec<Target>> = examples
            .iter()
            .map(|example| {
                let stage = Stage::wordless(n_thoughts);
                SequenceLayout::Coconut
                    .sequence(example, stage, objective.markers, 1.0)
                    .before
            })
            .collect();
        let sequences: Vec<&[Target]> = sequences.iter().map(Vec::as_slice).collect();
        let n_questions = contexts[0].examples.len();
        let mut own = QuestionCache::default();
        let (inputs, n_before) = objective.inputs(model, &sequences);
        let residuals = batch.extend(model, inputs, n_questions, &mut own);
        let mut state = model.final_norm(positions(residuals.last, n_before, n_before - 1, 1));
        let d = state.dims()[1];
        let mut states = Vec::new();
        for _ in 0..n_thoughts {
            let residuals = batch.extend(model, state, n_questions, &mut own);
            state = model.final_norm(residuals.last);
            states.push(flat(state.clone()));
        }
        for (n_fed, numbers) in (1..).zip(read(states).await?) {
            for (row, example) in numbers.chunks_exact(d).zip(&examples) {
                self.states
                    .push(row.iter().map(|&x| f64::from(x)).collect());
                self.labels.push(n_fed >= example.steps.len());
            }
        }
        Ok(())
    }
}
