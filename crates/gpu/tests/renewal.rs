//! A device that is lost in the middle of a run: the run goes on elsewhere with the same tokens.

mod common;

use std::sync::Arc;

use latent_gpu::{AnyEngine, GpuContext};
use latent_model::{
    checkpoint::Weights,
    compare::first_record_difference,
    config::ModelConfig,
    engine::{
        Engine, EngineError, LaneCursor, LaneSpec, Patch, Renew, Renewable, WatchedStep, run_to_end,
    },
    input::Input,
    record::StepRecord,
    reference::{Precision, ReferenceEngine},
    strategy::STRATEGIES,
};
use pollster::block_on;

type Model = (ModelConfig, Arc<Weights>);

fn on_gpu(context: &GpuContext, model: &Model) -> AnyEngine {
    AnyEngine::Gpu(Box::new(common::engine(context, model)))
}

fn on_cpu((config, weights): &Model) -> AnyEngine {
    let engine = ReferenceEngine::new(config, weights.clone(), Precision::Fast);
    AnyEngine::Reference(Box::new(engine))
}

/// What takes the place of a lost device.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Device,
    /// A device that is lost as soon as it is there.
    Dead,
    Cpu,
    /// The CPU with another model, which goes another way.
    Other,
    Nothing,
}

fn other_model() -> Model {
    let (config, weights) = common::small();
    let mut weights = Weights::clone(&weights);
    let head = weights.lm_head.as_mut().expect("an untied head");
    common::random::edit(head, |values| values.reverse());
    (config, Arc::new(weights))
}

/// An engine on a device of its own, and the devices that take its place, each once.
fn renewable(next: &[Next]) -> (GpuContext, Renewable<AnyEngine>) {
    let device = || block_on(GpuContext::request()).expect("a device");
    let context = device();
    let engine = on_gpu(&context, &common::small());
    let mut left: Vec<Next> = next.iter().rev().copied().collect();
    let renew: Renew<AnyEngine> = Box::new(move |lost| {
        assert!(matches!(lost, EngineError::DeviceLost(_)), "{lost}");
        let engine = match left.pop().unwrap_or(Next::Nothing) {
            Next::Device => Ok(on_gpu(&device(), &common::small())),
            Next::Dead => {
                let context = device();
                let engine = on_gpu(&context, &common::small());
                context.destroy();
                Ok(engine)
            }
            Next::Cpu => Ok(on_cpu(&common::small())),
            Next::Other => Ok(on_cpu(&other_model())),
            Next::Nothing => Err(lost),
        };
        Box::pin(std::future::ready(engine))
    });
    (context, Renewable::new(engine, renew))
}

/// A lane of every strategy.
fn lanes() -> Vec<LaneSpec> {
    let (config, _) = common::small();
    let lane = |strategy| LaneSpec {
        inputs: Input::tokens(&[3, 14, 15, 9, 26]),
        program: common::program(strategy, &config),
        seed: 5,
        stream: 3,
        decode_thoughts: true,
    };
    STRATEGIES.iter().map(lane).collect()
}

fn whole_run(context: &GpuContext) -> Vec<Vec<StepRecord>> {
    let mut engine = on_gpu(context, &common::small());
    block_on(run_to_end(&mut engine, &lanes(), 3, |_| {})).expect("a run")
}

/// The rest of a run, by lane, behind what there was.
fn finished(
    engine: &mut Renewable<AnyEngine>,
    mut traces: Vec<Vec<StepRecord>>,
) -> Result<Vec<Vec<StepRecord>>, EngineError> {
    loop {
        let records = block_on(engine.advance(3))?;
        if records.is_empty() {
            return Ok(traces);
        }
        for record in records {
            traces[record.lane as usize].push(record);
        }
    }
}

/// A run whose device is lost after as many calls.
fn interrupted(next: &[Next], n_calls: usize) -> Result<Vec<Vec<StepRecord>>, EngineError> {
    let (context, mut engine) = renewable(next);
    let lanes = lanes();
    block_on(engine.begin(&lanes))?;
    let mut traces = vec![Vec::new(); lanes.len()];
    for _ in 0..n_calls {
        for record in block_on(engine.advance(3))? {
            traces[record.lane as usize].push(record);
        }
    }
    context.destroy();
    finished(&mut engine, traces)
}

#[test]
fn a_run_goes_on_with_the_same_tokens_wherever_its_device_is_lost() {
    let Some(context) = common::context() else {
        return;
    };
    let expected = whole_run(&context);
    let n_steps = expected.iter().map(Vec::len).max().expect("lanes");
    for n_calls in 0..=n_steps.div_ceil(3) {
        // Another device of the adapter computes the same to the bit.
        let found = interrupted(&[Next::Device], n_calls);
        assert_eq!(found.as_ref(), Ok(&expected), "after {n_calls} calls");
        let found = interrupted(&[Next::Dead, Next::Cpu], n_calls).expect("a run");
        for (lane, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let difference = first_record_difference(found, expected);
            assert_eq!(difference, None, "after {n_calls} calls, lane {lane}");
        }
    }
}

#[test]
fn an_engine_that_goes_another_way_says_where_and_none_at_all_gives_the_loss() {
    if common::context().is_none() {
        return;
    }
    let other = interrupted(&[Next::Other], 2);
    assert!(
        matches!(other, Err(EngineError::OtherRun { .. })),
        "{other:?}"
    );
    let lost = interrupted(&[Next::Dead, Next::Nothing], 2);
    assert!(matches!(lost, Err(EngineError::DeviceLost(_))), "{lost:?}");
}

#[test]
fn moved_lanes_stand_where_they_were_put_and_a_device_may_be_lost_twice() {
    let Some(context) = common::context() else {
        return;
    };
    let lanes = lanes();
    // What every call gives, with the device lost before the calls of these numbers.
    let calls = |lost_before: &[usize]| -> (Vec<StepRecord>, Vec<LaneCursor>) {
        let (first, mut engine) = renewable(&[Next::Device; 8]);
        let lose = |engine: &Renewable<AnyEngine>, call: usize| {
            if lost_before.contains(&call) {
                match engine.engine() {
                    AnyEngine::Gpu(gpu) => gpu.context().destroy(),
                    AnyEngine::Reference(_) => first.destroy(),
                }
            }
        };
        lose(&engine, 0);
        block_on(engine.begin(&lanes)).expect("a run");
        lose(&engine, 1);
        let mut all = block_on(engine.advance(4)).expect("records");
        lose(&engine, 2);
        let mut cursors = block_on(engine.cursors()).expect("cursors");
        for cursor in &mut cursors {
            if let Some(Input::Token(token)) = &mut cursor.input {
                *token = (*token + 1) % 40;
            }
        }
        engine.set_cursors(&cursors).expect("they fit");
        lose(&engine, 3);
        let live: Vec<LaneCursor> = cursors
            .iter()
            .filter(|c| c.input.is_some())
            .cloned()
            .collect();
        block_on(engine.peek(&live)).expect("states");
        lose(&engine, 4);
        all.extend(block_on(engine.advance(5)).expect("records"));
        lose(&engine, 5);
        (all, block_on(engine.cursors()).expect("cursors"))
    };
    drop(context);
    let expected = calls(&[]);
    for lost_before in [
        vec![0],
        vec![1],
        vec![2],
        vec![3],
        vec![4],
        vec![5],
        (0..6).collect(),
    ] {
        let found = calls(&lost_before);
        assert_eq!(found.0, expected.0, "lost before {lost_before:?}");
        assert_eq!(found.1, expected.1, "lost before {lost_before:?}");
    }
}

/// Steps of which the third has a patch; the device is lost before the step `lost_at`.
fn watched(lost_at: Option<usize>) -> Vec<WatchedStep> {
    let (context, mut engine) = renewable(&[Next::Device]);
    let (config, _) = common::small();
    block_on(engine.begin(&lanes())).expect("a run");
    let patch = Patch {
        lane: 2,
        layer: 0,
        state: common::noise(3, config.hidden_size),
    };
    let step = |at: usize| {
        if lost_at == Some(at) {
            context.destroy();
        }
        let patches = (at == 2).then(|| patch.clone());
        let patches: Vec<Patch> = patches.into_iter().collect();
        block_on(engine.advance_watched(&patches)).expect("a step")
    };
    (0..5).map(step).collect()
}

#[test]
fn a_patch_is_put_in_again_where_the_device_is_lost_behind_it() {
    if common::context().is_none() {
        return;
    }
    let expected = watched(None);
    assert!(
        expected
            .iter()
            .all(|step| step.records.len() == step.states.len())
    );
    for lost_at in [2, 3] {
        assert!(watched(Some(lost_at)) == expected, "lost at {lost_at}");
    }
}
