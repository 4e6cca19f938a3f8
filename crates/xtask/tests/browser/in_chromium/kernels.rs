//! An adapter that does not tell its kind is measured with every table of kernels, once: the browser
//! keeps which it runs best.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{LIMIT, SEED, address, check_run, finished_run, in_browser};
use crate::chromium::{Browser, WebGpu};

/// The adapter does not tell that it is a CPU, as real GPUs do not tell what they are; and
/// `window.shaders` has what is compiled for it.
const UNTOLD: &str = "window.shaders = [];
if (window.GPUDevice !== undefined) {
    Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false });
    const { createShaderModule } = GPUDevice.prototype;
    GPUDevice.prototype.createShaderModule = function (asked) {
        window.shaders.push(asked.code);
        return createShaderModule.call(this, asked);
    };
}";

/// The constant that matmuls for GPUs alone have.
const OF_GPUS: &str = "override QUADS";
/// Where the page keeps which table it is.
const KEPT: &str = "latent-playground.kernels";
/// The tables that it is tried with.
const TABLES: [&str; 2] = ["for CPU adapters", "for GPUs"];

async fn opened(browser: &Browser, engine: &str) -> Result<()> {
    let hash = format!("{}&lanes=prosqa-cot:soft&engine={engine}", address("max"));
    browser.open(&hash).await?;
    // The trial of the GPU is over.
    let is_settled = |text: &str| !text.contains("waiting") && !text.contains("running");
    browser.wait_text("self-test", is_settled, LIMIT).await?;
    browser.wait_enabled("run", LIMIT).await
}

/// How many of the page's shaders are for GPUs alone, and how many there are.
async fn shaders(browser: &Browser) -> Result<(u64, u64)> {
    let script = "const of = shaders.filter(code => code.includes(arguments[0]));
        return [of.length, shaders.length]";
    let counts = browser.execute(script, json!(OF_GPUS)).await?;
    Ok(serde_json::from_value(counts)?)
}

#[test]
fn the_kernels_that_run_best_are_found_once_and_kept() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.before_page(UNTOLD).await?;
        opened(browser, "auto").await?;
        let (of_gpus, all) = shaders(browser).await?;
        ensure!(
            0 < of_gpus && of_gpus < all,
            "both tables are tried, found {of_gpus} of {all} shaders for GPUs"
        );
        let kept = "return JSON.parse(localStorage.getItem(arguments[0]))";
        let kept = browser.execute(kept, json!(KEPT)).await?;
        let kept = kept.as_str().context("nothing is kept")?;
        let (adapter, table) = kept.rsplit_once('\n').context("one line is kept")?;
        ensure!(TABLES.contains(&table), "{table} are kernels of no table");
        // Whichever it was: what is kept is what runs, and it computes what the CPU does.
        for table in TABLES {
            let keep = "localStorage.setItem(arguments[0][0], JSON.stringify(arguments[0][1]))";
            let text = format!("{adapter}\n{table}");
            browser.execute(keep, json!([KEPT, text])).await?;
            opened(browser, "gpu").await?;
            let (of_gpus, all) = shaders(browser).await?;
            ensure!(
                (of_gpus > 0) == (table == "for GPUs") && all > 0,
                "kernels {table} are kept, found {of_gpus} of {all} shaders for GPUs"
            );
            let found = browser.wait_text("self-test", |_| true, LIMIT).await?;
            ensure!(found.starts_with("GPU agrees with CPU"), "{table}: {found}");
            browser.click("run").await?;
            let run = finished_run(browser).await?;
            check_run(browser, &run, "prosqa", SEED).await?;
        }
        Ok(())
    });
}
