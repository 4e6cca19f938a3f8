//! What the command line's reference engine says of the lanes that the page ran.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use latent_model::address::{Address, LaneChoice};
use serde_json::Value;
use xtask::workspace;

/// In nats. The page computes in f32 (on the GPU or not), the oracle sums in f64; both read the
/// same weights, and over some hundred positions such sums differ by less than a tenth of this.
const ENTROPY_TOLERANCE: f64 = 1e-3;

/// What the page was asked to run.
pub struct Asked<'a> {
    /// Name of the task that the problem is drawn from.
    pub task: &'a str,
    /// Of the generated problem and of the lanes' draws.
    pub seed: u32,
    /// The page's address, which holds the lanes' settings.
    pub hash: &'a str,
}

/// Runs every lane of `page_run` with `latent run --engine reference --json`, on the generated
/// problem and with the draws of the seed, and compares prompt, inputs, tokens and entropies.
pub fn check_against_reference(page_run: &Value, asked: &Asked) -> Result<()> {
    let problem = &["--task", asked.task];
    // The very files that the page loads.
    let models = workspace::dist().join("models");
    check_lanes(page_run, asked.hash, |model| {
        reference_run(&models.join(model), problem, asked.seed)
    })
}

/// The same of a GGUF file that the page was given, and a text.
pub fn check_text_against_reference(
    page_run: &Value,
    file: &Path,
    (prompt, seed, hash): (&str, u32, &str),
) -> Result<()> {
    let problem = &["--prompt", prompt];
    check_lanes(page_run, hash, |_| reference_run(file, problem, seed))
}

fn check_lanes(page_run: &Value, hash: &str, run: impl Fn(&str) -> Command) -> Result<()> {
    let lanes = list(page_run, "lanes")?;
    ensure!(
        !lanes.is_empty(),
        "expected lanes in the page's run, found none"
    );
    let settings = settings_of_lanes(hash)?;
    ensure!(
        settings.len() == lanes.len(),
        "expected {} lanes in the address {hash}, found {}",
        lanes.len(),
        settings.len()
    );
    for (lane, settings) in lanes.iter().zip(settings) {
        let (model, strategy) = (text(lane, "model")?, text(lane, "strategy")?);
        let mut run = run(model);
        run.args(["--strategy", strategy])
            .args(settings.iter().flat_map(|setting| ["--set", setting]));
        let reference = json_of(run)?;
        ensure!(
            reference["prompt"] == page_run["prompt"],
            "expected the prompt {}, found {}",
            reference["prompt"],
            page_run["prompt"]
        );
        let expected = &list(&reference, "lanes")?[0];
        compare_lanes(lane, expected)
            .with_context(|| format!("page against reference, {strategy} on {model}"))?;
    }
    Ok(())
}

/// The settings, `key=value`, of each lane in an address.
fn settings_of_lanes(hash: &str) -> Result<Vec<Vec<String>>> {
    let address: Address = hash.parse()?;
    let lanes = address.lanes;
    let lanes = lanes.with_context(|| format!("expected lanes in the address, found {hash}"))?;
    let settings = |lane: &LaneChoice| {
        let settings = lane.settings.iter();
        settings
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    };
    Ok(lanes.iter().map(settings).collect())
}

fn reference_run(model: &Path, problem: &[&str], seed: u32) -> Command {
    let mut run = latent();
    run.args(["run", "--json", "--engine", "reference", "--model"])
        .arg(model)
        .args(problem)
        .args(["--seed", &seed.to_string()]);
    run
}

/// What `latent` prints.
fn json_of(mut latent: Command) -> Result<Value> {
    let output = latent.output().context("cannot start `latent`")?;
    ensure!(
        output.status.success(),
        "{latent:?} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("expected JSON from `latent`")
}

/// What `latent eval --json` prints on the reference engine, on the checkpoint of a built page.
pub fn reference_evaluation(model: &str, args: &[&str]) -> Result<Value> {
    let mut eval = latent();
    eval.args(["eval", "--json", "--engine", "reference", "--model"])
        .arg(workspace::dist().join("models").join(model))
        .args(args);
    json_of(eval)
}

/// The command `latent` of this workspace, or the program that `LATENT_CLI` names.
fn latent() -> Command {
    if let Some(program) = std::env::var_os("LATENT_CLI") {
        return Command::new(program);
    }
    let mut command = workspace::cargo();
    // Without --package: with the features of the whole workspace, as the tests were built.
    command.args(["run", "--quiet", "--bin", "latent", "--"]);
    command
}

/// An error names the first step that differs.
pub fn compare_lanes(found: &Value, expected: &Value) -> Result<()> {
    let (found_steps, expected_steps) = (list(found, "steps")?, list(expected, "steps")?);
    for (found, expected) in found_steps.iter().zip(expected_steps) {
        let step = &expected["step"];
        for key in ["step", "position", "phase", "input", "token", "flags"] {
            ensure!(
                found[key] == expected[key],
                "step {step}: expected {key} {}, found {}",
                expected[key],
                found[key]
            );
        }
        let (found, expected) = (&found["entropy"], &expected["entropy"]);
        let agrees = match (found.as_f64(), expected.as_f64()) {
            // A comparison with NaN is false, and so fails.
            (Some(found), Some(expected)) => (found - expected).abs() <= ENTROPY_TOLERANCE,
            _ => found.is_null() && expected.is_null(),
        };
        ensure!(
            agrees,
            "step {step}: expected the entropy {expected}, found {found}"
        );
    }
    let (n_found, n_expected) = (found_steps.len(), expected_steps.len());
    ensure!(
        n_found == n_expected,
        "expected {n_expected} steps, found {n_found}"
    );
    ensure!(n_expected > 0, "expected steps, found none");
    ensure!(
        found["answer"] == expected["answer"],
        "expected the answer {}, found {}",
        expected["answer"],
        found["answer"]
    );
    Ok(())
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key]
        .as_array()
        .with_context(|| format!("expected a list {key:?}, found {}", value[key]))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("expected a text {key:?}, found {}", value[key]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lane() -> Value {
        let step = |step: u32, token: &str, entropy: Value| json!({ "step": step, "input": "token", "token": token, "entropy": entropy });
        json!({ "answer": "a", "steps": [step(0, "x", json!(0.5)), step(1, "y", Value::Null)] })
    }

    #[test]
    fn each_lane_has_the_settings_of_the_address() {
        let hash = "task=arithmetic&lanes=a:soft,max_think=72,top_k=3;b:coconut&seed=1";
        let expected = [vec!["top_k=3", "max_think=72"], vec![]];
        assert_eq!(settings_of_lanes(hash).unwrap(), expected);
        assert!(settings_of_lanes("seed=1").is_err());
    }

    #[test]
    fn equal_lanes_agree() {
        let mut near = lane();
        near["steps"][0]["entropy"] = json!(0.5 + 0.5 * ENTROPY_TOLERANCE);
        compare_lanes(&near, &lane()).unwrap();
    }

    #[test]
    fn every_difference_is_found() {
        for (path, value, expect) in [
            (
                "/steps/0/entropy",
                json!(0.5 + 2.0 * ENTROPY_TOLERANCE),
                "entropy 0.5",
            ),
            ("/steps/0/entropy", Value::Null, "found null"),
            ("/steps/1/entropy", json!(0.0), "expected the entropy null"),
            (
                "/steps/1/token",
                json!("z"),
                "step 1: expected token \"y\", found \"z\"",
            ),
            (
                "/steps",
                json!([lane()["steps"][0]]),
                "expected 2 steps, found 1",
            ),
            ("/answer", json!("b"), "expected the answer"),
        ] {
            let mut other = lane();
            *other.pointer_mut(path).unwrap() = value;
            let error = compare_lanes(&other, &lane()).unwrap_err().to_string();
            assert!(error.contains(expect), "{path}: {error}");
        }
    }
}
