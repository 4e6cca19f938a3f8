//! Coconut's mode switch (arXiv 2412.06769, section 3): a binary classifier on the hidden state
//! that ends the thoughts, fitted when the model is trained, with the model frozen.
//!
//! After k thoughts have been fed, σ(w·h + b) of the newest state h shall say whether the search
//! has come as far as the answer: k ≥ the number of steps of the problem's shortest chain.

use burn::tensor::ExecutionError;
use serde::{Deserialize, Serialize};

use crate::lesson::{Lesson, Passage, Word};
use crate::llama::{Llama, QuestionCache};
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

/// σ(w·h + b).
#[derive(Clone, Debug, PartialEq)]
pub struct EndClassifier {
    /// w, `[d]`.
    pub weight: Vec<f64>,
    /// b.
    pub bias: f64,
}

/// States `[N, d]` after a thought, and whether the thoughts should end there.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// Row after row.
    pub states: Vec<Vec<f64>>,
    /// One for each state.
    pub ends: Vec<bool>,
}

/// A classifier, and how it does on states that it was not fitted to.
pub struct Fitted {
    /// The classifier.
    pub classifier: EndClassifier,
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
    mut draw: impl FnMut() -> Vec<Passage>,
) -> Result<Fitted, ExecutionError> {
    let [mut known, mut fresh] = [Examples::default(), Examples::default()];
    for examples in [&mut known, &mut fresh] {
        for _ in 0..config.batches {
            let passages = draw();
            examples
                .add(objective, model, &passages, config.thoughts)
                .await?;
        }
    }
    let classifier = EndClassifier::fit(&known, config.ridge);
    Ok(Fitted {
        accuracy: fresh.accuracy(&classifier),
        n_states: fresh.ends.len(),
        classifier,
    })
}

impl Examples {
    /// Adds the states after each of `n_thoughts` thoughts about the lessons of a batch, read all
    /// at once.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn add(
        &mut self,
        objective: &Objective<'_>,
        model: &Llama<'_>,
        passages: &[Passage],
        n_thoughts: usize,
    ) -> Result<(), ExecutionError> {
        let contexts = passages.iter().map(|p| p.context.as_slice());
        let mut batch = read_contexts(model, contexts, objective.markers.pad);
        let lessons: Vec<&Lesson> = passages.iter().flat_map(|p| &p.lessons).collect();
        let sequences: Vec<Vec<Word>> = lessons
            .iter()
            .map(|lesson| {
                let stage = Stage::wordless(n_thoughts);
                SequenceLayout::Coconut
                    .sequence(lesson, stage, objective.markers, 1.0)
                    .before
            })
            .collect();
        let sequences: Vec<&[Word]> = sequences.iter().map(Vec::as_slice).collect();
        let n_questions = passages[0].lessons.len();
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
            for (row, lesson) in numbers.chunks_exact(d).zip(&lessons) {
                self.states
                    .push(row.iter().map(|&x| f64::from(x)).collect());
                self.ends.push(n_fed >= lesson.steps.len());
            }
        }
        Ok(())
    }

    /// The share of examples on which a classifier with threshold ½ is right.
    pub fn accuracy(&self, classifier: &EndClassifier) -> f64 {
        let pairs = self.states.iter().zip(&self.ends);
        let right = pairs.filter(|(state, end)| (classifier.logit(state) >= 0.0) == **end);
        right.count() as f64 / self.ends.len() as f64
    }
}

impl EndClassifier {
    /// w·h + b.
    pub fn logit(&self, state: &[f64]) -> f64 {
        let products = self.weight.iter().zip(state).map(|(w, h)| w * h);
        products.sum::<f64>() + self.bias
    }

    /// Logistic regression by Newton's method (iteratively reweighted least squares).
    pub fn fit(examples: &Examples, ridge: f64) -> EndClassifier {
        let d = examples.states.first().map_or(0, Vec::len);
        let mut classifier = EndClassifier {
            weight: vec![0.0; d],
            bias: 0.0,
        };
        let n = examples.ends.len() as f64;
        for _ in 0..NEWTON_STEPS {
            // Column d is the bias, which the ridge leaves alone.
            let mut gradient = vec![0.0; d + 1];
            let mut hessian = vec![vec![0.0; d + 1]; d + 1];
            for i in 0..d {
                gradient[i] = ridge * classifier.weight[i];
                hessian[i][i] = ridge;
            }
            hessian[d][d] = 1e-9;
            for (state, &end) in examples.states.iter().zip(&examples.ends) {
                let p = 1.0 / (1.0 + (-classifier.logit(state)).exp());
                let error = (p - f64::from(u8::from(end))) / n;
                let curvature = p * (1.0 - p) / n;
                let x = |i: usize| if i < d { state[i] } else { 1.0 };
                for (i, row) in hessian.iter_mut().enumerate() {
                    gradient[i] += error * x(i);
                    for (j, entry) in row[..=i].iter_mut().enumerate() {
                        *entry += curvature * x(i) * x(j);
                    }
                }
            }
            let step = solve(hessian, gradient);
            for (weight, step) in classifier.weight.iter_mut().zip(&step) {
                *weight -= step;
            }
            classifier.bias -= step[d];
        }
        classifier
    }
}

/// Newton steps; logistic regression converges in fewer than ten.
const NEWTON_STEPS: usize = 12;

/// Solves A·x = b for a positive definite A, of which the lower triangle is given, by Cholesky's
/// decomposition A = L·Lᵀ.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            a[i][j] = if i == j {
                (a[i][i] - known).max(1e-12).sqrt()
            } else {
                (a[i][j] - known) / a[j][j]
            };
        }
    }
    for i in 0..n {
        let known: f64 = (0..i).map(|k| a[i][k] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[k][i] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_plane_between_two_clouds_is_found() {
        let mut random = Random::new(1);
        let mut examples = Examples::default();
        for _ in 0..500 {
            let state: Vec<f64> = (0..4).map(|_| random.normal()).collect();
            examples.ends.push(2.0 * state[1] - state[3] > 0.5);
            examples.states.push(state);
        }
        let classifier = EndClassifier::fit(&examples, 1e-4);
        assert!(examples.accuracy(&classifier) > 0.98);
        let ratio = classifier.weight[1] / classifier.weight[3];
        assert!((ratio + 2.0).abs() < 0.2, "{classifier:?}");
    }

    #[test]
    fn without_a_signal_the_bias_alone_gives_the_share() {
        // Three of four end, and the states say nothing.
        let mut examples = Examples::default();
        for index in 0..400 {
            examples.states.push(vec![f64::from(index / 4 % 2) - 0.5]);
            examples.ends.push(index % 4 != 0);
        }
        let classifier = EndClassifier::fit(&examples, 1e-6);
        assert!(classifier.weight[0].abs() < 1e-6);
        assert!((classifier.bias - 3.0_f64.ln()).abs() < 1e-6);
    }
}
