//! What was measured, for people.

use std::path::Path;

use anyhow::Result;
use latent_model::{
    analysis::statistics::Mean,
    evidence::SetOfTable,
    metrics::{Difference, Proportion},
};
use serde::{Deserialize, Serialize};

use crate::evidence;

/// The document's file in its folder.
pub const FILE: &str = "contemplation.json";

/// `contemplation.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContemplationDocument {
    /// The command.
    pub command: String,
    /// Program and version.
    pub version: String,
    /// Where it was computed.
    pub engine: String,
    /// Seed of the first problem.
    pub seed: u32,
    /// The problems of each task.
    pub sets: Vec<SetOfTable>,
    /// Every folder of adapters.
    pub rows: Vec<RowOfContemplation>,
    /// What each way of answering takes, where a suite of them was timed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<RowOfTimes>,
}

/// A folder of adapters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowOfContemplation {
    /// The task.
    pub task: String,
    /// Name of the checkpoint.
    pub model: String,
    /// The folder.
    pub adapters: String,
    /// r.
    pub ratio: f64,
    /// SHA-256 of the weights, those of the adapters included.
    pub weights_sha256: String,
    /// Right answers where END stops.
    pub own: Proportion,
    /// Right answers with k contemplation tokens, which only the chain's writer knows.
    pub given: Proportion,
    /// Problems with each k and each number of tokens after which END stopped.
    pub lengths: Vec<LengthCount>,
    /// Of the problems that END stopped at k or before, the share stopped at k.
    pub precision: Option<Proportion>,
    /// Of the problems that END stopped at k or behind, the share stopped at k.
    pub recall: Option<Proportion>,
}

/// How many problems of a k END stopped after so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LengthCount {
    /// How many tokens of the chain are kept.
    pub k: usize,
    /// After how many contemplation tokens END stopped.
    pub own: usize,
    /// Problems.
    pub n: usize,
}

/// What a way of answering takes on a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowOfTimes {
    /// The method's name for people.
    pub method: String,
    /// The task.
    pub task: String,
    /// Name of the checkpoint.
    pub model: String,
    /// The folder of CCOT's adapters in it, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<String>,
    /// SHA-256 of the weights, those of the adapters included.
    pub weights_sha256: String,
    /// Mean thinking steps of the problems that were timed.
    pub think_steps: f64,
    /// Their mean answer tokens.
    pub answer_tokens: f64,
    /// A problem's time over that with the whole chain in words, the mean over problems. It is a
    /// measurement of one machine, and differs from run to run.
    pub time: Mean,
}

/// The section of the results.
pub fn section(folder: &Path) -> Result<String> {
    let study: ContemplationDocument = evidence::read(folder, FILE)?;
    Ok(study.section())
}

impl ContemplationDocument {
    /// A table of all adapters, and a histogram of each.
    pub fn section(&self) -> String {
        let mut text = String::from(
            "\
## When CCOT's END stops

k contemplation tokens stand for a problem's chain of thought, which only its writer knows. \
Precision is the share of the problems that END stopped at k or before which it stopped at k, \
recall that of the problems that it stopped at k or behind.

| task | adapters | r | END stops, % | k given, % | difference | precision, % | recall, % |\n|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            text += &row.markdown();
        }
        for set in &self.sets {
            text += &format!("\n*{}*: {}.\n", set.task, set.source);
        }
        text += &format!(
            "\nHow many problems END stopped how far from k (0: exactly there):\n\n{}",
            self.histogram()
        );
        text += &self.times();
        text += &format!(
            "\nMade by `{}` ({}; {}).\n",
            self.command, self.version, self.engine
        );
        text
    }

    /// A row for each way of answering.
    fn times(&self) -> String {
        let Some(first) = self.times.first() else {
            return String::new();
        };
        let mut text = format!(
            "
### What an answer takes

A problem's time, one lane alone and its prompt included, over the time that the same problem \
takes with the whole chain in words, on the machine that measured; the ways took turns. Mean over \
{} problems of official size with the 95 % interval of a bootstrap over them.

| task | method | thinking steps | answer tokens | time, % of the chain's | checkpoint |
|---|---|---|---|---|---|
",
            first.time.n
        );
        for row in &self.times {
            text += &row.markdown();
        }
        text
    }

    /// A row for each folder of adapters, a column for each distance from k.
    fn histogram(&self) -> String {
        let heads = ["≤ −3", "−2", "−1", "0", "+1", "+2", "≥ +3"];
        let mut text = format!("| adapters | {} |\n", heads.join(" | "));
        text += &format!("|{}\n", "---|".repeat(1 + heads.len()));
        for row in self.rows.iter().filter(|row| row.ratio > 0.0) {
            let mut counts = [0; 7];
            for count in &row.lengths {
                let off = count.own as i64 - count.k as i64;
                counts[(off.clamp(-3, 3) + 3) as usize] += count.n;
            }
            let counts = counts.map(|n| n.to_string());
            text += &format!("| {} | {} |\n", row.name(), counts.join(" | "));
        }
        text
    }
}

impl RowOfContemplation {
    fn name(&self) -> String {
        format!("`{}/{}`", self.model, self.adapters)
    }

    fn markdown(&self) -> String {
        let percent = |share: &Proportion| {
            let [value, low, high] = share.percent();
            format!("{value:.1} [{low:.1}, {high:.1}]")
        };
        let or_none = |share: &Option<Proportion>| share.as_ref().map_or("–".into(), percent);
        let off = Difference::of(&self.own, &self.given);
        let [value, low, high] = [off.value, off.low, off.high].map(|share| 100.0 * share);
        format!(
            "| {} | {} | {} | {} | {} | {value:+.1} [{low:+.1}, {high:+.1}] | {} | {} |\n",
            self.task,
            self.name(),
            self.ratio,
            percent(&self.own),
            percent(&self.given),
            or_none(&self.precision),
            or_none(&self.recall),
        )
    }
}

impl RowOfTimes {
    fn markdown(&self) -> String {
        let Mean {
            mean,
            ci_low,
            ci_high,
            ..
        } = self.time;
        let [mean, low, high] = [mean, ci_low, ci_high].map(|share| 100.0 * share);
        let adapters: Vec<String> = self
            .adapters
            .iter()
            .map(|name| format!("/{name}"))
            .collect();
        format!(
            "| {} | {} | {:.1} | {:.1} | {mean:.0} [{low:.0}, {high:.0}] | `{}{}` |\n",
            self.task,
            self.method,
            self.think_steps,
            self.answer_tokens,
            self.model,
            adapters.concat(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::assert_of_weights_that_ship;

    #[test]
    fn the_study_was_made_on_the_weights_that_ship() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let folder = root.join("public/evidence/contemplation");
        let study: ContemplationDocument = evidence::read(&folder, FILE).expect("it ships");
        for row in &study.rows {
            let adapters = Some(&row.adapters[..]);
            assert_of_weights_that_ship(&row.model, adapters, &row.weights_sha256);
        }
        assert!(!study.times.is_empty(), "no way of answering was timed");
        for row in &study.times {
            let adapters = row.adapters.as_deref();
            assert_of_weights_that_ship(&row.model, adapters, &row.weights_sha256);
        }
    }
}
