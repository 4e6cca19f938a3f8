//! A run that was taken away as a recording plays without a model and without an engine.

use anyhow::{Context, Result, ensure};
use latent_model::recording::Recording;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use xtask::server::{Host, StaticServer};

use super::brought::{FREE_TEXT, drop_files};
use super::brought_files::gguf;
use super::{KEEP, LIMIT, address, check_quiet, finished_run, in_browser, site::Site};
use crate::chromium::{Browser, WebGpu};
use crate::reference_run::compare_lanes;

#[test]
fn a_recording_plays_back_as_the_run_that_it_is_of() {
    in_browser(WebGpu::Off, async |browser| {
        browser.before_page(KEEP).await?;
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        let run = finished_run(browser).await?;
        browser.unfold("take-away").await?;
        let bytes = saved(browser).await?;
        // Another page, another task: the recording brings its own set-up.
        browser.open("task=arithmetic&speed=max").await?;
        browser.wait_enabled("run", LIMIT).await?;
        open(browser, &bytes).await?;
        let says = |text: &str| text.contains("nothing is computed here");
        browser.wait_text("playing", says, LIMIT).await?;
        browser.click("run").await?;
        let played = finished_run(browser).await?;
        let lanes = |run: &Value| run["lanes"].as_array().cloned().unwrap_or_default();
        ensure!(lanes(&played).len() == lanes(&run).len(), "the same lanes");
        for (played, ran) in lanes(&played).iter().zip(lanes(&run)) {
            compare_lanes(played, &ran)?;
            ensure!(played["verdict"] == ran["verdict"] && played["answer"] == ran["answer"]);
        }
        browser.choose("task", "prontoqa").await?;
        let is_gone = browser.count("[data-testid=playing]").await? == 0;
        ensure!(is_gone, "another problem is computed here");
        check_quiet(browser).await?;
        plays_by_link(browser, &bytes, &run).await
    });
}

/// What somebody brought is named by the digest of its weights, as `sha256sum` and the command line say it.
#[test]
fn a_recording_of_a_brought_model_names_its_weights() {
    in_browser(WebGpu::Off, async |browser| {
        browser.before_page(KEEP).await?;
        browser.open(FREE_TEXT).await?;
        drop_files(browser, &[("small.gguf".into(), gguf())]).await?;
        browser.wait_text("known-model", |_| true, LIMIT).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.click("run").await?;
        finished_run(browser).await?;
        browser.unfold("take-away").await?;
        let recording = Recording::from_bytes(&saved(browser).await?)?;
        let digest = Sha256::digest(gguf());
        let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        for lane in &recording.header.lanes {
            ensure!(
                lane.model_sha256.as_ref() == Some(&expected),
                "expected {expected}, found {:?}",
                lane.model_sha256
            );
        }
        Ok(())
    });
}

/// A site that has no weights plays the recording that a link names.
async fn plays_by_link(browser: &Browser, bytes: &[u8], run: &Value) -> Result<()> {
    let site = Site::of_dist()?;
    site.write("run.latent", bytes)?;
    let host = Host {
        absent: vec![".safetensors".into()],
        ..Host::default()
    };
    let server = StaticServer::start(site.folder(), 0, "/", host)?;
    browser.open_on(&server, "play=run.latent&run=yes").await?;
    let played = finished_run(browser).await?;
    ensure!(played["prompt"] == run["prompt"], "another problem");
    compare_lanes(&played["lanes"][3], &run["lanes"][3])?;
    let hash = browser.hash().await?;
    ensure!(hash.contains("play=run.latent"), "found {hash}");
    Ok(())
}

#[test]
fn what_is_no_recording_says_so() {
    in_browser(WebGpu::Off, async |browser| {
        browser.open(&address("max")).await?;
        browser.wait_enabled("run", LIMIT).await?;
        open(browser, &[104, 105]).await?;
        let says = |text: &str| text.contains("latent-recording 1");
        browser.wait_text("error", says, LIMIT).await?;
        check_quiet(browser).await
    });
}

/// The bytes of the file that the page offers.
async fn saved(browser: &Browser) -> Result<Vec<u8>> {
    let script = "const done = arguments[1]; \
                  document.querySelector('[data-testid=run-recording]').click(); \
                  const wait = async () => window.taken.length === 0 \
                      ? setTimeout(wait, 50) \
                      : done(Array.from(new Uint8Array(await window.taken.at(-1).arrayBuffer()))); \
                  wait()";
    let bytes = browser.execute_async(script, Value::Null).await?;
    serde_json::from_value(bytes).context("expected bytes")
}

/// Picks a file of these bytes.
async fn open(browser: &Browser, bytes: &[u8]) -> Result<()> {
    browser.unfold("take-away").await?;
    let script = "const input = document.querySelector('[data-testid=open-recording]'); \
                  const files = new DataTransfer(); \
                  files.items.add(new File([new Uint8Array(arguments[0])], 'a.latent')); \
                  input.files = files.files; \
                  input.dispatchEvent(new Event('change', { bubbles: true }))";
    browser.execute(script, json!(bytes)).await?;
    Ok(())
}
