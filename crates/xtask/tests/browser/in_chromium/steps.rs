//! Looking at steps: what is pinned stays, what is told of a step is what it was.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{LIMIT, address, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

/// For what the page does at once.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_pinned_step_survives_the_pointer_and_a_new_run_is_followed() {
    in_browser(WebGpu::Off, async |browser| {
        run(browser, &address("max")).await?;
        shows(browser, "Newest").await?;
        on_row(browser, 3, "click").await?;
        shows(browser, "Step 3").await?;
        let pinned = mass(browser).await?;
        on_row(browser, 5, "pointerenter").await?;
        shows(browser, "Step 5").await?;
        on_row(browser, 5, "pointerleave").await?;
        shows(browser, "Step 3").await?;
        ensure!(mass(browser).await? == pinned, "expected {pinned} again");
        // Back and forth: the same steps say the same.
        browser.click("step-on").await?;
        shows(browser, "Step 4").await?;
        browser.press_key("ArrowLeft").await?;
        shows(browser, "Step 3").await?;
        ensure!(mass(browser).await? == pinned, "expected {pinned} again");
        let hash = browser.hash().await?;
        ensure!(hash.contains("&step=3"), "expected the step in {hash}");
        browser.click("run").await?;
        shows(browser, "Newest").await?;
        check_quiet(browser).await
    });
}

#[test]
fn scrubbing_back_and_forth_shows_the_same_records() {
    in_browser(WebGpu::Off, async |browser| {
        run(browser, &address("max")).await?;
        let recorded = finished_run(browser).await?;
        on_row(browser, 0, "click").await?;
        let mut forth = Vec::new();
        for step in 0..8 {
            shows(browser, &format!("Step {step}")).await?;
            forth.push(drawn(browser).await?);
            browser.press_key("ArrowRight").await?;
        }
        ensure!(forth[1] != forth[5], "another step looks different");
        for (step, before) in forth.iter().enumerate().rev() {
            browser.press_key("ArrowLeft").await?;
            shows(browser, &format!("Step {step}")).await?;
            ensure!(drawn(browser).await? == *before, "step {step} as before");
        }
        ensure!(finished_run(browser).await? == recorded, "the same records");
        check_quiet(browser).await
    });
}

#[test]
fn a_link_shows_the_same_step_of_the_same_run() {
    let hash = format!("{}&step=4&shade=2&theme=dark&run=yes", address("max"));
    let mut told = Vec::new();
    // Each in a profile of its own.
    for _ in 0..2 {
        in_browser(WebGpu::Off, async |browser| {
            browser.open(&hash).await?;
            let run = finished_run(browser).await?;
            shows(browser, "Step 4").await?;
            let slider = "return document.querySelector('[data-testid=step-slider]').value";
            let at = browser.execute(slider, json!(null)).await?;
            ensure!(at == json!("4"), "the slider stands there, too, found {at}");
            let theme =
                browser.execute("return document.documentElement.dataset.theme", json!(null));
            ensure!(
                theme.await? == json!("dark"),
                "expected the address's theme"
            );
            let chosen = browser.attributes("picture-foot", "[aria-pressed=true]", "data-testid");
            let chosen = chosen.await?;
            ensure!(
                chosen == ["shade-lane-1"],
                "expected the second lane, found {chosen:?}"
            );
            told.push((mass(browser).await?, run["lanes"].clone()));
            Ok(())
        });
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn the_browsers_back_leads_to_the_problem_before() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let first = browser.hash().await?;
        for _ in 0..2 {
            // Changes that follow each other closely are one entry.
            tokio::time::sleep(Duration::from_millis(1200)).await;
            browser.click("next-problem").await?;
        }
        let third = browser.hash().await?;
        ensure!(
            third.contains("class:3"),
            "expected the third problem, found {third}"
        );
        browser.execute("history.back()", json!(null)).await?;
        browser
            .wait_hash(|hash| hash.contains("class:2"), SOON)
            .await?;
        browser.execute("history.back()", json!(null)).await?;
        browser.wait_hash(|hash| hash == first, SOON).await?;
        let number = "return document.querySelector('[data-testid=problem-seed]').value";
        let shown = browser.execute(number, json!(null)).await?;
        ensure!(
            shown == json!("1"),
            "expected the first problem, found {shown}"
        );
        check_quiet(browser).await
    });
}

#[test]
fn what_a_step_is_made_of_is_shown_as_it_is() {
    in_browser(WebGpu::Off, async |browser| {
        run(browser, "problem=class:8&lanes=prosqa-soft:soft&speed=max").await?;
        let walked = browser.count(".edge.is-walked").await?;
        ensure!(walked == 0, "mixtures leave no trail, found {walked} edges");
        ensure!(
            browser.count("[data-testid=sampler-line]").await? == 0,
            "raw alone"
        );
        browser.click("sampler-entropy").await?;
        ensure!(
            browser.count("[data-testid=sampler-line]").await? == 1,
            "the sampler's too"
        );
        ensure!(
            browser.count("[data-testid=before-noise]").await? == 0,
            "there is no noise"
        );
        run(
            browser,
            "problem=class:24&lanes=prosqa-cot:soft-gumbel&speed=max",
        )
        .await?;
        ensure!(
            browser.count("[data-testid=before-noise]").await? > 0,
            "before the noise"
        );
        run(
            browser,
            "problem=class:11&lanes=prosqa-coconut:coconut&speed=max",
        )
        .await?;
        let reached = browser.texts("reached").await?;
        ensure!(
            reached.len() == 6,
            "a line for each thought, found {reached:?}"
        );
        ensure!(
            browser.count(".node .shade.is-outside").await? > 0,
            "hatched"
        );
        let mass = mass(browser).await?;
        ensure!(
            mass.contains("% outside"),
            "expected the share outside, found {mass}"
        );
        check_quiet(browser).await
    });
}

#[test]
fn a_lane_that_cold_stop_ended_runs_without_it_on_request() {
    in_browser(WebGpu::Off, async |browser| {
        let hash = "task=arithmetic&problem=class:3&lanes=arithmetic-cot:soft&speed=max";
        run(browser, hash).await?;
        let ended = browser.texts("lane-0-ended-early").await?;
        ensure!(ended.len() == 1, "expected a line, found {ended:?}");
        browser.click("lane-0-without-cold-stop").await?;
        let is_right = |text: &str| text == "right";
        browser.wait_text("lane-0-verdict", is_right, LIMIT).await?;
        let hash = browser.hash().await?;
        ensure!(hash.contains("cold_entropy=0"), "expected it in {hash}");
        check_quiet(browser).await
    });
}

#[test]
fn lanes_are_told_apart_and_warn_of_what_they_never_learned() {
    in_browser(WebGpu::Off, async |browser| {
        let lanes = "lanes=prosqa-cot:soft-gumbel;prosqa-cot:soft-gumbel;prosqa-unified:soft-gumbel;\
                     prosqa-cot:coconut";
        run(browser, &format!("{lanes}&speed=max")).await?;
        let mut names = Vec::new();
        for lane in 0..4 {
            names.extend(browser.texts(&format!("lane-{lane}-name")).await?);
        }
        let expected = [
            "prosqa-cot · draws 1",
            "prosqa-cot · draws 2",
            "prosqa-unified",
            "prosqa-cot",
        ];
        ensure!(names == expected, "expected {expected:?}, found {names:?}");
        let warned = browser.texts("lane-3-untrained").await?;
        ensure!(warned.len() == 1, "expected a warning, found {warned:?}");
        ensure!(
            browser.texts("lane-0-untrained").await?.is_empty(),
            "it has learned it"
        );
        let told = browser.texts("announcement").await?;
        ensure!(
            told[0].starts_with("The run is done. Lane 1 Soft + Gumbel"),
            "found {told:?}"
        );
        // A list of rows is one stop of the Tab key.
        let stops = browser
            .count("[data-testid=lanes] .row[tabindex='0']")
            .await?;
        ensure!(stops == 4, "expected one stop a lane, found {stops}");
        browser.click("lane-3-remove").await?;
        let has_keyboard = "return document.activeElement.dataset.testid ?? ''";
        tokio::time::sleep(Duration::from_millis(200)).await;
        let found = browser.execute(has_keyboard, json!(null)).await?;
        ensure!(
            found == json!("add-lane"),
            "expected the keyboard at add-lane, found {found}"
        );
        Ok(())
    });
}

async fn run(browser: &Browser, hash: &str) -> Result<()> {
    browser.open(hash).await?;
    browser.wait_enabled("run", LIMIT).await?;
    browser.click("run").await?;
    finished_run(browser).await?;
    Ok(())
}

async fn shows(browser: &Browser, step: &str) -> Result<()> {
    browser
        .wait_text("shown-step", |text| text == step, SOON)
        .await?;
    Ok(())
}

/// All that the graph, the line below it and the legend show.
async fn drawn(browser: &Browser) -> Result<String> {
    let script = "return ['graph', 'mass', 'legend'].map(name => \
                  document.querySelector(`[data-testid=${name}]`).outerHTML).join()";
    let drawn = browser.execute(script, json!(null)).await?;
    Ok(drawn.to_string())
}

async fn mass(browser: &Browser) -> Result<String> {
    let texts = browser.texts("mass").await?;
    texts
        .into_iter()
        .next()
        .context("expected a line below the graph")
}

/// Sends an event to a row of the last lane, counted from 0.
async fn on_row(browser: &Browser, row: usize, event: &str) -> Result<()> {
    let script = "const [row, name] = arguments[0]; \
                  const rows = document.querySelectorAll('[data-testid=lane-3] .row'); \
                  rows[row].dispatchEvent(new PointerEvent(name, { bubbles: name === 'click' }))";
    browser.execute(script, json!([row, event])).await?;
    Ok(())
}
