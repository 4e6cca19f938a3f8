//! What goes wrong is said: bad weights, a lost device, a model that is too large.

mod common;

use std::sync::Arc;

use latent_gpu::{GpuEngine, GpuError};
use latent_model::{
    checkpoint::{Matrix, Weights},
    compare::first_record_difference,
    engine::{Engine, EngineError, LaneSpec, run_to_end},
    input::{Feed, Input},
    program::{Adapter, Phase, Program, Role, Sampler, Until},
    reference::{Precision, ReferenceEngine},
};
use pollster::block_on;

fn lanes() -> [LaneSpec; 1] {
    let answer = Phase {
        role: Role::Answer,
        feed: Feed::Token,
        sampler: Sampler::GREEDY,
        until: Until::steps(3),
        then_force: Vec::new(),
        adapter: Adapter::Base,
    };
    let program = Program {
        start: Vec::new(),
        phases: vec![answer],
    };
    [LaneSpec {
        inputs: Input::tokens(&[1, 2]),
        program,
        seed: 0,
        stream: 0,
        decode_thoughts: false,
    }]
}

#[test]
fn nan_weights_end_the_run_with_an_error() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, weights) = common::plain();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut in_layer = Weights::clone(&weights);
        common::random::edit(&mut in_layer.layers[0].o.weight, |values| values[3] = bad);
        // Here the hidden state stays finite, and a logit is not.
        let mut in_head = Weights::clone(&weights);
        let head = in_head.lm_head.as_mut().expect("an untied head");
        common::random::edit(head, |values| values[3] = bad);
        for altered in [in_layer, in_head] {
            let mut engine = common::engine(&context, &(config.clone(), Arc::new(altered)));
            block_on(engine.begin(&lanes())).expect("a run");
            let end = block_on(engine.advance(3));
            assert_eq!(
                end,
                Err(EngineError::NonFinite { lane: 0, step: 0 }),
                "{bad}"
            );
        }
    }
}

#[test]
fn a_lost_device_is_an_error_and_nothing_hangs() {
    let Some(context) = common::context() else {
        return;
    };
    let mut engine = common::engine(&context, &common::plain());
    block_on(engine.begin(&lanes())).expect("a run");
    context.destroy();
    let words = |error: EngineError| error.to_string();
    let error = block_on(engine.advance(1))
        .map_err(words)
        .expect_err("a lost device");
    assert!(error.contains("lost"), "{error}");
    let error = block_on(engine.begin(&lanes()))
        .map_err(words)
        .expect_err("a lost device");
    assert!(error.contains("lost"), "{error}");
}

#[test]
fn a_weight_beyond_the_limits_is_named_with_its_size() {
    let Some(context) = common::context() else {
        return;
    };
    let (mut config, weights) = common::plain();
    let mut large = Weights::clone(&weights);
    // One row more than the 128 MiB of WebGPU's default maxStorageBufferBindingSize.
    config.intermediate_size = 128 * 1024 * 1024 / 4 / config.hidden_size + 4;
    let (rows, cols) = (config.intermediate_size, config.hidden_size);
    large.layers[0].up.weight = Matrix::from_f32(rows, cols, &vec![0.0; rows * cols]);
    let error = block_on(GpuEngine::new(&config, &large, &context)).expect_err("too large");
    let GpuError::Limit {
        what,
        limit,
        available,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(what, "a layer's up");
    assert_eq!(
        (*limit, *available),
        ("maxStorageBufferBindingSize", 128 * 1024 * 1024)
    );
}

#[test]
fn two_engines_share_a_device() {
    let Some(context) = common::context() else {
        return;
    };
    let models = [common::plain(), common::shipped()];
    let mut engines = models
        .each_ref()
        .map(|model| common::engine(&context, model));
    for engine in &mut engines {
        block_on(engine.begin(&lanes())).expect("a run");
    }
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        for (engine, found) in engines.iter_mut().zip(&mut found) {
            found.extend(block_on(engine.advance(1)).expect("a record"));
        }
    }
    for ((config, weights), found) in models.iter().zip(&found) {
        let mut reference = ReferenceEngine::new(config, weights.clone(), Precision::Oracle);
        let expected = block_on(run_to_end(&mut reference, &lanes(), 3, |_| {})).expect("a run");
        assert_eq!(first_record_difference(found, &expected[0]), None);
    }
}
