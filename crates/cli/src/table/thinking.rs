//! How sure a model is while it thinks in one way or another: `thinking.json`.

use latent_model::{
    evidence::{MeasuredThinking, Origin, Outcome, SetOfTable},
    metrics::Branches,
};
use serde::{Deserialize, Serialize};

use super::suite::Way;

/// `thinking.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThinkingDocument {
    /// How it was made.
    #[serde(flatten)]
    pub origin: Origin,
    /// One for each checkpoint and way of decoding.
    pub rows: Vec<RowOfThinking>,
}

/// A checkpoint decoded in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowOfThinking {
    /// The task.
    pub task: String,
    /// Name of the checkpoint.
    pub model: String,
    /// The strategy.
    pub strategy: String,
    /// Its settings.
    pub set: Vec<String>,
    /// Runs of each problem.
    pub samples: usize,
    /// What was measured.
    #[serde(flatten)]
    pub outcome: Outcome<MeasuredThinking>,
}

impl RowOfThinking {
    /// A way with what became of it.
    pub fn new(way: &Way, outcome: Outcome<MeasuredThinking>) -> Self {
        Self {
            task: way.task.clone(),
            model: way.model.clone(),
            strategy: way.strategy.clone(),
            set: way.set.clone(),
            samples: way.samples,
            outcome,
        }
    }

    fn on(&self, set: &SetOfTable) -> Option<&MeasuredThinking> {
        let Outcome::Measured { results, .. } = &self.outcome else {
            return None;
        };
        let mut of_set = results.iter().filter(|r| r.measured.problems == set.name);
        of_set.next()
    }

    /// Steps and entropies are those of the first set of problems, the official ones.
    fn markdown(&self, sets: &[&SetOfTable]) -> String {
        let cell = |set: &&SetOfTable| {
            let found = self.on(set);
            let accuracy = found.map_or("–".into(), |found| found.measured.text());
            format!(" {accuracy} |")
        };
        let accuracies: Vec<String> = sets.iter().map(cell).collect();
        let first = sets.first().and_then(|set| self.on(set));
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".into());
        let steps = first.map(|found| format!("{:.1}", found.measured.think_steps));
        let entropy = first.and_then(|found| found.mean_entropy);
        let branches = first.and_then(|found| found.branches.as_ref());
        let settings: Vec<String> = self.set.iter().map(|set| format!(" {set}")).collect();
        format!(
            "| `{}` | `{}{}` | {} |{} {} | {} | {} |\n",
            self.model,
            self.strategy,
            settings.concat(),
            self.samples,
            accuracies.concat(),
            or_none(steps),
            or_none(entropy.map(|nats| format!("{nats:.2}"))),
            or_none(branches.map(branches_text)),
        )
    }
}

/// `0.64 (69 % above 0.3)`
fn branches_text(branches: &Branches) -> String {
    format!(
        "{:.2} ({:.0} % above {})",
        branches.mean_entropy,
        100.0 * branches.share_above,
        Branches::THRESHOLD
    )
}

impl ThinkingDocument {
    /// The rows as tables, one for each task.
    pub fn markdown(&self) -> String {
        let mut tasks: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !tasks.contains(&row.task.as_str()) {
                tasks.push(&row.task);
            }
        }
        let tables: Vec<String> = tasks.iter().map(|task| self.table_of_task(task)).collect();
        tables.join("\n")
    }

    fn table_of_task(&self, task: &str) -> String {
        let sets = self.origin.sets.iter().filter(|set| set.task == task);
        let sets: Vec<&SetOfTable> = sets.collect();
        let heads: Vec<String> = sets
            .iter()
            .map(|set| format!(" {}, n {}, % |", set.name, set.n))
            .collect();
        let mut text = format!(
            "| {task} | strategy | runs a problem |{} thinking steps | entropy, nats | entropy at \
             branch points, nats |\n|{}\n",
            heads.concat(),
            "---|".repeat(6 + sets.len())
        );
        for row in self.rows.iter().filter(|row| row.task == task) {
            text += &row.markdown(&sets);
        }
        text
    }
}
