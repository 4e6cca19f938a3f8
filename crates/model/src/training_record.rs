//! How a checkpoint was made and what it reached: `training.json`, which the trainer writes beside
//! the weights and everything that tells of a checkpoint reads.

use serde::{Deserialize, Serialize};

use crate::{metrics::Proportion, tasks::Task};

/// A `training.json`. The trainer writes it with its whole configuration and state; readers need
/// less of both, and configurations have had other keys in earlier versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord<C = Recipe, P = History> {
    /// Program and version.
    pub program: String,
    /// What was asked for.
    pub config: C,
    /// Number of parameters.
    pub parameters: usize,
    /// What was reached.
    pub progress: P,
}

/// What readers need of a training configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recipe {
    /// The checkpoint's name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it can do and how it learned it.
    pub summary: String,
    /// Configurations without a task are of the first one that there was.
    #[serde(default = "Task::first")]
    pub task: Task,
}

/// What readers need of a training's state.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct History {
    /// A point every so many steps.
    pub curve: Vec<CurvePoint>,
    /// Every evaluation, in order.
    pub evaluations: Vec<Evaluation>,
}

/// One point of a training curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps taken.
    pub step: u64,
    /// The stage's name: `recall 1` or `level 3`.
    pub stage: String,
    /// Running loss.
    pub loss: f64,
    /// Running accuracy.
    pub accuracy: f64,
}

/// Accuracies after some step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Steps taken.
    pub step: u64,
    /// Questions seen.
    pub n_questions: u64,
    /// Seconds of CPU time until here.
    pub cpu_seconds: f64,
    /// One for each set of problems and way of decoding.
    pub accuracies: Vec<Accuracy>,
}

/// How many of some problems came out right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Which problems and, behind a comma, how they were decoded.
    pub problems: String,
    /// Share of exact matches.
    #[serde(flatten)]
    pub share: Proportion,
    /// For each number of steps that a problem takes: right, and all.
    pub by_hops: Vec<(usize, usize, usize)>,
}

impl<C> TrainingRecord<C> {
    /// The accuracies of the last evaluation; none before the first.
    pub fn accuracies(&self) -> &[Accuracy] {
        let last = self.progress.evaluations.last();
        last.map_or(&[], |evaluation| &evaluation.accuracies)
    }
}

impl Accuracy {
    /// `official, coconut: 80.3 % right (n 300, 95 % interval 75.4–84.4 %)`
    pub fn sentence(&self) -> String {
        let [value, low, high] = self.share.percent();
        format!(
            "{}: {value:.1} % right (n {}, 95 % interval {low:.1}–{high:.1} %)",
            self.problems, self.share.n
        )
    }

    /// The strategy that they were decoded with, without its settings; the first records name none.
    pub fn strategy(&self) -> Option<&str> {
        let (_, decoded) = self.problems.split_once(", ")?;
        decoded.split(' ').next()
    }

    /// The problems' name, without how they were decoded.
    pub fn problems_name(&self) -> &str {
        let split = self.problems.split_once(',');
        split.map_or(&self.problems, |(problems, _)| problems)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn the_last_evaluation_counts() {
        let accuracy = |value: f64| {
            format!(
                r#"{{"problems": "class, coconut", "n": 300, "accuracy": {value}, "ci_low": 0.7,
                    "ci_high": 0.9, "by_hops": [[2, 240, 300]]}}"#
            )
        };
        let evaluation = |step: u64, value: f64| {
            format!(
                r#"{{"step": {step}, "n_questions": 9, "cpu_seconds": 1.5,
                    "accuracies": [{}]}}"#,
                accuracy(value)
            )
        };
        let record = format!(
            r#"{{"program": "latent-train 0.1.0", "parameters": 5, "config":
                {{"name": "a", "title": "A", "summary": "", "method": "cot"}},
                "progress": {{"step": 2, "curve": [], "evaluations": [{}, {}]}}}}"#,
            evaluation(1, 0.5),
            evaluation(2, 0.8)
        );
        let record: TrainingRecord = serde_json::from_str(&record).expect("a record");
        assert_eq!(record.config.task, Task::first());
        let sentences: Vec<String> = record.accuracies().iter().map(Accuracy::sentence).collect();
        assert_eq!(
            sentences,
            ["class, coconut: 80.0 % right (n 300, 95 % interval 70.0–90.0 %)"]
        );
        assert_eq!(record.accuracies()[0].problems_name(), "class");
        assert_eq!(record.accuracies()[0].strategy(), Some("coconut"));
    }

    #[test]
    fn every_record_that_ships_is_read_whole() {
        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../public/models");
        let mut n_records = 0;
        for entry in fs::read_dir(models).expect("it ships") {
            let path = entry.expect("the folder can be listed").path();
            let Ok(text) = fs::read_to_string(path.join("training.json")) else {
                assert_eq!(path.file_name(), Path::new("index.json").file_name());
                continue;
            };
            let at = path.display();
            let record: TrainingRecord =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(
                path.file_name().and_then(|n| n.to_str()),
                Some(&*record.config.name)
            );
            assert!(!record.progress.curve.is_empty(), "{at}: no curve");
            assert!(!record.accuracies().is_empty(), "{at}: never evaluated");
            for Accuracy { share, by_hops, .. } in record.accuracies() {
                let n_right: usize = by_hops.iter().map(|(_, right, _)| right).sum();
                let rate = n_right as f64 / share.n as f64;
                assert!((rate - share.value).abs() < 1e-12, "{at}: {rate}");
                assert!(
                    share.low <= share.value && share.value <= share.high,
                    "{at}"
                );
            }
            n_records += 1;
        }
        let index = fs::read_to_string(Path::new(models).join("index.json")).expect("it ships");
        let catalogue: Catalogue = serde_json::from_str(&index).expect("well-formed");
        assert_eq!(n_records, catalogue.models.len());
    }
}
