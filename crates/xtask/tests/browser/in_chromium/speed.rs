//! "How fast is this device?": every engine is measured, and the report can be copied.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use xtask::brought_model::place;
use xtask::server::{Host, StaticServer};

use super::site::Site;
use super::soak::COUNT_MEMORY;
use super::{LIMIT, address, check_quiet, in_browser};
use crate::chromium::{Browser, WebGpu};

/// The switch for a language model: where `latent fetch smollm2` has put it.
const GGUF: &str = "LATENT_GGUF";

/// For 135 million parameters on SwiftShader.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Measures the page that is open, and gives the engines of the table's rows.
async fn measured(browser: &Browser, limit: Duration) -> Result<Vec<String>> {
    browser.wait_enabled("run", limit).await?;
    browser.unfold("device-speed").await?;
    browser.click("speed-measure").await?;
    browser.wait_enabled("speed-copy", limit).await?;
    let script = "return [...document.querySelectorAll('[data-testid=speed-table] tbody tr')]
        .map(row => [...row.children].map(cell => cell.textContent).join('|'))";
    let rows = browser.execute(script, Value::Null).await?;
    let rows: Vec<String> = serde_json::from_value(rows)?;
    for row in &rows {
        let tokens: f64 = row.split('|').nth(2).unwrap_or_default().parse()?;
        ensure!(tokens > 0.0, "nobody decodes nothing: {row}");
    }
    Ok(rows)
}

#[test]
fn the_gpu_is_measured_beside_the_cpu_and_below_its_roof() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        let hash = format!("{}&engine=gpu", address("max"));
        browser.open(&hash).await?;
        let rows = measured(browser, LIMIT).await?;
        let of = |name: &str| rows.iter().filter(|row| row.contains(name)).count();
        ensure!(
            of("GPU engine on") == 3 && of("Reference engine") == 3,
            "found {rows:?}"
        );
        let points = browser
            .count("[data-testid=speed-roofline] circle.point")
            .await?;
        ensure!(points == 3, "the roofline has {points} points");
        check_quiet(browser).await
    });
}

#[test]
fn without_a_gpu_the_reference_engine_is_measured_alone() {
    in_browser(WebGpu::Off, async |browser| {
        let hash = format!("{}&engine=reference", address("max"));
        browser.open(&hash).await?;
        let rows = measured(browser, LIMIT).await?;
        ensure!(rows.len() == 3, "found {rows:?}");
        let drawn = browser.count("[data-testid=speed-roofline]").await?;
        ensure!(drawn == 0, "there is no roof to draw");
        check_quiet(browser).await
    });
}

/// Milliseconds of the page's own clock until its first picture, until Run can be pressed, and until a
/// first step is drawn.
const MARKS: &str = "
    window.marks = {};
    const mark = name => window.marks[name] ??= Math.round(performance.now());
    const look = () => {
        if (document.querySelector('[data-testid=run]') !== null) mark('drawn');
        if (document.querySelector('[data-testid=run]:enabled') !== null) mark('ready');
        if (document.querySelector('ol.stream li') !== null) mark('first_step');
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look)";

/// `cargo test --workspace --test browser -- --nocapture shipped_checkpoint_is_told` prints what docs/performance.md
/// says of a first visit: the page's start in a browser that has nothing of it, and then its speed.
#[test]
fn the_speed_of_a_shipped_checkpoint_is_told() {
    for engine in ["auto", "gpu", "reference"] {
        in_browser(WebGpu::SwiftShader, async |browser| {
            browser.before_page(MARKS).await?;
            let lane = "lanes=prosqa-coconut:coconut";
            let hash = format!("{}&{lane}&engine={engine}&run=yes", address("max"));
            browser.open(&hash).await?;
            let comes = "return window.marks.first_step > 0";
            browser.wait_value(comes, &true.into(), LIMIT).await?;
            let marks = browser.execute("return window.marks", Value::Null).await?;
            for name in ["drawn", "ready", "first_step"] {
                ensure!(marks[name].is_u64(), "{name} is not in {marks}");
            }
            eprintln!("{engine}: {marks}");
            if engine == "gpu" {
                let rows = measured(browser, LIMIT).await?;
                rows.iter().for_each(|row| eprintln!("{row}"));
            }
            Ok(())
        });
    }
}

/// Runs a test of the page beside a server of it that has the language model, where there is its file.
fn beside_a_language_model(test: impl AsyncFnOnce(&Browser, &StaticServer) -> Result<()>) {
    let Some(path) = std::env::var_os(GGUF).map(PathBuf::from) else {
        eprintln!("SKIPPED, not passed: {GGUF} names no file");
        return;
    };
    in_browser(WebGpu::SwiftShader, async |browser| {
        let site = Site::of_dist()?;
        place(&path, "smollm2", site.folder())?;
        let server = StaticServer::start(site.folder(), 0, "/kept/", Host::default())?;
        test(browser, &server).await
    });
}

/// `LATENT_GGUF=~/.cache/latent/smollm2.gguf cargo test --workspace --test browser -- --nocapture
/// language_model` prints how fast a language model is in the page, and what memory it takes.
#[test]
fn a_language_model_is_measured_as_a_checkpoint_is() {
    beside_a_language_model(async |browser, server| {
        browser.before_page(COUNT_MEMORY).await?;
        let hash = "task=free-text&problem=text:Why%3F&lanes=smollm2:token-cot&engine=gpu";
        let opened = Instant::now();
        browser.open_on(server, hash).await?;
        browser.wait_enabled("run", PATIENCE).await?;
        eprintln!("it can run after {:.1} s", opened.elapsed().as_secs_f64());
        let rows = measured(browser, PATIENCE).await?;
        rows.iter().for_each(|row| eprintln!("{row}"));
        let held = "return [window.memory.buffer.byteLength, ...window.held]";
        let held = browser.execute(held, Value::Null).await?;
        eprintln!("bytes of wasm, buffers, bytes of buffers: {held}");
        ensure!(rows.len() == 6, "found {rows:?}");
        Ok(())
    });
}

/// Keeps the tasks of the main thread that take more than 50 ms: when each began, and how long it took.
const LONG_TASKS: &str = "
    window.tasks = [];
    const keep = entry => window.tasks.push([Math.round(entry.startTime), Math.round(entry.duration)]);
    new PerformanceObserver(list => list.getEntries().forEach(keep)).observe({ type: 'longtask', buffered: true })";

/// `LATENT_GGUF=~/.cache/latent/smollm2.gguf cargo test --workspace --test browser -- --nocapture
/// long_tasks` prints the tasks of more than 50 ms in which a language model is opened and run for 256 steps.
#[test]
fn the_long_tasks_of_a_language_model_are_told() {
    for engine in ["reference", "gpu"] {
        beside_a_language_model(async |browser, server| {
            browser.before_page(LONG_TASKS).await?;
            let lanes = ["token-cot", "soft"]
                .map(|strategy| format!("smollm2:{strategy},max_think=240,max_answer=16"));
            let lanes = lanes.join(";");
            let text = "Once%20upon%20a%20time%2C%20in%20a%20small%20town%20by%20the%20sea%2C";
            let hash = format!("task=free-text&problem=text:{text}&lanes={lanes}&engine={engine}");
            browser.open_on(server, &hash).await?;
            browser.wait_enabled("run", PATIENCE).await?;
            let told = "return window.tasks";
            let opened = browser.execute(told, Value::Null).await?;
            eprintln!("{engine}, opened: {opened}");
            browser
                .execute("window.tasks.length = 0", Value::Null)
                .await?;
            browser.press_at_once(&["run"]).await?;
            let is_done = |text: &str| text == "done";
            browser.wait_text("status", is_done, PATIENCE).await?;
            let ran = browser.execute(told, Value::Null).await?;
            let n_steps = browser.count("ol.stream li").await?;
            eprintln!("{engine}, ran {n_steps} steps: {ran}");
            Ok(())
        });
    }
}
