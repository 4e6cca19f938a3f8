//! The GPU's device is lost in the middle of a run.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{LIMIT, SEED, address, check_quiet, check_run, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

/// Keeps every device that the page opens; where `window.losing` is set, the next ones are lost as
/// soon as the page has them, and where `window.adapter` is set, adapters have that name.
const KEEP_DEVICES: &str = "
    window.devices = [];
    // The empty page before the first one has no GPU.
    if (window.GPUAdapter !== undefined) {
        const request = GPUAdapter.prototype.requestDevice;
        GPUAdapter.prototype.requestDevice = async function (...given) {
            const device = await request.apply(this, given);
            window.devices.push(device);
            if (window.losing) setTimeout(() => device.destroy());
            return device;
        };
        const info = GPUAdapterInfo.prototype;
        const { get } = Object.getOwnPropertyDescriptor(info, 'description');
        Object.defineProperty(info, 'description', {
            get() { return window.adapter ?? get.call(this); },
        });
    }";

/// How the device is lost.
enum Loss {
    /// The page's own device is destroyed.
    Destroyed,
    /// So is the next one, while engines are made on it.
    DestroyedAgain,
    /// The next one is another adapter's.
    Replaced,
    /// The browser's process for the GPU crashes.
    Crash,
}

/// Presses Run on the GPU and loses its device after a second, when half of the steps are shown at
/// most; the run must end as the reference's does, with a notice that says what happened, and by
/// the engine that is named.
async fn check_loss(browser: &Browser, loss: Loss, [notice, last]: [&str; 2]) -> Result<()> {
    browser.before_page(KEEP_DEVICES).await?;
    browser
        .open(&format!("{}&engine=gpu", address("3")))
        .await?;
    browser.wait_enabled("run", LIMIT).await?;
    browser.click("run").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lose = match loss {
        Loss::Crash => {
            browser
                .devtools("Browser.crashGpuProcess", json!({}))
                .await?;
            ""
        }
        Loss::Destroyed => "window.devices.at(-1).destroy()",
        Loss::DestroyedAgain => "window.losing = true; window.devices.at(-1).destroy()",
        Loss::Replaced => "window.adapter = 'another'; window.devices.at(-1).destroy()",
    };
    browser.execute(lose, Value::Null).await?;
    let run = finished_run(browser).await?;
    let says_so = |text: &str| text.contains(notice);
    browser.wait_text("error", says_so, LIMIT).await?;
    check_run(browser, &run, "prosqa", SEED).await?;
    let engine = browser.wait_text("engine", |_| true, LIMIT).await?;
    ensure!(
        engine.contains(last),
        "expected {last}, and the page says that it runs on `{engine}`"
    );
    check_quiet(browser).await
}

#[test]
fn a_run_goes_on_with_the_same_tokens_on_a_new_device() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        let expected = ["taken up on a new device", "WebGPU"];
        check_loss(browser, Loss::Destroyed, expected).await
    });
}

#[test]
fn a_run_goes_on_after_the_gpu_process_has_crashed() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        let expected = ["taken up on a new device", "WebGPU"];
        check_loss(browser, Loss::Crash, expected).await
    });
}

#[test]
fn an_adapter_that_was_not_tested_does_not_take_the_place_of_one_that_was() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        let expected = ["found another", "Reference engine"];
        check_loss(browser, Loss::Replaced, expected).await
    });
}

#[test]
fn after_two_losses_in_a_minute_the_cpu_goes_on() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        let expected = ["taken up by the reference engine", "Reference engine"];
        check_loss(browser, Loss::DestroyedAgain, expected).await
    });
}
