//! `cargo xtask screenshot`: pictures of the built page, light and dark, at several sizes.

#[path = "../tests/browser/chromium.rs"]
#[allow(dead_code, reason = "the browser tests use the rest of it")]
mod chromium;
#[path = "../tests/browser/profile.rs"]
mod profile;

use std::time::Duration;

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use chromium::{Browser, WebGpu};
use clap::Parser;
use serde_json::{Value, json};
use xtask::page::Screenshot;
use xtask::server::Host;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    pictures: Screenshot,
}

fn main() -> Result<()> {
    let pictures = Args::parse().pictures;
    std::fs::create_dir_all(&pictures.folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let browser = Browser::start(WebGpu::SwiftShader, "", Host::default()).await?;
        let outcome = take(&browser, &pictures).await;
        browser.close().await?;
        outcome
    })
}

async fn take(browser: &Browser, pictures: &Screenshot) -> Result<()> {
    for (dark, theme) in [(false, "light"), (true, "dark")] {
        browser.prefer_dark(dark).await?;
        browser.open(&pictures.hash).await?;
        for testid in &pictures.click {
            browser
                .wait_enabled(testid, Duration::from_secs(60))
                .await?;
            browser.press_at_once(&[testid]).await?;
        }
        for &[width, height] in &pictures.size {
            browser.resize([width, height]).await?;
            tokio::time::sleep(Duration::from_secs_f64(pictures.wait_secs)).await;
            let name = format!("{width}x{height}-{theme}.png");
            let path = pictures.folder.join(name);
            std::fs::write(&path, picture(browser, pictures.whole).await?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        for line in browser.console().await? {
            eprintln!("console: {line}");
        }
    }
    Ok(())
}

/// What the window shows, or all of the page, as a PNG.
async fn picture(browser: &Browser, whole: bool) -> Result<Vec<u8>> {
    let script = "const { scrollWidth, scrollHeight } = document.documentElement; \
                  return { x: 0, y: 0, width: scrollWidth, height: scrollHeight, scale: 1 }";
    let mut params = json!({ "captureBeyondViewport": whole });
    if whole {
        params["clip"] = browser.execute(script, Value::Null).await?;
    }
    let answer = browser.devtools("Page.captureScreenshot", params).await?;
    let data = answer["data"].as_str().context("expected a picture")?;
    Ok(BASE64_STANDARD.decode(data)?)
}
