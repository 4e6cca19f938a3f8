//! How far a run is in its warm-up, its curriculum and its schedule, and what was measured.

use latent_model::training_record::{Accuracy, CurvePoint, Evaluation};
use serde::{Deserialize, Serialize};

use crate::config::{RecallConfig, RunConfig};

/// How far a run is: what a step needs to know of those before it, beside the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps taken.
    pub step: u64,
    /// Stages of the recall warm-up that are behind the run.
    pub recall_stage: usize,
    /// Level of the curriculum.
    pub level: usize,
    /// Running accuracy at this level or stage.
    pub accuracy: f64,
    /// Steps that the running accuracy has seen.
    pub accuracy_steps: f64,
    /// Running loss.
    pub loss: f64,
    /// Questions answered in training, recall sets not counted.
    pub n_questions: u64,
}

/// What was measured on the way; no step depends on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Seconds of CPU time of the training thread.
    pub cpu_seconds: f64,
    /// A point every so many steps.
    pub curve: Vec<CurvePoint>,
    /// Every evaluation so far.
    pub evaluations: Vec<Evaluation>,
}

/// Both together, as they stand in a saved state and in `training.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// How far the run is.
    #[serde(flatten)]
    pub progress: Progress,
    /// What was measured on the way.
    #[serde(flatten)]
    pub history: History,
}

impl Progress {
    /// The warm-up's settings while it lasts.
    pub fn recall<'a>(&self, config: &'a RunConfig) -> Option<&'a RecallConfig> {
        let recall = config.recall.as_ref()?;
        (self.recall_stage <= recall.largest_set).then_some(recall)
    }

    /// The name of the stage that the run is in.
    pub fn stage(&self, config: &RunConfig) -> String {
        if let Some(ccot) = &config.ccot {
            return ccot.stage(self.step).name().to_string();
        }
        match (self.recall(config), &config.stages) {
            (Some(_), _) => format!("recall {}", self.recall_stage),
            (None, Some(stages)) => format!("stage {}", stages.at(self.step)),
            (None, None) => format!("level {}", self.level),
        }
    }

    /// Folds one step's accuracy and loss into the running means, and goes on to the next stage or
    /// level when the running accuracy allows it.
    pub fn observe(&mut self, accuracy: f64, loss: f64, config: &RunConfig) {
        let window = config.curriculum.window;
        self.accuracy_steps = (self.accuracy_steps + 1.0).min(window);
        self.accuracy += (accuracy - self.accuracy) / self.accuracy_steps;
        let rate = if self.loss == 0.0 { 1.0 } else { 1.0 / window };
        self.loss += (loss - self.loss) * rate;

        let settled = self.accuracy_steps >= window * 0.9;
        let has_reached = |threshold: f64| settled && self.accuracy >= threshold;
        if let Some(recall) = self.recall(config) {
            if has_reached(recall.threshold) {
                self.recall_stage += 1;
                self.forget_accuracy();
            }
        } else {
            let is_last = self.level + 1 == config.curriculum.levels.len();
            if has_reached(config.curriculum.threshold) && !is_last {
                self.level += 1;
                self.forget_accuracy();
            }
        }
    }

    /// Starts the running accuracy afresh, for a new level.
    fn forget_accuracy(&mut self) {
        self.accuracy = 0.0;
        self.accuracy_steps = 0.0;
    }
}

impl History {
    /// The newest accuracy on the last set of problems that is evaluated on.
    pub fn held_out(&self) -> Option<&Accuracy> {
        self.evaluations.last()?.accuracies.last()
    }
}
