//! What a teacher shows: a prediction before the run, covered answers, hidden controls, all from
//! the address, and the page in another language.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{LIMIT, address, check_quiet, in_browser};
use crate::chromium::{Browser, WebGpu};

#[test]
fn a_class_predicts_first_and_the_answers_are_covered_until_they_are_revealed() {
    in_browser(WebGpu::Off, async |browser| {
        let hash = "problem=class:29&lanes=prosqa-coconut:coconut&speed=max\
                    &answers=hidden&predict=yes&controls=hidden";
        browser.open(hash).await?;
        browser.wait_text("predict", |_| true, LIMIT).await?;
        browser.wait_enabled("answer-0", LIMIT).await?;
        ensure!(is_disabled(browser, "run").await?, "the run waits");
        ensure!(!is_visible(browser, "speed").await?, "controls are hidden");
        browser
            .wait_text("status", |text| text == "idle", LIMIT)
            .await?;
        browser.click("answer-0").await?;
        browser
            .wait_text("status", |text| text == "done", LIMIT)
            .await?;
        let said = browser.texts("predict-says").await?.concat();
        ensure!(
            !said.contains("right") && !said.contains("wrong"),
            "found {said}"
        );
        ensure!(
            browser.texts("lane-0-verdict").await? == [""],
            "it is covered"
        );
        ensure!(
            browser.texts("lane-0-answer").await? == ["covered"],
            "it is covered"
        );
        browser.click("reveal").await?;
        browser
            .wait_text("lane-0-verdict", |text| text == "right", LIMIT)
            .await?;
        let is_told = |text: &str| text.contains("1 of 1 lanes");
        browser.wait_text("predict-says", is_told, LIMIT).await?;
        browser.click("show-controls").await?;
        ensure!(is_visible(browser, "speed").await?, "controls are back");
        browser
            .wait_hash(|now| !now.contains("controls"), LIMIT)
            .await?;
        check_quiet(browser).await
    });
}

#[test]
fn the_first_press_fills_the_screen_where_the_address_says_so() {
    const IS_FULL: &str = "return document.fullscreenElement !== null";
    in_browser(WebGpu::Off, async |browser| {
        for (screen, is_full) in [("", false), ("&screen=full", true)] {
            browser.open(&format!("{}{screen}", address("max"))).await?;
            browser.wait_enabled("run", LIMIT).await?;
            ensure!(
                browser.execute(IS_FULL, Value::Null).await? == json!(false),
                "nobody has pressed anything"
            );
            browser.click("run").await?;
            browser
                .wait_text("status", |text| text == "done", LIMIT)
                .await?;
            browser.wait_value(IS_FULL, &json!(is_full), LIMIT).await?;
        }
        // Who leaves it has left it: later presses are presses.
        browser
            .execute("document.exitFullscreen()", Value::Null)
            .await?;
        browser.wait_value(IS_FULL, &json!(false), LIMIT).await?;
        browser.click("reset").await?;
        browser
            .wait_text("status", |text| text == "idle", LIMIT)
            .await?;
        ensure!(browser.execute(IS_FULL, Value::Null).await? == json!(false));
        browser.unfold("for-a-class").await?;
        browser.click("fill-screen").await?;
        browser
            .wait_hash(|hash| !hash.contains("screen="), LIMIT)
            .await?;
        check_quiet(browser).await
    });
}

#[test]
fn the_page_speaks_german_where_its_address_says_so() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&format!("{}&lang=de", address("max"))).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser
            .wait_text("run", |text| text == "▶ Starten", LIMIT)
            .await?;
        let language = browser.execute("return document.documentElement.lang", Value::Null);
        ensure!(language.await? == json!("de"), "as HTML says it");
        browser.click("run").await?;
        browser
            .wait_text("status", |text| text == "fertig", LIMIT)
            .await?;
        browser.click("language").await?;
        browser
            .wait_text("status", |text| text == "done", LIMIT)
            .await?;
        browser
            .wait_hash(|hash| hash.contains("lang=en"), LIMIT)
            .await?;
        check_quiet(browser).await
    });
}

async fn is_disabled(browser: &Browser, testid: &str) -> Result<bool> {
    let script = "return document.querySelector(`[data-testid=\"${arguments[0]}\"]`).disabled";
    Ok(browser.execute(script, json!(testid)).await? == json!(true))
}

async fn is_visible(browser: &Browser, testid: &str) -> Result<bool> {
    let script =
        "return document.querySelector(`[data-testid=\"${arguments[0]}\"]`).checkVisibility()";
    Ok(browser.execute(script, json!(testid)).await? == json!(true))
}
