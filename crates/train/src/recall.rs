//! The warm-ups: recall of the statements alone, many times a graph, before any question.
//!
//! Forward ([`successors_loss`]) it is what one continuous thought has to do, backward
//! ([`ancestors_loss`]) what each layer has to do at an option's position.

use crate::lesson::{Lesson, Passage};
use crate::llama::{Llama, QuestionCache};
use crate::objective::{LossConfig, Outcome, ancestor_loss, numbers, read_contexts};
use crate::random::Random;
use crate::targets::{Rows, cross_entropy};
use latent_model::tasks::{
    Markers,
    supervision::{GraphQuestion, StatementGraph},
};

/// The loss of a batch with `n_sets` sets a graph of 1 to `largest_set` nodes each.
///
/// A set is fed as one vector, and shall decode to itself with its successors. Every position
/// sees its graph and itself only.
///
/// The accuracy is the softmax mass that lies on the target set, averaged over the sets.
pub fn successors_loss(
    model: &Llama,
    samples: &[StatementGraph],
    n_sets: usize,
    largest_set: usize,
    markers: &Markers,
    random: &mut Random,
) -> Outcome {
    let mut inputs = Rows::new(model.n_tokens());
    let mut targets = Rows::new(model.n_tokens());
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
    let contexts: Vec<Vec<u32>> = samples
        .iter()
        .map(|s| s.statement_tokens().collect())
        .collect();
    let mut batch = read_contexts(model, contexts.iter().map(Vec::as_slice), markers.pad);
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
    mut samples: Vec<StatementGraph>,
    n_questions: usize,
    config: &LossConfig,
    markers: &Markers,
    random: &mut Random,
) -> Outcome {
    for sample in &mut samples {
        let mut node = || random.below(sample.ids.len());
        // Nothing is answered, so the target may be anything; the root has the shortest chain.
        let mut ask = || {
            let root = node();
            GraphQuestion {
                root,
                options: [node(), node()],
                target: root,
            }
        };
        sample.questions = (0..n_questions).map(|_| ask()).collect();
    }
    let passages: Vec<Passage> = samples
        .iter()
        .map(|sample| Passage::new(&sample.supervised(random), config))
        .collect();
    let lessons: Vec<&Lesson> = passages.iter().flat_map(|p| &p.lessons).collect();
    let mut inputs = Rows::new(model.n_tokens());
    for lesson in &lessons {
        let question = lesson.question.iter();
        question.for_each(|&id| inputs.push_token(id, 1.0));
    }
    let contexts = passages.iter().map(|p| p.context.as_slice());
    let mut batch = read_contexts(model, contexts, markers.pad);
    let vectors = model.embed(inputs.into_tensor(&model.device));
    let residuals = batch.extend(model, vectors, n_questions, &mut QuestionCache::default());
    let ancestors = ancestor_loss(
        model,
        &residuals.by_layer,
        &lessons,
        lessons[0].question.len(),
        config,
    );
    Outcome {
        parts: Vec::new(),
        loss: ancestors.loss,
        accuracy: covered(&numbers(ancestors.logits), &ancestors.targets),
        n_questions: samples.len() * n_questions,
        n_positions: batch.n_positions,
    }
}

/// A random set, half the time grown along the statements as a search would grow it.
fn draw_set(sample: &StatementGraph, largest_set: usize, random: &mut Random) -> Vec<usize> {
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
    for (index, row) in logits.chunks_exact(targets.n_tokens()).enumerate() {
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
