//! Pause, step, reset and the next problem, at any moment of a run: what comes out in the end is
//! the run that nobody touched.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{LIMIT, SEED, address, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};
use crate::reference_run::compare_lanes;

/// Slow enough to press a button in the middle of a run, quick enough not to wait for.
const SLOW: &str = "8";

/// Longer than a step takes at that speed: what does not come by then, does not come.
const A_WHILE: Duration = Duration::from_millis(400);

#[test]
fn buttons_may_be_pressed_at_any_moment() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser
            .open(&format!("{}&engine=gpu", address("max")))
            .await?;
        browser.wait_enabled("run", LIMIT).await?;
        let whole = finish(browser).await?;
        a_paused_run_waits(browser, &whole).await.context("pause")?;
        a_reset_forgets_the_run(browser).await.context("reset")?;
        the_next_problem_begins_anew(browser, &whole)
            .await
            .context("next problem")?;
        what_was_in_flight_is_dropped(browser, &whole).await?;
        check_quiet(browser).await
    });
}

/// What cannot be done cannot be pressed.
#[test]
fn run_waits_for_a_problem_and_step_for_a_run_that_goes_on() {
    in_browser(WebGpu::Off, async |browser| {
        begin_on(browser, &address("max")).await?;
        check_enabled(browser, &["run", "step", "reset"]).await?;
        finish(browser).await?;
        check_enabled(browser, &["run", "reset"]).await?;
        browser.click("reset").await?;
        check_enabled(browser, &["run", "step", "reset"]).await?;
        browser.choose("problem-source", "typed").await?;
        browser.fill("problem-input", "").await?;
        check_enabled(browser, &["reset"]).await?;
        browser.fill("problem-input", "Tom is a terpus.").await?;
        check_enabled(browser, &["run", "step", "reset"]).await?;
        check_quiet(browser).await
    });
}

/// Of the run's buttons these can be pressed, and no others.
async fn check_enabled(browser: &Browser, expected: &[&str]) -> Result<()> {
    let script = "return ['run', 'step', 'reset'].filter(id => \
                  document.querySelector(`[data-testid=${id}]:enabled`) !== null)";
    let expected = serde_json::json!(expected);
    browser.wait_value(script, &expected, LIMIT).await
}

/// Whatever is pressed, and however fast: no panic, no error that stays, and a page that still runs.
#[test]
fn two_hundred_random_presses_leave_a_page_that_runs() {
    const N_PRESSES: u32 = 200;
    in_browser(WebGpu::Off, async |browser| {
        begin_on(browser, &address("8")).await?;
        let mut random = 0x2545_F491_u32;
        for _ in 0..N_PRESSES {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            match random % 12 {
                0..=3 => browser.press_at_once(&["run"]).await?,
                4 => browser.press_at_once(&["step"]).await?,
                5 => browser.press_at_once(&["reset"]).await?,
                6 | 7 => browser.press_at_once(&["next-problem"]).await?,
                8 => {
                    let task = ["prosqa", "prontoqa", "arithmetic"][random as usize / 12 % 3];
                    browser.choose("task", task).await?;
                }
                9 => press_if_there(browser, "add-lane").await?,
                10 => press_if_there(browser, "lane-1-remove").await?,
                _ => browser.press_key("ArrowLeft").await?,
            }
            if random.is_multiple_of(5) {
                tokio::time::sleep(Duration::from_millis(u64::from(random % 97))).await;
            }
        }
        check_quiet(browser).await.context("after the presses")?;
        begin_on(browser, &address("max")).await?;
        finish(browser).await?;
        check_quiet(browser).await
    });
}

async fn begin_on(browser: &Browser, hash: &str) -> Result<()> {
    browser.open(hash).await?;
    browser.wait_enabled("run", LIMIT).await
}

async fn press_if_there(browser: &Browser, testid: &str) -> Result<()> {
    let script = "document.querySelector(`[data-testid=\"${arguments[0]}\"]`)?.click()";
    browser.execute(script, Value::from(testid)).await?;
    Ok(())
}

/// Steps go on only where a button says so: one at a time, then to the end.
async fn a_paused_run_waits(browser: &Browser, whole: &Value) -> Result<()> {
    run_to_the_middle(browser).await?;
    browser.click("run").await?;
    wait_status(browser, "paused").await?;
    // The step that was under way may still come.
    tokio::time::sleep(A_WHILE).await;
    let n_steps = steps_done(browser).await?;
    tokio::time::sleep(A_WHILE).await;
    expect_steps(browser, n_steps, "paused").await?;
    browser.click("step").await?;
    let one_more = |text: &str| steps_of(text) == n_steps + 1;
    browser.wait_text("steps-done", one_more, LIMIT).await?;
    wait_status(browser, "paused").await?;
    tokio::time::sleep(A_WHILE).await;
    expect_steps(browser, n_steps + 1, "paused").await?;
    quicken(browser).await?;
    let run = finish(browser).await?;
    expect_same(&run, whole)
}

/// Nothing of the run is left, and nothing of it comes later.
async fn a_reset_forgets_the_run(browser: &Browser) -> Result<()> {
    run_to_the_middle(browser).await?;
    browser.click("reset").await?;
    expect_nothing(browser).await?;
    tokio::time::sleep(A_WHILE).await;
    expect_nothing(browser).await
}

/// Another problem forgets the run of the one before, in lanes and address.
async fn the_next_problem_begins_anew(browser: &Browser, whole: &Value) -> Result<()> {
    let before = SEED - 1;
    let hash = format!("problem=class:{before}&seed={SEED}&speed={SLOW}");
    browser.set_hash(&hash).await?;
    let other = browser.texts("question").await?;
    browser.click("run").await?;
    wait_for_the_middle(browser).await?;
    browser.click("next-problem").await?;
    expect_nothing(browser).await?;
    tokio::time::sleep(A_WHILE).await;
    expect_nothing(browser).await?;
    let question = browser.texts("question").await?;
    ensure!(
        question != other,
        "expected another question than {other:?}"
    );
    let hash = browser.hash().await?;
    let expected = format!("problem=class:{SEED}");
    ensure!(
        hash.contains(&expected),
        "expected {expected} in the address, found {hash}"
    );
    quicken(browser).await?;
    let run = finish(browser).await?;
    expect_same(&run, whole)
}

/// Presses that come while the engine computes: whatever they leave behind, the next whole run is
/// the one that nobody touched.
async fn what_was_in_flight_is_dropped(browser: &Browser, whole: &Value) -> Result<()> {
    for presses in [
        &["run", "reset", "run"][..],
        &["reset", "run", "reset"],
        &["run", "run", "step"],
        &["step", "reset", "step", "run"],
    ] {
        // Before a run, and so long after its beginning: its first command is in flight, then others.
        for after_ms in [None, Some(0), Some(40), Some(160)] {
            let what = || format!("{presses:?} at once, {after_ms:?} ms into a run");
            begin(browser, "max").await?;
            if let Some(after_ms) = after_ms {
                browser.press_at_once(&["run"]).await?;
                tokio::time::sleep(Duration::from_millis(after_ms)).await;
            }
            browser.press_at_once(presses).await?;
            let run = finish(browser).await.with_context(what)?;
            expect_same(&run, whole).with_context(what)?;
        }
    }
    Ok(())
}

/// The page as it was opened, at a speed, with no run.
async fn begin(browser: &Browser, speed: &str) -> Result<()> {
    browser.set_hash(&address(speed)).await?;
    browser.click("reset").await?;
    expect_nothing(browser).await
}

async fn run_to_the_middle(browser: &Browser) -> Result<()> {
    begin(browser, SLOW).await?;
    browser.click("run").await?;
    wait_for_the_middle(browser).await
}

async fn wait_for_the_middle(browser: &Browser) -> Result<()> {
    let is_there = |text: &str| steps_of(text) >= 2;
    browser.wait_text("steps-done", is_there, LIMIT).await?;
    wait_status(browser, "running").await
}

/// As fast as it goes, in a run too.
async fn quicken(browser: &Browser) -> Result<()> {
    let script = "const speed = document.querySelector('[data-testid=speed]'); \
                  speed.value = 'max'; speed.dispatchEvent(new Event('change'))";
    browser.execute(script, Value::Null).await?;
    Ok(())
}

/// Presses Run whenever the run waits for it, until the run is over.
async fn finish(browser: &Browser) -> Result<Value> {
    loop {
        let is_settled = |text: &str| text != "running";
        let status = browser.wait_text("status", is_settled, LIMIT).await?;
        if status == "done" {
            return finished_run(browser).await;
        }
        browser.press_at_once(&["run"]).await?;
    }
}

/// The same to the last bit; an error names the first step that differs.
fn expect_same(found: &Value, expected: &Value) -> Result<()> {
    for key in ["prompt", "seed"] {
        let (found, expected) = (&found[key], &expected[key]);
        ensure!(
            found == expected,
            "expected the {key} {expected}, found {found}"
        );
    }
    let lanes = |run: &Value| run["lanes"].as_array().cloned().unwrap_or_default();
    let (found, expected) = (lanes(found), lanes(expected));
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        compare_lanes(found, expected).with_context(|| format!("lane {index}"))?;
    }
    ensure!(found == expected, "the runs differ in the last digits");
    Ok(())
}

async fn expect_nothing(browser: &Browser) -> Result<()> {
    expect_steps(browser, 0, "idle").await?;
    for left in ["trace-json", "lane-0-answer", "lane-0-verdict"] {
        let texts = browser.texts(left).await?;
        ensure!(texts == [""], "expected {left} empty, found {texts:?}");
    }
    Ok(())
}

async fn expect_steps(browser: &Browser, n_steps: usize, status: &str) -> Result<()> {
    wait_status(browser, status).await?;
    let found = steps_done(browser).await?;
    ensure!(
        found == n_steps,
        "expected {n_steps} steps of a run that is {status}, found {found}"
    );
    Ok(())
}

async fn wait_status(browser: &Browser, status: &str) -> Result<()> {
    let short = Duration::from_secs(10);
    browser
        .wait_text("status", |text| text == status, short)
        .await?;
    Ok(())
}

async fn steps_done(browser: &Browser) -> Result<usize> {
    let texts = browser.texts("steps-done").await?;
    Ok(texts.first().map_or(0, |text| steps_of(text)))
}

/// The number in `· step 7`; none before the first step.
fn steps_of(text: &str) -> usize {
    let number = text.rsplit(' ').next().unwrap_or_default();
    number.parse().unwrap_or(0)
}
