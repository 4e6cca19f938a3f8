//! `docs/performance.md`: a report as a person reads it.

use latent_gpu::kernels::{EXPAND, HEAD, Kernel, PROJECT, QKV};

use super::{apart, measured::Measured, on_gpu, report::Report};

/// The document.
pub fn document(report: &Report) -> String {
    let sections = [
        head(report),
        decoding(report),
        peers(report),
        apart::pretrained(),
        counters(report),
        apart::host(),
        kernels(report),
        ceiling(report),
        on_gpu::section(report),
        apart::trainer(),
        apart::shipped_in_page(),
        apart::page(),
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

<!-- Written from the files of crates/cli/bench; a test fails where it is not what they say. measured.json is
of `cargo xtask bench --write -- --rounds 15 --peer …`, with the peers below; what other commands measured
is put into the others from what these print. -->

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
    let what =
        "Steps of all lanes; every step feeds the token that was chosen, or a mixture of 32.";
    let decoded = table_of_decoding(report);
    format!("## Decoding\n\n{what}\n\n{decoded}") + &loading(report)
}

/// Every way of decoding, then how a prompt is read, a copy, and memory.
pub(super) fn table_of_decoding(report: &Report) -> String {
    let mut text = "\
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
    )
}

/// What it takes until a model on the disk decodes; nothing where that was not measured.
pub(super) fn loading(report: &Report) -> String {
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
pub(super) fn prefill_of_peers(report: &Report, digits: usize) -> String {
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
    let text = "\
## Side by side

The same weights and prompt in the same rounds, greedily; PyTorch and onnxruntime in f32 on two threads,
where the bench was given them:

    cargo xtask bench --write -- --rounds 15 \\
      --peer \"PyTorch=python3 crates/cli/bench/torch_peer.py public/models/prosqa-coconut\" \\
      --peer \"onnxruntime=python3 crates/cli/bench/onnx_peer.py public/models/prosqa-coconut\"

"
    .to_owned()
        + &table_of_peers(report, 0)
        + &prefill_of_peers(report, 0);
    text + &table_of_ratios(report)
}

pub(super) fn table_of_ratios(report: &Report) -> String {
    let mut text = "\n| ratio | median (lowest – highest round) |\n|---|--:|\n".to_owned();
    for (name, ratio) in &report.ratios {
        text += &format!("| {name} | {} |\n", spread(*ratio, 2));
    }
    text
}

pub(super) fn table_of_peers(report: &Report, digits: usize) -> String {
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
    let what = "\
## This adapter's best

The plainest matmul kernel at the model's shapes, on as many matrices as a step has, over and over in one \
pass, at the number of threads that is quickest: what a step's matmuls would take if nothing else were there.

";
    let share = report.ratios["share of the adapter's best, lanes 1"].median;
    let names = MATMULS.map(|kernel| kernel.name);
    let matmuls = report.kernels.iter();
    let matmuls = matmuls.filter(|kernel| names.contains(&&*kernel.name));
    let of_step: f64 = matmuls.map(|kernel| kernel.share).sum();
    let beside = match report.kernels.is_empty() {
        true => String::new(),
        false => format!(
            "
A step at one lane does {share:.2} of it. By the shares above its matmuls are {:.0} % of its time, and so \
do {:.2} of it themselves; attention, the choice, norms and the embedding are the rest.
",
            100.0 * of_step,
            share / of_step,
        ),
    };
    what.to_owned() + &table_of_ceiling(report) + &beside
}

/// The kernels whose best is measured.
const MATMULS: [Kernel; 4] = [QKV, PROJECT, EXPAND, HEAD];

/// The best at every shape.
pub(super) fn table_of_ceiling(report: &Report) -> String {
    let mut text = "\
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

pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

pub(super) fn spread(measured: Measured, digits: usize) -> String {
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
