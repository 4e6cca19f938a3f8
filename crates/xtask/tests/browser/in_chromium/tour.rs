//! The tour: a chapter is predicted, run and told, by mouse and by keyboard.

use anyhow::ensure;

use super::{LIMIT, check_quiet, in_browser};
use crate::chromium::WebGpu;

#[test]
fn a_chapter_is_predicted_run_and_told() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open("").await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("start-tour").await?;
        let is_first = |text: &str| text.starts_with("1 of 8");
        browser.wait_text("chapter", is_first, LIMIT).await?;
        browser.choose("speed", "max").await?;
        browser.click("predict-2").await?;
        let is_told = |text: &str| text.starts_with("As you predicted. Five");
        browser.wait_text("chapter-says", is_told, LIMIT).await?;
        let spoken_of = browser.count("[data-testid=lanes][data-spoken]").await?;
        ensure!(spoken_of == 1, "expected the lanes marked");
        // The button that was pressed has the keyboard, and its own use for Space.
        browser
            .execute("document.activeElement.blur()", serde_json::Value::Null)
            .await?;
        browser.press_key(" ").await?;
        let is_second = |text: &str| text.starts_with("2 of 8");
        browser.wait_text("chapter", is_second, LIMIT).await?;
        browser.choose("speed", "max").await?;
        browser.press_key(" ").await?;
        let is_told = |text: &str| text.starts_with("Two: a model trained on words");
        browser.wait_text("chapter-says", is_told, LIMIT).await?;
        let hash = browser.hash().await?;
        ensure!(hash.contains("chapter=2"), "expected the chapter in {hash}");
        browser.click("leave-tour").await?;
        ensure!(
            browser.count("[data-testid=tour]").await? == 0,
            "expected no tour"
        );
        check_quiet(browser).await
    });
}
