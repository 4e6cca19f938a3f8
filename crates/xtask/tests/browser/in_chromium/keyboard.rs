//! The main path by keyboard alone: run, look at a step, change the problem.

use anyhow::{Result, bail, ensure};

use super::{LIMIT, address, check_quiet, in_browser};
use crate::chromium::{Browser, WebGpu};

/// More stops than the page has.
const MOST_STOPS: usize = 120;

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

async fn tab_to(browser: &Browser, testid: &str) -> Result<()> {
    for _ in 0..MOST_STOPS {
        if browser.focused().await? == testid {
            return Ok(());
        }
        browser.type_key("Tab").await?;
    }
    bail!("expected {testid} among the first {MOST_STOPS} stops of the Tab key")
}

async fn tab_to_row(browser: &Browser) -> Result<()> {
    for _ in 0..MOST_STOPS {
        if browser.count(".stream .row:focus").await? == 1 {
            return Ok(());
        }
        browser.type_key("Tab").await?;
    }
    bail!("expected a row of a stream among the first {MOST_STOPS} stops of the Tab key")
}
