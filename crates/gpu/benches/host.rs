//! What decoding costs the host beside the device: on wgpu's noop backend, which computes nothing, a
//! submit is recording, submitting and reading back, and beginning is what a prompt takes.
//!
//! `cargo bench --workspace --bench host`

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use latent_gpu::{GpuContext, GpuEngine};
use latent_model::engine::{Engine, pace::Job};
use pollster::block_on;

const PROMPT_TOKENS: u32 = 64;

/// The noop backend's device.
fn noop() -> GpuContext {
    let mut description = wgpu::InstanceDescriptor::new_without_display_handle();
    description.backends = wgpu::Backends::NOOP;
    description.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(description);
    let context = GpuContext::request_from(&instance, wgpu::Features::empty());
    block_on(context).expect("the noop backend is compiled in")
}

fn decoding(criterion: &mut Criterion) {
    let (config, weights) = common::shipped();
    let mut engine = block_on(GpuEngine::new(&config, &weights, &noop())).expect("an engine");
    let prompt: Vec<u32> = (0..PROMPT_TOKENS).map(|t| t % 60).collect();
    let mut group = criterion.benchmark_group("a submit");
    for (n_lanes, n_steps) in [(1, 1), (1, 16), (8, 16), (8, 64)] {
        let lanes = Job::tokens(n_lanes, n_steps, n_steps).lanes(&prompt);
        let name = format!("lanes {n_lanes}, steps {n_steps}");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|n| {
                let mut spent = Duration::ZERO;
                for _ in 0..n {
                    block_on(engine.begin(&lanes)).expect("a run");
                    let started = Instant::now();
                    block_on(engine.advance(n_steps)).expect("records");
                    spent += started.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("beginning");
    for n_lanes in [1, 8] {
        let lanes = Job::tokens(n_lanes, 1, 1).lanes(&prompt);
        let name = format!("lanes {n_lanes}, tokens {PROMPT_TOKENS}");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| block_on(engine.begin(&lanes)).expect("a run"));
        });
    }
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
