//! The main path by keyboard alone: run, look at a step, change the problem; and how many stops
//! that takes.

use anyhow::{Result, bail, ensure};

use serde_json::{Value, json};

use super::{LIMIT, address, check_quiet, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

/// Stops of the Tab key on the page that opens first, with its finished run.
const MOST_STOPS: usize = 48;

/// Presses of the Tab key from any stop to any other, around the page's end.
const MOST_PRESSES: usize = 60;

#[test]
fn the_main_path_takes_a_keyboard_and_nothing_else() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        tab_to(browser, "run").await?;
        browser.type_key("Enter").await?;
        browser
            .wait_text("status", |text| text == "done", LIMIT)
            .await?;
        // A stream is one stop; arrows go from row to row, and what has the keyboard is looked at.
        tab_to_row(browser).await?;
        browser.type_key("ArrowUp").await?;
        browser.type_key("ArrowUp").await?;
        let is_pinned = |hash: &str| hash.contains("&step=");
        browser.wait_hash(is_pinned, LIMIT).await?;
        tab_to(browser, "next-problem").await?;
        let before = browser.texts("question").await?;
        browser.type_key("Enter").await?;
        browser
            .wait_text("status", |text| text == "idle", LIMIT)
            .await?;
        ensure!(
            browser.texts("question").await? != before,
            "another problem"
        );
        tab_to(browser, "run").await?;
        browser.type_key(" ").await?;
        browser
            .wait_text("status", |text| text == "done", LIMIT)
            .await?;
        check_quiet(browser).await
    });
}

/// Groups are one stop each, so the page's end is not far.
#[test]
fn the_tab_key_makes_few_stops() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open("speed=max").await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        finished_run(browser).await?;
        let forget = "document.activeElement.blur(); window.stops = new Map()";
        browser.execute(forget, Value::Null).await?;
        let is_new = "const element = document.activeElement; \
                      const is_new = element !== document.body && !window.stops.has(element); \
                      window.stops.set(element, element.dataset.testid ?? element.outerHTML.slice(0, 90)); \
                      return is_new";
        let mut n_stops = 0;
        loop {
            browser.type_key("Tab").await?;
            if browser.execute(is_new, Value::Null).await? == json!(false) {
                break;
            }
            n_stops += 1;
        }
        let stops = browser.execute("return [...window.stops.values()]", Value::Null);
        let stops = stops.await?;
        eprintln!("{n_stops} stops of the Tab key: {stops:#}");
        ensure!(
            (20..=MOST_STOPS).contains(&n_stops),
            "expected at most {MOST_STOPS} stops, found {n_stops}: {stops:#}"
        );
        check_quiet(browser).await
    });
}

/// The groups: what comes before the place in their buttons' names, and how many buttons.
const LANE_GROUPS: [(&str, usize); 2] = [("shade-lane", 4), ("legend", 4)];

#[test]
fn up_and_down_move_inside_of_every_group() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        tab_to(browser, "run").await?;
        browser.type_key("Enter").await?;
        finished_run(browser).await?;
        for (group, n_buttons) in LANE_GROUPS {
            let last = n_buttons - 1;
            browser.click(&format!("{group}-{last}")).await?;
            let stops = browser
                .count(&format!("[data-testid^={group}-][tabindex='0']"))
                .await?;
            ensure!(stops == 1, "{group}: expected one stop, found {stops}");
            for (key, place) in [
                ("ArrowUp", last - 1),
                ("ArrowUp", last - 2),
                ("ArrowDown", last - 1),
                ("Home", 0),
                ("ArrowUp", 0),
                ("End", last),
            ] {
                browser.type_key(key).await?;
                has_keyboard(browser, &format!("{group}-{place}")).await?;
                let pressed = format!("[data-testid={group}-{place}][aria-pressed=true]");
                let is_chosen = format!("return document.querySelectorAll('{pressed}').length");
                browser.wait_value(&is_chosen, &json!(1), LIMIT).await?;
            }
            let hash = browser.hash().await?;
            ensure!(!hash.contains("&step="), "{group}: found a step in {hash}");
        }
        // Left and right walk through the steps from there, too.
        browser.type_key("ArrowLeft").await?;
        browser
            .wait_hash(|hash| hash.contains("&step="), LIMIT)
            .await?;
        check_quiet(browser).await
    });
}

async fn has_keyboard(browser: &Browser, testid: &str) -> Result<()> {
    let focused = "return document.activeElement.dataset.testid ?? ''";
    browser.wait_value(focused, &json!(testid), LIMIT).await
}

async fn tab_to(browser: &Browser, testid: &str) -> Result<()> {
    for _ in 0..MOST_PRESSES {
        if browser.focused().await? == testid {
            return Ok(());
        }
        browser.type_key("Tab").await?;
    }
    bail!("expected {testid} within {MOST_PRESSES} presses of the Tab key")
}

async fn tab_to_row(browser: &Browser) -> Result<()> {
    for _ in 0..MOST_PRESSES {
        if browser.count(".stream .row:focus").await? == 1 {
            return Ok(());
        }
        browser.type_key("Tab").await?;
    }
    bail!("expected a row of a stream within {MOST_PRESSES} presses of the Tab key")
}
