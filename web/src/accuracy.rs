//! How a checkpoint was evaluated, as its `training.json` has it.

use serde::Deserialize;
use serde_json::Value;

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
