//! The GPU's device is lost in the middle of a run.

use anyhow::ensure;

use super::{LIMIT, SEED, address, check_quiet, finished_run, in_browser};
use crate::chromium::WebGpu;
use crate::reference_run::{Asked, check_against_reference};

/// Keeps every device that the page opens.
const KEEP_DEVICES: &str = "
    window.devices = [];
    // The empty page before the first one has no GPU.
    if (window.GPUAdapter !== undefined) {
        const request = GPUAdapter.prototype.requestDevice;
        GPUAdapter.prototype.requestDevice = async function (...given) {
            const device = await request.apply(this, given);
            window.devices.push(device);
            return device;
        };
    }";

#[test]
fn a_run_goes_on_with_the_same_tokens_on_a_new_device() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.before_page(KEEP_DEVICES).await?;
        browser
            .open(&format!("{}&engine=gpu", address("3")))
            .await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        // When half of the steps are shown at most.
        let lose = "setTimeout(() => window.devices.at(-1).destroy(), 1000)";
        browser.execute(lose, serde_json::Value::Null).await?;
        let run = finished_run(browser).await?;
        let says_so = |text: &str| text.contains("taken up on a new device");
        browser.wait_text("error", says_so, LIMIT).await?;
        let hash = browser.hash().await?;
        let asked = Asked {
            task: "prosqa",
            seed: SEED,
            hash: &hash,
        };
        check_against_reference(&run, &asked)?;
        let engine = browser.wait_text("engine", |_| true, LIMIT).await?;
        ensure!(
            engine.contains("WebGPU"),
            "expected WebGPU, found {engine:?}"
        );
        check_quiet(browser).await
    });
}
