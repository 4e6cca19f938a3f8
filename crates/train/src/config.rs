//! The TOML file that defines a training run.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::llama::LlamaConfig;
use crate::objective::{LossConfig, Method};
use crate::optimizer::OptimizerConfig;
use crate::samples::Level;

/// Everything that a run depends on, beside the program itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The run's folder under `runs/`, and the model's under `public/models/`.
    pub name: String,
    /// One line for people, shown where models are listed.
    pub title: String,
    /// What the model can do and how it learned it, in a sentence or two.
    pub summary: String,
    /// What the model learns.
    pub method: Method,
    /// Fixes the first weights and every batch.
    pub seed: u64,
    /// The state file of another run whose weights this run begins with. Where this model has
    /// more layers, they begin as copies of the other's last layer.
    pub start_from: Option<String>,
    /// Sizes of the model.
    pub model: LlamaConfig,
    /// Sizes of a batch.
    pub batch: BatchConfig,
    /// Weights of the parts of the loss.
    pub loss: LossConfig,
    /// Optimizer.
    pub optimizer: OptimizerConfig,
    /// Learning rate at points in time, `[step, rate]`, straight lines between them; the run
    /// ends at the last point.
    pub schedule: Vec<(u64, f64)>,
    /// The warm-up on set recall, if there is one.
    pub recall: Option<RecallConfig>,
    /// From easy to hard; a run climbs by accuracy.
    pub curriculum: CurriculumConfig,
    /// How often is evaluated and on how much.
    pub evaluation: EvaluationConfig,
}

/// Sizes of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchConfig {
    /// Graphs a step.
    pub graphs: usize,
    /// Questions a graph about the two main roots.
    pub main_questions: usize,
    /// Questions a graph about other nodes.
    pub extra_questions: usize,
}

/// The warm-up on set recall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecallConfig {
    /// Sets a graph.
    pub sets: usize,
    /// Sets grow to this many nodes.
    pub largest_set: usize,
    /// Stage after stage as this share of the target is covered.
    pub threshold: f64,
    /// Smallest and largest graph of the first and of all later stages.
    pub nodes: [[usize; 2]; 2],
}

/// How the run climbs from level to level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurriculumConfig {
    /// Accuracy from which on the next level begins.
    pub threshold: f64,
    /// Steps over which the accuracy is averaged, roughly.
    pub window: f64,
    /// The share of batches that come from a lower level.
    pub review: f64,
    /// From easy to hard.
    pub levels: Vec<Level>,
}

/// How often is evaluated and on how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Steps between evaluations.
    pub every: u64,
    /// Generated problems of each size.
    pub problems: usize,
    /// Continuous thoughts (`coconut` only).
    #[serde(default)]
    pub thoughts: usize,
    /// The official file, relative to the workspace; evaluated when it is there.
    pub official: String,
}

impl RunConfig {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, misses a key, has an unknown one, or makes no
    /// sense; the message says which.
    pub fn load(path: &Path) -> anyhow::Result<RunConfig> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the training config {}", path.display()))?;
        let config: RunConfig = toml::from_str(&text)
            .with_context(|| format!("{} is not a training config", path.display()))?;
        config
            .check()
            .with_context(|| format!("{} makes no sense", path.display()))?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.schedule.len() >= 2 && self.schedule.is_sorted_by(|a, b| a.0 < b.0),
            "schedule must hold at least two points in order of their step, found {:?}",
            self.schedule
        );
        ensure!(
            !self.curriculum.levels.is_empty(),
            "curriculum.levels must hold at least one level"
        );
        for level in &self.curriculum.levels {
            ensure!(
                self.method != Method::Coconut || level.thoughts > 0,
                "a coconut level needs thoughts of at least 1, found 0 in {level:?}"
            );
            ensure!(
                level.nodes[0] <= level.nodes[1] && level.hops[0] <= level.hops[1],
                "a level's ranges must be [fewest, most], found {level:?}"
            );
        }
        ensure!(
            (1..=self.model.n_layers).contains(&self.loss.ancestors_from_layer),
            "loss.ancestors_from_layer must be one of the layers 1 to {}, found {}",
            self.model.n_layers,
            self.loss.ancestors_from_layer
        );
        ensure!(
            self.batch.main_questions > 0,
            "batch.main_questions must be at least 1"
        );
        Ok(())
    }

    /// The step at which the run ends.
    pub fn last_step(&self) -> u64 {
        self.schedule.last().map_or(0, |point| point.0)
    }

    /// The learning rate of one step.
    pub fn learning_rate(&self, step: u64) -> f64 {
        let after = self.schedule.partition_point(|point| point.0 <= step);
        match (
            self.schedule.get(after.wrapping_sub(1)),
            self.schedule.get(after),
        ) {
            (Some(&(from, low)), Some(&(to, high))) => {
                low + (high - low) * (step - from) as f64 / (to - from) as f64
            }
            (Some(&(_, rate)), None) | (None, Some(&(_, rate))) => rate,
            (None, None) => 0.0,
        }
    }
}
