//! The arena counts what `latent eval` counts.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{KEEP, LIMIT, check_quiet, in_browser, take_away::taken};
use crate::chromium::{Browser, WebGpu};
use crate::reference_run::reference_evaluation;

const LANES: &str = "lanes=prosqa-coconut:coconut,thoughts=1;prosqa-cot:token-cot&seed=5&speed=max";

#[test]
fn an_arena_that_was_stopped_counts_what_latent_eval_counts() {
    in_browser(WebGpu::Off, async |browser| {
        set_up(browser).await?;
        browser.click("arena-start").await?;
        let has_begun = |text: &str| !text.starts_with("0 of");
        browser
            .wait_text("arena-progress", has_begun, LIMIT)
            .await?;
        browser.press_at_once(&["arena-stop"]).await?;
        browser.wait_enabled("arena-resume", LIMIT).await?;
        browser.click("arena-resume").await?;
        counts_as_eval(browser, "class").await
    });
}

#[test]
fn an_arena_of_official_problems_counts_what_latent_eval_counts() {
    in_browser(WebGpu::Off, async |browser| {
        set_up(browser).await?;
        browser.choose("arena-size", "official").await?;
        browser.click("arena-start").await?;
        counts_as_eval(browser, "official").await
    });
}

/// An arena of twenty problems.
async fn set_up(browser: &Browser) -> Result<()> {
    browser.open(LANES).await?;
    browser.wait_enabled("run", LIMIT).await?;
    browser.unfold("arena").await?;
    browser.choose("arena-n", "20").await
}

/// Waits for the arena's end, and has `latent eval` count the same.
async fn counts_as_eval(browser: &Browser, size: &str) -> Result<()> {
    let is_done = |text: &str| text.starts_with("40 of 40 runs");
    browser.wait_text("arena-progress", is_done, LIMIT).await?;
    let lanes = [
        ("prosqa-coconut", "coconut", &["--set", "thoughts=1"][..]),
        ("prosqa-cot", "token-cot", &[]),
    ];
    for (index, (model, strategy, set)) in lanes.into_iter().enumerate() {
        let of = [
            "--strategy",
            strategy,
            "--task",
            "prosqa",
            "--difficulty",
            size,
        ];
        let args = [&of[..], &["--n", "20", "--seed", "5"], set].concat();
        let expected = reference_evaluation(model, &args)?;
        let shown = shown(&expected);
        let found = browser.texts(&format!("arena-accuracy-{index}")).await?;
        ensure!(
            found == [shown.clone()],
            "{size}: expected {shown}, found {found:?}"
        );
    }
    check_quiet(browser).await
}

/// An accuracy of `latent eval` as the arena writes it.
fn shown(expected: &Value) -> String {
    let percent = |key: &str| 100.0 * expected[key].as_f64().unwrap_or(f64::NAN);
    let [value, low, high] = ["accuracy", "ci_low", "ci_high"].map(percent);
    format!("{value:.1} % ({low:.1}–{high:.1})")
}

/// The shares of the first line of the sweep's chart, read off its axis.
const SWEEP_SHARES: &str = "const chart = document.querySelector('[data-testid=sweep]'); \
    const tick = text => Number([...chart.querySelectorAll('.tick')] \
        .find(tick => tick.textContent.trim() === text).getAttribute('y')); \
    const places = chart.querySelector('.curve .line:not(.error)').getAttribute('d').slice(1).split('L'); \
    return places.map(place => (tick('0 %') - place.split(' ')[1]) / (tick('0 %') - tick('100 %')))";

#[test]
fn a_sweep_has_a_row_for_every_number_of_thoughts_and_draws_what_latent_eval_counts() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(LANES).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.unfold("arena").await?;
        browser.choose("arena-n", "20").await?;
        browser.click("arena-sweep").await?;
        browser.click("arena-start").await?;
        let is_done = |text: &str| text.starts_with("200 of 200 runs");
        browser.wait_text("arena-progress", is_done, LIMIT).await?;
        ensure!(
            rows(browser).await? == 10,
            "nine of thoughts and one of words"
        );
        let drawn = browser.execute(SWEEP_SHARES, Value::Null).await?;
        let drawn: Vec<f64> = serde_json::from_value(drawn)?;
        ensure!(
            drawn.len() == 9,
            "a point for every number, found {drawn:?}"
        );
        for (thoughts, drawn) in drawn.into_iter().enumerate() {
            let set = format!("thoughts={thoughts}");
            let args = ["--strategy", "coconut", "--set", &set];
            let args = [&args[..], &["--task", "prosqa", "--n", "20", "--seed", "5"]].concat();
            let expected = reference_evaluation("prosqa-coconut", &args)?;
            let found = browser.texts(&format!("arena-accuracy-{thoughts}")).await?;
            let shown = shown(&expected);
            ensure!(
                found == [shown.clone()],
                "{set}: expected {shown}, found {found:?}"
            );
            let accuracy = expected["accuracy"].as_f64().context("an accuracy")?;
            // The chart's numbers have one decimal of some two hundred.
            ensure!(
                (drawn - accuracy).abs() < 1e-3,
                "{set}: expected {accuracy} in the chart, found {drawn}"
            );
        }
        check_quiet(browser).await
    });
}

#[test]
fn a_histogram_counts_and_files_say_what_latent_eval_counts() {
    const SAMPLES: usize = 5;
    in_browser(WebGpu::Off, async |browser| {
        browser.before_page(KEEP).await?;
        browser
            .open("lanes=prosqa-cot:soft-gumbel,tau=2&seed=5&speed=max")
            .await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.unfold("arena").await?;
        browser.choose("arena-n", "20").await?;
        browser.choose("arena-samples", "5").await?;
        browser.click("arena-start").await?;
        let is_done = |text: &str| text.starts_with("100 of 100 runs");
        browser.wait_text("arena-progress", is_done, LIMIT).await?;

        let out = std::env::temp_dir().join(format!("arena-{}.jsonl", std::process::id()));
        let file = out.to_str().context("a path of letters")?;
        let args = [
            "--strategy",
            "soft-gumbel",
            "--set",
            "tau=2",
            "--task",
            "prosqa",
        ];
        let trial = ["--n", "20", "--samples", "5", "--seed", "5", "--out", file];
        let expected = reference_evaluation("prosqa-cot", &[&args[..], &trial].concat())?;
        // A line for each run, after one that says what ran.
        let mut n_right: BTreeMap<u64, usize> = BTreeMap::new();
        let runs = std::fs::read_to_string(&out)?;
        std::fs::remove_file(&out)?;
        for line in runs.lines().skip(1) {
            let run: Value = serde_json::from_str(line)?;
            let problem = run["problem"].as_u64().context("a problem")?;
            *n_right.entry(problem).or_default() += usize::from(run["grade"] == "right");
        }
        let with = |n: usize| n_right.values().filter(|right| **right == n).count();
        let bins: Vec<String> = (0..=SAMPLES).map(|n| format!("{n}: {}", with(n))).collect();
        let bins = bins.join(", ");
        let found = browser.attributes("arena-row-0", ".histogram", "aria-label");
        let found = found.await?;
        ensure!(found == [bins.clone()], "expected {bins}, found {found:?}");
        ensure!(
            n_right.len() == 20 && with(SAMPLES) < 20,
            "noise that decides nothing shows nothing: {bins}"
        );

        let (kind, csv) = taken(browser, "arena-csv").await?;
        ensure!(kind.starts_with("text/csv"), "found {kind}");
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        let [head, line] = lines[..] else {
            anyhow::bail!("expected a head and a row, found {csv}");
        };
        let fields: BTreeMap<&str, &str> = head
            .split(',')
            .zip(line.trim_matches('"').split("\",\""))
            .collect();
        for key in [
            "accuracy",
            "ci_low",
            "ci_high",
            "malformed",
            "mean_think_steps",
        ] {
            let found: f64 = fields[key]
                .parse()
                .with_context(|| format!("{key} of {csv}"))?;
            let expected = expected[key].as_f64().context(key)?;
            ensure!(
                (found - expected).abs() < 1e-9,
                "{key}: expected {expected}, found {found}"
            );
        }
        for (key, expected) in [
            ("model", "prosqa-cot"),
            ("settings", "tau=2"),
            ("samples", "5"),
            ("seed", "5"),
            ("runs_done", "100"),
        ] {
            ensure!(fields[key] == expected, "{key}: found {}", fields[key]);
        }
        let (kind, markdown) = taken(browser, "arena-markdown").await?;
        ensure!(kind.starts_with("text/markdown"), "found {kind}");
        let row = format!(
            "| 1 Soft + Gumbel, gumbel τ 2 · prosqa-cot | {} | 100/100 |",
            shown(&expected)
        );
        ensure!(markdown.contains(&row), "expected {row} in {markdown}");
        check_quiet(browser).await
    });
}

#[test]
fn a_link_opens_the_arena_as_it_was_set() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(LANES).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.unfold("arena").await?;
        browser.choose("arena-size", "official").await?;
        browser.choose("arena-n", "50").await?;
        browser.choose("arena-samples", "5").await?;
        browser.click("arena-sweep").await?;
        let is_set = |hash: &str| hash.ends_with("&arena=official-50-5-sweep");
        let hash = browser.wait_hash(is_set, LIMIT).await?;
        browser.open(&hash).await?;
        browser.wait_enabled("arena-start", LIMIT).await?;
        let values = "return ['size', 'n', 'samples'].map(name => \
                      document.querySelector(`[data-testid=arena-${name}]`).value)";
        let found = browser.execute(values, json!(null)).await?;
        ensure!(found == json!(["official", "50", "5"]), "found {found}");
        let is_open = "return document.querySelector('[data-testid=arena]').open";
        ensure!(
            browser.execute(is_open, json!(null)).await? == json!(true),
            "open"
        );
        browser
            .execute(
                "document.querySelector('[data-testid=arena] summary').click()",
                json!(null),
            )
            .await?;
        browser
            .wait_hash(|hash| !hash.contains("arena"), LIMIT)
            .await?;
        check_quiet(browser).await
    });
}

async fn rows(browser: &Browser) -> Result<usize> {
    browser.count("[data-testid=arena-table] tbody tr").await
}
