//! Free text: a prompt goes to the model as it is or in its chat, an example whose answer is known gets a
//! verdict, and every chip tells how much of the probability the kept tokens hold.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::brought::{FREE_TEXT, drop_files, run_with};
use super::brought_files::with_gguf;
use super::{LIMIT, check_quiet, in_browser, run_to_end};
use crate::chromium::WebGpu;

/// The chat template of the model, which no prompt looks like by itself.
const TEMPLATE: &[u8] = b"<<{{ messages[0].content }}>>";

/// A model with a chat, and room for the examples.
fn chatty() -> Vec<u8> {
    with_gguf(|file| {
        file.set_text("tokenizer.chat_template", TEMPLATE);
        file.set("llama.context_length", 4, 4096_u32.to_le_bytes().to_vec());
    })
}

#[test]
fn a_prompt_is_said_in_the_models_chat_where_the_switch_says_so_and_an_example_gets_a_verdict() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(FREE_TEXT).await?;
        drop_files(browser, &[("chatty.gguf".into(), chatty())]).await?;
        let plain = run_with(browser, "chatty").await?;
        browser.click("chat").await?;
        let said = run_to_end(browser).await?;
        let first = |run: &Value| run["lanes"][0]["steps"][0].clone();
        ensure!(
            first(&plain) != first(&said),
            "the template changes nothing: {}",
            first(&said)
        );
        ensure!(said["prompt"] == "ab c", "found {}", said["prompt"]);
        browser.click("chat").await?;
        let again = run_to_end(browser).await?;
        ensure!(again["lanes"] == plain["lanes"], "another run than before");
        ensure!(plain["lanes"][0]["verdict"].is_null(), "nobody knows it");

        browser.choose("problem-source", "example:0").await?;
        let is_sum = |text: &str| text.contains("How many pens");
        browser.wait_text("prompt", is_sum, LIMIT).await?;
        let sum = run_to_end(browser).await?;
        let verdict = sum["lanes"][0]["verdict"].as_str().context("a verdict")?;
        ensure!(
            ["wrong", "malformed"].contains(&verdict),
            "a model that nobody trained cannot add, found {verdict}"
        );
        let shown = browser
            .wait_text("lane-0-verdict", |text| !text.is_empty(), LIMIT)
            .await?;
        ensure!(
            shown == verdict,
            "the page shows {shown:?}, not {verdict:?}"
        );
        check_quiet(browser).await
    });
}

#[test]
fn every_chip_tells_how_much_the_kept_tokens_hold() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(FREE_TEXT).await?;
        drop_files(browser, &[("chatty.gguf".into(), chatty())]).await?;
        let run = run_with(browser, "chatty").await?;
        let kept = run["lanes"][0]["steps"][0]["kept"]
            .as_array()
            .context("kept tokens")?;
        let held: f64 = kept.iter().filter_map(|kept| kept["prob"].as_f64()).sum();
        ensure!(
            kept.len() == 32 && held < 0.99,
            "found {held} of {} tokens",
            kept.len()
        );
        let expected = format!("hold {:.0}%", 100.0 * held);
        let script = "return [...document.querySelector('ol.stream li')
            .querySelectorAll('.word, .ghost, .part:not(.rest), .concept')].map(chip => chip.title)";
        let titles = browser.execute(script, Value::Null).await?;
        let titles: Vec<String> = serde_json::from_value(titles)?;
        ensure!(
            !titles.is_empty() && titles.iter().all(|title| title.contains(&expected)),
            "expected {expected:?} of every chip, found {titles:?}"
        );
        let row = browser.texts("kept-share").await?;
        let expected = format!("Σ {:.0}%", 100.0 * held);
        ensure!(
            row.first() == Some(&expected),
            "expected {expected}, found {row:?}"
        );
        Ok(())
    });
}
