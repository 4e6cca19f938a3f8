//! Steps per second of a model of the shipped shape on this machine's adapter, at 1 to 64 lanes.
//!
//! `cargo run --release -p latent-gpu --example steps [LANES…]`
//!
//! With adapters, all lanes run under the base, or lanes are spread over the three sets of weights.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{sync::Arc, time::Instant};

use latent_gpu::{GpuContext, GpuEngine};
use latent_model::{
    engine::{Engine, LaneSpec},
    input::{Feed, Input},
    program::{Adapter, Noise, Phase, Program, Role, Sampler, Until},
};
use pollster::block_on;

/// Steps per submit, as the page runs them.
const CHUNK: usize = 16;
const PROMPT_TOKENS: u32 = 100;
const STEPS: u32 = 96;

/// Under which weights lanes think and answer.
#[derive(Clone, Copy, Debug)]
enum Weights {
    /// The base, of a checkpoint without adapters.
    Plain,
    /// The base, of a checkpoint with adapters.
    Base,
    /// The three sets, lane by lane.
    Spread,
}

fn lanes(n: usize, feed: Feed, weights: Weights) -> Vec<LaneSpec> {
    let sampler = Sampler {
        noise: Noise::Gumbel { tau: 0.5 },
        max_concepts: 10,
        ..Sampler::GREEDY
    };
    let phase = |role, feed, max_steps, adapter| Phase {
        role,
        feed,
        sampler,
        until: Until::steps(max_steps),
        then_force: Vec::new(),
        adapter,
    };
    let program = |lane: u32| {
        let adapter = match weights {
            Weights::Plain | Weights::Base => Adapter::Base,
            Weights::Spread => Adapter::ALL[lane as usize % Adapter::ALL.len()],
        };
        Program {
            start: Vec::new(),
            phases: vec![
                phase(Role::Think, feed, STEPS, adapter),
                phase(Role::Answer, Feed::Token, 4, adapter),
            ],
        }
    };
    let spec = |lane| LaneSpec {
        inputs: (0..PROMPT_TOKENS).map(|i| Input::Token(i % 64)).collect(),
        program: program(lane),
        seed: lane,
        stream: 0,
        decode_thoughts: false,
    };
    (0..n as u32).map(spec).collect()
}

fn measure(engine: &mut GpuEngine, n_lanes: usize, feed: Feed, weights: Weights) {
    let begun = Instant::now();
    block_on(engine.begin(&lanes(n_lanes, feed, weights))).expect("a run");
    block_on(engine.advance(1)).expect("a first step");
    let first_step = begun.elapsed();
    let mut best = f64::INFINITY;
    for _ in 0..(STEPS as usize / CHUNK - 1) {
        let started = Instant::now();
        block_on(engine.advance(CHUNK)).expect("records");
        best = best.min(started.elapsed().as_secs_f64() / CHUNK as f64);
    }
    let stats = engine.stats();
    println!(
        "{feed:?}, {weights:?}, {n_lanes} lanes: {:.3} ms a step, {:.0} steps/s per lane, {:.0} in all, \
         {:.2} GFLOP/s, first step after {:.0} ms, {} dispatches",
        best * 1e3,
        1.0 / best,
        n_lanes as f64 / best,
        stats.step_cost.flops as f64 / best * 1e-9,
        first_step.as_secs_f64() * 1e3,
        stats.dispatches_per_step,
    );
}

fn main() {
    let context = block_on(GpuContext::request()).expect("a GPU adapter");
    println!("{}", context.adapter_name());
    let (config, plain) = common::shipped();
    let adapted = Arc::new(common::random::contemplating(&config, &plain));
    let mut plain = common::engine(&context, &(config.clone(), plain));
    let mut adapted = common::engine(&context, &(config, adapted));
    let chosen: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    let n_lanes = if chosen.is_empty() {
        vec![1, 4, 8, 64]
    } else {
        chosen
    };
    for feed in [Feed::Token, Feed::Concept, Feed::THOUGHT] {
        for &n_lanes in &n_lanes {
            measure(&mut plain, n_lanes, feed, Weights::Plain);
        }
    }
    for &n_lanes in &n_lanes {
        measure(&mut plain, n_lanes, Feed::THOUGHT, Weights::Plain);
        measure(&mut adapted, n_lanes, Feed::THOUGHT, Weights::Base);
        measure(&mut adapted, n_lanes, Feed::CONTEMPLATION, Weights::Spread);
    }
}
