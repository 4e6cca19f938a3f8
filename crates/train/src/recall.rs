//! The warm-ups: recall of the statements alone, many times a graph, before any question.
//!
//! Forward ([`successors_loss`]) it is what one continuous thought has to do, backward
//! ([`ancestors_loss`]) what each layer has to do at an option's position.

use latent_model::tasks::prosqa::VOCABULARY_SIZE;

use crate::llama::{Llama, QuestionCache};
use crate::objective::{LossConfig, Outcome, ancestor_loss, numbers, read_batch};
use crate::random::Random;
use crate::samples::{Ask, Sample};
use crate::targets::{Rows, cross_entropy};

/// The loss of a batch with `n_sets` sets a graph of 1 to `largest_set` nodes each.
///
/// A set is fed as one vector, and shall decode to itself with its successors. Every position
/// sees its graph and itself only.
///
/// The accuracy is the softmax mass that lies on the target set, averaged over the sets.
pub fn successors_loss(
    model: &Llama,
    samples: &[Sample],
    n_sets: usize,
    largest_set: usize,
    random: &mut Random,
) -> Outcome {
    let mut inputs = Rows::default();
    let mut targets = Rows::default();
    for sample in samples {
        for _ in 0..n_sets {
            let set = draw_set(sample, largest_set, random);
            inputs.push_weights(set.iter().map(|&node| (sample.ids[node], 1.0)));
            let mut union = set.clone();
            for &node in &set {
                union.extend(sample.successors.of(node));
            }
            union.sort_unstable();
            union.dedup();
            let weight = 1.0 / union.len() as f32;
            targets.push_weights(union.iter().map(|&node| (sample.ids[node], weight)));
        }
    }
    let n_rows = inputs.len();
    let mut batch = read_batch(model, samples);
    let vectors = model.final_norm(model.embed(inputs.into_tensor(&model.device)));
    let residuals = batch.extend(model, vectors, n_sets, &mut QuestionCache::default());
    let states = model.final_norm(residuals.last);
    let (loss, logits) = cross_entropy(model, states, targets.clone());
    Outcome {
        parts: Vec::new(),
        loss: loss.div_scalar(n_rows as f32),
        accuracy: covered(&numbers(logits), &targets),
        n_questions: n_rows,
        n_positions: batch.n_positions,
    }
}

/// The loss of a batch with `n_questions` questions `? R A B` a graph, about any three nodes: only
/// the ancestors of A and B are asked for, layer by layer.
///
/// The accuracy is the softmax mass that lies on the ancestors, averaged over options and layers.
pub fn ancestors_loss(
    model: &Llama,
    mut samples: Vec<Sample>,
    n_questions: usize,
    config: &LossConfig,
    random: &mut Random,
) -> Outcome {
    let mut inputs = Rows::default();
    for sample in &mut samples {
        let mut node = || random.below(sample.ids.len());
        sample.asks = (0..n_questions)
            .map(|_| Ask {
                root: node(),
                options: [node(), node()],
                target: 0,
            })
            .collect();
        for ask in &sample.asks {
            sample
                .question_tokens(ask)
                .into_iter()
                .for_each(|id| inputs.push_token(id, 1.0));
        }
    }
    let mut batch = read_batch(model, &samples);
    let vectors = model.embed(inputs.into_tensor(&model.device));
    let residuals = batch.extend(model, vectors, n_questions, &mut QuestionCache::default());
    let ancestors = ancestor_loss(model, &residuals, &samples, 4, config);
    Outcome {
        parts: Vec::new(),
        loss: ancestors.loss,
        accuracy: covered(&numbers(ancestors.logits), &ancestors.targets),
        n_questions: samples.len() * n_questions,
        n_positions: batch.n_positions,
    }
}

/// A random set, half the time grown along the statements as a search would grow it.
fn draw_set(sample: &Sample, largest_set: usize, random: &mut Random) -> Vec<usize> {
    let size = 1 + random.below(largest_set);
    let n_nodes = sample.ids.len();
    let mut set = vec![random.below(n_nodes)];
    let searched = random.below(2) == 0;
    for _ in 0..4 * size {
        if set.len() >= size.min(n_nodes) {
            break;
        }
        let node = if searched {
            let successors = sample.successors.of(set[random.below(set.len())]);
            if successors.is_empty() {
                continue;
            }
            successors[random.below(successors.len())]
        } else {
            random.below(n_nodes)
        };
        if !set.contains(&node) {
            set.push(node);
        }
    }
    set
}

/// Mean softmax mass on the tokens that the targets name.
fn covered(logits: &[f32], targets: &Rows) -> f64 {
    let mut sum = 0.0;
    for (index, row) in logits.chunks_exact(VOCABULARY_SIZE).enumerate() {
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        let mass = |wanted: bool| -> f32 {
            row.iter()
                .zip(targets.row(index))
                .filter(|(_, target)| !wanted || **target > 0.0)
                .map(|(logit, _)| (logit - largest).exp())
                .sum()
        };
        sum += f64::from(mass(true) / mass(false));
    }
    sum / targets.len() as f64
}
