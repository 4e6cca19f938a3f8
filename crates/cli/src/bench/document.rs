//! `docs/performance.md`: a report as a person reads it.

use latent_gpu::kernels::split_sums_for;
use serde::Deserialize;

use super::{measured::Measured, report::Report};

/// The document.
pub fn document(report: &Report) -> String {
    let sections = [
        head(report),
        decoding(report),
        peers(report),
        pretrained(),
        counters(report),
        kernels(report),
        ceiling(report),
        about_gpus(report),
        page(),
    ];
    let written: Vec<String> = sections
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    written.join("\n")
}

fn head(report: &Report) -> String {
    let Report {
        adapter,
        machine,
        model,
        parity,
        settings,
        ..
    } = report;
    let load = machine.load.map_or("is not told here".to_owned(), |load| {
        format!("was {:.1} before and {:.1} at the end", load[0], load[1])
    });
    let versions = report.versions.iter();
    let versions: Vec<String> = versions.map(|(name, of)| format!("{name} {of}")).collect();
    format!(
        "\
# Performance

<!-- `cargo xtask bench --write` measures and writes this file; a test fails where it is not what
crates/cli/bench/measured.json says. -->

| | |
|---|---|
| adapter | {}{}; kernels {} |
| driver | {} |
| machine | {}, {} CPUs; the load {load} |
| build | {}; {} |
| model | {}: {} parameters, {} layers, d = {}, V = {}, {} |
| parity | {}: {} strategies step by step from the reference's inputs, activations within {:.1e} |
| measured | {} interleaved rounds after one to warm up, {} tokens of prompt, {} steps; median (lowest – highest) |
",
        adapter.name,
        if adapter.is_software { ", which runs on the CPU" } else { "" },
        adapter.kernels,
        adapter.driver,
        machine.system,
        machine.n_cpus,
        if machine.is_release { "release" } else { "debug: these are not its speeds" },
        versions.join(", "),
        model.name,
        model.n_parameters,
        model.n_layers,
        model.hidden_size,
        model.vocab_size,
        model.weights,
        if parity.agrees { "the engines agree" } else { "THE ENGINES DIFFER" },
        parity.n_strategies,
        parity.max_difference,
        settings.rounds,
        settings.prompt_tokens,
        settings.steps,
    )
}

fn decoding(report: &Report) -> String {
    let mut text = "\
## Decoding

Steps of all lanes; every step feeds the token that was chosen, or a mixture of 32.

| feeds | lanes | steps a submit | tokens/s in all | tokens/s a lane | GB/s | GFLOP/s |
|---|--:|--:|--:|--:|--:|--:|
"
    .to_owned();
    for decode in &report.decode {
        text += &format!(
            "| {} | {} | {} | {} | {:.0} | {:.2} | {:.2} |\n",
            decode.feed,
            decode.lanes,
            decode.steps_per_submit,
            spread(decode.tokens_per_second, 0),
            decode.tokens_per_second_per_lane.median,
            decode.bytes_per_second.median * 1e-9,
            decode.flops_per_second.median * 1e-9,
        );
    }
    let prefill = &report.prefill;
    text + &format!(
        "
A prompt of {} tokens is read at {} tokens/s; its first token is there after {} ms.
Bytes and FLOPs are what the kernels declare. A copy within the device moves {} GB/s.
Buffers take {:.1} MB: {:.1} MB of weights, and {:.1} MB for a run of eight lanes.
",
        prefill.prompt_tokens,
        spread(prefill.tokens_per_second, 0),
        spread(prefill.first_token_seconds.times(1e3), 1),
        spread(report.copy_bytes_per_second.times(1e-9), 2),
        megabytes(report.memory.weights + report.memory.run),
        megabytes(report.memory.weights),
        megabytes(report.memory.run),
    ) + &loading(report)
}

/// What it takes until a model on the disk decodes; nothing where that was not measured.
fn loading(report: &Report) -> String {
    if report.loading.is_empty() {
        return String::new();
    }
    let mut text = "
| loaded from the disk by | file, MB | read after s | engine after s more | first token after s more | most memory, MB |
|---|--:|--:|--:|--:|--:|
"
    .to_owned();
    for loading in &report.loading {
        let peak = loading.peak_bytes;
        text += &format!(
            "| {} | {:.1} | {:.2} | {:.2} | {:.2} | {} |\n",
            loading.engine,
            megabytes(loading.file_bytes),
            loading.read_seconds,
            loading.engine_seconds,
            loading.first_token_seconds,
            peak.map_or("–".to_owned(), |bytes| format!("{:.0}", megabytes(bytes))),
        );
    }
    text
}

/// Who reads the long prompt how fast.
fn prefill_of_peers(report: &Report, digits: usize) -> String {
    let prefill = &report.prefill;
    let mut text = format!(
        "\n| who reads a prompt of {} tokens | tokens/s |\n|---|--:|\n| GPU engine | {} |\n",
        prefill.prompt_tokens,
        spread(prefill.tokens_per_second, digits),
    );
    for (name, speed) in &prefill.peers {
        text += &format!("| {name} | {} |\n", spread(*speed, digits));
    }
    text
}

fn peers(report: &Report) -> String {
    let mut text = "\
## Side by side

The same weights and prompt in the same rounds, greedily.

"
    .to_owned()
        + &table_of_peers(report, 0)
        + &prefill_of_peers(report, 0);
    text += "\n| ratio | median (lowest – highest round) |\n|---|--:|\n";
    for (name, ratio) in &report.ratios {
        text += &format!("| {name} | {} |\n", spread(*ratio, 2));
    }
    text
}

fn table_of_peers(report: &Report, digits: usize) -> String {
    let mut text = "\
| who | lanes | tokens/s in all | tokens as the GPU engine's |
|---|--:|--:|--:|
"
    .to_owned();
    for peer in &report.peers {
        text += &format!(
            "| {} | {} | {} | {} of {} |\n",
            peer.name,
            peer.lanes,
            spread(peer.tokens_per_second, digits),
            peer.same_tokens,
            peer.tokens,
        );
    }
    text
}

/// What the language model that is fetched was measured with.
const SMOLLM2: &str = include_str!("../../bench/smollm2.json");

/// The same with weights of eight bits.
const SMOLLM2_INT8: &str = include_str!("../../bench/smollm2-int8.json");

/// Tokens a second of all lanes together.
fn decoded(report: &Report, lanes: usize) -> f64 {
    let of_lanes = report.decode.iter().find(|decode| decode.lanes == lanes);
    of_lanes.map_or(f64::NAN, |decode| decode.tokens_per_second.median)
}

/// The reference engine on a language model beside what people run such models with.
fn pretrained() -> String {
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
    let int8_over_llama = |lanes: usize| {
        let ratio = int8.ratios.get(&format!("over llama.cpp, lanes {lanes}"));
        ratio.map_or(f64::NAN, |ratio| ratio.median)
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
By the medians the reference engine does {}, and {}: with
more lanes, a block that is decoded once serves all of them. llama.cpp rounds the inputs to eight bits and
multiplies whole numbers, for which this processor has instructions of its own; this project computes in
f32, and adds without fusing, so that a page gets the same numbers.

The GPU engine in f32 decodes {:.1} tokens/s at one lane and {:.1} at four on {}. That is {:.2} of
what the best of its own micro-kernels does on this adapter at these shapes. With weights of eight bits
(the same command with `--weights int8`, {} rounds) it decodes {:.1} and {:.1}, which is {:.2} × and
{:.2} × llama.cpp in that run: an adapter on the CPU reads every weight by an instruction of its own.
{}{}",
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
        prefill_of_peers(&report, 1),
        loading(&report),
    )
}

fn counters(report: &Report) -> String {
    let counters = &report.counters;
    format!(
        "\
## What steady decoding asks of the device

Exact, whatever the machine; `crates/gpu/tests/counters.rs` holds every strategy to them, and the \
declared bytes to within 5 % of what no engine can do without.
One submit of {} steps of one lane: {} dispatches in {} pass, {} submit, {} map; {} buffers, {} bind \
groups and {} pipelines made, {} bytes written, {} read back. A step declares {:.2} MB and {:.2} MFLOP.
",
        counters.steps,
        counters.dispatches,
        counters.passes,
        counters.submits,
        counters.maps,
        counters.buffers_made,
        counters.bind_groups_made,
        counters.pipelines_made,
        counters.bytes_written,
        counters.bytes_read_back,
        counters.bytes_per_step as f64 * 1e-6,
        counters.flops_per_step as f64 * 1e-6,
    )
}

fn kernels(report: &Report) -> String {
    if report.kernels.is_empty() {
        return "## Time by kernel\n\nThe device has no timestamps.\n".into();
    }
    let mut text = "\
## Time by kernel

One lane, a pass with two timestamps for every dispatch, which is slower than decoding: shares count.

| kernel | dispatches a step | µs a step | share | GB/s | GFLOP/s |
|---|--:|--:|--:|--:|--:|
"
    .to_owned();
    for kernel in &report.kernels {
        text += &format!(
            "| {} | {:.0} | {:.0} | {:.0} % | {:.2} | {:.2} |\n",
            kernel.name,
            kernel.dispatches,
            kernel.microseconds,
            100.0 * kernel.share,
            kernel.bytes_per_second * 1e-9,
            kernel.flops_per_second * 1e-9,
        );
    }
    text
}

fn ceiling(report: &Report) -> String {
    let mut text = "\
## This adapter's best

The plainest matmul kernel at the model's shapes, over and over in one pass, at the number of threads \
that is quickest: what a step's matmuls would take if nothing else were there.

| matmul | inputs → outputs | lanes | kernel | threads | µs | GB/s | GFLOP/s |
|---|---|--:|---|--:|--:|--:|--:|
"
    .to_owned();
    for best in &report.ceiling {
        text += &format!(
            "| {} | {} → {} | {} | {} | {} | {:.1} | {:.2} | {:.2} |\n",
            best.matmul,
            best.inputs,
            best.outputs,
            best.lanes,
            best.kernels,
            best.threads,
            best.microseconds,
            best.bytes_per_second * 1e-9,
            best.flops_per_second * 1e-9,
        );
    }
    text
}

/// What the kernels for GPUs do at the model's shapes, which is known without one.
fn about_gpus(report: &Report) -> String {
    let mut text = String::from("## On a GPU\n\n");
    if report.adapter.is_software {
        text += "\
Unmeasured on a GPU: no figure above is one's. What follows is argued from what the kernels for GPUs \
read, and from the counters. They are held to the same f64 twins as the others, on every adapter.

";
    }
    text += "\
A projection of one row has few outputs, and where a thread owns four of them a GPU has nothing to do \
while it waits for memory. So a workgroup owns a few fours side by side, and its slices of threads \
take the inputs in turns: more threads are under way, each has a short chain of loads, and what a \
slice reads at once lies side by side, in whole sectors of 32 bytes that nobody reads twice.

| matmul of one row | threads that own outputs | threads that split sums | workgroups | loads in a chain | bytes side by side |
|---|--:|--:|--:|--:|--:|
";
    for best in report.ceiling.iter().filter(|best| best.lanes == 1) {
        let (threads, quads) = split_sums_for(best.inputs);
        let n_quads = best.outputs.div_ceil(4);
        let n_groups = n_quads.div_ceil(quads as usize);
        let (n_steps, slices) = (best.inputs.div_ceil(4), (threads / quads) as usize);
        text += &format!(
            "| {}, {} → {} | {n_quads} | {} | {n_groups} | {} instead of {n_steps} | {} |\n",
            best.matmul,
            best.inputs,
            best.outputs,
            n_groups * threads as usize,
            n_steps.div_ceil(slices),
            BLOCK_BYTES * quads as usize,
        );
    }
    text + "\nThe bytes side by side are those of f32 weights; f16 has half of them, int8 a quarter.\n"
}

/// Bytes of a block of 4 × 4 weights in f32.
const BLOCK_BYTES: usize = 64;

/// How the page became as small as it is: `cargo xtask test` holds it to the last row.
fn page() -> String {
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

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn spread(measured: Measured, digits: usize) -> String {
    let Measured { median, low, high } = measured;
    format!("{median:.digits$} ({low:.digits$} – {high:.digits$})")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_document_is_what_was_measured() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let json = fs::read_to_string(format!("{root}/crates/cli/bench/measured.json"));
        let report: Report = serde_json::from_str(&json.expect("it ships")).expect("a report");
        assert!(report.parity.agrees && report.machine.is_release);
        let written = fs::read_to_string(format!("{root}/docs/performance.md")).expect("it ships");
        assert!(
            document(&report) == written,
            "run `cargo xtask bench --write`"
        );
    }
}
