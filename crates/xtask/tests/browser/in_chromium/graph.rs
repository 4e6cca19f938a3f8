//! The graph by hand: an edit is a problem, graded by the search.

use anyhow::{Result, ensure};

use super::{LIMIT, check_quiet, in_browser, run_to_end};
use crate::chromium::{Browser, WebGpu};

/// Tom is a terpus, every terpus is a gerpus, Bob is a lempus. Is Tom a gerpus or lempus?
const PROBLEM: &str = "problem=text:Tom%20is%20a%20terpus.%20Every%20terpus%20is%20a%20gerpus.%20\
                       Bob%20is%20a%20lempus.%20Is%20Tom%20a%20gerpus%20or%20lempus%3F\
                       &lanes=prosqa-cot:token-cot&speed=max";

#[test]
fn an_edited_graph_is_in_the_address_and_graded_by_the_search() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(PROBLEM).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("edit-graph").await?;
        press(browser, "terpus").await?;
        press(browser, "gerpus").await?;
        let is_open = |text: &str| text.starts_with("No verdict: exactly one");
        browser.wait_text("question", is_open, LIMIT).await?;
        ensure!(edges(browser).await? == 2, "the graph stays to be mended");
        // terpus is still chosen.
        press(browser, "lempus").await?;
        browser
            .wait_text("question", |text| text.starts_with("Is Tom a"), LIMIT)
            .await?;
        let hash = browser.hash().await?;
        ensure!(hash.contains("problem=text:"), "found {hash}");
        ensure!(
            hash.contains("Every%20terpus%20is%20a%20lempus"),
            "found {hash}"
        );
        browser.click("oracle").await?;
        let way = |text: &str| text.ends_with("Answer: Tom is a lempus.");
        browser.wait_text("oracle-path", way, LIMIT).await?;
        let run = run_to_end(browser).await?;
        let lane = &run["lanes"][0];
        let answer = lane["answer"].as_str().unwrap_or_default();
        ensure!(
            answer.contains("Tom is a lempus") && lane["verdict"] == "right",
            "the search's answer is right, found {lane}"
        );
        // What no sentence says is refused, and the graph stays as it is.
        press(browser, "Bob").await?;
        let refused = |text: &str| text.contains("\"Bob\" is a name");
        browser.wait_text("edit-refused", refused, LIMIT).await?;
        browser.click("edit-new-word").await?;
        browser.wait_hash(|now| now != hash, LIMIT).await?;
        ensure!(edges(browser).await? == 4, "an arrow to a new word");
        check_quiet(browser).await
    });
}

#[test]
fn start_and_options_are_what_the_editors_buttons_make_them() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(PROBLEM).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("edit-graph").await?;
        for (word, button, question) in [
            // Bob leads to the other option, which is right from there.
            ("Bob", "edit-root", "Is Bob a gerpus or a lempus?"),
            ("terpus", "edit-option-0", "Is Bob a terpus or a lempus?"),
            ("gerpus", "edit-option-0", "Is Bob a gerpus or a lempus?"),
            ("Tom", "edit-root", "Is Tom a gerpus or a lempus?"),
        ] {
            press(browser, word).await?;
            browser.click(button).await?;
            browser
                .wait_text("question", |text| text == question, LIMIT)
                .await?;
            press(browser, word).await?;
        }
        // Of two options that both follow, neither is the answer.
        press(browser, "terpus").await?;
        browser.click("edit-option-1").await?;
        let is_open = |text: &str| text.starts_with("No verdict: exactly one");
        browser.wait_text("question", is_open, LIMIT).await?;
        press(browser, "terpus").await?;
        press(browser, "lempus").await?;
        browser.click("edit-option-1").await?;
        browser.click("oracle").await?;
        let way = |text: &str| text.ends_with("Answer: Tom is a gerpus.");
        browser.wait_text("oracle-path", way, LIMIT).await?;
        let hash = browser.hash().await?;
        ensure!(
            hash.contains("Is%20Tom%20a%20gerpus%20or%20lempus"),
            "found {hash}"
        );
        check_quiet(browser).await
    });
}

#[test]
fn words_are_coloured_by_the_thought_at_which_they_came() {
    in_browser(WebGpu::Off, async |browser| {
        browser
            .open("problem=class:29&lanes=prosqa-coconut:coconut&speed=max&paint=arrival&run=yes")
            .await?;
        browser
            .wait_text("status", |text| text == "done", LIMIT)
            .await?;
        let arrivals = browser
            .attributes("graph", ".node[data-arrival]", "data-arrival")
            .await?;
        ensure!(arrivals.len() > 3, "found {arrivals:?}");
        ensure!(arrivals.iter().any(|n| n == "1"), "found {arrivals:?}");
        ensure!(
            arrivals.iter().any(|n| n > &"1".to_string()),
            "found {arrivals:?}"
        );
        check_quiet(browser).await
    });
}

async fn press(browser: &Browser, word: &str) -> Result<()> {
    browser.click_on(&format!("[data-word={word}]")).await
}

async fn edges(browser: &Browser) -> Result<usize> {
    browser.count("[data-testid=graph] .edge").await
}
