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
        question.chain([marker::BOT]).for_each(|id| rows.push_token(id, 1.0));
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
