//! CCOT on the page: a lane like any other, its contemplation tokens beside what they stand for.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{LIMIT, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

const LANE: &str = "task=arithmetic&problem=class:1&lanes=arithmetic-ccot:ccot&seed=1&speed=max";

#[test]
fn a_ccot_lane_contemplates_until_its_end_and_its_r_is_chosen() {
    in_browser(WebGpu::Off, async |browser| {
        let short = contemplated(browser, LANE).await?;
        let rows = browser
            .count("[data-testid=lane-0] [data-kind=thought]")
            .await?;
        ensure!(rows == short, "expected {short} rows, found {rows}");
        let stands_for = browser.texts("stands-for").await?;
        ensure!(
            stands_for.len() == short,
            "each beside its token of the solution, found {stands_for:?} of {short}"
        );
        let is_named = |text: &&String| text.starts_with("for ") && text.len() > 4;
        ensure!(
            stands_for.iter().all(|text| is_named(&text)),
            "{stands_for:?}"
        );
        // `<think>`, then what is read of the query; the marker's row reads the last token.
        let named = "[data-testid=lane-0] .row:nth-child(N) [data-testid=stands-for]";
        for row in 1..=short + 2 {
            let n_named = browser.count(&named.replace('N', &row.to_string())).await?;
            let is_kept = row > 2;
            ensure!(n_named == usize::from(is_kept), "row {row}: {n_named}");
        }
        let decoded = browser.texts("lane-0").await?.concat();
        ensure!(
            decoded.contains("enough: "),
            "END is asked of each: {decoded}"
        );
        let mass = browser.texts("mass").await?.concat();
        ensure!(
            !mass.contains("outside"),
            "no search is told of, found {mass}"
        );

        browser.click("lane-0-settings").await?;
        // What the checkpoint brings.
        let is_told =
            |text: &str| text.contains("after layer ℓ = 2, ") && text.contains("r = 0.1 steps");
        browser.wait_text("lane-0", is_told, LIMIT).await?;
        browser
            .choose("adapters", "arithmetic-ccot/ccot-r1")
            .await?;
        let is_other = |hash: &str| hash.contains("lanes=arithmetic-ccot/ccot-r1:ccot");
        let hash = browser.wait_hash(is_other, LIMIT).await?;
        let is_told = |text: &str| text.contains("r = 1 steps");
        browser.wait_text("lane-0", is_told, LIMIT).await?;
        let long = contemplated(browser, &hash).await?;
        ensure!(
            long > short,
            "r = 1 contemplates longer: {long} against {short}"
        );
        check_quiet(browser).await
    });
}

#[test]
fn the_phases_of_contemplation_are_named() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(LANE).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let mut phases = Vec::new();
        for _ in 0..40 {
            let status = browser.texts("status").await?.concat();
            if status == "done" {
                break;
            }
            browser.press_at_once(&["step"]).await?;
            let text = browser.texts("lane-0").await?.concat();
            for phase in ["contemplating (generator)", "answering (decoder)"] {
                if text.contains(phase) && !phases.contains(&phase) {
                    phases.push(phase);
                }
            }
        }
        let expected = ["contemplating (generator)", "answering (decoder)"];
        ensure!(
            phases == expected,
            "expected {expected:?}, found {phases:?}"
        );
        Ok(())
    });
}

/// Runs a lane and gives the number of its contemplation tokens, the last of which END ended.
async fn contemplated(browser: &Browser, hash: &str) -> Result<usize> {
    browser.open(hash).await?;
    browser.wait_enabled("run", LIMIT).await?;
    browser.click("run").await?;
    let run = finished_run(browser).await?;
    let steps = run["lanes"][0]["steps"].as_array().context("steps")?;
    let is_thought = |step: &&Value| step["input"] == json!("thought");
    let is_end = |step: &&Value| step["flags"].to_string().contains("end-classifier");
    steps.iter().find(is_end).context("END ended it")?;
    Ok(steps.iter().filter(is_thought).count())
}
