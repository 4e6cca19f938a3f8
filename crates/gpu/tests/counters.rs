//! What a step declares and what it asks of the device: exact numbers, whatever the machine.

mod common;

use std::sync::Arc;

use latent_gpu::{Cost, GpuEngine, GpuError, context::Mutation};
use latent_model::{
    checkpoint::Weights,
    config::ModelConfig,
    engine::{Engine, LaneCursor, LaneSpec},
    input::Input,
    program::Adapter,
    record::StepRecord,
    strategy::STRATEGIES,
};
use pollster::block_on;

/// The most that declared bytes may be above what no engine can do without.
const MOST_OVERHEAD: f64 = 1.05;

/// Tokens of the prompt, about as many as a problem's statements have.
const N_PROMPT: u32 = 96;

/// A random model of the shape that ships, with adapters.
fn shipped() -> (ModelConfig, Arc<Weights>) {
    let (config, plain) = common::shipped();
    let weights = common::random::contemplating(&config, &plain);
    (config, Arc::new(weights))
}

/// `n` lanes of one strategy on one prompt.
fn lanes(index: usize, config: &ModelConfig, n: u32) -> Vec<LaneSpec> {
    let lane = |seed| LaneSpec {
        inputs: Input::tokens(&(0..N_PROMPT).map(|i| i % 50).collect::<Vec<u32>>()),
        program: common::program(&STRATEGIES[index], config),
        seed,
        stream: 0,
        decode_thoughts: false,
    };
    (0..n).map(lane).collect()
}

fn sum(costs: &[(&'static str, Cost)]) -> Cost {
    costs.iter().map(|&(_, cost)| cost).sum()
}

/// How often lanes of one prompt read its keys and values.
#[derive(Clone, Copy)]
enum PromptReads {
    /// Each lane by itself.
    PerLane,
    /// Once for all of them.
    Once,
}

/// Bytes and FLOPs that a step of f32 weights cannot do without: every weight that is used once; for
/// every lane its keys and values, about 14 · d activations a layer, its logits written and read,
/// the rows of the embedding table that it is fed, and its record.
fn closed_form(
    config: &ModelConfig,
    specs: &[LaneSpec],
    cursors: &[LaneCursor],
    (contemplates, prompt_reads): (bool, PromptReads),
) -> (f64, f64) {
    let made = |n: usize| n as f64;
    let (d, n_layers, vocab_size) = (
        made(config.hidden_size),
        made(config.n_layers),
        made(config.vocab_size),
    );
    let (q, kv) = (made(config.q_width()), made(config.kv_width()));
    let layers = n_layers * d * (q + 2.0 * kv + q + 3.0 * made(config.intermediate_size));
    let live = || {
        let inputs = cursors.iter();
        inputs.filter_map(|cursor| Some((&cursor.state, cursor.input.as_ref()?)))
    };
    let sets = Adapter::ALL.into_iter();
    let n_sets = sets.filter(|adapter| live().any(|(state, _)| state.adapter == *adapter));
    let n_sets = n_sets.count() as f64;
    let mut bytes = 4.0 * n_sets * layers;
    let mut flops = 0.0;
    let mut any_wants = false;
    for (n_before, (state, input)) in live().enumerate() {
        let n_keys = f64::from(state.position) + 1.0;
        let n_read = match prompt_reads {
            PromptReads::Once if n_before > 0 => n_keys - f64::from(N_PROMPT - 1),
            _ => n_keys,
        };
        let n_fed = match input {
            Input::Mixture(mixture) => made(mixture.len()),
            _ => 1.0,
        };
        bytes += 4.0 * (2.0 * n_layers * kv * n_read + 14.0 * n_layers * d + n_fed * d);
        bytes += size_of::<StepRecord>() as f64;
        flops += 2.0 * layers + 4.0 * n_layers * n_keys * q;
        if state.wants_logits(&specs[state.lane as usize].program, false) {
            any_wants = true;
            bytes += 8.0 * vocab_size;
            flops += 2.0 * vocab_size * d;
        }
        if contemplates {
            // Every lane's state goes through the map, whoever feeds it.
            flops += 2.0 * d * d;
        }
    }
    if any_wants {
        bytes += 4.0 * vocab_size * d;
    }
    if contemplates && n_sets > 0.0 {
        bytes += 4.0 * d * d;
    }
    (bytes, flops)
}

#[test]
fn declared_work_is_near_the_closed_form_for_every_strategy() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, weights) = shipped();
    let mut engine = common::engine(&context, &(config.clone(), weights));
    let mut failures = Vec::new();
    for (index, strategy) in STRATEGIES.iter().enumerate() {
        for n_lanes in [1, 8] {
            let specs = lanes(index, &config, n_lanes);
            block_on(engine.begin(&specs)).expect("a run");
            let mut n_steps = 0;
            loop {
                let cursors = block_on(engine.cursors()).expect("cursors");
                if cursors.iter().all(|cursor| cursor.input.is_none()) {
                    break;
                }
                // Where lanes end, their rows are still in a tile.
                if cursors.iter().all(|cursor| cursor.input.is_some()) {
                    let cost = sum(&engine.step_costs(&cursors));
                    let contemplates = strategy.contemplates();
                    let form =
                        |reads| closed_form(&config, &specs, &cursors, (contemplates, reads));
                    let (least, _) = form(PromptReads::Once);
                    let (bytes, flops) = form(PromptReads::PerLane);
                    let is_enough = cost.bytes() as f64 >= least && cost.flops as f64 >= flops;
                    let [bytes, flops] = [cost.bytes() as f64 / bytes, cost.flops as f64 / flops];
                    if !is_enough || bytes > MOST_OVERHEAD || flops > MOST_OVERHEAD {
                        failures.push(format!(
                            "{}, {n_lanes} lanes, step {n_steps}: bytes × {bytes:.3}, FLOPs × {flops:.3}",
                            strategy.name
                        ));
                    }
                    n_steps += 1;
                }
                block_on(engine.advance(1)).expect("records");
            }
            assert!(n_steps > 1, "{}", strategy.name);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_thought_that_is_not_decoded_reads_no_head() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, weights) = shipped();
    let mut engine = common::engine(&context, &(config.clone(), weights));
    let n_head = (4 * config.vocab_size * config.hidden_size) as u64;
    for (name, expected) in [("coconut", 0), ("token-cot", n_head)] {
        let index = STRATEGIES.iter().position(|strategy| strategy.name == name);
        let specs = lanes(index.expect("a strategy"), &config, 1);
        block_on(engine.begin(&specs)).expect("a run");
        // Past what is forced before the first thought.
        block_on(engine.advance(2)).expect("records");
        let cursors = block_on(engine.cursors()).expect("cursors");
        let costs = engine.step_costs(&cursors);
        let head = costs.iter().find(|(kernel, _)| *kernel == "head");
        assert_eq!(head.expect("a head").1.weight_bytes, expected, "{name}");
    }
}

/// What one call of `advance` asks of the device.
fn counted(engine: &mut GpuEngine, n_steps: usize) -> latent_gpu::DeviceCounts {
    let before = engine.stats().device;
    block_on(engine.advance(n_steps)).expect("records");
    engine.stats().device - before
}

#[test]
fn a_chunk_of_steps_is_one_pass_one_submit_and_one_readback_for_every_strategy() {
    let Some(context) = common::context() else {
        return;
    };
    let mut engine = common::engine(&context, &common::small());
    let (config, _) = common::small();
    for (index, strategy) in STRATEGIES.iter().enumerate() {
        let mut specs = lanes(index, &config, 3);
        for spec in &mut specs {
            spec.inputs.truncate(5);
            spec.inputs
                .iter_mut()
                .for_each(|input| *input = Input::Token(7));
        }
        block_on(engine.begin(&specs)).expect("a run");
        for n_steps in [1, 4] {
            let counts = counted(&mut engine, n_steps);
            let n_steps = n_steps as u64;
            let expected = latent_gpu::DeviceCounts {
                dispatches: n_steps * engine.stats().dispatches_per_step as u64,
                passes: 1,
                submits: 1,
                maps: 1,
                bytes_read_back: n_steps * 3 * size_of::<StepRecord>() as u64,
                // No buffer, bind group or pipeline is made, and nothing is written.
                ..Default::default()
            };
            assert_eq!(counts, expected, "{}, {n_steps} steps", strategy.name);
        }
    }
}

#[test]
fn a_run_of_the_same_shape_compiles_nothing() {
    let Some(context) = common::context() else {
        return;
    };
    let mut engine = common::engine(&context, &common::small());
    let (config, _) = common::small();
    let mut specs = lanes(0, &config, 2);
    specs.iter_mut().for_each(|spec| spec.inputs.truncate(4));
    block_on(engine.begin(&specs)).expect("a run");
    let first = engine.stats().device;
    assert!(first.pipelines > 0 && first.buffers > 0 && first.bytes_written > 0);
    block_on(engine.begin(&specs)).expect("a run");
    let second = engine.stats().device - first;
    assert_eq!(second.pipelines, 0);
    // A prefill's list of dispatches, whose last layer only fills the cache, and a step's.
    let n_layers = config.n_layers as u64;
    let prefill = 1 + 5 * (n_layers - 1) + 1;
    assert_eq!(second.bind_groups, prefill + (5 * n_layers + 5));
}

#[test]
fn models_of_one_shape_share_their_kernels_and_nothing_that_was_refused_is_kept() {
    let Some(context) = common::context() else {
        return;
    };
    let made = || {
        common::engine(&context, &common::small())
            .stats()
            .device
            .pipelines
    };
    let first = made();
    assert!(first > 0);
    assert_eq!(made(), 0);
    let no_wgsl = Mutation {
        kernels: &["embed"],
        from: "fn main(",
        to: "fn main(no WGSL",
    };
    let (config, weights) = common::small();
    let refused = block_on(GpuEngine::new(
        &config,
        &weights,
        &context.with_mutation(no_wgsl),
    ));
    assert!(matches!(refused, Err(GpuError::Refused { .. })));
    assert_eq!(made(), first);
}

#[test]
fn what_is_asked_of_the_device_is_counted() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let calls = [
        ".create_buffer(",
        ".create_bind_group(",
        ".create_compute_pipeline(",
        ".write_buffer(",
        ".submit([",
        ".begin_compute_pass(",
        ".dispatch_workgroups(",
        ".map_async(",
    ];
    let mut found = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source");
            let name = path.file_name().expect("a name").to_string_lossy();
            let called = calls.iter().filter(|call| text.contains(**call));
            found.extend(called.map(|call| format!("{name}{call}")));
        }
    }
    found.sort();
    let expected = [
        "counts.rs.begin_compute_pass(",
        "counts.rs.create_buffer(",
        "counts.rs.dispatch_workgroups(",
        "counts.rs.submit([",
        "counts.rs.write_buffer(",
        "pipeline.rs.create_bind_group(",
        "pipeline.rs.create_compute_pipeline(",
        "readback.rs.map_async(",
    ];
    assert_eq!(found, expected, "a call beside those that count");
}
