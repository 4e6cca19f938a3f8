//! Runs that are begun, left in the middle and begun again leave nothing behind, and what runs after
//! them is right. `LATENT_CYCLES=10000 cargo nextest run --workspace -E 'binary(cycles)'` runs as many
//! as docs/trust.md reports; without it there are fewer.

#[path = "../../model/tests/common/architectures.rs"]
mod architectures;
mod common;

use std::sync::Arc;

use latent_gpu::AnyEngine;
use latent_model::{
    checkpoint::{WeightFormat, Weights},
    compare::first_record_difference,
    config::ModelConfig,
    engine::{Engine, LaneSpec, run_to_end},
    input::Input,
    reference::{Precision, ReferenceEngine},
    strategy::STRATEGIES,
};
use pollster::block_on;

/// Cycles where none are asked for.
const FEW: usize = 400;
/// Cycles between two engines: each is another model that is opened and closed.
const CYCLES_PER_ENGINE: usize = 10;

type Model = (ModelConfig, Arc<Weights>);

/// One of each architecture, in formats that take turns, all with adapters of CCOT and a classifier.
fn models() -> Vec<Model> {
    let formats = WeightFormat::ALL.into_iter().cycle();
    let origins = architectures::origins().into_iter().zip(formats);
    let of_architecture = |(origin, format): (architectures::Origin, WeightFormat)| {
        let mut weights = common::random::contemplating(&origin.config, &origin.weights);
        let classifier = weights.contemplation.as_ref();
        weights.end_classifier = classifier.map(|known| known.end_classifier.clone());
        (origin.config, Arc::new(weights.converted(format)))
    };
    let mut models: Vec<Model> = origins.map(of_architecture).collect();
    models.push(common::small());
    models
}

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

fn lanes(config: &ModelConfig, cycle: usize) -> Vec<LaneSpec> {
    let program = common::program(&STRATEGIES[cycle % STRATEGIES.len()], config);
    let lane = |lane: usize| LaneSpec {
        inputs: Input::tokens(&[1, 2, (3 + cycle % 5) as u32]),
        program: program.clone(),
        seed: cycle as u32,
        stream: lane as u32,
        decode_thoughts: true,
    };
    (0..=cycle % 8).map(lane).collect()
}

/// Begins runs and leaves them after none to three steps, on engines of models that take turns.
fn cycles(models: &[Model], open: impl Fn(&Model) -> AnyEngine, n: usize) {
    let firsts = (0..n).step_by(CYCLES_PER_ENGINE);
    for (first, model) in firsts.zip(models.iter().cycle()) {
        let mut engine = open(model);
        for cycle in first..(first + CYCLES_PER_ENGINE).min(n) {
            block_on(engine.begin(&lanes(&model.0, cycle))).expect("a run");
            block_on(engine.advance(cycle % 4)).expect("steps");
        }
    }
}

/// The same, where memory may grow by 2 % after the first half at most.
fn check_memory(what: &str, models: &[Model], open: impl Fn(&Model) -> AnyEngine) {
    let half = common::asked("LATENT_CYCLES", FEW) / 2;
    cycles(models, &open, half);
    let before = resident();
    cycles(models, &open, half);
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

fn check_still_right(models: &[Model], open: impl Fn(&Model) -> AnyEngine) {
    for (number, model) in models.iter().enumerate() {
        let (mut engine, (config, weights)) = (open(model), model);
        let mut reference = ReferenceEngine::new(config, weights.clone(), Precision::Fast);
        for (cycle, strategy) in STRATEGIES.iter().enumerate() {
            let lanes = lanes(config, cycle);
            let expected = block_on(run_to_end(&mut reference, &lanes, 8, |_| {})).expect("a run");
            let found = block_on(run_to_end(&mut engine, &lanes, 8, |_| {})).expect("a run");
            let difference = first_record_difference(&found.concat(), &expected.concat());
            assert_eq!(difference, None, "{}, model {number}", strategy.name);
        }
    }
}

/// One test: the memory that is looked at is that of the process.
#[test]
fn runs_that_are_left_leave_nothing_behind() {
    let models = models();
    let on_cpu = |(config, weights): &Model| {
        let engine = ReferenceEngine::new(config, weights.clone(), Precision::Fast);
        AnyEngine::Reference(Box::new(engine))
    };
    check_memory("reference engine", &models, on_cpu);
    check_still_right(&models, on_cpu);
    let Some(context) = common::context() else {
        return;
    };
    let on_gpu = |model: &Model| AnyEngine::Gpu(Box::new(common::engine(&context, model)));
    check_memory("GPU engine", &models, on_gpu);
    check_still_right(&models, on_gpu);
}
