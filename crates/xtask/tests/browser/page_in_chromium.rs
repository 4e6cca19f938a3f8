//! What a visitor sees, by `data-testid` and text, with WebGPU and without.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::chromium::{Browser, WebGpu};

/// The switch that skips these tests: a machine without a browser fails them otherwise.
const SKIP: &str = "LATENT_SKIP_BROWSER";

/// Runs `test` in a fresh browser, and ends the browser however the test went.
fn in_browser(webgpu: WebGpu, test: impl AsyncFnOnce(&Browser) -> Result<()>) {
    if std::env::var_os(SKIP).is_some() {
        eprintln!("SKIPPED, not passed: {SKIP} is set");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let outcome = runtime.block_on(async {
        let browser = Browser::start(webgpu).await?;
        let outcome = test(&browser).await;
        browser.close().await?;
        outcome
    });
    if let Err(error) = outcome {
        panic!("{error:#}");
    }
}

#[test]
fn the_page_opens_and_asks_nobody_else() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.open("").await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let console = browser.console().await?;
        let errors: Vec<_> = console
            .iter()
            .filter(|line| line.starts_with("SEVERE"))
            .collect();
        ensure!(
            errors.is_empty(),
            "expected a quiet console, found {errors:#?}"
        );
        browser.check_no_request_left().await
    });
}

/// Guards the tests themselves: a browser that quietly lacks WebGPU would test the fallback twice.
#[test]
fn the_browsers_offer_what_they_are_started_for() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.open("").await?;
        let adapter = browser.webgpu_adapter().await?;
        ensure!(
            adapter
                .as_deref()
                .is_some_and(|name| name.contains("swiftshader")),
            "expected SwiftShader, found {adapter:?}"
        );
        Ok(())
    });
    in_browser(WebGpu::Off, async |browser| {
        browser.open("").await?;
        let adapter = browser.webgpu_adapter().await?;
        ensure!(adapter.is_none(), "expected no WebGPU, found {adapter:?}");
        Ok(())
    });
}

/// `cargo xtask screenshot`: no test, but it needs what the tests need.
#[test]
#[ignore = "a development aid: `cargo xtask screenshot FOLDER`"]
fn pictures() {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("expected {name}"));
    for (dark, name) in [(false, "light.png"), (true, "dark.png")] {
        in_browser(WebGpu::SwiftShader, async |browser| {
            let folder = PathBuf::from(variable("LATENT_PICTURES")?);
            browser.prefer_dark(dark).await?;
            browser.open(&variable("LATENT_PICTURES_HASH")?).await?;
            let wait_secs: f64 = variable("LATENT_PICTURES_WAIT_SECS")?.parse()?;
            let click = variable("LATENT_PICTURES_CLICK")?;
            if !click.is_empty() {
                browser
                    .wait_text(&click, |_| true, Duration::from_secs(30))
                    .await?;
                browser.click(&click).await?;
            }
            tokio::time::sleep(Duration::from_secs_f64(wait_secs)).await;
            for line in browser.console().await? {
                eprintln!("console: {line}");
            }
            browser.screenshot(&folder.join(name)).await
        });
    }
}
