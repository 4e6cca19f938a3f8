//! The tests that start a browser, and what they share.

mod analysis;
mod arena;
mod brought;
mod brought_files;
mod buttons;
mod class;
mod contemplation;
mod engine;
mod evidence;
mod free_text;
mod graph;
mod hosts;
mod interventions;
mod kernels;
mod keyboard;
mod language;
mod links;
mod looks;
mod lost_device;
mod markup;
mod offline;
mod patching;
mod recordings;
mod refused;
mod runs;
mod site;
mod soak;
mod speed;
mod steps;
mod tabs;
mod take_away;
mod tour;

pub use brought::FREE_TEXT;
pub use brought_files::gguf;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::server::Host;

use crate::chromium::{Browser, WebGpu};
use crate::reference_run::{Asked, check_against_reference};

/// WebGPU in software, on a machine that may be busy with other things.
const LIMIT: Duration = Duration::from_secs(240);
/// Keeps every file that the page offers, in `window.taken`.
const KEEP: &str = "window.taken = []; const offered = URL.createObjectURL; \
                    URL.createObjectURL = blob => { window.taken.push(blob); return offered.call(URL, blob) }";

/// The switch that skips these tests: a machine without a browser fails them otherwise.
pub const SKIP: &str = "LATENT_SKIP_BROWSER";

/// Of the generated problem and of every lane's draws.
const SEED: u32 = 1;

/// The page with its default lanes on a fixed problem, at a speed.
fn address(speed: &str) -> String {
    format!("problem=class:{SEED}&seed={SEED}&speed={speed}")
}

/// Runs `test` in a fresh browser, on the page as an honest host serves it, and ends the browser
/// however the test went.
fn in_browser(webgpu: WebGpu, test: impl AsyncFnOnce(&Browser) -> Result<()>) {
    in_browser_with(webgpu, "", test);
}

/// The same in a browser whose V8 gets flags.
fn in_browser_with(webgpu: WebGpu, js_flags: &str, test: impl AsyncFnOnce(&Browser) -> Result<()>) {
    if std::env::var_os(SKIP).is_some() {
        eprintln!("SKIPPED, not passed: {SKIP} is set");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let outcome = runtime.block_on(async {
        let start = || Browser::start(webgpu, js_flags, Host::default());
        let browser = match start().await {
            Ok(browser) => browser,
            // On a busy machine a browser that is well may not come up in time.
            Err(error) => {
                eprintln!("the browser did not start, so once more: {error:#}");
                start().await?
            }
        };
        let outcome = test(&browser).await;
        // What a browser does at its end says nothing about the page; its driver ends it anyway.
        if let Err(error) = browser.close().await {
            eprintln!("the browser did not end by itself: {error:#}");
        }
        outcome
    });
    if let Err(error) = outcome {
        panic!("{error:#}");
    }
}

/// The finished run, as the page gives it to programs.
async fn finished_run(browser: &Browser) -> Result<Value> {
    let is_there = |text: &str| !text.is_empty();
    let json = browser.wait_text("trace-json", is_there, LIMIT).await?;
    serde_json::from_str(&json).context("expected JSON in trace-json")
}

/// Presses Run when it can be pressed, and waits for the run's end.
async fn run_to_end(browser: &Browser) -> Result<Value> {
    browser.wait_enabled("run", LIMIT).await?;
    browser.click("run").await?;
    finished_run(browser).await
}

/// Waits until the page says that it is kept for use without a network.
async fn wait_until_kept(browser: &Browser) -> Result<()> {
    let is_kept = |text: &str| text.starts_with("Kept on this device");
    browser.wait_text("offline", is_kept, LIMIT).await?;
    Ok(())
}

/// From now on the browser keeps so many bytes of the page's origin at most, whatever it says.
async fn leave_room_for(browser: &Browser, bytes: u64) -> Result<()> {
    let origin = browser.execute("return origin", Value::Null).await?;
    let params = json!({ "origin": origin, "quotaSize": bytes });
    browser
        .devtools("Storage.overrideQuotaForOrigin", params)
        .await?;
    Ok(())
}

/// A run is the reference engine's, on the generated problem and with the draws of the seed, and with the
/// settings in the page's address.
async fn check_run(browser: &Browser, run: &Value, task: &str, seed: u32) -> Result<()> {
    let hash = &browser.hash().await?;
    check_against_reference(run, &Asked { task, seed, hash })
}

/// Nothing was asked of another host, the page's policy refused nothing, and nothing went wrong in
/// silence.
async fn check_quiet(browser: &Browser) -> Result<()> {
    let refused = browser.refused().await?;
    ensure!(
        refused.is_empty(),
        "expected nothing that the policy refuses, found {refused:#?}"
    );
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
}
