//! How the page looks and reads: nothing lies over anything else at any width, and axe-core finds
//! nothing in light and dark.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::setup;

use super::{LIMIT, address, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

/// A phone, a tablet, a laptop and a large screen, in CSS pixels, and how many of four lanes show.
const SIZES: [([u32; 2], usize); 4] = [
    ([390, 844], 1),
    ([768, 1024], 4),
    ([1366, 768], 4),
    ([1920, 1080], 4),
];

/// Returns what is wrong with the layout, a sentence each.
const LAYOUT: &str = include_str!("layout.js");

#[test]
fn nothing_overlaps_or_scrolls_sideways_at_any_width() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        check_layout(browser, "before a run").await?;
        browser.click("run").await?;
        finished_run(browser).await?;
        check_layout(browser, "after a run").await?;
        open_all(browser).await?;
        check_layout(browser, "with everything open").await?;
        browser.click("size").await?;
        check_layout(browser, "in large letters").await?;
        browser.click("size").await?;
        browser.open("lanes=no-such-checkpoint:soft").await?;
        browser.wait_text("error", |_| true, LIMIT).await?;
        check_layout(browser, "with a message").await?;
        browser
            .open(&format!("task=arithmetic&{}", address("max")))
            .await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        finished_run(browser).await?;
        check_layout(browser, "with a story").await
    });
}

#[test]
fn a_phone_shows_the_lane_that_was_chosen() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        for (size, n_lanes) in SIZES {
            browser.resize(size).await?;
            let shown = shown_lanes(browser).await?;
            ensure!(
                shown.len() == n_lanes,
                "at {size:?}: expected {n_lanes} lanes, found {shown:?}"
            );
        }
        browser.resize(SIZES[0].0).await?;
        for lane in [0, 2] {
            browser.click(&format!("show-lane-{lane}")).await?;
            let expected = [format!("lane-{lane}")];
            let shown = shown_lanes(browser).await?;
            ensure!(shown == expected, "expected {expected:?}, found {shown:?}");
        }
        check_quiet(browser).await
    });
}

#[test]
fn axe_finds_nothing() {
    let axe = setup::axe_script().and_then(|path| {
        std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}: run `cargo xtask setup`", path.display()))
    });
    let axe = axe.unwrap_or_else(|error| panic!("{error:#}"));
    in_browser(WebGpu::Off, async |browser| {
        for dark in [false, true] {
            browser.prefer_dark(dark).await?;
            browser.open(&address("max")).await?;
            browser.wait_enabled("run", LIMIT).await?;
            browser.execute(&axe, Value::Null).await?;
            for state in ["before a run", "after a run, with everything open"] {
                if state != "before a run" {
                    browser.click("run").await?;
                    finished_run(browser).await?;
                    open_all(browser).await?;
                }
                for (size, _) in &SIZES[..3] {
                    browser.resize(*size).await?;
                    let found = axe_findings(browser).await?;
                    ensure!(
                        found.is_empty(),
                        "{state}, at {size:?}, dark: {dark}: expected no findings, found {found:#?}"
                    );
                }
            }
        }
        Ok(())
    });
}

/// Guards the tests themselves: what they look for must be found where it is.
#[test]
fn faults_of_layout_are_found() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        for (style, expect) in [
            ("[data-testid=reset] { margin-left: -3rem }", "reset"),
            ("[data-testid=step] { min-height: 0; height: 20px }", "step"),
            ("[data-testid=guide] { width: 120vw }", "wide"),
        ] {
            let added = "const sheet = new CSSStyleSheet(); sheet.replaceSync(arguments[0]); \
                         document.adoptedStyleSheets = [sheet]";
            browser.execute(added, json!(style)).await?;
            let found = layout_faults(browser).await?.join("\n");
            ensure!(
                found.contains(expect),
                "with {style}: expected {expect:?} in the faults, found {found:?}"
            );
        }
        Ok(())
    });
}

/// Opens what is folded away, and the settings of the lane that every screen shows.
async fn open_all(browser: &Browser) -> Result<()> {
    let settings = "document.querySelector('[data-testid=lane-3-settings]').click()";
    browser.execute(settings, Value::Null).await?;
    let open = "for (const folded of document.querySelectorAll('details')) folded.open = true";
    browser.execute(open, Value::Null).await?;
    let is_there = |text: &str| text.contains("checkpoint");
    browser.wait_text("evidence", is_there, LIMIT).await?;
    // What is folded away in a panel comes with it.
    browser.execute(open, Value::Null).await?;
    let is_at_rest = |text: &str| text.starts_with("All steps") || text.starts_with("Waits");
    browser
        .wait_text("analysis-status", is_at_rest, LIMIT)
        .await?;
    Ok(())
}

/// Fails where the layout has faults at one of the sizes.
async fn check_layout(browser: &Browser, state: &str) -> Result<()> {
    for (size, _) in SIZES {
        browser.resize(size).await?;
        let faults = layout_faults(browser).await?;
        ensure!(
            faults.is_empty(),
            "{state}, at {size:?}: expected no faults, found {faults:#?}"
        );
    }
    Ok(())
}

async fn layout_faults(browser: &Browser) -> Result<Vec<String>> {
    let faults = browser.execute(LAYOUT, Value::Null).await?;
    serde_json::from_value(faults).context("expected a list of faults")
}

/// The `data-testid`s of the lanes that the page shows.
async fn shown_lanes(browser: &Browser) -> Result<Vec<String>> {
    let script = "return Array.from(document.querySelectorAll('article')) \
                  .filter(lane => lane.checkVisibility()).map(lane => lane.dataset.testid)";
    let lanes = browser.execute(script, Value::Null).await?;
    serde_json::from_value(lanes).context("expected a list of lanes")
}

/// What axe-core has to say, its rule for the size of buttons included.
async fn axe_findings(browser: &Browser) -> Result<Vec<String>> {
    let script = "axe.run({ rules: { 'target-size': { enabled: true } } }).then(found => \
                  arguments[1](found.violations.flatMap(rule => rule.nodes.map(node => \
                      `${rule.id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`))))";
    let findings = browser.execute_async(script, Value::Null).await?;
    serde_json::from_value(findings).context("expected a list of findings")
}
