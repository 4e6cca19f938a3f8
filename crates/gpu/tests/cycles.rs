//! Runs that are begun, left in the middle and begun again leave nothing behind, and what runs after
//! them is right. `LATENT_CYCLES=10000 cargo nextest run --workspace -E 'binary(cycles)'` runs as many
//! as docs/trust.md reports; without it there are fewer.

mod common;

use latent_gpu::AnyEngine;
use latent_model::{
    compare::first_record_difference,
    engine::{Engine, LaneSpec, run_to_end},
    input::Input,
    reference::{Precision, ReferenceEngine},
    strategy::STRATEGIES,
};
use pollster::block_on;

/// Cycles where none are asked for.
const FEW: usize = 400;
/// Cycles between two engines: each is a model that is opened and closed.
const CYCLES_PER_ENGINE: usize = 20;

/// Bytes of this process that are in memory.
#[cfg(target_os = "linux")]
fn resident() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[cfg(not(target_os = "linux"))]
fn resident() -> Option<usize> {
    None
}

fn lanes(cycle: usize) -> Vec<LaneSpec> {
    let (config, _) = common::small();
    let program = common::program(&STRATEGIES[cycle % STRATEGIES.len()], &config);
    let lane = |lane: usize| LaneSpec {
        inputs: Input::tokens(&[1, 2, (3 + cycle % 5) as u32]),
        program: program.clone(),
        seed: cycle as u32,
        stream: lane as u32,
        decode_thoughts: true,
    };
    (0..=cycle % 8).map(lane).collect()
}

/// Begins runs and leaves them after none to three steps, on engines that come and go.
fn cycles(mut open: impl FnMut() -> AnyEngine, n: usize) {
    for first in (0..n).step_by(CYCLES_PER_ENGINE) {
        let mut engine = open();
        for cycle in first..(first + CYCLES_PER_ENGINE).min(n) {
            block_on(engine.begin(&lanes(cycle))).expect("a run");
            block_on(engine.advance(cycle % 4)).expect("steps");
        }
    }
}

/// The same, where memory may grow by 2 % after the first half at most.
fn check_memory(what: &str, mut open: impl FnMut() -> AnyEngine) {
    let half = common::asked("LATENT_CYCLES", FEW) / 2;
    cycles(&mut open, half);
    let before = resident();
    cycles(&mut open, half);
    let after = resident();
    let (Some(before), Some(after)) = (before, after) else {
        eprintln!("{what}: memory is not measured on this system");
        return;
    };
    eprintln!(
        "{what}: {before} bytes after {half} cycles, {after} after {}",
        2 * half
    );
    assert!(
        after <= before + before / 50,
        "{what}: {before} bytes after {half} cycles, {after} after {}",
        2 * half
    );
}

fn check_still_right(engine: &mut AnyEngine) {
    let (config, weights) = common::small();
    let mut reference = ReferenceEngine::new(&config, weights, Precision::Fast);
    for (cycle, strategy) in STRATEGIES.iter().enumerate() {
        let lanes = lanes(cycle);
        let expected = block_on(run_to_end(&mut reference, &lanes, 8, |_| {})).expect("a run");
        let found = block_on(run_to_end(engine, &lanes, 8, |_| {})).expect("a run");
        let difference = first_record_difference(&found.concat(), &expected.concat());
        assert_eq!(difference, None, "{}", strategy.name);
    }
}

/// One test: the memory that is looked at is that of the process.
#[test]
fn runs_that_are_left_leave_nothing_behind() {
    let (config, weights) = common::small();
    let on_cpu = || {
        let engine = ReferenceEngine::new(&config, weights.clone(), Precision::Fast);
        AnyEngine::Reference(Box::new(engine))
    };
    check_memory("reference engine", on_cpu);
    check_still_right(&mut on_cpu());
    let Some(context) = common::context() else {
        return;
    };
    let on_gpu = || AnyEngine::Gpu(Box::new(common::engine(&context, &common::small())));
    check_memory("GPU engine", on_gpu);
    check_still_right(&mut on_gpu());
}
