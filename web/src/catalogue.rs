//! Which checkpoints ship, what each can do, and how each was evaluated.

use latent_model::{
    strategy::{Setting, Strategy},
    tasks::Task,
};
use serde::Deserialize;
use serde_json::Value;

/// `models/index.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Catalogue {
    /// The checkpoints, in the order in which they are offered.
    pub models: Vec<Entry>,
}

/// One checkpoint of the catalogue.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Entry {
    /// Its folder below `models/`, and its name in addresses.
    pub name: String,
    /// Name of the task that it was trained on.
    #[serde(default)]
    pub task: String,
    /// One line on what it was trained for.
    #[serde(default)]
    pub summary: String,
    /// Strategies that it was trained for.
    #[serde(default)]
    pub strategies: Vec<String>,
}

/// One measured accuracy, as `training.json` has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Accuracy {
    /// On which problems.
    #[serde(alias = "data", alias = "name")]
    pub problems: String,
    /// With which way of reasoning, or else the method that the checkpoint was trained with.
    #[serde(default)]
    pub strategy: Option<String>,
    /// Number of problems.
    pub n: usize,
    /// Share that was right.
    pub accuracy: f64,
    /// Lower end of the 95 % interval.
    pub ci_low: f64,
    /// Upper end of it.
    pub ci_high: f64,
}

impl Catalogue {
    /// The checkpoint for a strategy: the current one if it was trained for it, else the first
    /// one of the task that was, else the current one all the same.
    pub fn model_for<'a>(&'a self, task: Task, strategy: &str, current: &'a str) -> &'a str {
        let knows = |entry: &&Entry| entry.strategies.iter().any(|known| known == strategy);
        let is_current = |entry: &&Entry| entry.name == current;
        let fitting = || self.of_task(task).filter(knows);
        let found = fitting().find(is_current).or(fitting().next());
        found.map_or(current, |entry| &entry.name)
    }

    /// The checkpoint of this name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.models.iter().find(|entry| entry.name == name)
    }

    /// The checkpoints of a task.
    pub fn of_task(&self, task: Task) -> impl Iterator<Item = &Entry> {
        let is_of_task = move |entry: &&Entry| entry.task() == Some(task);
        self.models.iter().filter(is_of_task)
    }

    /// The tasks that have a checkpoint.
    pub fn tasks(&self) -> Vec<Task> {
        let all = Task::ALL.into_iter().map(|(_, task)| task);
        all.filter(|&task| self.of_task(task).next().is_some())
            .collect()
    }

    /// Why no checkpoint that a lane can have runs a strategy: neither its current one nor any of
    /// the task.
    pub fn lacks(&self, task: Task, strategy: &Strategy, current: &str) -> Option<&'static str> {
        let entry = self.entry(self.model_for(task, strategy.name, current))?;
        entry.lacks(strategy)
    }

    /// The checkpoints of a task by name, each with the reason where it cannot run a strategy.
    pub fn offered(&self, task: Task, strategy: &str) -> Vec<(String, Option<&'static str>)> {
        let lacks = |entry: &Entry| {
            let strategy = Strategy::by_name(strategy).ok()?;
            entry.lacks(strategy)
        };
        let entries = self.of_task(task);
        entries
            .map(|entry| (entry.name.clone(), lacks(entry)))
            .collect()
    }

    /// The catalogue in this repository.
    #[cfg(test)]
    pub fn shipped() -> Self {
        let json = include_str!("../../public/models/index.json");
        serde_json::from_str(json).expect("well-formed")
    }
}

impl Entry {
    /// Its task, where this page knows it.
    pub fn task(&self) -> Option<Task> {
        self.task.parse().ok()
    }

    /// Whether the checkpoint was trained for a strategy; unknown counts as yes.
    pub fn suits(&self, strategy: &str) -> bool {
        self.strategies.is_empty() || self.strategies.iter().any(|known| known == strategy)
    }

    /// Why the checkpoint cannot run a strategy at all: it lacks a part that the strategy asks.
    pub fn lacks(&self, strategy: &Strategy) -> Option<&'static str> {
        let asks_classifier = strategy
            .settings
            .iter()
            .any(|(setting, _)| *setting == Setting::EndThreshold);
        (asks_classifier && !self.suits(strategy.name))
            .then_some("Needs a classifier that says when to stop, which this checkpoint lacks")
    }
}

impl Accuracy {
    /// `official, coconut: 80.3 % right (n 300, 95 % interval 75.4–84.4 %)`
    pub fn sentence(&self) -> String {
        let strategy = self.strategy.as_deref();
        let strategy = strategy.map_or(String::new(), |name| format!(", {name}"));
        format!(
            "{}{strategy}: {:.1} % right (n {}, 95 % interval {:.1}–{:.1} %)",
            self.problems,
            100.0 * self.accuracy,
            self.n,
            100.0 * self.ci_low,
            100.0 * self.ci_high,
        )
    }
}

/// The accuracies of a checkpoint's last evaluation; empty where `training.json` has none.
pub fn accuracies(training: &Value) -> Vec<Accuracy> {
    let evaluations = [
        &training["evaluations"],
        &training["progress"]["evaluations"],
    ];
    let evaluations = evaluations.into_iter().find_map(Value::as_array);
    let Some(evaluations) = evaluations else {
        return Vec::new();
    };
    // Either every evaluation is an accuracy, or each one holds the accuracies after some step.
    let nested = evaluations
        .iter()
        .rev()
        .find_map(|last| last["accuracies"].as_array());
    let method = training["config"]["method"].as_str().map(String::from);
    let read = |value: &Value| {
        let found: Option<Accuracy> = serde_json::from_value(value.clone()).ok();
        found.map(|accuracy| Accuracy {
            strategy: accuracy.strategy.or(method.clone()),
            ..accuracy
        })
    };
    let all = nested.unwrap_or(evaluations);
    all.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accuracy(problems: &str, value: f64) -> Value {
        json!({ "problems": problems, "n": 300, "accuracy": value, "ci_low": 0.7, "ci_high": 0.9, "by_hops": [] })
    }

    fn entry(name: &str, task: Task, strategies: &[&str]) -> Entry {
        Entry {
            name: name.into(),
            task: task.name().into(),
            summary: String::new(),
            strategies: strategies.iter().map(|&name| name.into()).collect(),
        }
    }

    #[test]
    fn a_strategy_moves_to_a_checkpoint_of_the_task_that_was_trained_for_it() {
        let models = vec![
            entry("pronto", Task::ProntoQa, &["coconut", "pause"]),
            entry("words", Task::ProsQa, &["soft"]),
            entry("thoughts", Task::ProsQa, &["coconut"]),
        ];
        let catalogue = Catalogue { models };
        let model_for = |strategy| catalogue.model_for(Task::ProsQa, strategy, "words");
        assert_eq!(model_for("coconut"), "thoughts");
        assert_eq!(model_for("soft"), "words");
        assert_eq!(model_for("pause"), "words");
        assert!(!catalogue.models[1].suits("coconut"));
    }

    #[test]
    fn a_strategy_that_needs_a_classifier_is_for_checkpoints_that_have_one() {
        let by_itself = Strategy::by_name("coconut-classifier").expect("in the table");
        let coconut = Strategy::by_name("coconut").expect("in the table");
        let mut models = vec![entry("thoughts", Task::ProsQa, &["coconut"])];
        let lacks = |models: &[Entry], strategy| {
            let catalogue = Catalogue {
                models: models.to_vec(),
            };
            catalogue.lacks(Task::ProsQa, strategy, "thoughts")
        };
        assert!(lacks(&models, by_itself).is_some_and(|why| why.contains("classifier")));
        assert_eq!(lacks(&models, coconut), None);
        // The lane can move to a checkpoint that has one, but to none of another task.
        let both = ["coconut", by_itself.name];
        models.push(entry("other", Task::ProntoQa, &both));
        assert!(lacks(&models, by_itself).is_some());
        models.push(entry("unified", Task::ProsQa, &both));
        assert_eq!(lacks(&models, by_itself), None);
        assert!(models[0].lacks(by_itself).is_some());
    }

    #[test]
    fn every_shipped_checkpoint_is_of_a_task_that_the_page_knows() {
        let catalogue = Catalogue::shipped();
        assert!(catalogue.tasks().contains(&Task::ProsQa));
        for entry in &catalogue.models {
            assert!(entry.task().is_some(), "{}: {:?}", entry.name, entry.task);
        }
    }

    #[test]
    fn the_last_evaluation_counts() {
        let training = json!({ "config": { "method": "words" }, "progress": { "evaluations": [
            { "step": 1, "accuracies": [accuracy("class", 0.5)] },
            { "step": 2, "accuracies": [accuracy("class", 0.8), accuracy("official", 0.75)] },
        ] } });
        let found = accuracies(&training);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].sentence(),
            "class, words: 80.0 % right (n 300, 95 % interval 70.0–90.0 %)"
        );
    }

    #[test]
    fn a_flat_list_counts_whole() {
        let training = json!({ "evaluations": [accuracy("official", 0.75)] });
        assert_eq!(accuracies(&training).len(), 1);
    }

    #[test]
    fn no_evaluation_is_no_claim() {
        assert!(accuracies(&json!({})).is_empty());
        assert!(accuracies(&json!({ "evaluations": [{ "accuracy": 1.0 }] })).is_empty());
    }
}
