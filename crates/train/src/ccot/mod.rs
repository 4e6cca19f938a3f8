//! CCOT, compressed chain of thought (Cheng & Van Durme, arXiv 2412.13171): what is learned on a
//! frozen model, and in which order.
//!
//! The model θ reads the query. The generator θ + φ makes **contemplation tokens** ẑ₁ … ẑ_k, each
//! from the state after layer ℓ of the one before (the first from that of the query's last token).
//! The decoder θ + ψ then answers. Every position keeps the keys and values of its own weights.
//!
//! 1. *Generator*: φ shall make the states of the k tokens that are kept of the chain of thought,
//!    as θ has them (algorithm 1), given the kept states before, or its own.
//! 2. *Joint*: ψ learns the answer from contemplation tokens that φ made by itself (algorithm 2),
//!    and a linear classifier, END, when they are over. The answer's gradient reaches φ in the
//!    layers above ℓ, as in the paper; END's goes the same way.

mod export;
mod objective;
mod reading;
mod scorer;
mod weights;

pub use export::contemplation_files;
pub use objective::Ccot;
pub use reading::{Lesson, Pool, Reading};
pub use scorer::{Scorer, ScorerConfig};
pub use weights::{CcotWeights, Part};

use anyhow::ensure;
use serde::{Deserialize, Serialize};

/// What differs from run to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CcotConfig {
    /// r: contemplation tokens for each token of the chain of thought, rounded up.
    pub ratio: f64,
    /// ℓ, counted from 0: the layer after which is read what is fed next.
    pub layer: usize,
    /// Which tokens of the chain are kept.
    pub keep: Keep,
    /// Where a scorer says it, how that is fitted.
    #[serde(default)]
    pub scorer: Option<ScorerConfig>,
    /// How often a problem is learned from: a step reads `batch.graphs` new ones, and its batch is
    /// this many times as large.
    pub reuse: usize,
    /// φ.
    pub generator: LoraConfig,
    /// ψ.
    pub decoder: LoraConfig,
    /// How a state becomes an input.
    pub input: Input,
    /// What a squared difference of states is divided by.
    pub variance: Variance,
    /// The first layer, counted from 0, whose states φ is asked for.
    pub first_layer: usize,
    /// After which layers the gradient of the states' loss stops.
    pub stop_gradient: StopGradient,
    /// The step from which on φ is trained on its own inputs instead of the kept states.
    #[serde(default)]
    pub own_inputs_from: Option<u64>,
    /// The first step of the joint stage.
    pub joint_from: u64,
    /// What of φ learns from the answer.
    pub answer_gradient: AnswerGradient,
    /// How many contemplation tokens the decoder sees in training.
    pub lengths: Lengths,
    /// The weight of END's loss beside the answer's.
    pub end: f32,
}

/// Sizes of an adapter (LoRA, arXiv 2106.09685): W + (alpha / rank) · B·A.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// Times the rank, what B·A is scaled by.
    pub alpha: f64,
}

impl LoraConfig {
    /// alpha / rank.
    pub fn scale(self) -> f64 {
        self.alpha / self.rank as f64
    }
}

/// Which k of the chain's m tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Evenly spaced ones.
    Even,
    /// Those that the task ranks first.
    Ranked,
    /// Those that a [`Scorer`] gives the highest scores, as in the paper.
    Scored,
}

/// How a state z becomes an input x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// x = z, as in the paper.
    Raw,
    /// x = s·z / rms(z), with s the root mean square of the embedding table.
    Scaled,
    /// x = M·(s·z / rms(z)) + b, with M and b learned from the identity on.
    Mapped,
}

/// What a squared difference of states is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variance {
    /// The variance of the numbers of the kept state, as in the paper.
    Vector,
    /// For each dimension, the variance over the kept states of the batch.
    Data,
}

/// After which layers the gradient of the states' loss stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopGradient {
    /// After each, so that a layer learns from its own states alone, as in the paper.
    EveryLayer,
    /// After layer ℓ.
    Tap,
}

/// What of φ learns from the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerGradient {
    /// Nothing.
    None,
    /// The layers above ℓ.
    AboveTap,
    /// All layers and the input map, through the whole chain of contemplation tokens.
    All,
}

/// How many contemplation tokens the decoder sees of a problem in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lengths {
    /// k.
    Given,
    /// k, one fewer or one more.
    Varied,
    /// As many as END leaves of k + 1.
    Own,
}

/// A stretch of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// φ learns the kept states.
    Generator {
        /// From its own inputs.
        own_inputs: bool,
    },
    /// ψ and END learn, and φ where it may.
    Joint,
}

impl Stage {
    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Generator { own_inputs: false } => "generator",
            Stage::Generator { own_inputs: true } => "generator, own inputs",
            Stage::Joint => "joint",
        }
    }
}

impl CcotConfig {
    /// The stage of a step.
    pub fn stage(&self, step: u64) -> Stage {
        if step >= self.joint_from {
            return Stage::Joint;
        }
        let own_inputs = self.own_inputs_from.is_some_and(|from| step >= from);
        Stage::Generator { own_inputs }
    }

    /// Whether a part is learned at a stage; what is not stays as it is.
    pub fn learns(&self, part: Part, stage: Stage) -> bool {
        let gradient = self.answer_gradient;
        match (stage, part) {
            (Stage::Generator { .. }, Part::Generator { .. }) => true,
            (Stage::Joint, Part::Generator { layer }) => match gradient {
                AnswerGradient::None => false,
                AnswerGradient::AboveTap => layer > self.layer,
                AnswerGradient::All => true,
            },
            (stage, Part::InputMap) => {
                let is_open = stage != Stage::Joint || gradient == AnswerGradient::All;
                self.input == Input::Mapped && is_open
            }
            (stage, Part::Decoder | Part::End) => stage == Stage::Joint,
        }
    }

    /// Checks that a model of `n_layers` layers can be trained like this.
    ///
    /// # Errors
    /// If a number is outside of its range; the message names it.
    pub fn check(&self, n_layers: usize) -> anyhow::Result<()> {
        ensure!(
            (0.0..=1.0).contains(&self.ratio),
            "ccot.ratio must be in 0 ..= 1, found {}",
            self.ratio
        );
        ensure!(
            self.ratio > 0.0 || self.joint_from == 0,
            "without contemplation tokens (ccot.ratio 0) there is no generator to train: \
             ccot.joint_from must be 0, found {}",
            self.joint_from
        );
        ensure!(
            (self.keep == Keep::Scored) == self.scorer.is_some(),
            "ccot.scorer belongs to ccot.keep = \"scored\": both or neither"
        );
        if let Some(scorer) = &self.scorer {
            scorer.check(n_layers)?;
        }
        ensure!(self.reuse > 0, "ccot.reuse must be at least 1, found 0");
        for (name, layer) in [("layer", self.layer), ("first_layer", self.first_layer)] {
            ensure!(
                layer < n_layers,
                "ccot.{name} counts from 0 and must be below n_layers of {n_layers}, found {layer}"
            );
        }
        for (name, lora) in [("generator", self.generator), ("decoder", self.decoder)] {
            ensure!(
                lora.rank > 0 && lora.scale().is_finite(),
                "ccot.{name} must have a rank of at least 1 and a finite alpha, found {lora:?}"
            );
        }
        Ok(())
    }
}

/// What the tests of CCOT read: a small frozen model, and problems with short chains.
#[cfg(test)]
mod fixtures {
    use std::ops::Range;

    use burn::tensor::Device;
    use latent_model::program::Sampler;
    use latent_model::tasks::prosqa;

    use crate::example::{Context, LossConfig};
    use crate::llama::Llama;
    use crate::objective::Objective;
    use crate::parameters::{LlamaConfig, Parameters};
    use crate::random::Random;

    /// No loss but that of words.
    pub const LOSS: LossConfig = LossConfig {
        gamma: 0.0,
        floor: 0.0,
        latent_targets: 0.0,
        ancestors: 0.0,
        ancestors_from_layer: 2,
        markers: 0.1,
    };

    /// With [`LOSS`] and the markers of ProsQA.
    pub fn objective() -> Objective<'static> {
        Objective {
            config: &LOSS,
            markers: &prosqa::MARKER,
            sampler: Sampler::GREEDY,
        }
    }

    /// A model with random weights that reads ProsQA's vocabulary.
    pub fn theta(sizes: &LlamaConfig) -> Llama<'_> {
        let device = Device::flex();
        Llama {
            config: sizes,
            parameters: Parameters::init(sizes, prosqa::VOCABULARY_SIZE, 1, &device),
            device,
        }
    }

    /// A problem of each seed, with one question.
    pub fn contexts(seeds: Range<u64>) -> Vec<Context> {
        let difficulty = prosqa::Difficulty {
            nodes: 8..=12,
            hops: 1..=4,
        };
        let mut random = Random::new(7);
        let context = |seed| {
            let graph = prosqa::Problem::generate(seed, &difficulty).statement_graph();
            Context::new(&graph.supervised(&mut random), &LOSS)
        };
        seeds.map(context).collect()
    }
}
