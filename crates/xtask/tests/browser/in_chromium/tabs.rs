//! Several tabs: one that nobody looks at, and two that run at once.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{LIMIT, check_quiet, check_run, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

/// The page on the GPU with a problem's default lanes.
fn address(seed: u32, speed: &str) -> String {
    format!("problem=class:{seed}&seed={seed}&speed={speed}&engine=gpu")
}

async fn check_run_on_gpu(browser: &Browser, run: &Value, seed: u32) -> Result<()> {
    check_run(browser, run, "prosqa", seed).await?;
    let engine = browser.texts("engine").await?.concat();
    ensure!(engine.contains("WebGPU"), "it went on with {engine}");
    Ok(())
}

/// As fast as it goes, and slow enough to be hidden in the middle.
#[test]
fn a_run_goes_on_while_nobody_looks() {
    for speed in ["max", "8"] {
        in_browser(WebGpu::SwiftShader, async |browser| {
            browser.open(&address(1, speed)).await?;
            browser.wait_enabled("run", LIMIT).await?;
            browser.click("run").await?;
            let has_begun = |text: &str| !text.is_empty();
            browser.wait_text("steps-done", has_begun, LIMIT).await?;
            let other = browser.hide().await?;
            let run = finished_run(browser).await?;
            let state = "return document.visibilityState";
            let state = browser.execute(state, Value::Null).await?;
            ensure!(state == "hidden", "expected a hidden tab, found {state}");
            browser.show(&other).await?;
            check_run_on_gpu(browser, &run, 1).await?;
            check_quiet(browser).await
        });
    }
}

#[test]
fn a_run_that_begins_while_nobody_looks_ends() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.open(&address(1, "max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let other = browser.hide().await?;
        browser.press_at_once(&["run"]).await?;
        let run = finished_run(browser).await?;
        browser.show(&other).await?;
        check_run_on_gpu(browser, &run, 1).await
    });
}

#[test]
fn two_tabs_run_at_once() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        let mut tabs = vec![(browser.window().await?, 1)];
        tabs.push((browser.open_window().await?, 2));
        for (tab, seed) in &tabs {
            browser.switch_to(tab).await?;
            browser.open(&address(*seed, "8")).await?;
            browser.wait_enabled("run", LIMIT).await?;
        }
        for (tab, _) in &tabs {
            browser.switch_to(tab).await?;
            browser.press_at_once(&["run"]).await?;
        }
        for (tab, seed) in &tabs {
            browser.switch_to(tab).await?;
            let status = browser.texts("status").await?;
            ensure!(status == ["running"], "the run of {seed} is {status:?}");
        }
        for (tab, seed) in &tabs {
            browser.switch_to(tab).await?;
            let run = finished_run(browser).await?;
            check_run_on_gpu(browser, &run, *seed).await?;
            let refused = browser.refused().await?;
            ensure!(refused.is_empty(), "the policy refused {refused:?}");
        }
        Ok(())
    });
}
