//! Every layer against the reference, on random weights; the first divergence is named.

mod common;

use std::sync::Arc;

use latent_model::{
    checkpoint::Weights,
    compare::{Tolerance, compare_layer_states},
    config::ModelConfig,
    program::Adapter,
    reference::layer_states,
};
use pollster::block_on;

fn first_divergence(
    found_on: &(ModelConfig, Arc<Weights>),
    expected_of: &(ModelConfig, Arc<Weights>),
    adapter: Adapter,
    tokens: &[u32],
) -> Option<Option<String>> {
    let context = common::context()?;
    let mut engine = common::engine(&context, found_on);
    let found = block_on(engine.layer_states(adapter, tokens)).expect("activations");
    let expected = layer_states(&expected_of.0, (&expected_of.1, adapter), tokens);
    let report = compare_layer_states(&found, &expected, Tolerance::F32);
    for stage in &report.stages {
        println!("{}: {:e}", stage.stage, stage.max_abs_difference);
    }
    Some(report.first_divergence().map(|stage| stage.stage.clone()))
}

fn assert_agrees(model: &(ModelConfig, Arc<Weights>), n_tokens: u32) {
    let vocab_size = model.0.vocab_size as u32;
    let tokens: Vec<u32> = (0..n_tokens).map(|i| (7 * i + 3) % vocab_size).collect();
    for &adapter in model.1.adapters() {
        if let Some(divergence) = first_divergence(model, model, adapter, &tokens) {
            assert_eq!(divergence, None, "{adapter:?}");
        }
    }
}

#[test]
fn grouped_queries_and_an_untied_head_agree_with_the_reference() {
    // Tiles of 1, 4 and 8 columns, full and not.
    for n_tokens in [1, 3, 4, 9] {
        assert_agrees(&common::small(), n_tokens);
    }
}

#[test]
fn the_shipped_shape_agrees_with_the_reference() {
    assert_agrees(&common::shipped(), 20);
}

#[test]
fn a_head_of_other_widths_agrees_with_the_reference() {
    for (n_heads, n_kv_heads, head_dim) in [(1, 1, 4), (6, 2, 12), (3, 1, 64)] {
        let (mut config, _) = common::small();
        (config.n_heads, config.n_kv_heads, config.head_dim) = (n_heads, n_kv_heads, head_dim);
        let weights = common::random::weights(&config);
        assert_agrees(&(config, weights), 5);
    }
}

#[test]
fn an_altered_weight_is_found_in_its_layer() {
    let model = common::small();
    let mut altered = Weights::clone(&model.1);
    common::random::edit(&mut altered.layers[1].up.weight, |values| values[5] += 0.1);
    let altered = (model.0.clone(), Arc::new(altered));
    if let Some(divergence) = first_divergence(&altered, &model, Adapter::Base, &[1, 2, 3]) {
        assert_eq!(divergence.as_deref(), Some("layer 1"));
    }
}
