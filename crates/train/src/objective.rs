//! What the three training objectives share: their settings, and what a step reports.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::llama::{GraphCache, Llama, QuestionCache, Residuals};
use crate::samples::{Ask, Sample};
use crate::targets::{Ageing, Rows, cross_entropy, statement_rows};

/// Which sequence a checkpoint learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `? R A B <think> R X₁ X₁ X₂ … </think> ### R T <eos>`.
    Cot,
    /// `? R A B <bot> · thought × k · <eot> ### R T <eos>`.
    Coconut,
}

/// How the parts of the loss are weighted. A question's answer token weighs 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// γ: what a node that was found one step earlier weighs, relative to a new one.
    pub gamma: f32,
    /// No member of a set weighs less than this, relative to a new one.
    pub floor: f32,
    /// Weight of the thoughts' reachable sets, averaged over the thoughts.
    #[serde(default)]
    pub reach: f32,
    /// Weight of the options' ancestors, averaged over the layers.
    pub ancestors: f32,
    /// The first layer (from 1) after which an option's position shall know its parents.
    pub ancestors_from_layer: usize,
    /// Weight of the marker tokens whose place is always the same.
    pub markers: f32,
}

impl LossConfig {
    /// The ageing of set members.
    pub fn ageing(&self) -> Ageing {
        Ageing {
            gamma: self.gamma,
            floor: self.floor,
        }
    }
}

/// A batch's loss, and what is logged of it.
pub struct Outcome {
    /// What is minimized, `[1]`.
    pub loss: Tensor<1>,
    /// The parts of the loss before they are weighted, for the log.
    pub parts: Vec<(&'static str, f32)>,
    /// The share of questions (or of sets, in the recall stage) that come out right.
    pub accuracy: f64,
    /// How many questions were asked.
    pub n_questions: usize,
    /// How many positions were computed.
    pub n_positions: usize,
}

/// A loss as a plain number.
pub fn number(loss: &Tensor<1>) -> f32 {
    loss.clone().inner().into_scalar()
}

/// A batch whose graphs have been read.
pub struct ReadBatch {
    /// The graphs' keys and values.
    pub graphs: GraphCache,
    /// Positions of each graph.
    pub lengths: Vec<usize>,
    /// Positions of all graphs, padding included.
    pub n_positions: usize,
}

/// Reads the statements of all graphs.
pub fn read_batch(model: &Llama, samples: &[Sample]) -> ReadBatch {
    let (rows, lengths) = statement_rows(samples);
    let n_positions = rows.len();
    let inputs = model.embed(rows.into_tensor(&model.device));
    ReadBatch {
        graphs: model.read_graphs(inputs, &lengths),
        lengths,
        n_positions,
    }
}

impl ReadBatch {
    /// Computes new positions of all questions from input vectors `[G·Q·n, d]`.
    pub fn extend(
        &mut self,
        model: &Llama,
        inputs: Tensor<2>,
        n_questions: usize,
        own: &mut QuestionCache,
    ) -> Residuals {
        self.n_positions += inputs.dims()[0];
        model.extend(inputs, &self.graphs, n_questions, own)
    }
}

/// Every question with its graph, in the order of the rows.
pub fn asks(samples: &[Sample]) -> impl Iterator<Item = (&Sample, &Ask)> {
    samples
        .iter()
        .flat_map(|sample| sample.asks.iter().map(move |ask| (sample, ask)))
}

/// Takes positions `start .. start + count` of every question's n: `[G·Q·n, d]` to
/// `[G·Q·count, d]`.
pub fn positions(states: Tensor<2>, n: usize, start: usize, count: usize) -> Tensor<2> {
    let [rows, d] = states.dims();
    states
        .reshape([rows / n, n, d])
        .narrow(1, start, count)
        .reshape([rows / n * count, d])
}

/// The loss of the options' ancestors, layer by layer.
///
/// After layer `ancestors_from_layer` the state at an option's position shall decode to the
/// option and its parents, after the next layer to its grandparents too, and so on: once the
/// statements know their subject, each layer can take one step backward. It is a search from the
/// goal, at positions that the question has anyway; the forward search only has to meet it.
pub fn ancestor_loss(
    model: &Llama,
    residuals: &Residuals,
    samples: &[Sample],
    n_new: usize,
    config: &LossConfig,
) -> Ancestors {
    let mut states = Vec::new();
    let mut targets = Rows::default();
    let first = config.ancestors_from_layer;
    for (index, residual) in residuals.by_layer.iter().enumerate().skip(first - 1) {
        let n_steps = index + 2 - first;
        states.push(positions(residual.clone(), n_new, 2, 2));
        for (sample, ask) in asks(samples) {
            for option in ask.options {
                let distances = sample.predecessors.distances(option);
                targets.push_weights(config.ageing().weights(sample, &distances, n_steps, 1.0));
            }
        }
    }
    let states = model.final_norm(Tensor::cat(states, 0));
    let (loss, logits) = cross_entropy(model, states, targets.clone());
    Ancestors {
        loss: loss.div_scalar(targets.len() as f32),
        logits,
        targets,
    }
}

/// How well the options' positions search backward.
pub struct Ancestors {
    /// Mean over questions, options and layers, `[1]`.
    pub loss: Tensor<1>,
    /// `[(L − 1)·G·Q·2, V]`.
    pub logits: Tensor<2>,
    /// The distributions that they shall follow.
    pub targets: Rows,
}

/// Logits `[N, V]` as plain numbers, row after row.
pub fn numbers(logits: Tensor<2>) -> Vec<f32> {
    logits
        .into_data()
        .try_into_vec()
        .expect("the model computes in f32")
}

/// The index of the largest number.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}
