//! What is told beside speeds: of the GPU engine parity, memory, counters and time by kernel; of the
//! machine what it is.

use std::{collections::BTreeMap, fs};

use anyhow::Result;
use latent_gpu::{GpuContext, GpuEngine, MAX_LANES};
use latent_model::{
    compare::{Tolerance, compare_layer_states},
    engine::{Engine, LaneSpec, pace::Job},
    input::Feed,
    model::Model,
    parity::{forced_differences, runnable_lanes},
    program::Adapter,
    reference::{Precision, ReferenceEngine, layer_states},
};

use super::{BenchArgs, STEPS_PER_SUBMIT, report};

/// Steps whose kernels are timed.
const PROFILED_STEPS: usize = 16;

/// Steps of a phase that parity is asked over: the reference computes them in f64, which takes a large
/// model minutes, so such a one is asked over two at least and as many more as a small one's work allows.
fn parity_steps(model: &Model, steps: usize) -> usize {
    const MOST_WEIGHTS_READ: usize = 1 << 29;
    let n_parameters = model.weights.n_parameters();
    steps.min((MOST_WEIGHTS_READ / n_parameters).max(2))
}

/// The engine against the oracle: every activation of the prompt, and every step of every strategy
/// that the checkpoint can run, from the oracle's inputs, as many in a phase as are timed and the
/// model's size allows.
pub async fn parity(
    model: &Model,
    engine: &mut GpuEngine,
    prompt: &[u32],
    steps: usize,
) -> Result<report::Parity> {
    let ids = &prompt[..prompt.len().min(MAX_LANES)];
    let found = engine.layer_states(Adapter::Base, ids).await?;
    let expected = layer_states(&model.config, (&model.weights, Adapter::Base), ids);
    let compared = compare_layer_states(&found, &expected, Tolerance::F32);
    let largest = compared
        .stages
        .iter()
        .map(|stage| f64::from(stage.max_abs_difference));
    let lanes: Vec<LaneSpec> = runnable_lanes(model, ids, parity_steps(model, steps) as u32)
        .into_iter()
        .map(|(_, lane)| lane)
        .collect();
    let weights = model.weights.clone();
    let mut reference = ReferenceEngine::new(&model.config, weights, Precision::Oracle);
    let forced = match lanes.is_empty() {
        true => Vec::new(),
        false => forced_differences(engine, &mut reference, &lanes).await?,
    };
    Ok(report::Parity {
        agrees: compared.first_divergence().is_none() && forced.iter().all(Option::is_none),
        max_difference: largest.fold(0.0, f64::max),
        n_strategies: lanes.len(),
    })
}

/// Bytes of the weights, and of all that a run of eight lanes makes on top of them.
pub async fn memory(model: &Model, context: &GpuContext, prompt: &[u32]) -> Result<report::Memory> {
    let mut engine = GpuEngine::new(&model.config, &model.weights, context).await?;
    let before = engine.stats().device;
    engine
        .begin(&Job::tokens(8, STEPS_PER_SUBMIT, STEPS_PER_SUBMIT).lanes(prompt))
        .await?;
    let made = engine.stats().device - before;
    Ok(report::Memory {
        weights: engine.weight_bytes(),
        run: made.buffer_bytes,
    })
}

/// What one submit asks of the device, and what each step of every number of lanes declares.
pub struct Counted {
    pub counted: report::Counters,
    /// Bytes and FLOPs of a step in the middle of a run, by feed and number of lanes.
    pub declared: Vec<(Feed, usize, [u64; 2])>,
}

pub async fn count(engine: &mut GpuEngine, prompt: &[u32], args: &BenchArgs) -> Result<Counted> {
    let mut declared = Vec::new();
    let tokens = args.lanes.iter().map(|&n_lanes| (Feed::Token, n_lanes));
    let mixtures = args.peer_lanes().map(|n_lanes| (Feed::Concept, n_lanes));
    for (feed, n_lanes) in tokens.chain(mixtures) {
        let job = Job {
            feed,
            ..Job::tokens(n_lanes, 2 * STEPS_PER_SUBMIT, STEPS_PER_SUBMIT)
        };
        engine.begin(&job.lanes(prompt)).await?;
        engine.advance(STEPS_PER_SUBMIT).await?;
        let cursors = engine.cursors().await?;
        let costs = engine.step_costs(&cursors);
        let bytes = costs.iter().map(|(_, cost)| cost.bytes()).sum();
        let flops = costs.iter().map(|(_, cost)| cost.flops).sum();
        declared.push((feed, n_lanes, [bytes, flops]));
    }
    engine
        .begin(&Job::tokens(1, 2 * STEPS_PER_SUBMIT, STEPS_PER_SUBMIT).lanes(prompt))
        .await?;
    engine.advance(1).await?;
    let before = engine.stats().device;
    engine.advance(STEPS_PER_SUBMIT).await?;
    let made = engine.stats().device - before;
    let [bytes_per_step, flops_per_step] = declared[0].2;
    Ok(Counted {
        counted: report::Counters {
            steps: STEPS_PER_SUBMIT,
            dispatches: made.dispatches,
            passes: made.passes,
            submits: made.submits,
            maps: made.maps,
            buffers_made: made.buffers,
            bind_groups_made: made.bind_groups,
            pipelines_made: made.pipelines,
            bytes_written: made.bytes_written,
            bytes_read_back: made.bytes_read_back,
            bytes_per_step,
            flops_per_step,
        },
        declared,
    })
}

/// Time by kernel of one lane, on a device of its own with timestamps; nothing where it has none.
pub async fn profile(
    model: &Model,
    prompt: &[u32],
    n_steps: usize,
) -> Result<Vec<report::KernelShare>> {
    let context = GpuContext::request_profiling().await?;
    let mut engine = GpuEngine::new(&model.config, &model.weights, &context).await?;
    let n_steps = n_steps.min(PROFILED_STEPS);
    let job = Job::tokens(1, 2 * n_steps, STEPS_PER_SUBMIT);
    engine.begin(&job.lanes(prompt)).await?;
    engine.advance(n_steps).await?;
    let Some(times) = engine.profile(n_steps).await? else {
        return Ok(Vec::new());
    };
    let total: f64 = times.values().map(|time| time.seconds).sum();
    let steps = n_steps as f64;
    let mut shares: Vec<report::KernelShare> = times
        .into_iter()
        .map(|(name, time)| report::KernelShare {
            name: name.into(),
            dispatches: time.n_dispatches as f64 / steps,
            microseconds: time.seconds * 1e6 / steps,
            share: time.seconds / total,
            bytes_per_second: time.cost.bytes() as f64 / time.seconds,
            flops_per_second: time.cost.flops as f64 / time.seconds,
        })
        .collect();
    shares.sort_by(|a, b| b.microseconds.total_cmp(&a.microseconds));
    Ok(shares)
}

/// The device.
pub fn adapter(context: &GpuContext) -> report::Adapter {
    report::Adapter {
        name: context.adapter_name(),
        driver: context.driver(),
        is_software: context.is_software(),
        kernels: context.table().name().into(),
    }
}

/// This machine, at the end of what began at a load.
pub fn machine(load_before: Option<f64>) -> report::Machine {
    report::Machine {
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        n_cpus: std::thread::available_parallelism().map_or(1, usize::from),
        load: load_before
            .zip(load())
            .map(|(before, after)| [before, after]),
        is_release: !cfg!(debug_assertions),
    }
}

/// What is run.
pub fn model_size(name: String, model: &Model) -> report::ModelSize {
    report::ModelSize {
        name,
        n_parameters: model.weights.n_parameters(),
        n_layers: model.config.n_layers,
        hidden_size: model.config.hidden_size,
        vocab_size: model.config.vocab_size,
        weights: model.weights.format.name().into(),
    }
}

/// Programs that ran or waited to, over the last minute.
pub fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// This program's version, and those of the libraries that it was locked to.
pub fn versions() -> BTreeMap<String, String> {
    let lock = include_str!("../../../../Cargo.lock");
    let version_of = |name: &str| {
        let (_, after) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some((name.to_owned(), after.split('"').next()?.to_owned()))
    };
    let own = ("latent".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let libraries = ["wgpu", "burn"].into_iter().filter_map(version_of);
    [own].into_iter().chain(libraries).collect()
}
