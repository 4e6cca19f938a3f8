//! Greedy decoding over the whole vocabulary, exact match, with Wilson's interval.

use burn::tensor::Tensor;
use latent_model::tasks::prosqa::{Difficulty, Problem, VOCABULARY_SIZE, marker};
use serde::{Deserialize, Serialize};

use crate::llama::{Llama, QuestionCache};
use crate::objective::{Method, ReadBatch, argmax, asks, numbers, read_batch};
use crate::samples::Sample;
use crate::targets::Rows;

/// Problems decoded at once.
const BATCH: usize = 50;
/// A chain of six steps and its markers is 19 tokens; a longer one is wrong.
const MAX_CHAIN: usize = 40;
/// `### R T <eos>`.
const N_ANSWER: usize = 4;

/// How many of some problems came out right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Which problems.
    pub problems: String,
    /// How many.
    pub n: usize,
    /// Share of exact matches.
    pub accuracy: f64,
    /// Lower end of the 95 % Wilson interval.
    pub ci_low: f64,
    /// Upper end of it.
    pub ci_high: f64,
    /// For each number of steps from root to target: right, and all.
    pub by_hops: Vec<(usize, usize, usize)>,
}

impl Accuracy {
    /// Counts what is right, in all and for each number of hops.
    pub fn count(problems: &str, hops: &[usize], right: &[bool]) -> Accuracy {
        let n_right = right.iter().filter(|&&right| right).count();
        let (ci_low, ci_high) = wilson(n_right, right.len());
        let most = hops.iter().copied().max().unwrap_or(0);
        let by_hops = (0..=most)
            .map(|wished| {
                let of_hops = hops.iter().zip(right).filter(|(h, _)| **h == wished);
                let rights: Vec<bool> = of_hops.map(|(_, &right)| right).collect();
                let n_right = rights.iter().filter(|&&right| right).count();
                (wished, n_right, rights.len())
            })
            .filter(|&(_, _, n)| n > 0)
            .collect();
        Accuracy {
            problems: problems.to_string(),
            n: right.len(),
            accuracy: n_right as f64 / right.len().max(1) as f64,
            ci_low,
            ci_high,
            by_hops,
        }
    }
}

/// Wilson's 95 % score interval (Wilson, JASA 1927).
pub fn wilson(n_right: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (n, p) = (n as f64, n_right as f64 / n as f64);
    let denominator = 1.0 + Z * Z / n;
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    (
        (centre - spread) / denominator,
        (centre + spread) / denominator,
    )
}

/// Generated problems that no training step sees: their seeds begin at 2⁶³.
pub fn held_out(difficulty: &Difficulty, n: usize) -> Vec<Problem> {
    (0..n as u64)
        .map(|index| Problem::generate((1 << 63) + index, difficulty))
        .collect()
}

/// Which of the problems the model answers right.
pub fn right_answers(
    model: &Llama,
    problems: &[Problem],
    method: Method,
    n_thoughts: usize,
) -> Vec<bool> {
    let mut right = Vec::new();
    for chunk in problems.chunks(BATCH) {
        let samples: Vec<Sample> = chunk.iter().map(Sample::from_problem).collect();
        let outputs = match method {
            Method::Cot => decode_words(model, &samples),
            Method::Coconut => decode_thoughts(model, &samples, n_thoughts),
        };
        for ((sample, ask), output) in asks(&samples).zip(outputs) {
            let after = match method {
                Method::Cot => output.iter().position(|&id| id == marker::END_THINK),
                Method::Coconut => Some(0),
            };
            let answer = after.map(|after| &output[after + usize::from(method == Method::Cot)..]);
            let (root, target) = (sample.ids[ask.root], sample.ids[ask.target]);
            right.push(answer == Some(&[marker::ANSWER, root, target, marker::EOS][..]));
        }
    }
    right
}

/// Greedy tokens after `? R A B <think>`, up to and including `<eos>`.
pub fn decode_words(model: &Llama, samples: &[Sample]) -> Vec<Vec<u32>> {
    let mut batch = read_batch(model, samples);
    let mut own = QuestionCache::default();
    let last = feed_question(model, samples, marker::THINK, &mut batch, &mut own);
    decode_greedily(model, &mut batch, &mut own, last, MAX_CHAIN)
}

/// Greedy tokens after `? R A B <bot> · thought × n · <eot>`, up to and including `<eos>`.
pub fn decode_thoughts(model: &Llama, samples: &[Sample], n_thoughts: usize) -> Vec<Vec<u32>> {
    let mut batch = read_batch(model, samples);
    let mut own = QuestionCache::default();
    let mut thought = feed_question(model, samples, marker::BOT, &mut batch, &mut own);
    for _ in 0..n_thoughts {
        let residuals = batch.extend(model, thought, 1, &mut own);
        thought = model.final_norm(residuals.last);
    }
    let end = vec![marker::EOT; samples.len()];
    let last = feed_tokens(model, &end, &mut batch, &mut own);
    decode_greedily(model, &mut batch, &mut own, last, N_ANSWER)
}

/// Feeds `? R A B` and an opening marker; gives the normed state at the marker, `[G, d]`.
fn feed_question(
    model: &Llama,
    samples: &[Sample],
    opening: u32,
    batch: &mut ReadBatch,
    own: &mut QuestionCache,
) -> Tensor<2> {
    let mut tokens = Vec::new();
    for (sample, ask) in asks(samples) {
        tokens.extend(sample.question_tokens(ask));
        tokens.push(opening);
    }
    feed_tokens(model, &tokens, batch, own)
}

/// Feeds the same number of tokens to each problem; gives the last normed states, `[G, d]`.
fn feed_tokens(
    model: &Llama,
    tokens: &[u32],
    batch: &mut ReadBatch,
    own: &mut QuestionCache,
) -> Tensor<2> {
    let n_problems = batch.lengths.len();
    let mut rows = Rows::default();
    tokens.iter().for_each(|&id| rows.push_token(id, 1.0));
    let inputs = model.embed(rows.into_tensor(&model.device));
    let residuals = batch.extend(model, inputs, 1, own);
    let n_new = tokens.len() / n_problems;
    let last = crate::objective::positions(residuals.last, n_new, n_new - 1, 1);
    model.final_norm(last)
}

fn decode_greedily(
    model: &Llama,
    batch: &mut ReadBatch,
    own: &mut QuestionCache,
    mut last: Tensor<2>,
    limit: usize,
) -> Vec<Vec<u32>> {
    let mut outputs = vec![Vec::new(); batch.lengths.len()];
    for step in 0..limit {
        let logits = numbers(model.logits(last.clone()));
        let tokens: Vec<u32> = logits
            .chunks_exact(VOCABULARY_SIZE)
            .map(|row| argmax(row) as u32)
            .collect();
        for (output, &id) in outputs.iter_mut().zip(&tokens) {
            if output.last() != Some(&marker::EOS) {
                output.push(id);
            }
        }
        let finished = outputs
            .iter()
            .all(|output| output.last() == Some(&marker::EOS));
        if finished || step + 1 == limit {
            break;
        }
        last = feed_tokens(model, &tokens, batch, own);
    }
    outputs
}
