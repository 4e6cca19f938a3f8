//! Runs, other models, downloads and runs that are left: memory stays as it was.
//! `LATENT_ROUNDS=1000 cargo xtask test --only page,browser` goes on for about as long as
//! docs/trust.md reports; without it there are few rounds.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{LIMIT, check_quiet, in_browser};
use crate::chromium::{Browser, WebGpu};

/// Rounds where none are asked for.
const FEW: usize = 12;

/// Tells of the program's memory, and of the GPU buffers that are alive.
const WATCH: &str = "
    window.watched = { memory: null, buffers: 0, bytes: 0 };
    const gone = new FinalizationRegistry(size => {
        window.watched.buffers -= 1;
        window.watched.bytes -= size;
    });
    for (const name of ['instantiate', 'instantiateStreaming']) {
        const instantiate = WebAssembly[name];
        WebAssembly[name] = async (...given) => {
            const made = await instantiate.apply(WebAssembly, given);
            window.watched.memory = (made.instance ?? made).exports.memory;
            return made;
        };
    }
    // The empty page before the first one has no GPU.
    if (window.GPUDevice !== undefined) {
        const create = GPUDevice.prototype.createBuffer;
        GPUDevice.prototype.createBuffer = function (asked) {
            const buffer = create.call(this, asked);
            window.watched.buffers += 1;
            window.watched.bytes += asked.size;
            gone.register(buffer, asked.size);
            return buffer;
        };
    }";

/// What takes turns: other tasks, other checkpoints, other kinds of input.
const PLACES: [&str; 3] = [
    "problem=class:1&lanes=prosqa-cot:token-cot;prosqa-soft:soft-gumbel",
    "task=arithmetic&problem=class:2&lanes=arithmetic-ccot:ccot",
    "problem=class:3&lanes=prosqa-coconut:coconut;prosqa-soft:soft",
];

fn n_rounds() -> usize {
    match std::env::var("LATENT_ROUNDS") {
        Ok(text) => text.parse().expect("LATENT_ROUNDS is a number"),
        Err(_) => FEW,
    }
}

fn place(round: usize) -> String {
    let place = PLACES[round % PLACES.len()];
    format!("{place}&seed={round}&speed=max&engine=gpu")
}

async fn finish(browser: &Browser) -> Result<()> {
    browser.wait_enabled("run", LIMIT).await?;
    browser.click("run").await?;
    let is_done = |text: &str| text == "done";
    browser.wait_text("status", is_done, LIMIT).await?;
    Ok(())
}

/// One of each: a download that is left, a run that is left, and a run to its end.
async fn round(browser: &Browser, round: usize) -> Result<()> {
    browser.set_hash(&place(round + 1)).await?;
    browser.set_hash(&place(round)).await?;
    browser.wait_enabled("run", LIMIT).await?;
    browser.press_at_once(&["run"]).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    browser.press_at_once(&["reset"]).await?;
    finish(browser).await
}

/// What is alive after everything that is not has gone.
#[derive(Clone, Copy, Debug)]
struct Alive {
    heap: f64,
    program: f64,
    buffers: f64,
    buffer_bytes: f64,
}

async fn alive(browser: &Browser) -> Result<Alive> {
    // What is found to be gone is told in a later task, and may let go of more.
    for _ in 0..3 {
        browser
            .devtools("HeapProfiler.collectGarbage", json!({}))
            .await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let heap = browser.devtools("Runtime.getHeapUsage", json!({})).await?;
    let script = "const { memory, buffers, bytes } = window.watched;
                  return [memory?.buffer.byteLength, buffers, bytes]";
    let watched = browser.execute(script, Value::Null).await?;
    let number = |value: &Value| value.as_f64().context("expected a number");
    Ok(Alive {
        heap: number(&heap["usedSize"])?,
        program: number(&watched[0])?,
        buffers: number(&watched[1])?,
        buffer_bytes: number(&watched[2])?,
    })
}

#[test]
fn memory_stays_as_it_was_over_runs_models_and_what_is_left() {
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.before_page(WATCH).await?;
        browser.open(&place(0)).await?;
        finish(browser).await?;
        // Rounds of all places each, so that both ends stand at the same one.
        let half = (n_rounds() / 2).next_multiple_of(PLACES.len());
        for index in 0..half {
            round(browser, index).await?;
        }
        let before = alive(browser).await?;
        for index in half..2 * half {
            round(browser, index).await?;
        }
        let after = alive(browser).await?;
        eprintln!("{half} rounds: {before:?}; {}: {after:?}", 2 * half);
        let pairs = [
            ("JS heap", before.heap, after.heap),
            ("the program's memory", before.program, after.program),
            ("GPU buffers", before.buffers, after.buffers),
            (
                "GPU buffers' bytes",
                before.buffer_bytes,
                after.buffer_bytes,
            ),
        ];
        for (what, before, after) in pairs {
            ensure!(
                after <= 1.02 * before,
                "{what}: {before} after {half} rounds, {after} after {}",
                2 * half
            );
        }
        ensure!(before.buffers > 0.0, "no GPU buffer was seen");
        check_quiet(browser).await
    });
}
