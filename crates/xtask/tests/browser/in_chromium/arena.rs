//! The arena counts what `latent eval` counts.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{LIMIT, check_quiet, in_browser};
use crate::chromium::{Browser, WebGpu};
use crate::reference_run::reference_evaluation;

const LANES: &str = "lanes=prosqa-coconut:coconut,thoughts=1;prosqa-cot:token-cot&seed=5&speed=max";

#[test]
fn an_arena_that_was_stopped_counts_what_latent_eval_counts() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(LANES).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.unfold("arena").await?;
        browser.choose("arena-n", "20").await?;
        browser.click("arena-start").await?;
        let has_begun = |text: &str| !text.starts_with("0 of");
        browser
            .wait_text("arena-progress", has_begun, LIMIT)
            .await?;
        browser.press_at_once(&["arena-stop"]).await?;
        browser.wait_enabled("arena-resume", LIMIT).await?;
        browser.click("arena-resume").await?;
        let is_done = |text: &str| text.starts_with("40 of 40 runs");
        browser.wait_text("arena-progress", is_done, LIMIT).await?;
        let lanes = [
            ("prosqa-coconut", "coconut", vec!["--set", "thoughts=1"]),
            ("prosqa-cot", "token-cot", vec![]),
        ];
        for (index, (model, strategy, set)) in lanes.into_iter().enumerate() {
            let mut args = vec![
                "--strategy",
                strategy,
                "--task",
                "prosqa",
                "--n",
                "20",
                "--seed",
                "5",
            ];
            args.extend(set);
            let expected = reference_evaluation(model, &args)?;
            let accuracy = expected["accuracy"].as_f64().context("an accuracy")?;
            let [low, high] = ["ci_low", "ci_high"].map(|key| expected[key].as_f64());
            let percent = |share: Option<f64>| format!("{:.1}", 100.0 * share.unwrap_or(f64::NAN));
            let shown = format!(
                "{} % ({}–{})",
                percent(Some(accuracy)),
                percent(low),
                percent(high)
            );
            let found = browser.texts(&format!("arena-accuracy-{index}")).await?;
            ensure!(
                found == [shown.clone()],
                "expected {shown}, found {found:?}"
            );
        }
        check_quiet(browser).await
    });
}

#[test]
fn a_sweep_has_a_row_for_every_number_of_thoughts() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(LANES).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.unfold("arena").await?;
        browser.choose("arena-n", "20").await?;
        browser.click("arena-sweep").await?;
        browser.click("arena-start").await?;
        browser.wait_text("arena-row-9", |_| true, LIMIT).await?;
        ensure!(
            rows(browser).await? == 10,
            "nine of thoughts and one of words"
        );
        browser.press_at_once(&["arena-stop"]).await?;
        ensure!(browser.count("[data-testid=sweep]").await? == 1, "a chart");
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
