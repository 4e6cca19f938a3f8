//! Which engine runs is measured, said, and the visitor's to choose.

use anyhow::{Result, ensure};

use super::{LIMIT, address, check_quiet, in_browser};
use crate::chromium::{Browser, WebGpu};

/// What the GPU has computed is late, so that it is the slower one on any machine.
const SLOW_GPU: &str = "
    if (window.GPUBuffer) {
        const { mapAsync } = GPUBuffer.prototype;
        GPUBuffer.prototype.mapAsync = async function (...given) {
            await mapAsync.apply(this, given);
            await new Promise(done => setTimeout(done, 300));
        };
    }";

#[test]
fn the_faster_engine_is_chosen_by_measurement_and_another_one_by_hand() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.before_page(SLOW_GPU).await?;
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let title = engine_title(browser).await?;
        ensure!(title.contains("Measured at the start"), "found {title:?}");
        let says_why = |text: &str| text.contains("faster here than") && text.contains("GPU ");
        browser.wait_text("fallback", says_why, LIMIT).await?;
        browser.choose("engine-choice", "gpu").await?;
        let is_gpu = |text: &str| text.starts_with("WebGPU");
        browser.wait_text("engine", is_gpu, LIMIT).await?;
        browser
            .wait_hash(|hash| hash.contains("engine=gpu"), LIMIT)
            .await?;
        browser.choose("engine-choice", "reference").await?;
        let was_chosen = |text: &str| text.contains("the CPU was chosen");
        browser.wait_text("fallback", was_chosen, LIMIT).await?;
        check_quiet(browser).await
    });
}

async fn engine_title(browser: &Browser) -> Result<String> {
    let script = "return document.querySelector('[data-testid=engine]').parentElement.title";
    let title = browser.execute(script, serde_json::Value::Null).await?;
    Ok(title.as_str().unwrap_or_default().to_owned())
}
