//! The Coconut objective: hidden states fed back as thoughts, supervised to widen a search.

use burn::tensor::Tensor;
use latent_model::tasks::prosqa::{VOCABULARY_SIZE, marker};

use crate::llama::{Llama, QuestionCache};
use crate::objective::{
    LossConfig, Outcome, ancestor_loss, asks, number, numbers, positions, read_batch,
};
use crate::samples::Sample;
use crate::targets::{Rows, cross_entropy};

/// Positions of `? R A B <bot>`.
const N_QUESTION: usize = 5;
/// Positions of `<eot> ### R T`, whose outputs shall say `### R T <eos>`.
const N_ANSWER: usize = 4;

/// The loss of a batch with `n_thoughts` thoughts a question.
///
/// Thought k is the state after the final norm, fed raw (Coconut, arXiv 2412.06769, section 3);
/// gradients flow through the whole chain. It is asked to decode to what the root reaches in at
/// most k steps.
pub fn loss(model: &Llama, samples: &[Sample], n_thoughts: usize, config: &LossConfig) -> Outcome {
    let n_questions = samples[0].asks.len();
    let n_rows = samples.len() * n_questions;
    let mut batch = read_batch(model, samples);
    let mut own = QuestionCache::default();

    let inputs = model.embed(question_rows(samples).into_tensor(&model.device));
    let residuals = batch.extend(model, inputs, n_questions, &mut own);
    let ancestors = ancestor_loss(model, &residuals, samples, N_QUESTION, config).loss;

    let at_bot = positions(residuals.last, N_QUESTION, N_QUESTION - 1, 1);
    let mut thought = model.final_norm(at_bot);
    let mut thoughts = Vec::new();
    for k in 0..n_thoughts {
        thoughts.push(thought.clone());
        let residuals = batch.extend(model, thought.clone(), n_questions, &mut own);
        // Nothing reads the output of the last thought.
        if k + 1 < n_thoughts {
            thought = model.final_norm(residuals.last);
        }
    }
    let reach_targets = reach_rows(samples, n_thoughts, config);
    let (reach, _) = cross_entropy(model, Tensor::cat(thoughts, 0), reach_targets);

    let inputs = model.embed(answer_input_rows(samples).into_tensor(&model.device));
    let residuals = batch.extend(model, inputs, n_questions, &mut own);
    let targets = answer_target_rows(samples, config.markers);
    let (answer, logits) = cross_entropy(model, model.final_norm(residuals.last), targets);

    let answer = answer.div_scalar(n_rows as f32);
    let reach = reach.div_scalar((n_rows * n_thoughts) as f32);
    Outcome {
        parts: vec![
            ("answer", number(&answer)),
            ("reach", number(&reach)),
            ("ancestors", number(&ancestors)),
        ],
        loss: answer + reach.mul_scalar(config.reach) + ancestors.mul_scalar(config.ancestors),
        accuracy: two_way_accuracy(&numbers(logits), samples),
        n_questions: n_rows,
        n_positions: batch.n_positions,
    }
}

fn question_rows(samples: &[Sample]) -> Rows {
    let mut rows = Rows::default();
    for (sample, ask) in asks(samples) {
        let question = sample.question_tokens(ask).into_iter();
        question
            .chain([marker::BOT])
            .for_each(|id| rows.push_token(id, 1.0));
    }
    rows
}

/// What each thought shall decode to, thought by thought, question by question.
fn reach_rows(samples: &[Sample], n_thoughts: usize, config: &LossConfig) -> Rows {
    let mut rows = Rows::default();
    for n_steps in 1..=n_thoughts {
        for (sample, ask) in asks(samples) {
            let distances = sample.successors.distances(ask.root);
            rows.push_weights(config.ageing().weights(sample, &distances, n_steps, 1.0));
        }
    }
    rows
}

fn answer_input_rows(samples: &[Sample]) -> Rows {
    let mut rows = Rows::default();
    for (sample, ask) in asks(samples) {
        for id in [
            marker::EOT,
            marker::ANSWER,
            sample.ids[ask.root],
            sample.ids[ask.target],
        ] {
            rows.push_token(id, 1.0);
        }
    }
    rows
}

fn answer_target_rows(samples: &[Sample], markers: f32) -> Rows {
    let mut rows = Rows::default();
    for (sample, ask) in asks(samples) {
        rows.push_token(marker::ANSWER, markers);
        rows.push_token(sample.ids[ask.root], markers);
        rows.push_token(sample.ids[ask.target], 1.0);
        rows.push_token(marker::EOS, markers);
    }
    rows
}

/// The share of questions whose right option has the larger logit of the two.
fn two_way_accuracy(logits: &[f32], samples: &[Sample]) -> f64 {
    let mut n_right = 0;
    let mut n_asked = 0;
    for (index, (sample, ask)) in asks(samples).enumerate() {
        let row = &logits[(index * N_ANSWER + 2) * VOCABULARY_SIZE..][..VOCABULARY_SIZE];
        let [a, b] = ask.options;
        let other = if a == ask.target { b } else { a };
        let logit = |node: usize| row[sample.ids[node] as usize];
        n_right += usize::from(logit(ask.target) > logit(other));
        n_asked += 1;
    }
    f64::from(n_right as u32) / f64::from(n_asked)
}

#[cfg(test)]
mod tests {
    use latent_model::tasks::prosqa::Adjacency;

    use super::*;
    use crate::samples::Ask;

    /// 0 → 2 → 3 → 4; the other root's 1 → 5.
    fn chain() -> Vec<Sample> {
        let statements = vec![[0, 2], [2, 3], [3, 4], [1, 5]];
        vec![Sample {
            ids: vec![0, 1, 20, 21, 22, 23],
            successors: Adjacency::successors(6, &statements),
            predecessors: Adjacency::predecessors(6, &statements),
            statements,
            asks: vec![Ask {
                root: 0,
                options: [4, 5],
                target: 4,
            }],
        }]
    }

    fn weights(rows: &Rows, index: usize) -> Vec<(usize, f32)> {
        let row = rows.row(index).iter().copied().enumerate();
        row.filter(|(_, weight)| *weight > 0.0).collect()
    }

    #[test]
    fn the_answer_predicts_what_follows_each_position() {
        let inputs = answer_input_rows(&chain());
        let targets = answer_target_rows(&chain(), 0.1);
        let [eot, answer, eos] = [marker::EOT, marker::ANSWER, marker::EOS].map(|id| id as usize);
        let expected = [
            (eot, (answer, 0.1)),
            (answer, (0, 0.1)),
            (0, (22, 1.0)),
            (22, (eos, 0.1)),
        ];
        for (position, (input, target)) in expected.into_iter().enumerate() {
            assert_eq!(
                weights(&inputs, position),
                [(input, 1.0)],
                "position {position}"
            );
            assert_eq!(weights(&targets, position), [target], "position {position}");
        }
    }

    #[test]
    fn thoughts_reach_one_step_farther_each_and_age_what_they_had() {
        let config = LossConfig {
            gamma: 0.5,
            floor: 0.2,
            reach: 1.0,
            ancestors: 0.0,
            ancestors_from_layer: 2,
            markers: 0.1,
        };
        let rows = reach_rows(&chain(), 4, &config);
        let unnormalized: [&[(usize, f32)]; 4] = [
            &[(0, 0.5), (20, 1.0)],
            &[(0, 0.25), (20, 0.5), (21, 1.0)],
            // 0.5³ is below the floor.
            &[(0, 0.2), (20, 0.25), (21, 0.5), (22, 1.0)],
            // The search has run dry: the fourth thought holds what the third did.
            &[(0, 0.2), (20, 0.25), (21, 0.5), (22, 1.0)],
        ];
        for (thought, expected) in unnormalized.into_iter().enumerate() {
            let total: f32 = expected.iter().map(|(_, weight)| weight).sum();
            let found = weights(&rows, thought);
            assert_eq!(found.len(), expected.len(), "thought {thought}: {found:?}");
            for ((id, weight), (expected_id, expected)) in found.iter().zip(expected) {
                assert_eq!(id, expected_id, "thought {thought}");
                assert!(
                    (weight - expected / total).abs() < 1e-6,
                    "thought {thought}: {found:?}"
                );
            }
        }
    }
}
