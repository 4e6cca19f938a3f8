//! The curriculum in stages: how reasoning in words is taken away in the course of a run.

use serde::{Deserialize, Serialize};

use crate::method::Stage;
use crate::random::Random;

/// The curriculum of the Coconut paper (section 3) or of iCoT (section 3): stage s takes away the
/// first s steps or tokens of the chain, and the stage after the last one all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagesConfig {
    /// What one stage takes away.
    pub unit: Unit,
    /// The stage of the run's first steps.
    pub first: usize,
    /// The last stage that leaves some words; Coconut's `max_latent_stage`.
    pub last: usize,
    /// Training steps a stage.
    pub steps: u64,
    /// c: thoughts or pauses in the place of each step that is taken away.
    #[serde(default)]
    pub slots_per_step: usize,
    /// The share of batches at a stage drawn from all stages so far (the paper's analysis: 0.3).
    #[serde(default)]
    pub uniform: f64,
    /// λ of iCoT's random offset, P(o) = (1 − e^−λ)·e^(−λo) tokens more; without it there is none.
    pub offset_rate: Option<f64>,
    /// Whether the optimizer's running means start afresh at each stage, as in both papers' code.
    pub reset_optimizer: bool,
}

/// What one stage of the curriculum takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A step of the chain (Coconut).
    Step,
    /// A token of the chain (iCoT).
    Token,
}

impl StagesConfig {
    /// The stage of a training step.
    pub fn at(&self, step: u64) -> usize {
        let stage = self.first + usize::try_from(step / self.steps).unwrap_or(usize::MAX);
        stage.min(self.last + 1)
    }

    /// The stage of one batch, with what is drawn for it.
    pub fn draw(&self, step: u64, random: &mut Random) -> Stage {
        let current = self.at(step);
        let is_drawn = random.uniform() < self.uniform;
        let number = if is_drawn {
            random.below(current + 1)
        } else {
            current
        };
        if number > self.last {
            return Stage::wordless(self.last * self.slots_per_step);
        }
        let offset = self.offset_rate.map_or(0, |rate| {
            // The geometric distribution of P(o), by inversion.
            (-(1.0 - random.uniform()).ln() / rate) as usize
        });
        match self.unit {
            Unit::Step => Stage {
                steps: number,
                tokens: offset,
                slots: number * self.slots_per_step,
            },
            Unit::Token => Stage {
                steps: 0,
                tokens: number + offset,
                slots: 0,
            },
        }
    }
}
