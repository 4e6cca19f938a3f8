//! Links as they arrive: touched on their way, not to be understood, over plain http.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::{LIMIT, in_browser};
use crate::chromium::{Browser, LAN_HOST, WebGpu};

/// Everything that it says differs from the default page.
const LINK: &str = "problem=class:13&lanes=prosqa-coconut:coconut,thoughts=2&seed=3&speed=max";

/// Until an address is read and written: before anything has to be computed.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_link_that_was_touched_on_its_way_opens_what_was_shared() {
    let escaped: String = url::form_urlencoded::byte_serialize(LINK.as_bytes()).collect();
    in_browser(WebGpu::Off, async |browser| {
        browser.open(LINK).await?;
        let question = question(browser).await?;
        for touched in [
            format!("{escaped}."),
            format!("{LINK}."),
            format!("{}%22,", LINK.replace('&', "&amp;")),
        ] {
            browser.open(&touched).await?;
            browser.wait_hash(|hash| hash == LINK, SOON).await?;
            let errors = browser.texts("error").await?;
            ensure!(errors.is_empty(), "{touched}: found {errors:?}");
            let strategies = browser.attributes("lanes", "article", "data-strategy");
            let strategies = strategies.await?;
            ensure!(
                strategies == ["coconut"],
                "{touched}: found the lanes {strategies:?}"
            );
            let found = self::question(browser).await?;
            ensure!(
                found == question,
                "{touched}: expected {question:?}, found {found:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn an_address_that_cannot_be_understood_stays_until_something_is_changed() {
    const WRONG: &str = "lanes=prosqa-cot:sofd&seed=7";
    in_browser(WebGpu::Off, async |browser| {
        let names_it = |text: &str| text.contains("not understood") && text.contains("\"sofd\"");
        browser.open(WRONG).await?;
        for _ in ["opened", "loaded again"] {
            browser.wait_text("error", names_it, SOON).await?;
            browser.wait_enabled("run", LIMIT).await?;
            let hash = browser.hash().await?;
            ensure!(hash == WRONG, "expected {WRONG} to stay, found {hash}");
            browser.reload().await?;
        }
        browser.wait_text("error", names_it, SOON).await?;
        browser.click("next-problem").await?;
        let is_own = |hash: &str| hash.starts_with("problem=class:");
        browser.wait_hash(is_own, SOON).await?;
        let errors = browser.texts("error").await?;
        ensure!(errors.is_empty(), "its cause is gone, found {errors:?}");
        Ok(())
    });
}

#[test]
fn an_error_goes_when_its_cause_does() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open("lanes=no-such-checkpoint:soft").await?;
        let is_missing =
            |text: &str| text.contains("not on this site") && !text.contains("network");
        browser.wait_text("error", is_missing, SOON).await?;
        browser.set_hash(LINK).await?;
        browser.wait_hash(|hash| hash == LINK, SOON).await?;
        let errors = browser.texts("error").await?;
        ensure!(errors.is_empty(), "its cause is gone, found {errors:?}");
        Ok(())
    });
}

/// Chromium knows WebGPU, but gives it to no page that came over plain http from another machine.
#[test]
fn over_plain_http_the_page_says_what_webgpu_needs_and_runs_without() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.open_as(LAN_HOST, LINK).await?;
        let says_it = |text: &str| text.contains("WebGPU needs https or localhost");
        browser.wait_text("fallback", says_it, LIMIT).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let is_secure = browser.execute("return isSecureContext", json!(null));
        ensure!(is_secure.await? == json!(false), "expected a plain page");
        browser.click("run").await?;
        browser
            .wait_text("status", |text| text == "done", LIMIT)
            .await?;
        Ok(())
    });
}

async fn question(browser: &Browser) -> Result<String> {
    browser
        .wait_text("question", |text| !text.is_empty(), SOON)
        .await
}
