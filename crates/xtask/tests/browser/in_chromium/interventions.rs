//! Changed inputs and forks: the copy goes another way, its source stays, and the address has it
//! all.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{LIMIT, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};
use crate::reference_run::compare_lanes;

#[test]
fn a_zeroed_thought_changes_a_copy_and_leaves_its_source_alone() {
    in_browser(WebGpu::Off, async |browser| {
        let run = open_and_run(browser, "prosqa-coconut:coconut").await?;
        pin(browser, 2).await?;
        browser.click("do-zero").await?;
        let is_there = |hash: &str| hash.contains(";prosqa-coconut:coconut,at=2-zero");
        browser.wait_hash(is_there, LIMIT).await?;
        let both = finished_run_of(browser, 2).await?;
        compare_lanes(&both["lanes"][0], &run["lanes"][0]).context("the source")?;
        let norm =
            |lane: usize, step: usize| both["lanes"][lane]["steps"][step]["hidden_norm"].clone();
        ensure!(norm(1, 2) == norm(0, 2), "the same up to the change");
        ensure!(norm(1, 3) != norm(0, 3), "another way after it");
        let changes = browser.texts("lane-1-changes").await?.concat();
        ensure!(changes.starts_with("zero at 2"), "found {changes}");
        check_quiet(browser).await
    });
}

#[test]
fn a_mixture_by_hand_is_fed_as_it_was_set() {
    in_browser(WebGpu::Off, async |browser| {
        let run = open_and_run(browser, "prosqa-soft:soft").await?;
        let steps = run["lanes"][0]["steps"].as_array().context("steps")?;
        let is_mixed = |step: &&Value| {
            step["input"] == "concept" && step["kept"][0]["weight"].as_f64() < Some(0.9)
        };
        let mixed = steps.iter().find(is_mixed).context("a real mixture")?;
        let step = mixed["step"].as_u64().context("its number")?;
        pin(browser, step).await?;
        browser.fill("mix-0", "0").await?;
        browser.click("do-mix").await?;
        let both = finished_run_of(browser, 2).await?;
        compare_lanes(&both["lanes"][0], &run["lanes"][0]).context("the source")?;
        let after = step as usize + 1;
        let norm = |lane: usize| both["lanes"][lane]["steps"][after]["hidden_norm"].clone();
        ensure!(norm(1) != norm(0), "another mixture gives another state");
        check_quiet(browser).await
    });
}

#[test]
fn a_fork_goes_on_as_its_source_did_and_answers_where_it_is_told_to() {
    in_browser(WebGpu::Off, async |browser| {
        let lane = "prosqa-cot:token-cot";
        let run = open_and_run(
            browser,
            &format!("{lane};{lane},from=1-4;{lane},from=1-4-answer"),
        )
        .await?;
        let steps = |lane: usize| {
            run["lanes"][lane]["steps"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        };
        let tokens = |steps: &[Value]| -> Vec<Value> {
            steps.iter().map(|step| step["token"].clone()).collect()
        };
        // What the source said after its fifth step, the fork says from its first on.
        ensure!(
            tokens(&steps(1)) == tokens(&steps(0)[5..]),
            "expected {:?}, found {:?}",
            tokens(&steps(0)[5..]),
            tokens(&steps(1))
        );
        ensure!(
            steps(2)[0]["token"] == json!("</think>"),
            "found {}",
            steps(2)[0]
        );
        check_quiet(browser).await
    });
}

async fn open_and_run(browser: &Browser, lanes: &str) -> Result<Value> {
    browser
        .open(&format!("problem=class:4&lanes={lanes}&speed=max"))
        .await?;
    browser.wait_enabled("run", LIMIT).await?;
    browser.click("run").await?;
    finished_run(browser).await
}

/// Waits for a finished run of so many lanes.
async fn finished_run_of(browser: &Browser, n_lanes: usize) -> Result<Value> {
    let has_all = |text: &str| {
        let run: Result<Value, _> = serde_json::from_str(text);
        run.is_ok_and(|run| run["lanes"].as_array().map_or(0, Vec::len) == n_lanes)
    };
    let json = browser.wait_text("trace-json", has_all, LIMIT).await?;
    serde_json::from_str(&json).context("expected JSON in trace-json")
}

async fn pin(browser: &Browser, step: u64) -> Result<()> {
    let row = format!("[data-testid=lane-0] .stream .row:nth-child({})", step + 1);
    browser.click_on(&row).await?;
    browser.wait_text("step-actions", |_| true, LIMIT).await?;
    browser.unfold("step-actions").await?;
    Ok(())
}
