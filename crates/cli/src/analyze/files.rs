//! What `latent analyze --out` leaves in a folder.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use latent_model::analysis::{
    lens::to_safetensors,
    report::{AnalysisStudy, Divergences, ProblemOutcome, StepOutcome},
};
use serde::Serialize;

use super::{chart::svg, document::FILE, measure::Measured};
use crate::{evidence, output::write as write_text};

/// A study of one strategy, with the divergences of that strategy at hand.
#[derive(Serialize)]
pub struct Flat<'a> {
    #[serde(flatten)]
    study: &'a AnalysisStudy,
    js: Option<&'a Divergences>,
}

impl<'a> Flat<'a> {
    /// Of a study whose last method was asked about.
    pub fn new(study: &'a AnalysisStudy) -> Self {
        let methods = study.rows.iter().flat_map(|row| &row.methods);
        let js = methods.last().map(|method| &method.js);
        Self { study, js }
    }
}

/// Writes a study, as `document` has it, and its picture.
pub fn write_study(out: &Path, study: &AnalysisStudy, document: &impl Serialize) -> Result<()> {
    evidence::write(out, FILE, document)?;
    write_text(&out.join("analysis.svg"), &svg(study)?)
}

/// Writes everything.
pub fn write(out: &Path, study: &AnalysisStudy, measured: &Measured) -> Result<()> {
    write_study(out, study, &Flat::new(study))?;
    write_text(&out.join("steps.csv"), &tidy(study, &measured.outcomes))?;
    let first = &measured.first;
    if let Some(lens) = &first.lens {
        let names = &measured.names;
        let name = |id: u32| names.get(id as usize).cloned().unwrap_or_default();
        let json = lens.to_logitlenskit(&measured.row.subject.model, &now(), name);
        write_text(&out.join("lens.json"), &(json.to_string() + "\n"))?;
    }
    if let Some(states) = &first.states {
        let path = out.join("states.safetensors");
        fs::write(&path, to_safetensors(states)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// One line for each number of each step: problem, method, step, metric, layer, value.
fn tidy(study: &AnalysisStudy, outcomes: &[Vec<ProblemOutcome>]) -> String {
    let mut text = String::from("problem,method,step,metric,layer,value\n");
    let Some(row) = study.rows.first() else {
        return text;
    };
    for (problem, of_problem) in outcomes.iter().enumerate() {
        for (method, outcome) in row.methods.iter().zip(of_problem) {
            for step in &outcome.steps {
                let name = &method.strategy;
                for (metric, layer, value) in numbers(step) {
                    let step = step.step;
                    text += &format!("{problem},{name},{step},{metric},{layer},{value}\n");
                }
            }
        }
    }
    text
}

/// A step's numbers with their names, and the layer where there is one.
fn numbers(step: &StepOutcome) -> Vec<(String, String, f64)> {
    let top = (1..)
        .zip(step.top)
        .map(|(i, js)| (format!("js_top{i}"), js));
    let more = [
        ("js_top1_top2".to_string(), step.top1_top2),
        ("js_noised_clean".to_string(), step.noised_clean),
    ];
    let of_step = top.chain(more);
    let mut all: Vec<_> = of_step
        .filter_map(|(name, value)| Some((name, String::new(), value?)))
        .collect();
    let sizes = latent_model::analysis::probe::OVERLAP_SIZES;
    for (word, overlaps) in (1..).zip(&step.overlap) {
        for (k, layers) in sizes.iter().zip(overlaps) {
            for (layer, value) in layers.iter().enumerate() {
                let name = format!("overlap{k}_top{word}");
                all.push((name, layer.to_string(), *value));
            }
        }
    }
    all
}

/// The time in ISO 8601.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    iso_8601(since.map_or(0, |since| since.as_secs()))
}

/// Seconds since 1970 as a date, by the civil calendar of Hinnant's `civil_from_days`.
fn iso_8601(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + 400 * era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        assert_eq!(iso_8601(0), "1970-01-01T00:00:00Z");
        // date -u -d @1709210096 +%FT%TZ
        assert_eq!(iso_8601(1_709_210_096), "2024-02-29T12:34:56Z");
        assert_eq!(iso_8601(4_102_444_799), "2099-12-31T23:59:59Z");
    }

    #[test]
    fn a_step_has_a_line_for_each_number() {
        let step = StepOutcome {
            step: 3,
            top: [Some(0.5), None, None],
            overlap: vec![vec![vec![0.25, 1.0]]],
            ..StepOutcome::default()
        };
        let found = numbers(&step);
        let expected = [
            ("js_top1".to_string(), String::new(), 0.5),
            ("overlap1_top1".to_string(), "0".to_string(), 0.25),
            ("overlap1_top1".to_string(), "1".to_string(), 1.0),
        ];
        assert_eq!(found, expected);
    }
}
