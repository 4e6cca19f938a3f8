//! What the kernels for GPUs do: measured where a GPU was lent, and argued from what they read.

use latent_gpu::kernels::split_sums_for;

use super::{
    apart::decoded,
    document::{
        prefill_of_peers, table_of_ceiling, table_of_decoding, table_of_peers, table_of_ratios,
    },
    report::Report,
};

/// What `latent bench` found on a GPU.
const H100: &str = include_str!("../../bench/h100.json");

/// The same before the kernels for GPUs had ever run on one.
const H100_BEFORE: &str = include_str!("../../bench/h100-before.json");

/// The section; `report` is of the adapter that the rest of the document is about.
pub fn section(report: &Report) -> String {
    let measured: Report = serde_json::from_str(H100).expect("it ships");
    let before: Report = serde_json::from_str(H100_BEFORE).expect("it ships");
    let Report {
        adapter,
        machine,
        parity,
        settings,
        ..
    } = &measured;
    format!(
        "\
## On a GPU

{} ({}) in a machine of {} CPUs; {} rounds of {} steps after {} tokens of prompt, the same model; {} \
strategies within {:.1e} of the reference engine, and every test of `latent-gpu` passes there. PyTorch \
runs in f32, on two threads and on the GPU:

    latent bench --json --peer \"PyTorch=python3 crates/cli/bench/torch_peer.py public/models/prosqa-coconut\" \\
      --peer \"PyTorch on the GPU=python3 crates/cli/bench/torch_peer.py public/models/prosqa-coconut cuda\"

{}
{}{}{}
{}
Before the kernels had run on any GPU they decoded {:.0} tokens/s at one lane and {:.0} at eight there \
(commit f1f8410), now {:.0} and {:.0}. By kernel, one lane, with two timestamps around every dispatch:

{}
{}
{}",
        adapter.name,
        adapter.driver,
        machine.n_cpus,
        settings.rounds,
        settings.steps,
        settings.prompt_tokens,
        parity.n_strategies,
        parity.max_difference,
        table_of_decoding(&measured),
        table_of_peers(&measured, 0),
        prefill_of_peers(&measured, 0),
        table_of_ratios(&measured),
        table_of_ceiling(&measured),
        decoded(&before, 1),
        decoded(&before, 8),
        decoded(&measured, 1),
        decoded(&measured, 8),
        kernels(&before, &measured),
        WHAT_IT_SAID,
        sharing(report),
    )
}

/// What was learned there.
const WHAT_IT_SAID: &str = "\
The table of matmuls is of one matrix each, read over and over; since then the benchmark takes as many as a \
step has. That GPU's cache holds all of this model either way. The two runs are of different machines' hours: \
what is the same in both, burn and PyTorch, was slower in the second, and the share of the best is of another \
way to time it.

A dispatch that waits for the one before takes about 4.5 µs for one row and 7 to 8 for eight, however \
little it computes: the 25 of a step are more than half of its time. What was changed: attention adds in trees and asks for four \
keys at once; a vocabulary has 64 threads however small it is, and select adds its parts with all of them; \
a matmul's thread asks for two blocks at once; one row of few outputs is shared by twice as many \
workgroups, a large head by half. Tried and not taken: scores in workgroup memory (no quicker), four \
blocks at once (too few registers), 128 threads for attention. A barrier that is missing on purpose makes \
no difference there, so the mutants that lack one are asked for on CPU adapters only.
";

/// Microseconds of a step by kernel, before and after.
fn kernels(before: &Report, after: &Report) -> String {
    let mut text = "\
| kernel | dispatches a step | µs a step before | µs a step | share |
|---|--:|--:|--:|--:|
"
    .to_owned();
    for kernel in &after.kernels {
        let known = before
            .kernels
            .iter()
            .find(|known| known.name == kernel.name);
        text += &format!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} % |\n",
            kernel.name,
            kernel.dispatches,
            known.map_or(f64::NAN, |known| known.microseconds),
            kernel.microseconds,
            100.0 * kernel.share,
        );
    }
    text
}

/// How a matmul is shared among threads at the model's shapes.
fn sharing(report: &Report) -> String {
    let mut text = "\
A projection of one row has few outputs, and where a thread owns four of them a GPU has nothing to do \
while it waits for memory. So a workgroup owns a few fours side by side, and its slices of threads \
take the inputs in turns: more threads are under way, each has a short chain of loads, and what a \
slice reads at once lies side by side, in whole sectors of 32 bytes that nobody reads twice.

| matmul of one row | threads that own outputs | threads that split sums | workgroups | loads in a chain | bytes side by side |
|---|--:|--:|--:|--:|--:|
"
    .to_owned();
    for best in report.ceiling.iter().filter(|best| best.lanes == 1) {
        let (threads, quads) = split_sums_for(best.inputs, best.outputs, 1);
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
