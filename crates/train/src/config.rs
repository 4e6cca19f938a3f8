//! The TOML file that defines a training run.

use anyhow::ensure;
use latent_model::tasks::{Task, supervision::Extent};
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::ccot::CcotConfig;
use crate::end_classifier::EndClassifierConfig;
use crate::evaluation::Decoding;
use crate::example::LossConfig;
use crate::method::SequenceLayout;
use crate::optimizer::OptimizerConfig;
use crate::parameters::LlamaConfig;
use crate::stages::StagesConfig;

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
    /// What is learned.
    #[serde(default = "Task::first")]
    pub task: Task,
    /// How a text's questions are laid out, in turn: one layout for one method, several for a
    /// model that knows them all by their markers.
    #[serde(rename = "forms")]
    pub layouts: Vec<SequenceLayout>,
    /// Fixes the first weights and every batch.
    pub seed: u64,
    /// The weights that this run begins with: the state file of another run, or the folder of a
    /// model. Where this model has more layers, they begin as copies of the other's last layer.
    pub start_from: Option<String>,
    /// The task of that run, where it is another one: the words that both vocabularies have keep
    /// their embeddings. A model's folder says by itself which words it has.
    pub start_task: Option<Task>,
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
    /// How reasoning in words is taken away in the course of the run; without it there is none
    /// from the first step on (and `cot` keeps all of it).
    pub stages: Option<StagesConfig>,
    /// Adapters that are learned on the frozen weights of `start_from`, which the form `ccot` asks
    /// for.
    pub ccot: Option<CcotConfig>,
    /// The mode switch that is fitted at the end of the run, if there is one.
    pub end_classifier: Option<EndClassifierConfig>,
    /// From easy to hard; a run climbs by accuracy.
    pub curriculum: CurriculumConfig,
    /// How often is evaluated and on how much.
    pub evaluation: EvaluationConfig,
}

/// Sizes of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchConfig {
    /// Graphs (or problems) a step.
    pub graphs: usize,
    /// Questions a graph about its two main roots, or an ontology about its entity; a story has
    /// one question, for each form once.
    pub main_questions: usize,
    /// Questions a graph or an ontology about other nodes.
    #[serde(default)]
    pub extra_questions: usize,
}

/// The warm-up on set recall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecallConfig {
    /// Whether the search is backward, from the options, instead of forward from sets of nodes.
    #[serde(default)]
    pub backward: bool,
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
    /// The share of batches with any number of thoughts from 1 to `most_thoughts` instead of the
    /// level's, so that another number at test time is not off what the model knows.
    #[serde(default)]
    pub vary_thoughts: f64,
    /// See `vary_thoughts`.
    #[serde(default)]
    pub most_thoughts: usize,
    /// From easy to hard.
    pub levels: Vec<Level>,
}

/// How hard the problems of one stretch of the curriculum are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Fewest and most nodes offered to the generator, where it draws a graph first.
    #[serde(default)]
    pub nodes: [usize; 2],
    /// Fewest and most steps from question to answer.
    pub hops: [usize; 2],
    /// Whether there are dead ends beside the way, where the task has some.
    #[serde(default)]
    pub dead_ends: bool,
    /// Continuous thoughts or concept tokens a question, where no stages say how many.
    #[serde(default)]
    pub thoughts: usize,
}

impl Level {
    /// How large the texts are.
    pub fn extent(&self) -> Extent {
        Extent {
            nodes: self.nodes,
            hops: self.hops,
            dead_ends: self.dead_ends,
        }
    }
}

/// How often is evaluated and on how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Steps between evaluations.
    pub every: u64,
    /// Generated problems of each size.
    pub problems: usize,
    /// How the problems are decoded.
    pub decodings: Vec<Decoding>,
    /// The official file, relative to the workspace: never trained on, and evaluated on where it
    /// is there and the vocabulary has its words.
    pub official: Option<String>,
}

impl RunConfig {
    /// The config that a table holds.
    ///
    /// # Errors
    /// If a key is missing or unknown, or the values make no sense; the message says which.
    pub fn from_table(table: Table) -> anyhow::Result<RunConfig> {
        let config: RunConfig = table.try_into()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.schedule.len() >= 2 && self.schedule.is_sorted_by(|a, b| a.0 < b.0),
            "schedule must hold at least two points in order of their step, found {:?}",
            self.schedule
        );
        ensure!(
            self.schedule
                .iter()
                .all(|(_, rate)| (*rate as f32).is_finite()),
            "schedule's rates must be finite numbers of f32, found {:?}",
            self.schedule
        );
        ensure!(
            !self.curriculum.levels.is_empty(),
            "curriculum.levels must hold at least one level"
        );
        ensure!(
            !self.layouts.is_empty(),
            "forms must name at least one form"
        );
        self.check_ccot()?;
        let needs_slots = self.layouts.iter().any(|layout| layout.latent().is_some());
        for level in &self.curriculum.levels {
            ensure!(
                !needs_slots || self.stages.is_some() || level.thoughts > 0,
                "a level of a latent form needs thoughts of at least 1, found 0 in {level:?}"
            );
            ensure!(
                level.nodes[0] <= level.nodes[1] && level.hops[0] <= level.hops[1],
                "a level's ranges must be [fewest, most], found {level:?}"
            );
        }
        if let Some(stages) = &self.stages {
            ensure!(stages.steps > 0, "stages.steps must be at least 1, found 0");
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
        let n_layouts = self.layouts.len();
        ensure!(
            self.task.can_teach().several_questions
                || (self.batch.main_questions == n_layouts && self.batch.extra_questions == 0),
            "{} has one question a problem, for each form once: batch.main_questions must be \
             {n_layouts} and extra_questions 0, found {} and {}",
            self.task.name(),
            self.batch.main_questions,
            self.batch.extra_questions
        );
        ensure!(
            self.task.can_teach().statement_graphs || self.recall.is_none(),
            "recall is about graphs of statements, but the task is {}",
            self.task.name()
        );
        ensure!(
            self.task.can_teach().backward_search || self.loss.ancestors == 0.0,
            "loss.ancestors is about a search backward, but the task is {}",
            self.task.name()
        );
        Ok(())
    }

    fn check_ccot(&self) -> anyhow::Result<()> {
        let asks = self.layouts.contains(&SequenceLayout::Ccot);
        let Some(ccot) = &self.ccot else {
            ensure!(!asks, "the form ccot needs a table [ccot]");
            return Ok(());
        };
        ensure!(
            self.layouts == [SequenceLayout::Ccot] && self.batch.extra_questions == 0,
            "with [ccot], forms must be [\"ccot\"] and batch.extra_questions 0, found {:?} and {}",
            self.layouts,
            self.batch.extra_questions
        );
        ensure!(
            self.batch.main_questions == 1,
            "with [ccot], batch.main_questions must be 1, found {}",
            self.batch.main_questions
        );
        ensure!(
            self.start_from.is_some() && self.recall.is_none() && self.stages.is_none(),
            "[ccot] adapts the weights of start_from, without [recall] and [stages]"
        );
        ccot.check(self.model.n_layers)
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
