//! The study of interventions, for people.

use std::path::Path;

use anyhow::Result;
use latent_model::analysis::report::{
    InterventionResult, InterventionRow, InterventionStudy, Subject,
};

use crate::{evidence, output::p_value};

/// The name of the study's file.
pub const FILE: &str = "interventions.json";

/// The section of the results.
pub fn section(folder: &Path) -> Result<String> {
    let study: InterventionStudy = evidence::read(folder, FILE)?;
    Ok(format!(
        "## What thoughts are for: changing them\n\n\
         Readings of thoughts have been fooled (arXiv 2606.12689 finds search frontiers in controls \
         without recurrence), so here they are changed before they are fed, on every checkpoint \
         that was trained to think in something else than words; of four of them also one by one. \
         The problems are {}. \
         *zero*: a vector of zeros. *noise*: Gaussian, as large as the input itself (× {}). \
         *shuffle*: its dimensions in another order. *swap*: what the problem before was fed at \
         that step. *freeze*: the input before it, once more. *nearest*: the token whose embedding \
         is nearest by angle. *patch* reaches between the layers: what the residual stream was, \
         after one layer at one step, in the run of the problem before (activation patching, arXiv \
         2202.05262). Differences are paired, with bootstrap intervals; *p* is McNemar's exact \
         test.\n\n{}\n\n{}",
        problems(&study),
        study.noise,
        reading(&study),
        overview(&study)
    ))
}

/// What the study shows and what it does not, with the rows that it shows it of.
fn reading(study: &InterventionStudy) -> String {
    let [lost, kept] = by_loss(study, "zero", true);
    let [moved, unmoved] = by_loss(study, "swap", false);
    format!(
        "The controls are pauses, which all are the same token, so that *swap*, *freeze* and \
         *nearest* change nothing there. *zero*, *noise* and *shuffle* do: {} of {} \
         checkpoints of pauses lose accuracy when their pauses become zeros, though a pause says \
         nothing of its problem; without loss: {}. So a loss under these three shows that a model \
         needs inputs such as it knows, and not that a thought holds something. *swap* is the \
         change that tells, for what is fed is a thought like any other, only of another problem. \
         Of {} checkpoints that think in something else, {} lose accuracy by it. These lose \
         nothing that could be told from chance: {}; what their answers need is not seen to be in \
         their thoughts, however right they are. There is one training run a checkpoint.",
        lost.len(),
        lost.len() + kept.len(),
        listed(&kept),
        moved.len() + unmoved.len(),
        moved.len(),
        listed(&unmoved),
    )
}

/// Whether a row's thoughts are pauses.
fn is_control(row: &InterventionRow) -> bool {
    row.strategy == "pause"
}

/// The checkpoints, of pauses or of other thoughts: those whose accuracy a change of all steps
/// lowers beyond chance, and those whose accuracy it does not.
fn by_loss<'a>(study: &'a InterventionStudy, kind: &str, of_controls: bool) -> [Vec<&'a str>; 2] {
    let is_lowered = |row: &&InterventionRow| {
        together(row).any(|result| {
            result.kind == kind
                && result.mcnemar.p_value < SIGNIFICANT
                && result.difference.mean < 0.0
        })
    };
    let rows = study.rows.iter();
    let rows = rows.filter(|row| is_control(row) == of_controls);
    let (lowered, others): (Vec<_>, Vec<_>) = rows.partition(is_lowered);
    let names =
        |rows: Vec<&'a InterventionRow>| rows.into_iter().map(|row| &*row.subject.model).collect();
    [lowered, others].map(names)
}

/// Names of checkpoints, as code.
fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Where the problems of a study come from, and how many there are of each task.
fn problems(study: &InterventionStudy) -> String {
    let of_row = |row: &InterventionRow| {
        let Subject {
            problems, n, seed, ..
        } = &row.subject;
        format!("{problems}, n {n}, seed {seed}")
    };
    let mut all: Vec<String> = Vec::new();
    for text in study.rows.iter().map(of_row) {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join("; ")
}

/// A study of many rows: a line for each, with what all changes did, then inputs one by one.
pub fn overview(study: &InterventionStudy) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for result in study.rows.iter().flat_map(together) {
        if !kinds.contains(&result.kind.as_str()) {
            kinds.push(&result.kind);
        }
    }
    let heads: String = kinds.iter().map(|kind| format!(" {kind} |")).collect();
    let rules = "---|".repeat(kinds.len());
    let lines = |cell: &dyn Fn(&InterventionResult) -> String| {
        let line = |row: &InterventionRow| {
            let [value, low, high] = row.clean.percent();
            let cells = kinds.iter().map(|kind| {
                let mut known = together(row);
                let result = known.find(|result| result.kind == *kind);
                format!(" {} |", result.map(cell).unwrap_or_default())
            });
            let cells: String = cells.collect();
            format!(
                "| {} | {value:.1} [{low:.1}, {high:.1}] |{cells}\n",
                of(row)
            )
        };
        study.rows.iter().map(line).collect::<String>()
    };
    let differences = lines(&|result| {
        let text = points(result);
        match result.mcnemar.p_value < SIGNIFICANT {
            true => text,
            false => format!("({text})"),
        }
    });
    let others = lines(&|result| format!("{:.1}", 100.0 * result.answers_changed));
    format!(
        "All inputs of thinking changed together: accuracy without a change in %, then the \
         difference in points. In parentheses stands a difference whose *p* is \
         {SIGNIFICANT} or more; nothing is corrected for the number of comparisons.\n\n\
         | checkpoint | strategy | none |{heads}\n|---|---|---|{rules}\n{differences}\n\
         How many answers are other ones than without the change, right or wrong, in %:\n\n\
         | checkpoint | strategy | accuracy |{heads}\n|---|---|---|{rules}\n{others}{}",
        details(study)
    )
}

/// *p* below which a difference is told from none.
const SIGNIFICANT: f64 = 0.05;

/// A study of few rows: every change with its interval, then inputs one by one.
pub fn table(study: &InterventionStudy) -> String {
    let mut text = String::from(
        "| checkpoint | strategy | problems | change | accuracy, % | difference, points | p | answers \
         changed, % |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in &study.rows {
        text += &of_row(row);
    }
    text + &details(study)
}

/// Inputs one by one, states one by one, and how the study was made.
fn details(study: &InterventionStudy) -> String {
    let mut text = String::new();
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

/// What the changes of all inputs of thinking did.
fn together(row: &InterventionRow) -> impl Iterator<Item = &InterventionResult> {
    let results = row.conditions.iter();
    results.filter(|result| result.steps.is_none())
}

/// A checkpoint and how it thinks, as cells of a table.
fn of(row: &InterventionRow) -> String {
    let set: Vec<String> = row.set.iter().map(|set| format!(" {set}")).collect();
    let (model, strategy) = (&row.subject.model, &row.strategy);
    format!("`{model}` | `{strategy}{}`", set.concat())
}

/// A difference in points with its interval.
fn points(result: &InterventionResult) -> String {
    let difference = &result.difference;
    let [mean, low, high] =
        [difference.mean, difference.ci_low, difference.ci_high].map(|share| 100.0 * share);
    format!("{mean:+.1} [{low:+.1}, {high:+.1}]")
}

fn of_row(row: &InterventionRow) -> String {
    let subject = &row.subject;
    let [value, low, high] = row.clean.percent();
    let mut text = format!(
        "| {} | {}, n {}, seed {} | none | {value:.1} [{low:.1}, {high:.1}] | | | |\n",
        of(row),
        subject.problems,
        subject.n,
        subject.seed,
    );
    let listed = |result: &&InterventionResult| result.steps.as_ref().is_some_and(|s| s.len() > 1);
    let lists = row.conditions.iter().filter(listed);
    for result in together(row).chain(lists) {
        let [value, low, high] = result.accuracy.percent();
        let which = result.steps.as_ref().map(|steps| {
            let steps: Vec<String> = steps.iter().map(u32::to_string).collect();
            format!(" {}", steps.join(", "))
        });
        text += &format!(
            "| | | | {}{} | {value:.1} [{low:.1}, {high:.1}] | {} | {} | {:.1} |\n",
            result.kind,
            which.unwrap_or_default(),
            points(result),
            p_value(result.mcnemar.p_value),
            100.0 * result.answers_changed,
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

    fn study() -> InterventionStudy {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        evidence::read(&root.join("public/evidence/interventions"), FILE).expect("a study")
    }

    #[test]
    fn the_study_was_made_on_the_weights_that_ship() {
        for row in &study().rows {
            let subject = &row.subject;
            assert_of_weights_that_ship(&subject.model, None, &subject.weights_sha256);
        }
    }

    #[test]
    fn the_reading_of_the_study_is_what_was_measured() {
        let study = study();
        for kind in ["zero", "noise", "shuffle"] {
            let [lost, _] = by_loss(&study, kind, true);
            assert!(lost.len() > 2, "{kind}");
        }
        for kind in ["swap", "freeze", "nearest"] {
            let controls = study.rows.iter().filter(|row| is_control(row));
            let mut results = controls.flat_map(together);
            assert!(results.all(|result| result.kind != kind || result.answers_changed == 0.0));
        }
        let [moved, unmoved] = by_loss(&study, "swap", false);
        assert!(!unmoved.is_empty() && unmoved.len() < moved.len());
        let text = reading(&study);
        for name in unmoved {
            assert!(text.contains(&format!("`{name}`")), "{name}: {text}");
        }
    }
}
