//! The GPU engine on every architecture: against Python `transformers`, and against the reference in
//! every format of weights.

#[path = "../../model/tests/common/architectures.rs"]
mod architectures;
mod common;

use architectures::{Origin, origins};
use latent_gpu::{GpuContext, GpuEngine, WeightMemory};
use latent_model::{
    checkpoint::{WeightFormat, Weights},
    compare::{Tolerance, compare_layer_states},
    config::ModelConfig,
    engine::{Engine, run_to_end},
    program::Adapter,
    reference::{Precision, ReferenceEngine, layer_states},
};
use pollster::block_on;

fn engine(context: &GpuContext, config: &ModelConfig, weights: &Weights) -> GpuEngine {
    block_on(GpuEngine::new(config, weights, context)).expect("an engine")
}

#[test]
fn logits_and_greedy_tokens_are_those_of_transformers() {
    let Some(context) = common::context() else {
        return;
    };
    for origin in origins() {
        let mut engine = engine(&context, &origin.config, &origin.weights);
        let states = block_on(engine.layer_states(Adapter::Base, &origin.ids));
        origin.assert_logits(&states.expect("activations").logits);
        let lanes = [origin.greedy_lane()];
        let records = block_on(run_to_end(&mut engine, &lanes, 16, |_| {})).expect("a run");
        let tokens: Vec<u32> = records[0].iter().map(|record| record.token).collect();
        assert_eq!(tokens, origin.greedy, "{}", origin.name);
    }
}

/// Both engines on the same weights in a format, layer by layer and in a greedy run.
fn assert_agrees(context: &GpuContext, origin: &Origin, format: WeightFormat) {
    let at = format!("{} in {}", origin.name, format.name());
    let (config, weights) = (&origin.config, origin.weights.converted(format));
    let mut engine = engine(context, config, &weights);
    for &adapter in weights.adapters() {
        let found = block_on(engine.layer_states(adapter, &origin.ids)).expect("activations");
        let expected = layer_states(config, (&weights, adapter), &origin.ids);
        let report = compare_layer_states(&found, &expected, Tolerance::F32);
        let parted = report.first_divergence();
        assert!(parted.is_none(), "{at}, {adapter:?}: {parted:?}");
    }
    let lanes = [origin.greedy_lane()];
    let mut reference = ReferenceEngine::new(config, weights.into(), Precision::Oracle);
    let tokens = |records: &[Vec<latent_model::record::StepRecord>]| -> Vec<u32> {
        records[0].iter().map(|record| record.token).collect()
    };
    let found = block_on(run_to_end(&mut engine, &lanes, 16, |_| {})).expect("a run");
    let expected = block_on(run_to_end(&mut reference, &lanes, 16, |_| {})).expect("a run");
    assert_eq!(tokens(&found), tokens(&expected), "{at}");
}

#[test]
fn every_format_of_weights_agrees_with_the_reference_on_the_same_numbers() {
    let Some(context) = common::context() else {
        return;
    };
    for origin in origins() {
        for format in WeightFormat::ALL {
            assert_agrees(&context, &origin, format);
        }
    }
}

#[test]
fn adapters_run_in_every_format_of_weights() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, weights) = common::small();
    let mut origin = origins().remove(0);
    (origin.config, origin.weights, origin.name) = (config, weights, "adapters".into());
    origin.ids.truncate(20);
    origin.ids.iter_mut().for_each(|id| *id %= 40);
    origin.greedy.truncate(20);
    for format in WeightFormat::ALL {
        assert_agrees(&context, &origin, format);
    }
}

#[test]
fn a_llama_layer_is_five_dispatches_and_norms_of_heads_are_one_more() {
    let Some(context) = common::context() else {
        return;
    };
    for origin in origins() {
        let mut engine = engine(&context, &origin.config, &origin.weights);
        block_on(engine.begin(&[origin.greedy_lane()])).expect("a run");
        let of_layer = if origin.config.architecture.qk_norm {
            6
        } else {
            5
        };
        let expected = of_layer * origin.config.n_layers + 5;
        assert_eq!(
            engine.stats().dispatches_per_step,
            expected,
            "{}",
            origin.name
        );
    }
}

#[test]
fn the_bytes_that_are_told_beforehand_are_those_that_are_allocated() {
    let Some(context) = common::context() else {
        return;
    };
    let (config, weights) = common::small();
    let mut origin = origins().remove(0);
    (origin.config, origin.weights, origin.name) = (config, weights, "adapters".into());
    for origin in origins().into_iter().chain([origin]) {
        for format in WeightFormat::ALL {
            let weights = origin.weights.converted(format);
            let engine = engine(&context, &origin.config, &weights);
            let told = WeightMemory::of(
                &origin.config,
                format,
                weights.capabilities(),
                context.max_binding(),
            );
            assert_eq!(
                told.n_bytes,
                engine.weight_bytes(),
                "{}, {format:?}",
                origin.name
            );
        }
    }
}

#[test]
fn what_a_model_needs_is_said_in_a_sentence() {
    let smollm2 = r#"{"model_type": "llama", "vocab_size": 49152, "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "head_dim": 64, "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": true}"#;
    let config = ModelConfig::from_json(smollm2).expect("a config");
    let binding = 64 << 20;
    let said = WeightFormat::ALL
        .map(|format| WeightMemory::of(&config, format, Default::default(), binding).to_string());
    assert_eq!(
        said,
        [
            "needs 513 MB, this adapter allows 64 MB a binding: loads in 2 shards",
            "needs 257 MB, this adapter allows 64 MB a binding",
            "needs 136 MB, this adapter allows 64 MB a binding",
        ]
    );
}
