//! Which engine runs is measured, said, and the visitor's to choose.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{LIMIT, SEED, address, check_quiet, check_run, finished_run, in_browser};
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
        let says_why = |text: &str| text.contains("faster here than") && text.contains("GPU ");
        browser.wait_text("fallback", says_why, LIMIT).await?;
        let title = engine_title(browser).await?;
        ensure!(title.contains("Measured at the start"), "found {title:?}");
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

/// The clock stands still while the page waits for the GPU, so that it is the faster one on any machine.
/// `gpuIsAsked` tells whether it was ever asked for something, and `gpuRests` whether not in the last four
/// seconds.
pub(super) const FAST_GPU: &str = "
    if (window.GPUBuffer) {
        let n_asked = 0, n_waits = 0, since = 0, waited = 0, last = 0;
        const now = performance.now.bind(performance);
        window.gpuIsAsked = () => n_asked > 0;
        window.gpuRests = () => n_waits === 0 && now() - last > 4000;
        performance.now = () => (n_waits > 0 ? since : now()) - waited;
        for (const [{ prototype }, name] of [[GPUBuffer, 'mapAsync'], [GPUDevice, 'popErrorScope']]) {
            const asked = prototype[name];
            prototype[name] = async function (...given) {
                n_asked++;
                if (n_waits++ === 0) since = now();
                try {
                    return await asked.apply(this, given);
                } finally {
                    last = now();
                    if (--n_waits === 0) waited += last - since;
                }
            };
        }
    }";

/// Whether the lanes of a run say that they ran on this engine.
fn ensure_ran_on(run: &serde_json::Value, engine: &str) -> Result<()> {
    let mut lanes = run["lanes"].as_array().into_iter().flatten();
    let ran_there = |lane: &serde_json::Value| {
        lane["engine"]
            .as_str()
            .is_some_and(|of| of.contains(engine))
    };
    ensure!(
        lanes.all(ran_there),
        "expected {engine}, found {}",
        run["lanes"][0]["engine"]
    );
    Ok(())
}

#[test]
fn runs_go_to_the_cpu_until_the_gpu_has_passed_its_trial() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.before_page(FAST_GPU).await?;
        browser.open(&address("3")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let engine = browser.wait_text("engine", |_| true, LIMIT).await?;
        ensure!(engine.contains("is being tried"), "found {engine:?}");
        browser.click("run").await?;
        let is_gpu = |text: &str| text.starts_with("WebGPU");
        browser.wait_text("engine", is_gpu, LIMIT).await?;
        let agrees = |text: &str| text.starts_with("GPU agrees with CPU");
        browser.wait_text("self-test", agrees, LIMIT).await?;
        // Whether it is over by then or not, it ends where it began.
        let first = finished_run(browser).await?;
        ensure_ran_on(&first, "Reference engine")?;
        check_run(browser, &first, "prosqa", SEED).await?;
        browser.click("run").await?;
        browser
            .wait_text("trace-json", str::is_empty, LIMIT)
            .await?;
        let second = finished_run(browser).await?;
        ensure_ran_on(&second, "GPU engine")?;
        check_run(browser, &second, "prosqa", SEED).await?;
        check_quiet(browser).await
    });
}

#[test]
fn a_choice_ends_the_trial_of_the_gpu() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.before_page(FAST_GPU).await?;
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let is_asked = "return window.gpuIsAsked()";
        browser.wait_value(is_asked, &json!(true), LIMIT).await?;
        browser.choose("engine-choice", "reference").await?;
        let was_chosen = |text: &str| text.contains("the CPU was chosen");
        browser.wait_text("fallback", was_chosen, LIMIT).await?;
        // Whatever the trial was about to find out.
        let rests = "return window.gpuRests()";
        browser.wait_value(rests, &json!(true), LIMIT).await?;
        let engine = browser.wait_text("engine", |_| true, LIMIT).await?;
        ensure!(!engine.starts_with("WebGPU"), "found {engine:?}");
        browser.click("run").await?;
        ensure_ran_on(&finished_run(browser).await?, "Reference engine")?;
        // The later choice counts, whatever an earlier one comes to meanwhile.
        browser.choose("engine-choice", "gpu").await?;
        let agrees = |text: &str| text.starts_with("GPU agrees with CPU");
        browser.wait_text("self-test", agrees, LIMIT).await?;
        browser.choose("engine-choice", "reference").await?;
        browser.wait_text("fallback", was_chosen, LIMIT).await?;
        browser.click("run").await?;
        browser
            .wait_text("trace-json", str::is_empty, LIMIT)
            .await?;
        ensure_ran_on(&finished_run(browser).await?, "Reference engine")?;
        check_quiet(browser).await
    });
}

async fn engine_title(browser: &Browser) -> Result<String> {
    let script = "return document.querySelector('[data-testid=engine]').parentElement.title";
    let title = browser.execute(script, serde_json::Value::Null).await?;
    Ok(title.as_str().unwrap_or_default().to_owned())
}
