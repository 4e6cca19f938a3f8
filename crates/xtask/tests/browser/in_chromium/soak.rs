//! Hours of use leave nothing behind: runs of all strategies, runs that are left in the middle, models
//! that come and go, downloads that are stopped, tabs that nobody looks at, drawers. A few rounds here;
//! `LATENT_SOAK_MINUTES=60 cargo test --workspace --test browser -- --nocapture hours_of_use` goes on
//! for an hour, as docs/trust.md reports.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use latent_model::{catalogue::Catalogue, strategy::STRATEGIES, tasks::prosqa};
use serde_json::{Value, json};
use xtask::workspace;

use super::brought::{FREE_TEXT, drop_files, wait_until_none_is_kept};
use super::brought_files::{Answer, AnswersAsTold, gguf};
use super::{LIMIT, address, in_browser};
use crate::chromium::{Browser, WebGpu};

/// The switch for as many minutes as it says.
const MINUTES: &str = "LATENT_SOAK_MINUTES";
/// Rounds that are not looked at: code is compiled, lists and tables grow to their size.
const WARM_UP: usize = 1;
/// Rounds that are, where no time is given.
const ROUNDS: usize = 4;
/// Runs of a round that are left after a random time.
const RACES: usize = 4;
/// Lanes that the page takes.
const MOST_LANES: usize = 6;
/// How much larger a gauge may be at the end than in the middle.
const GROWTH: f64 = 0.02;

/// Of how things are between two rounds, when everything that nobody holds has been collected. Buffers
/// of the GPU are counted until the page frees them: what waits for the garbage collector is held.
const GAUGES: [&str; 6] = [
    "JS heap",
    "wasm memory",
    "DOM nodes",
    "event listeners",
    "GPU buffers",
    "GPU bytes",
];

/// Counts the buffers that the page makes and frees, and keeps its program's memory.
pub(super) const COUNT_MEMORY: &str = "
    window.held = [0, 0];
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = async (...given) => {
        const made = await instantiate(...given);
        window.memory ??= (made.instance ?? made).exports.memory;
        return made;
    };
    if (window.GPUDevice !== undefined) {
        const { createBuffer } = GPUDevice.prototype, { destroy } = GPUBuffer.prototype;
        const living = new WeakSet();
        const count = (buffer, sign) => {
            window.held[0] += sign;
            window.held[1] += sign * buffer.size;
        };
        GPUDevice.prototype.createBuffer = function (...given) {
            const buffer = createBuffer.apply(this, given);
            living.add(buffer);
            count(buffer, 1);
            return buffer;
        };
        GPUBuffer.prototype.destroy = function () {
            if (living.delete(this)) count(this, -1);
            return destroy.call(this);
        };
    }";

type Sample = [f64; GAUGES.len()];

#[test]
fn hours_of_use_leave_nothing_behind() {
    let minutes = std::env::var(MINUTES).ok();
    let minutes = minutes.map(|text| text.parse().expect("a number of minutes"));
    let limit = minutes.map(|minutes: f64| Duration::from_secs_f64(60.0 * minutes));
    in_browser(WebGpu::SwiftShader, async |browser| {
        browser.before_page(COUNT_MEMORY).await?;
        browser.open(&base()).await?;
        browser.wait_enabled("run", LIMIT).await?;
        browser.devtools("Performance.enable", json!({})).await?;
        let mut visitor = Visitor::new(browser)?;
        for _ in 0..WARM_UP {
            visitor.round().await.context("while it warms up")?;
        }
        let started = Instant::now();
        let goes_on = |n: usize| match limit {
            // Halves of which each has halves.
            Some(limit) => n < ROUNDS || started.elapsed() < limit,
            None => n < ROUNDS,
        };
        let mut samples = Vec::new();
        while goes_on(samples.len()) {
            let n = samples.len() + 1;
            visitor
                .round()
                .await
                .with_context(|| format!("round {n}"))?;
            samples.push(visitor.gauges().await?);
            print_round(n, started.elapsed(), &samples[n - 1]);
        }
        eprintln!("{} runs were left in the middle", visitor.n_left);
        check_flat(&samples)
    });
}

fn print_round(n: usize, since: Duration, sample: &Sample) {
    if n == 1 {
        eprintln!("round, seconds, {}", GAUGES.join(", "));
    }
    let values = sample.map(|value| value.to_string()).join(", ");
    eprintln!("{n}, {:.0}, {values}", since.as_secs_f64());
}

/// Compares the median of each gauge over the last quarter of the rounds with that over the second
/// quarter, which is how the first half ended.
fn check_flat(samples: &[Sample]) -> Result<()> {
    let quarter = samples.len() / 4;
    ensure!(quarter > 0, "expected four rounds, found {}", samples.len());
    let middle = &samples[quarter..2 * quarter];
    let end = &samples[samples.len() - quarter..];
    let mut grown = Vec::new();
    for (gauge, name) in GAUGES.iter().enumerate() {
        let [before, after] = [middle, end].map(|part| median(part, gauge));
        eprintln!("{name}: {before} at the end of the first half, {after} at that of the second");
        if after > before * (1.0 + GROWTH) {
            grown.push(format!("{name} from {before} to {after}"));
        }
    }
    ensure!(
        grown.is_empty(),
        "expected hardly more at the end than in the middle, found {}",
        grown.join("; ")
    );
    Ok(())
}

fn median(samples: &[Sample], gauge: usize) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(|sample| sample[gauge]).collect();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

/// The page between two rounds: its default lanes on the GPU.
fn base() -> String {
    format!("{}&engine=gpu", address("max"))
}

/// Somebody who tries everything.
struct Visitor<'a> {
    browser: &'a Browser,
    /// Lanes of every strategy, as many at a time as the page takes; a round runs the next ones.
    lanes: Vec<String>,
    n_rounds: usize,
    host: AnswersAsTold,
    random: u32,
    n_left: usize,
}

impl<'a> Visitor<'a> {
    fn new(browser: &'a Browser) -> Result<Self> {
        let file = AnswersAsTold::start(vec![("/half.gguf", Answer::Stalls(gguf()))])?;
        Ok(Self {
            browser,
            lanes: lanes_of_all_strategies()?,
            host: file,
            n_rounds: 0,
            random: 0x2545_F491,
            n_left: 0,
        })
    }

    /// All that a visitor does, once.
    async fn round(&mut self) -> Result<()> {
        let lanes = &self.lanes[self.n_rounds % self.lanes.len()];
        self.n_rounds += 1;
        self.go_to(&format!("{}&lanes={lanes}", base())).await?;
        self.run().await.with_context(|| lanes.clone())?;
        self.go_to(&base()).await?;
        self.leave_runs().await.context("runs that are left")?;
        self.bring_a_model().await.context("a model")?;
        self.stop_a_download().await.context("a download")?;
        self.go_to(&base()).await?;
        self.look_away().await.context("a hidden tab")?;
        self.open_drawers().await.context("drawers")?;
        self.go_to(&base()).await?;
        self.run().await?;
        self.browser.press_at_once(&["reset"]).await?;
        let refused = self.browser.refused().await?;
        ensure!(refused.is_empty(), "the policy refused {refused:?}");
        let console = self.browser.console().await?;
        let severe = console.iter().find(|line| line.starts_with("SEVERE"));
        ensure!(severe.is_none(), "the console says {severe:?}");
        // Empties the driver's log, which would grow for as long as this goes on. The download that
        // was stopped is a request to another host.
        let _ = self.browser.check_no_request_left().await;
        Ok(())
    }

    fn draw(&mut self, below: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random % below
    }

    /// Changes the address, and waits until the page has taken it up.
    async fn go_to(&self, hash: &str) -> Result<()> {
        self.browser.press_at_once(&["reset"]).await?;
        self.browser.set_hash(hash).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    }

    async fn run(&self) -> Result<()> {
        self.browser.wait_enabled("run", LIMIT).await?;
        self.browser.press_at_once(&["run"]).await?;
        self.wait_until_done().await
    }

    /// The run's text stays where it is: what a driver reads, it leaves in the page's heap (76 kB a
    /// run, found with this test).
    async fn wait_until_done(&self) -> Result<()> {
        let is_done = |text: &str| text == "done";
        self.browser.wait_text("status", is_done, LIMIT).await?;
        let told = "return document.querySelector('[data-testid=trace-json]').textContent.length";
        let told = self.browser.execute(told, Value::Null).await?;
        ensure!(told.as_u64() > Some(0), "the run is done, and says nothing");
        Ok(())
    }

    async fn leave_runs(&mut self) -> Result<()> {
        for _ in 0..RACES {
            self.browser.press_at_once(&["run"]).await?;
            let after = Duration::from_millis(self.draw(200).into());
            tokio::time::sleep(after).await;
            let presses: &[&str] = match self.draw(3) {
                0 => &["reset"],
                1 => &["reset", "run", "reset", "run", "reset"],
                _ => &["next-problem"],
            };
            self.browser.press_at_once(presses).await?;
            self.n_left += 1;
        }
        self.go_to(&base()).await?;
        self.run().await
    }

    async fn bring_a_model(&self) -> Result<()> {
        self.go_to(&format!("{FREE_TEXT}&engine=gpu")).await?;
        drop_files(self.browser, &[("small.gguf".into(), gguf())]).await?;
        let has_lanes = |hash: &str| hash.contains("=small:");
        self.browser.wait_hash(has_lanes, LIMIT).await?;
        let steps = "max_think=4,max_answer=4";
        let lanes = format!("small:token-cot,{steps};small:soft-gumbel,{steps}");
        self.go_to(&format!("{FREE_TEXT}&engine=gpu&lanes={lanes}"))
            .await?;
        self.run().await?;
        self.browser.press_at_once(&["forget-small"]).await?;
        wait_until_none_is_kept(self.browser).await
    }

    async fn stop_a_download(&self) -> Result<()> {
        let url = self.host.url("/half.gguf");
        self.browser.fill("model-address", &url).await?;
        self.browser.press_at_once(&["load-address"]).await?;
        let is_it = |text: &str| text.contains("half");
        self.browser.wait_text("loading", is_it, LIMIT).await?;
        self.browser.press_at_once(&["stop-loading"]).await?;
        let is_stopped = |text: &str| text.contains("it was stopped");
        self.browser.wait_text("error", is_stopped, LIMIT).await?;
        Ok(())
    }

    async fn look_away(&self) -> Result<()> {
        self.browser.press_at_once(&["run"]).await?;
        let other = self.browser.hide().await?;
        self.wait_until_done().await?;
        self.browser.show(&other).await
    }

    async fn open_drawers(&self) -> Result<()> {
        let browser = self.browser;
        let drawers = [
            "guide",
            "evidence",
            "device-speed",
            "take-away",
            "open-model",
            "analysis",
        ];
        for drawer in drawers {
            browser.unfold(drawer).await?;
            let fold = "document.querySelector(`[data-testid=\"${arguments[0]}\"]`).open = false";
            browser.execute(fold, json!(drawer)).await?;
        }
        self.go_to(&format!("{}&chapter=1", base())).await?;
        browser.wait_text("chapter", |_| true, LIMIT).await?;
        browser.press_at_once(&["leave-tour"]).await?;
        for button in ["language", "theme", "add-lane"] {
            browser.press_at_once(&[button]).await?;
            browser.press_at_once(&[button]).await?;
        }
        Ok(())
    }

    /// How things are, when everything that nobody holds has been collected.
    async fn gauges(&self) -> Result<Sample> {
        // What was let go in the last frame is let go of in the next ones.
        let frames = "const [, done] = arguments; \
                      const wait = n => n === 0 ? done() : requestAnimationFrame(() => wait(n - 1)); \
                      wait(4)";
        self.browser.execute_async(frames, Value::Null).await?;
        for _ in 0..2 {
            let command = "HeapProfiler.collectGarbage";
            self.browser.devtools(command, json!({})).await?;
        }
        let told = self.browser.devtools("Performance.getMetrics", json!({}));
        let told = told.await?;
        let metric = |name: &str| {
            let metrics = told["metrics"].as_array()?;
            let found = metrics.iter().find(|metric| metric["name"] == name)?;
            found["value"].as_f64()
        };
        let metric = |name: &str| metric(name).with_context(|| format!("no metric {name}"));
        let held = "return [window.memory.buffer.byteLength, ...window.held]";
        let held = self.browser.execute(held, Value::Null).await?;
        let [wasm, buffers, bytes]: [f64; 3] = serde_json::from_value(held)?;
        Ok([
            metric("JSHeapUsedSize")?,
            wasm,
            metric("Nodes")?,
            metric("JSEventListeners")?,
            buffers,
            bytes,
        ])
    }
}

/// Every strategy on the first checkpoint of the page's first task that has learned it, as lanes of
/// addresses.
fn lanes_of_all_strategies() -> Result<Vec<String>> {
    let path = workspace::dist().join("models").join("index.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}: run `cargo xtask dist`", path.display()))?;
    let catalogue: Catalogue = serde_json::from_str(&text)?;
    let mut lanes = Vec::new();
    for strategy in STRATEGIES {
        let mut entries = catalogue.models.iter();
        let knows = |known: &String| known == strategy.name;
        let entry =
            entries.find(|entry| entry.task == prosqa::TASK && entry.strategies.iter().any(knows));
        let entry = entry.with_context(|| format!("nothing of prosqa runs {}", strategy.name))?;
        lanes.push(format!("{}:{}", entry.name, strategy.name));
    }
    Ok(lanes
        .chunks(MOST_LANES)
        .map(|lanes| lanes.join(";"))
        .collect())
}

/// Presses a button as often as `arguments[0]` says, and lets the page draw after each time.
const PRESS: &str = "
    const [[testid, n], done] = arguments;
    const drawn = next => requestAnimationFrame(() => requestAnimationFrame(next));
    const press = left => {
        if (left === 0) return done();
        document.querySelector(`[data-testid=\"${testid}\"]`).click();
        drawn(() => press(left - 1));
    };
    press(n)";

/// Signals kept a little of every effect that had ever looked at them: 40 changes of the language took
/// 2 MB (reactive_graph 0.2.16; 0.3 forgets those that are gone).
#[test]
fn a_page_that_is_drawn_anew_takes_no_more_memory() {
    in_browser(WebGpu::Off, async |browser| {
        browser.before_page(COUNT_MEMORY).await?;
        let hash = format!("{}&engine=reference", address("max"));
        browser.open(&hash).await?;
        browser.wait_enabled("run", LIMIT).await?;
        let memory = async || {
            let held = "return window.memory.buffer.byteLength";
            let held = browser.execute(held, Value::Null).await?;
            held.as_f64().context("expected a number of bytes")
        };
        for button in ["language", "next-problem"] {
            let press = async |n: u32| browser.execute_async(PRESS, json!([button, n])).await;
            press(20).await?;
            let before = memory().await?;
            press(80).await?;
            let after = memory().await?;
            eprintln!("{button}: {before}, and {after} after 80 times");
            ensure!(
                after <= before * (1.0 + GROWTH),
                "{button} 80 times: from {before} to {after} bytes of wasm memory"
            );
        }
        Ok(())
    });
}

/// Guards the test itself: what grows is found, what goes up and down is not.
#[test]
fn what_grows_is_found() {
    let flat = [[100.0; 6]; 8];
    check_flat(&flat).expect("nothing grows");
    let mut noisy = flat;
    noisy[7][4] = 200.0;
    noisy[0] = [1.0; 6];
    check_flat(&noisy).expect("one round is no growth");
    let mut growing = flat;
    for (round, sample) in growing.iter_mut().enumerate() {
        sample[4] += round as f64;
    }
    let error = check_flat(&growing).expect_err("it grows").to_string();
    assert!(error.contains("GPU buffers from 102 to 106"), "{error}");
}
