//! What a visitor sees, by `data-testid` and text, with WebGPU and without.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use xtask::server::{Host, StaticServer};
use xtask::workspace;

use super::{LIMIT, SEED, address, check_quiet, check_run, finished_run, in_browser};
use crate::chromium::{Browser, ON_GPU, WebGpu};

#[test]
fn the_page_on_webgpu_runs_as_the_reference_does() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser
            .open(&format!("{}&engine=gpu", address("max")))
            .await?;
        let is_over = |text: &str| {
            !["waiting", "running"]
                .iter()
                .any(|word| text.contains(word))
        };
        let verdict = browser.wait_text("self-test", is_over, LIMIT).await?;
        eprintln!("self-test: {verdict}");
        ensure!(
            verdict.starts_with("GPU agrees with CPU"),
            "expected the self-test to agree, found {verdict:?}"
        );
        let engine = browser.wait_text("engine", |_| true, LIMIT).await?;
        ensure!(
            engine.contains("WebGPU"),
            "expected WebGPU, found {engine:?}"
        );
        check_default_lanes(browser).await?;
        check_quiet(browser).await
    });
}

#[test]
fn the_page_without_webgpu_says_so_and_runs_the_same() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        let names_it = |text: &str| text.contains("reference engine");
        browser.wait_text("fallback", names_it, LIMIT).await?;
        let engine = browser.wait_text("engine", |_| true, LIMIT).await?;
        ensure!(
            engine.contains("Reference engine"),
            "expected the reference engine, found {engine:?}"
        );
        check_default_lanes(browser).await?;
        check_quiet(browser).await
    });
}

/// The tasks that the page did not begin with run as on the command line, on whatever lanes the
/// page gives them.
#[test]
fn every_other_task_of_the_catalogue_runs_as_the_reference_does() {
    let tasks = other_tasks().unwrap_or_else(|error| panic!("{error:#}"));
    assert!(!tasks.is_empty(), "checkpoints of other tasks ship");
    in_browser(WebGpu::SwiftShader, async |browser| {
        for task in &tasks {
            browser
                .open(&format!("task={task}&{}&engine=gpu", address("max")))
                .await?;
            let run = run_default_lanes(browser, task)
                .await
                .with_context(|| format!("task {task}"))?;
            let lanes = run["lanes"].as_array().map_or(0, Vec::len);
            ensure!(lanes > 0, "expected lanes on {task}, found none");
        }
        check_quiet(browser).await
    });
}

/// The task of an address that names none.
const FIRST_TASK: &str = "prosqa";

/// The tasks of the built page's catalogue but the first, each once.
fn other_tasks() -> Result<BTreeSet<String>> {
    let path = workspace::dist().join("models").join("index.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}: run `cargo xtask dist`", path.display()))?;
    let catalogue: Value = serde_json::from_str(&text)?;
    let models = catalogue["models"].as_array();
    let models = models.context("expected a list of models in the catalogue")?;
    let tasks = models.iter().filter_map(|model| model["task"].as_str());
    let others = tasks.filter(|task| *task != FIRST_TASK);
    Ok(others.map(str::to_owned).collect())
}

/// Runs the first task's default lanes, which are known.
async fn check_default_lanes(browser: &Browser) -> Result<()> {
    let run = run_default_lanes(browser, FIRST_TASK).await?;
    let ran: Vec<_> = run["lanes"]
        .as_array()
        .context("expected lanes in trace-json")?
        .iter()
        .filter_map(|lane| lane["strategy"].as_str())
        .collect();
    let expected = ["token-cot", "soft", "soft-gumbel", "coconut"];
    ensure!(
        ran == expected,
        "expected the lanes {expected:?}, found {ran:?}"
    );
    Ok(())
}

/// Presses Run, and compares what the lanes did with the command line's reference engine and with
/// what the page shows of them.
async fn run_default_lanes(browser: &Browser, task: &str) -> Result<Value> {
    browser.wait_enabled("run", LIMIT).await?;
    browser.click("run").await?;
    let run = finished_run(browser).await?;
    let hash = browser.hash().await?;
    eprintln!("on {}: {hash}", run["lanes"][0]["engine"]);
    check_run(browser, &run, task, SEED).await?;
    for (index, lane) in run["lanes"].as_array().into_iter().flatten().enumerate() {
        let shown = browser.texts(&format!("lane-{index}-verdict")).await?;
        let verdict = lane["verdict"].as_str().unwrap_or_default();
        let strategy = &lane["strategy"];
        ensure!(
            shown == [verdict],
            "expected the verdict {verdict:?} shown in lane {index} ({strategy}), found {shown:?}"
        );
    }
    Ok(run)
}

/// Guards the tests themselves: a browser that quietly lacks WebGPU would test the fallback twice.
#[test]
fn the_browsers_offer_what_they_are_started_for() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.open("").await?;
        let adapter = browser.webgpu_adapter().await?;
        eprintln!("the browser offers {adapter:?}");
        let expects_software = std::env::var_os(ON_GPU).is_none();
        ensure!(
            adapter
                .as_deref()
                .is_some_and(|name| name.contains("swiftshader") == expects_software),
            "expected SwiftShader (a GPU where {ON_GPU} is set), found {adapter:?}"
        );
        Ok(())
    });
    in_browser(WebGpu::Off, async |browser| {
        browser.open("").await?;
        let adapter = browser.webgpu_adapter().await?;
        ensure!(adapter.is_none(), "expected no WebGPU, found {adapter:?}");
        Ok(())
    });
}

/// Guards the tests themselves: the log that they read must hold a request to another host.
#[test]
fn a_request_to_another_host_is_found() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open("").await?;
        browser.check_no_request_left().await?;
        let other = StaticServer::start(&workspace::dist(), 0, "/", Host::default())?;
        // The page's policy would refuse the request, and there would be none to find.
        let bypass = json!({ "enabled": true });
        browser.devtools("Page.setBypassCSP", bypass).await?;
        browser.open("").await?;
        browser.request_from_page(other.url()).await?;
        let Err(error) = browser.check_no_request_left().await else {
            bail!("expected the request to {} to be found", other.url());
        };
        let text = error.to_string();
        ensure!(
            text.contains(other.url()),
            "expected {} to be named, found {text}",
            other.url()
        );
        Ok(())
    });
}
