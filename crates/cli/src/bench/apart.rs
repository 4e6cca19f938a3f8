//! What was measured apart from a report of the bench, and is kept beside it: a language model, the
//! trainer, the page.

use serde::Deserialize;

use super::{
    document::{loading, megabytes, prefill_of_peers, spread, table_of_peers},
    measured::Measured,
    report::Report,
};

/// What the language model that is fetched was measured with.
const SMOLLM2: &str = include_str!("../../bench/smollm2.json");

/// The same with weights of eight bits.
const SMOLLM2_INT8: &str = include_str!("../../bench/smollm2-int8.json");

/// Tokens a second of all lanes together.
pub(super) fn decoded(report: &Report, lanes: usize) -> f64 {
    let of_lanes = report.decode.iter().find(|decode| decode.lanes == lanes);
    of_lanes.map_or(f64::NAN, |decode| decode.tokens_per_second.median)
}

/// The reference engine on a language model beside what people run such models with.
pub fn pretrained() -> String {
    let report: Report = serde_json::from_str(SMOLLM2).expect("it ships");
    let speed = |name: &str, lanes: usize| {
        let peer = report
            .peers
            .iter()
            .find(|peer| peer.name == name && peer.lanes == lanes);
        peer.map_or(f64::NAN, |peer| peer.tokens_per_second.median)
    };
    let over = |name: &str| {
        let lanes = [1, 4].map(|lanes| speed("reference engine", lanes) / speed(name, lanes));
        format!(
            "{:.2} × {name} at one lane and {:.2} × at four",
            lanes[0], lanes[1]
        )
    };
    let int8: Report = serde_json::from_str(SMOLLM2_INT8).expect("it ships");
    let int8_over_llama =
        |lanes: usize| spread(int8.ratios[&format!("over llama.cpp, lanes {lanes}")], 2);
    let mixtures = |lanes: usize| {
        spread(
            report.ratios[&format!("mixtures over tokens, lanes {lanes}")],
            2,
        )
    };
    let share = report.ratios["share of the adapter's best, lanes 1"].median;
    format!(
        "\
## A language model

SmolLM2-135M-Instruct (`latent fetch smollm2`), whose q4_1 blocks the reference engine decodes as it
multiplies; llama.cpp (npm's node-llama-cpp without a GPU) reads the same file on two threads, and
PyTorch the same model in f32 on two. {} interleaved rounds of {} steps after {} tokens of prompt:

    latent bench --model smollm2.gguf --lanes 1,4 --steps 8 --rounds {} --prompt 32 --json \\
      --peer \"llama.cpp=node crates/cli/bench/llama_peer.mjs NODE_FOLDER smollm2.gguf\" \\
      --peer \"PyTorch=python3 crates/cli/bench/torch_peer.py FOLDER\"

{}
By the medians the reference engine does {}, and {}. One
lane's weights are multiplied where they are decoded, and memory is asked for the next ones ahead; with
registers of AVX-512 so are those of up to four lanes, which elsewhere are decoded before, once for all.
llama.cpp rounds the inputs to eight bits and multiplies whole numbers, for which this processor has
instructions of its own; this project computes in f32, and adds without fusing, so that a page gets the same
numbers. This machine is an AMD EPYC (Zen 4, with AVX-512); on another one, whose processor was not written
down, and before lanes were multiplied where they are decoded, it was 0.71 and 0.82 × llama.cpp.

The GPU engine in f32 decodes {:.1} tokens/s at one lane and {:.1} at four on {}. That is {:.2} of
what the best of its own micro-kernels does on this adapter at these shapes. With weights of eight bits
(the same command with `--weights int8 --without-burn`, {} rounds) it decodes {:.1} and {:.1}: {} × and
{} × llama.cpp in that run, and {:.2} of its best. An adapter on the CPU reads every weight by an
instruction of its own, and has none for products of eight bits. A prompt is read in the same f32, eight
positions at a time, where llama.cpp and PyTorch have products of whole tiles. A step
that feeds a mixture of its 49,152 tokens comes at {} × the rate of one that feeds a token at one lane, {} × at
four.
{}{}{}",
        report.settings.rounds,
        report.settings.steps,
        report.settings.prompt_tokens,
        report.settings.rounds,
        table_of_peers(&report, 1),
        over("llama.cpp"),
        over("PyTorch"),
        decoded(&report, 1),
        decoded(&report, 4),
        report.adapter.name,
        share,
        int8.settings.rounds,
        decoded(&int8, 1),
        decoded(&int8, 4),
        int8_over_llama(1),
        int8_over_llama(4),
        int8.ratios["share of the adapter's best, lanes 1"].median,
        mixtures(1),
        mixtures(4),
        prefill_of_peers(&report, 1),
        loading(&report),
        in_page(),
    )
}

/// What the test `language_model` printed, in a browser.
const SMOLLM2_PAGE: &str = include_str!("../../bench/smollm2-page.json");

/// `crates/cli/bench/smollm2-page.json`
#[derive(Deserialize)]
struct InPage {
    rows: Vec<PageRow>,
    /// From the page's address to its first run.
    opened_seconds: f64,
    wasm_bytes: u64,
    buffer_bytes: u64,
}

/// An engine with so many lanes.
#[derive(Deserialize)]
struct PageRow {
    engine: String,
    lanes: usize,
    tokens_per_second: f64,
    first_token_ms: f64,
}

/// The language model in the page.
fn in_page() -> String {
    let measured: InPage = serde_json::from_str(SMOLLM2_PAGE).expect("it ships");
    let text = format!(
        "
In the page (Chromium on SwiftShader, weights of eight bits on the device; the page rounds), which can run it
{:.0} s after its address was opened, checks of the GPU among them, with {:.0} MB of wasm's memory and {:.0} MB of GPU buffers:

    LATENT_GGUF=smollm2.gguf cargo test --workspace --test browser -- --nocapture a_language_model_is_measured

",
        measured.opened_seconds,
        megabytes(measured.wasm_bytes),
        megabytes(measured.buffer_bytes),
    );
    text + &page_rows(&measured.rows)
}

/// What `crates/train/bench_pytorch.py` printed, with the trainer's profile.
const TRAINER: &str = include_str!("../../bench/trainer.json");

/// `crates/cli/bench/trainer.json`
#[derive(Deserialize)]
struct Trainer {
    positions_of_a_batch: u64,
    latent_positions_per_second: Measured,
    pytorch_positions_per_second: Measured,
    ratio: Measured,
    torch: String,
    /// Where the trainer's time goes, and what was done about it.
    profile: String,
}

/// The trainer beside PyTorch.
pub fn trainer() -> String {
    let measured: Trainer = serde_json::from_str(TRAINER).expect("it ships");
    format!(
        "\
## The trainer

Word problems in words, {} positions a batch, on one thread; beside it the same model and optimisers in
PyTorch {} on one thread, in rounds:

    python crates/train/bench_pytorch.py target/release/latent

| who | positions/s |
|---|--:|
| latent train | {} |
| PyTorch | {} |

That is {} × PyTorch. {}
",
        measured.positions_of_a_batch,
        measured.torch,
        spread(measured.latent_positions_per_second, 0),
        spread(measured.pytorch_positions_per_second, 0),
        spread(measured.ratio, 2),
        measured.profile,
    )
}

/// What criterion found of `crates/gpu/benches/host.rs`.
const HOST: &str = include_str!("../../bench/host.json");

/// A row of `crates/cli/bench/host.json`: the median with its confidence interval.
#[derive(Deserialize)]
struct HostCost {
    what: String,
    microseconds: Measured,
}

/// What decoding costs the host.
pub fn host() -> String {
    let costs: Vec<HostCost> = serde_json::from_str(HOST).expect("it ships");
    let mut text = "\
## What the host pays

Recording, submitting and reading back on wgpu's noop backend, which computes nothing; the shipped shape on
the machine above. Median (95 % confidence interval) of criterion's 100 samples:

    cargo bench --workspace --bench host

| what | µs |
|---|--:|
"
    .to_owned();
    for HostCost { what, microseconds } in &costs {
        text += &format!("| {what} | {} |\n", spread(*microseconds, 0));
    }
    text
}

/// What the test `shipped_checkpoint_is_told` printed, in a browser.
const START: &str = include_str!("../../bench/page-start.json");

/// `crates/cli/bench/page-start.json`
#[derive(Deserialize)]
struct PageStart {
    rows: Vec<PageRow>,
    starts: Vec<Start>,
}

/// Milliseconds since the page's address was opened.
#[derive(Deserialize)]
struct Start {
    /// As the address names it.
    engine: String,
    drawn: f64,
    ready: f64,
    first_step: f64,
}

/// A checkpoint that ships, in the page.
pub fn shipped_in_page() -> String {
    let measured: PageStart = serde_json::from_str(START).expect("it ships");
    let mut text = "\
## In the page

prosqa-coconut in Chromium on SwiftShader, two cores, other work stopped, one measurement:

    cargo test --workspace --test browser -- --nocapture shipped_checkpoint_is_told

"
    .to_owned();
    text += &page_rows(&measured.rows);
    text += "
A first visit, from a server on the same machine, in ms since its address was opened. The page draws before
anything is measured. Where nobody asked for an engine, runs go to the CPU while the GPU is measured and
tested; where somebody asked for the GPU they wait for that, and a GPU in software takes seconds to compile
its kernels.

| engine asked for | drawn | can run | first step drawn |
|---|--:|--:|--:|
";
    for start in &measured.starts {
        text += &format!(
            "| {} | {:.0} | {:.0} | {:.0} |\n",
            start.engine, start.drawn, start.ready, start.first_step
        );
    }
    text
}

/// What "How fast is this device?" shows.
fn page_rows(rows: &[PageRow]) -> String {
    let mut text = "\
| engine | lanes | tokens/s in all | first token of a prompt of 32 after ms |
|---|--:|--:|--:|
"
    .to_owned();
    for row in rows {
        text += &format!(
            "| {} | {} | {:.0} | {:.0} |\n",
            row.engine, row.lanes, row.tokens_per_second, row.first_token_ms
        );
    }
    text
}

/// How the page became as small as it is. `cargo xtask test` holds it to the bounds in the same file.
pub fn page() -> String {
    let sizes: PageSizes = serde_json::from_str(PAGE).expect("it ships");
    let mut text = "\
## What a visitor downloads

The page's program and its glue, in kB, as it lies there, gzipped and with Brotli (both at their best).
A shipped checkpoint comes beside it.

| step | raw | gzip | Brotli |
|---|---:|---:|---:|
"
    .to_owned();
    for Step {
        step,
        raw,
        gzip,
        brotli,
    } in &sizes.steps
    {
        text += &format!("| {step} | {raw} | {gzip} | {brotli} |\n");
    }
    text + &format!("\n{}\n", sizes.speed)
}

const PAGE: &str = include_str!("../../bench/page.json");

/// `crates/cli/bench/page.json`
#[derive(Deserialize)]
struct PageSizes {
    steps: Vec<Step>,
    /// What became of the reference engine's speed in the page.
    speed: String,
}

/// A step, and the sizes after it.
#[derive(Deserialize)]
struct Step {
    step: String,
    raw: u64,
    gzip: u64,
    brotli: u64,
}
