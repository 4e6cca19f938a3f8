//! What was measured on the checkpoints that ship, as the files of `public/evidence` hold it:
//! `latent table` writes them, the page shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    evaluation::Evaluation,
    metrics::{Branches, Proportion},
};

/// A suite's `table.json`. It holds no date and no duration, so that the same command gives the same file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The suite's title.
    pub title: String,
    /// What the figures beside ours are, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub introduction: String,
    /// How it was made.
    #[serde(flatten)]
    pub origin: Origin,
    /// What a reader has to know of a task's rows, by the task's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
    /// Each method on each task.
    pub rows: Vec<RowOfTable>,
    /// What the paper's figures say, and whether ours do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// How measurements were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The command.
    pub command: String,
    /// Program and version.
    pub version: String,
    /// Where it was computed.
    pub engine: String,
    /// Seed of the first generated problem, and of noise.
    pub seed: u32,
    /// The problems.
    pub sets: Vec<SetOfTable>,
}

/// Problems that were measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetOfTable {
    /// The task.
    pub task: String,
    /// `official` or `class`.
    pub name: String,
    /// A file's name, or how they were generated.
    pub source: String,
    /// How many.
    pub n: usize,
    /// SHA-256 of all questions and answers.
    pub sha256: String,
}

/// One method on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowOfTable {
    /// The method's name for people.
    pub method: String,
    /// The task.
    pub task: String,
    /// Name of the checkpoint.
    pub model: String,
    /// The folder of CCOT's adapters in it, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<String>,
    /// The strategy.
    pub strategy: String,
    /// Its settings.
    pub set: Vec<String>,
    /// The paper's figure.
    pub paper: Option<Published>,
    /// Ours.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Outcome<R = Measured> {
    /// The checkpoint ships and was measured.
    Measured {
        /// SHA-256 of `model.safetensors` (of all shards in order, where there are several), and of
        /// the files of adapters after it.
        weights_sha256: String,
        /// One for each set of problems.
        results: Vec<R>,
    },
    /// There is no such checkpoint.
    NotTrained,
    /// `--only` did not name it.
    LeftOut,
}

/// Accuracy and cost on one set of problems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Name of the set.
    pub problems: String,
    /// Share of right answers.
    #[serde(flatten)]
    pub accuracy: Proportion,
    /// Share of answers that were none.
    pub malformed: f64,
    /// Mean thinking steps.
    pub think_steps: f64,
    /// Mean answer tokens.
    pub answer_tokens: f64,
    /// Both together.
    pub tokens: f64,
}

/// Accuracy and cost on one set of problems, and how sure the thinking was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredThinking {
    /// Accuracy and cost.
    #[serde(flatten)]
    pub measured: Measured,
    /// Nats, over thinking steps whose distribution was computed.
    pub mean_entropy: Option<f64>,
    /// The steps in words at which a problem offers more than one way on.
    pub branches: Option<Branches>,
}

/// A figure of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Percent.
    pub accuracy: f64,
    /// What the paper prints after ±, percent.
    pub spread: Option<f64>,
    /// Mean number of tokens that are generated.
    pub tokens: Option<f64>,
}

/// Whether a claim holds on our checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The difference is in the claim's order (for an equality: within ten points).
    Holds,
    /// It is in the other order (for an equality: in any).
    Fails,
    /// Its 95 % interval says neither, so n is too small to tell.
    Undecided,
    /// A method is not trained yet.
    NotMeasured,
}

/// A claim with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether it holds.
    pub verdict: Verdict,
    /// The claim, the verdict and the figures, in a sentence.
    pub sentence: String,
}

impl Table {
    /// The names of its tasks, in the order of their first rows.
    pub fn tasks(&self) -> Vec<&str> {
        let mut tasks: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !tasks.contains(&row.task.as_str()) {
                tasks.push(&row.task);
            }
        }
        tasks
    }

    /// The rows of a task.
    pub fn rows_of<'a>(&'a self, task: &'a str) -> impl Iterator<Item = &'a RowOfTable> {
        self.rows.iter().filter(move |row| row.task == task)
    }

    /// The sets of problems of a task.
    pub fn sets_of(&self, task: &str) -> Vec<&SetOfTable> {
        let sets = self.origin.sets.iter();
        sets.filter(|set| set.task == task).collect()
    }
}

impl Measured {
    /// What an evaluation on a set of problems counted.
    pub fn new(problems: &str, evaluation: &Evaluation) -> Self {
        Self {
            problems: problems.into(),
            accuracy: evaluation.accuracy,
            malformed: evaluation.malformed,
            think_steps: evaluation.mean_think_steps,
            answer_tokens: evaluation.mean_answer_tokens,
            tokens: evaluation.mean_think_steps + evaluation.mean_answer_tokens,
        }
    }

    /// Mean thinking steps and mean answer tokens.
    pub fn tokens_text(&self) -> String {
        format!("{:.1} + {:.1}", self.think_steps, self.answer_tokens)
    }

    /// Accuracy with its interval, in percent.
    pub fn text(&self) -> String {
        let [value, low, high] = self.accuracy.percent();
        format!("{value:.1} [{low:.1}, {high:.1}]")
    }
}

impl MeasuredThinking {
    /// What an evaluation on a set of problems counted.
    pub fn new(problems: &str, evaluation: &Evaluation) -> Self {
        Self {
            measured: Measured::new(problems, evaluation),
            mean_entropy: evaluation.mean_entropy,
            branches: evaluation.branches,
        }
    }
}

impl Outcome<MeasuredThinking> {
    /// Accuracy and cost alone.
    pub fn without_thinking(self) -> Outcome {
        match self {
            Self::Measured {
                weights_sha256,
                results,
            } => Outcome::Measured {
                weights_sha256,
                results: results.into_iter().map(|result| result.measured).collect(),
            },
            Self::NotTrained => Outcome::NotTrained,
            Self::LeftOut => Outcome::LeftOut,
        }
    }
}

impl Outcome {
    /// The result on the set of this name.
    pub fn on(&self, problems: &str) -> Option<&Measured> {
        match self {
            Self::Measured { results, .. } => {
                results.iter().find(|result| result.problems == problems)
            }
            Self::NotTrained | Self::LeftOut => None,
        }
    }
}
