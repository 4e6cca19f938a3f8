//! The study of interventions, for people.

use std::path::Path;

use anyhow::Result;
use latent_model::analysis::report::{InterventionResult, InterventionRow, InterventionStudy};

use crate::{evidence, output::p_value};

/// The name of the study's file.
pub const FILE: &str = "interventions.json";

/// The section of the results.
pub fn section(folder: &Path) -> Result<String> {
    let study: InterventionStudy = evidence::read(folder, FILE)?;
    Ok(format!(
        "## What thoughts are for: changing them\n\n\
         Readings of thoughts have been fooled (arXiv 2606.12689 finds search frontiers in controls \
         without recurrence), so here they are changed before they are fed. *zero*: a vector of \
         zeros. *noise*: Gaussian, as large as the input itself (× {}). *shuffle*: its dimensions \
         in another order. *swap*: what the problem before was fed at that step. *freeze*: the \
         input before it, once more. *nearest*: the token whose embedding is nearest by angle. \
         The control is pauses trained by Coconut's curriculum, which all are the same token, so that \
         *swap*, *freeze* and *nearest* change nothing there. *patch* reaches between the layers: \
         what the residual stream was, after one layer at one step, in the run of the problem before \
         (activation patching, arXiv 2202.05262). Differences are paired, with bootstrap intervals; \
         *p* is McNemar's exact test.\n\n{}",
        study.noise,
        table(&study)
    ))
}

/// All rows, all inputs of thinking changed together, then one by one.
pub fn table(study: &InterventionStudy) -> String {
    let mut text = String::from(
        "| checkpoint | strategy | problems | change | accuracy, % | difference, points | p | answers \
         changed, % |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in &study.rows {
        text += &of_row(row);
    }
    let alone = study.rows.iter().filter_map(one_by_one);
    let alone: Vec<String> = alone.collect();
    if !alone.is_empty() {
        text += "\nOne input of thinking changed, the others left as they are; accuracy, %:\n\n\
                 | checkpoint | change | none | 1st | 2nd | 3rd | 4th | 5th | 6th |\n\
                 |---|---|---|---|---|---|---|---|---|\n";
        text += &alone.concat();
    }
    let patched: String = study.rows.iter().filter_map(patches).collect();
    if !patched.is_empty() {
        text += "\nOne state patched, after a layer of the network (counted from 1) at an input of \
                 thinking; the accuracy that is left, %. *0th* is what is fed before the first \
                 input:\n\n\
                 | checkpoint | after layer | none | 0th | 1st | 2nd | 3rd | 4th | 5th | 6th |\n\
                 |---|---|---|---|---|---|---|---|---|---|\n";
        text += &patched;
    }
    let made = &study.made;
    text + &format!(
        "\nMade by `{}` ({}; {}).\n",
        made.command, made.version, made.engine
    )
}

fn of_row(row: &InterventionRow) -> String {
    let subject = &row.subject;
    let set: Vec<String> = row.set.iter().map(|set| format!(" {set}")).collect();
    let [value, low, high] = row.clean.percent();
    let mut text = format!(
        "| `{}` | `{}{}` | {}, n {}, seed {} | none | {value:.1} [{low:.1}, {high:.1}] | | | |\n",
        subject.model,
        row.strategy,
        set.concat(),
        subject.problems,
        subject.n,
        subject.seed,
    );
    let together = |result: &&InterventionResult| result.steps.is_none();
    let listed = |result: &&InterventionResult| result.steps.as_ref().is_some_and(|s| s.len() > 1);
    let shown = row.conditions.iter();
    for result in shown.filter(|result| together(result) || listed(result)) {
        let [value, low, high] = result.accuracy.percent();
        let points = |share: f64| 100.0 * share;
        let difference = &result.difference;
        let which = result.steps.as_ref().map(|steps| {
            let steps: Vec<String> = steps.iter().map(u32::to_string).collect();
            format!(" {}", steps.join(", "))
        });
        text += &format!(
            "| | | | {}{} | {value:.1} [{low:.1}, {high:.1}] | {:+.1} [{:+.1}, {:+.1}] | {} | {:.1} |\n",
            result.kind,
            which.unwrap_or_default(),
            points(difference.mean),
            points(difference.ci_low),
            points(difference.ci_high),
            p_value(result.mcnemar.p_value),
            points(result.answers_changed),
        );
    }
    text
}

fn one_by_one(row: &InterventionRow) -> Option<String> {
    let mut kinds: Vec<&str> = Vec::new();
    let alone = |result: &&InterventionResult| {
        result.layer.is_none() && result.steps.as_ref().is_some_and(|s| s.len() == 1)
    };
    for result in row.conditions.iter().filter(alone) {
        if !kinds.contains(&result.kind.as_str()) {
            kinds.push(&result.kind);
        }
    }
    let line = |kind: &&str| {
        let of_kind = |result: &&InterventionResult| result.kind == **kind;
        let cells = row.conditions.iter().filter(alone).filter(of_kind);
        let cells = cells.map(|result| format!(" {:.1} |", 100.0 * result.accuracy.value));
        let model = &row.subject.model;
        let clean = 100.0 * row.clean.value;
        format!(
            "| `{model}` | {kind} | {clean:.1} |{}\n",
            cells.collect::<String>()
        )
    };
    (!kinds.is_empty()).then(|| kinds.iter().map(line).collect())
}

/// The accuracy left by patches, a line a layer, as far as the sixth input.
fn patches(row: &InterventionRow) -> Option<String> {
    let patches = || {
        row.conditions
            .iter()
            .filter(|result| result.layer.is_some())
    };
    let last = patches().filter_map(|result| result.layer).max()?;
    let line = |layer: usize| {
        let of_layer = patches().filter(|result| result.layer == Some(layer));
        let cells = of_layer.map(|result| format!(" {:.1} |", 100.0 * result.accuracy.value));
        let clean = 100.0 * row.clean.value;
        format!(
            "| `{}` | {} | {clean:.1} |{}\n",
            row.subject.model,
            layer + 1,
            cells.take(7).collect::<String>()
        )
    };
    Some((0..=last).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::assert_of_weights_that_ship;

    #[test]
    fn the_study_was_made_on_the_weights_that_ship() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let folder = root.join("public/evidence/interventions");
        let study: InterventionStudy = evidence::read(&folder, FILE).expect("a study");
        for row in &study.rows {
            let subject = &row.subject;
            assert_of_weights_that_ship(&subject.model, None, &subject.weights_sha256);
        }
    }
}
