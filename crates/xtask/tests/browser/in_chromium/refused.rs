//! What the GPU refuses, or computes wrongly, is a state of the page: memory for one model leaves the
//! others running, a kernel or a submit that it does not take ends in the same run on the CPU, and an
//! adapter whose numbers are wrong is not run on.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::engine::FAST_GPU;
use super::{LIMIT, SEED, address, check_run, in_browser, run_to_end};
use crate::chromium::{Browser, WebGpu};

/// The device refuses what `window.refused_now` names: buffers of that label have no memory, and
/// kernels and submits of that name are not valid.
const REFUSE: &str = "if (window.GPUDevice !== undefined) {
    const device = GPUDevice.prototype, queue = GPUQueue.prototype;
    const { pushErrorScope, popErrorScope, createBuffer, createShaderModule } = device;
    const { submit } = queue, scopes = [];
    device.pushErrorScope = function (filter) {
        scopes.push({ filter, isFull: false });
        return pushErrorScope.call(this, filter);
    };
    device.popErrorScope = async function () {
        const { isFull } = scopes.pop();
        const found = await popErrorScope.call(this);
        return isFull ? new GPUOutOfMemoryError('full') : found;
    };
    device.createBuffer = function (asked) {
        const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory');
        if (window.refused_now === asked.label) scope.isFull = true;
        return createBuffer.call(this, asked);
    };
    device.createShaderModule = function (asked) {
        const code = window.refused_now === asked.label ? 'no shader' : asked.code;
        return createShaderModule.call(this, { ...asked, code });
    };
    queue.submit = function (commands) {
        submit.call(this, commands);
        // Commands are submitted once.
        if (window.refused_now === 'submit' && commands.length > 0) submit.call(this, commands);
    };
}";

/// The device computes attention with scores that are a tenth too large, and `window.n_wrong` counts its
/// kernels that do.
const WRONG: &str = "window.n_wrong = 0;
if (window.GPUDevice !== undefined) {
    const { createShaderModule } = GPUDevice.prototype;
    GPUDevice.prototype.createShaderModule = function (asked) {
        const right = 'inverseSqrt(f32(HEAD_DIM))';
        const code = asked.code.replaceAll(right, `(1.1 * ${right})`);
        if (code !== asked.code) window.n_wrong++;
        return createShaderModule.call(this, { ...asked, code });
    };
}";

const LANE: &str = "lanes=prosqa-cot:token-cot";

async fn refuse(browser: &Browser, what: &str) -> Result<()> {
    let script = "window.refused_now = arguments[0]";
    browser.execute(script, json!(what)).await?;
    Ok(())
}

async fn run(browser: &Browser, by: &str) -> Result<Value> {
    let run = run_to_end(browser).await?;
    check_run(browser, &run, "prosqa", SEED).await?;
    let engine = &run["lanes"][0]["engine"];
    let engine = engine.as_str().unwrap_or_default();
    ensure!(engine.contains(by), "expected {by}, found {engine}");
    Ok(run)
}

async fn wait_error(browser: &Browser, words: &[&str]) -> Result<()> {
    let holds_all = |text: &str| words.iter().all(|word| text.contains(word));
    let told = browser.wait_text("error", holds_all, LIMIT).await?;
    eprintln!("{told}");
    Ok(())
}

async fn open(browser: &Browser) -> Result<()> {
    browser.before_page(REFUSE).await?;
    let hash = format!("{}&{LANE}&engine=gpu", address("max"));
    browser.open(&hash).await?;
    browser.wait_enabled("run", LIMIT).await
}

#[test]
fn a_model_without_room_leaves_the_other_ones_running() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        open(browser).await?;
        let before = run(browser, "GPU engine").await?;
        for (what, told) in [
            (
                "the embedding table",
                "the model's weights (the embedding table)",
            ),
            ("a layer's keys", "the run's lanes"),
        ] {
            refuse(browser, what).await?;
            let alone = browser.hash().await?;
            let both = alone.replace(LANE, &format!("{LANE};prosqa-coconut:coconut"));
            ensure!(both != alone, "expected {LANE} in {alone}");
            browser.set_hash(&both).await?;
            browser.wait_enabled("run", LIMIT).await?;
            browser.click("run").await?;
            let words = [
                "no room for the lanes",
                told,
                " bytes",
                "up to 268435456 bytes",
            ];
            wait_error(browser, &words).await?;
            if what == "a layer's keys" {
                // No run has room then, whatever its model.
                refuse(browser, "").await?;
            }
            browser.set_hash(&alone).await?;
            let found = run(browser, "GPU engine").await.context(what)?;
            ensure!(found["lanes"] == before["lanes"], "another run than before");
            let errors = browser.texts("error").await?;
            ensure!(errors.is_empty(), "it still says {errors:?}");
        }
        Ok(())
    });
}

#[test]
fn a_kernel_or_a_submit_that_is_refused_is_said_and_the_cpu_takes_over_when_asked() {
    for (what, words) in [
        ("expand", ["refused the kernels", "stopped working"]),
        ("submit", ["refused a command", "stopped working"]),
    ] {
        in_browser(WebGpu::SwiftShader, async |browser| {
            open(browser).await?;
            refuse(browser, what).await?;
            // Its matmuls, for several sets of weights, are not compiled yet.
            let hash = browser.hash().await?;
            let other = hash.replace(LANE, "lanes=prosqa-ccot:ccot");
            browser.set_hash(&other).await?;
            browser.wait_enabled("run", LIMIT).await?;
            browser.click("run").await?;
            wait_error(browser, &words).await.context(what)?;
            browser.click("use-reference").await?;
            run(browser, "eference engine").await.context(what)?;
            Ok(())
        });
    }
}

#[test]
fn an_adapter_that_computes_wrongly_is_found_and_the_cpu_takes_over() {
    // Asked for, and a candidate, where the test of the adapter itself comes first.
    for (engine, told) in [("gpu", "prosqa-cot"), ("auto", "touchstone")] {
        in_browser(WebGpu::SwiftShader, async |browser| {
            browser.before_page(FAST_GPU).await?;
            browser.before_page(WRONG).await?;
            let hash = format!("{}&{LANE}&engine={engine}", address("max"));
            browser.open(&hash).await?;
            wait_error(browser, &["something else than the CPU", told]).await?;
            let n_wrong = browser
                .execute("return window.n_wrong", Value::Null)
                .await?;
            ensure!(n_wrong.as_u64() > Some(0), "no kernel was made wrong");
            let is_reference = |text: &str| text.starts_with("Reference engine");
            browser.wait_text("engine", is_reference, LIMIT).await?;
            run(browser, "eference engine").await?;
            Ok(())
        });
    }
}
