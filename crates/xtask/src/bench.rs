//! `cargo xtask bench`: runs `latent bench` with all peers and holds its ratios to their floors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace;

/// A ratio below this part of its floor fails; between the two it is a warning, because machines
/// that do other things at the same time are that unsteady.
const TOLERANCE: f64 = 0.8;

/// What the benchmark leaves in the repository.
fn folder() -> PathBuf {
    workspace::root().join("crates/cli/bench")
}

/// What is said at the head of the floors' file.
const FLOORS_HEAD: &str = "\
# Ratios that `latent bench` has reached (medians, on the adapter that measured.json names).
# `cargo xtask bench` fails below 0.8 of one, and `cargo xtask bench --write` writes this file; a commit
# that lowers a floor says why and shows the table that it prints.
";

/// Measures, with `more` arguments of `latent bench`, or reads what `latent bench --json` printed elsewhere
/// into a file, and compares; `write` keeps what was measured, and the document of it.
///
/// # Errors
/// If the benchmark fails, or a ratio is far below its floor and is not to be written.
pub fn run(measured: Option<&Path>, write: bool, more: &[String]) -> Result<()> {
    let program = build()?;
    let json = match measured {
        Some(path) => {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        None => {
            let more = more.iter().map(String::as_str);
            bench(
                &program,
                &Vec::from_iter(["--json"].into_iter().chain(more)),
            )?
        }
    };
    let report: Value = serde_json::from_str(&json).context("in what `latent bench` prints")?;
    let found = ratios(&report)?;
    let floors = read_floors(&folder().join("floor.toml"))?;
    let verdicts = compare(&floors, &found);
    print!("{}", table(&verdicts));
    if write {
        return keep(&program, &json, &found);
    }
    let failed = verdicts.iter().filter(|verdict| verdict.is_failure());
    let failed: Vec<&str> = failed.map(|verdict| verdict.name.as_str()).collect();
    ensure!(
        failed.is_empty(),
        "far below their floors: {}",
        failed.join("; ")
    );
    Ok(())
}

/// The program `latent`, built for speed and with burn's wgpu backend among the peers.
fn build() -> Result<PathBuf> {
    let mut command = workspace::cargo();
    // With the workspace's features, so that what it has built already is used.
    command
        .args(["build", "--release", "--workspace", "--bin", "latent"])
        .args(["--features", "latent-cli/wgpu"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "latent was not built ({})",
        output.status
    );
    let messages = String::from_utf8(output.stdout).context("in what cargo prints")?;
    let messages = messages.lines().map(serde_json::from_str::<Value>);
    let program = messages.flatten().find_map(|message| {
        let is_latent = message["target"]["name"] == "latent";
        let executable = message["executable"].as_str().filter(|_| is_latent);
        executable.map(PathBuf::from)
    });
    program.context("expected cargo to name the program latent, found none")
}

/// What `latent bench` prints.
fn bench(program: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).arg("bench");
    let output = command.args(args).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "`latent bench` failed ({})",
        output.status
    );
    String::from_utf8(output.stdout).context("in what `latent bench` prints")
}

/// Writes the report, the floors and the document.
fn keep(program: &Path, json: &str, found: &BTreeMap<String, f64>) -> Result<()> {
    let measured = folder().join("measured.json");
    let mut floors = FLOORS_HEAD.to_owned();
    for (name, ratio) in found {
        // Rounded down, so that a floor is what was reached.
        floors += &format!("{name:?} = {:.2}\n", (100.0 * ratio).floor() / 100.0);
    }
    save(&measured, json)?;
    save(&folder().join("floor.toml"), &floors)?;
    let measured = measured.to_string_lossy().into_owned();
    let document = bench(program, &["--from", &measured])?;
    save(&workspace::root().join("docs/performance.md"), &document)
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Whether a ratio is held to a floor. How the tables of kernels stand to each other is only told: the
/// slower one may become quicker. So are PyTorch and onnxruntime, which not every machine has.
fn is_held(name: &str) -> bool {
    let only_told = ["over kernels ", "over PyTorch", "over onnxruntime"];
    !only_told.iter().any(|peer| name.contains(peer))
}

/// The medians of a report's ratios that are held to floors.
fn ratios(report: &Value) -> Result<BTreeMap<String, f64>> {
    let ratios = report.get("ratios").and_then(Value::as_object);
    let ratios = ratios.context("expected the report's ratios, found none")?;
    let median = |(name, ratio): (&String, &Value)| {
        let median = ratio.get("median").and_then(Value::as_f64);
        let median =
            median.with_context(|| format!("expected a median of {name:?}, found none"))?;
        Ok((name.clone(), median))
    };
    let held = ratios.iter().filter(|(name, _)| is_held(name));
    held.map(median).collect()
}

fn read_floors(path: &Path) -> Result<BTreeMap<String, f64>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// A ratio before and after; what has no floor or is not measured any more has none.
struct Verdict {
    name: String,
    floor: Option<f64>,
    found: Option<f64>,
}

impl Verdict {
    fn is_failure(&self) -> bool {
        let far_below = |floor: f64| self.found.is_none_or(|found| found < TOLERANCE * floor);
        self.floor.is_some_and(far_below)
    }

    fn word(&self) -> &'static str {
        match (self.floor, self.found) {
            _ if self.is_failure() => "BELOW",
            (Some(floor), Some(found)) if found < floor => "a little below",
            (None, _) => "new",
            _ => "ok",
        }
    }
}

fn compare(floors: &BTreeMap<String, f64>, found: &BTreeMap<String, f64>) -> Vec<Verdict> {
    let names: std::collections::BTreeSet<&String> = floors.keys().chain(found.keys()).collect();
    let verdict = |name: &String| Verdict {
        name: name.clone(),
        floor: floors.get(name).copied(),
        found: found.get(name).copied(),
    };
    names.into_iter().map(verdict).collect()
}

/// Before and after, for a commit message.
fn table(verdicts: &[Verdict]) -> String {
    let number = |number: Option<f64>| number.map_or("–".to_owned(), |n| format!("{n:.2}"));
    let mut text = format!("{:<48} {:>8} {:>8}\n", "ratio", "floor", "now");
    for verdict in verdicts {
        let (floor, found) = (number(verdict.floor), number(verdict.found));
        text += &format!(
            "{:<48} {floor:>8} {found:>8}  {}\n",
            verdict.name,
            verdict.word()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, f64)]) -> BTreeMap<String, f64> {
        let entries = entries.iter();
        entries
            .map(|&(name, ratio)| (name.to_owned(), ratio))
            .collect()
    }

    #[test]
    fn a_ratio_fails_far_below_its_floor_and_where_it_is_gone() {
        let floors = map(&[("far", 10.0), ("gone", 1.0), ("kept", 3.0), ("little", 2.0)]);
        let found = map(&[("far", 7.9), ("kept", 3.0), ("little", 1.7), ("new", 1.0)]);
        let verdicts = compare(&floors, &found);
        let words: Vec<(&str, &str)> = verdicts
            .iter()
            .map(|verdict| (verdict.name.as_str(), verdict.word()))
            .collect();
        let expected = [
            ("far", "BELOW"),
            ("gone", "BELOW"),
            ("kept", "ok"),
            ("little", "a little below"),
            ("new", "new"),
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn the_floors_are_ratios_of_what_was_measured_and_no_higher() {
        let floors = read_floors(&folder().join("floor.toml")).unwrap();
        let json = fs::read_to_string(folder().join("measured.json")).unwrap();
        let found = ratios(&serde_json::from_str(&json).unwrap()).unwrap();
        assert!(!floors.is_empty());
        for verdict in compare(&floors, &found) {
            assert_eq!(verdict.word(), "ok", "{}", verdict.name);
        }
    }
}
