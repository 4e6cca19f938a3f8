//! The warm-ups: recall of the statements alone, many times a graph, before any question.
//!
//! Forward ([`SuccessorSets`]) it is what one continuous thought has to do, backward
//! ([`AncestorQuestions`]) what each layer has to do at an option's position.

use latent_model::tasks::Markers;
use latent_model::tasks::supervision::{GraphQuestion, StatementGraph};

use crate::lesson::{Distribution, Lesson, LossConfig, Passage};
use crate::llama::{Llama, QuestionCache};
use crate::objective::{BatchLoss, Ungraded, ancestor_loss, read_contexts};
use crate::random::Random;
use crate::tensor_ops::one_hot;
use crate::token_loss::cross_entropy;

/// Sets of nodes, each of which shall decode to itself with its successors.
pub struct SuccessorSets {
    /// The graphs' statements.
    contexts: Vec<Vec<u32>>,
    /// Sets of the first graph, of the second, and so on; the same number for each.
    sets: Vec<Distribution>,
    /// What each shall decode to.
    targets: Vec<Distribution>,
}

impl SuccessorSets {
    /// Draws `n_sets` sets a graph of 1 to `largest_set` nodes each.
    pub fn draw(
        graphs: &[StatementGraph],
        n_sets: usize,
        largest_set: usize,
        random: &mut Random,
    ) -> SuccessorSets {
        let (mut sets, mut targets) = (Vec::new(), Vec::new());
        for graph in graphs {
            for _ in 0..n_sets {
                let set = draw_set(graph, largest_set, random);
                let mut union = set.clone();
                for &node in &set {
                    union.extend(graph.successors.of(node));
                }
                union.sort_unstable();
                union.dedup();
                let weight = 1.0 / union.len() as f32;
                let weighed = |nodes: Vec<usize>, weight: f32| {
                    let ids = nodes.into_iter().map(|node| graph.ids[node]);
                    ids.map(|id| (id, weight)).collect()
                };
                sets.push(weighed(set, 1.0));
                targets.push(weighed(union, weight));
            }
        }
        let contexts = graphs.iter().map(|s| s.statement_tokens().collect());
        SuccessorSets {
            contexts: contexts.collect(),
            sets,
            targets,
        }
    }

    /// The loss of the batch. A set is fed as one vector; every position sees its graph and itself
    /// only.
    ///
    /// The accuracy is the softmax mass that lies on the target set, averaged over the sets.
    pub fn loss(&self, model: &Llama, markers: &Markers) -> BatchLoss {
        let contexts = self.contexts.iter().map(Vec::as_slice);
        let mut batch = read_contexts(model, contexts, markers.pad);
        let vectors = model.final_norm(model.embed_rows(&self.sets));
        let n_sets = self.sets.len() / self.contexts.len();
        let residuals = batch.extend(model, vectors, n_sets, &mut QuestionCache::default());
        let states = model.final_norm(residuals.last);
        let (loss, logits) = cross_entropy(model, states, &self.targets);
        let targets = self.targets.clone();
        BatchLoss {
            loss: loss.div_scalar(self.sets.len() as f32),
            parts: Vec::new(),
            ungraded: vec![Ungraded {
                logits: logits.inner(),
                accuracy: Box::new(move |logits| covered(logits, &targets)),
                weight: 1.0,
            }],
            n_questions: self.sets.len(),
            n_positions: batch.n_positions,
        }
    }
}

/// Questions `? R A B` about any three nodes, of which only the ancestors of A and B are asked for,
/// layer by layer.
pub struct AncestorQuestions {
    passages: Vec<Passage>,
}

impl AncestorQuestions {
    /// Draws `n_questions` a graph.
    pub fn draw(
        mut graphs: Vec<StatementGraph>,
        n_questions: usize,
        config: &LossConfig,
        random: &mut Random,
    ) -> AncestorQuestions {
        for graph in &mut graphs {
            let mut node = || random.below(graph.ids.len());
            // Nothing is answered, so the target may be anything; the root has the shortest chain.
            let mut ask = || {
                let root = node();
                GraphQuestion {
                    root,
                    options: [node(), node()],
                    target: root,
                }
            };
            graph.questions = (0..n_questions).map(|_| ask()).collect();
        }
        let passages = graphs
            .iter()
            .map(|graph| Passage::new(&graph.supervised(random), config));
        AncestorQuestions {
            passages: passages.collect(),
        }
    }

    /// The loss of the batch.
    ///
    /// The accuracy is the softmax mass that lies on the ancestors, averaged over options and
    /// layers.
    pub fn loss(&self, model: &Llama, config: &LossConfig, markers: &Markers) -> BatchLoss {
        let passages = &self.passages;
        let lessons: Vec<&Lesson> = passages.iter().flat_map(|p| &p.lessons).collect();
        let questions = lessons.iter().flat_map(|lesson| &lesson.question);
        let inputs: Vec<Distribution> = questions.map(|&id| one_hot(id)).collect();
        let contexts = passages.iter().map(|p| p.context.as_slice());
        let mut batch = read_contexts(model, contexts, markers.pad);
        let vectors = model.embed_rows(&inputs);
        let n_questions = lessons.len() / passages.len();
        let residuals = batch.extend(model, vectors, n_questions, &mut QuestionCache::default());
        let n_new = lessons[0].question.len();
        let ancestors = ancestor_loss(model, &residuals.by_layer, &lessons, n_new, config);
        let targets = ancestors.targets;
        BatchLoss {
            loss: ancestors.loss,
            parts: Vec::new(),
            ungraded: vec![Ungraded {
                logits: ancestors.logits.inner(),
                accuracy: Box::new(move |logits| covered(logits, &targets)),
                weight: 1.0,
            }],
            n_questions: lessons.len(),
            n_positions: batch.n_positions,
        }
    }
}

/// A random set, half the time grown along the statements as a search would grow it.
fn draw_set(graph: &StatementGraph, largest_set: usize, random: &mut Random) -> Vec<usize> {
    let size = 1 + random.below(largest_set);
    let n_nodes = graph.ids.len();
    let mut set = vec![random.below(n_nodes)];
    let searched = random.below(2) == 0;
    for _ in 0..4 * size {
        if set.len() >= size.min(n_nodes) {
            break;
        }
        let node = if searched {
            let successors = graph.successors.of(set[random.below(set.len())]);
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
fn covered(logits: &[f32], targets: &[Distribution]) -> f64 {
    let n_tokens = logits.len() / targets.len();
    let mut sum = 0.0;
    for (row, target) in logits.chunks_exact(n_tokens).zip(targets) {
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        let mut wanted = vec![false; n_tokens];
        for (id, weight) in target {
            wanted[*id as usize] |= *weight > 0.0;
        }
        let (mut on_targets, mut all) = (0.0, 0.0);
        for (logit, wanted) in row.iter().zip(wanted) {
            let mass = (logit - largest).exp();
            all += mass;
            on_targets += if wanted { mass } else { 0.0 };
        }
        sum += f64::from(on_targets / all);
    }
    sum / targets.len() as f64
}
