//! The reference engine on every architecture against Python `transformers`.

#[path = "common/architectures.rs"]
mod architectures;

use architectures::origins;
use latent_model::{
    config::MODEL_TYPES,
    engine::run_to_end,
    program::Adapter,
    reference::{Precision, ReferenceEngine, layer_states},
};
use pollster::block_on;

#[test]
fn logits_are_those_of_transformers() {
    for origin in origins() {
        let under = (&*origin.weights, Adapter::Base);
        let states = layer_states(&origin.config, under, &origin.ids);
        origin.assert_logits(&states.logits);
    }
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    for origin in origins() {
        for precision in [Precision::Oracle, Precision::Fast] {
            let mut engine =
                ReferenceEngine::new(&origin.config, origin.weights.clone(), precision);
            let lanes = [origin.greedy_lane()];
            let run = run_to_end(&mut engine, &lanes, 16, |_| {});
            let records = &block_on(run).expect("a run")[0];
            let tokens: Vec<u32> = records.iter().map(|record| record.token).collect();
            assert_eq!(tokens, origin.greedy, "{}, {precision:?}", origin.name);
        }
    }
}

#[test]
fn every_architecture_has_a_model_of_transformers() {
    let names: Vec<String> = origins().into_iter().map(|origin| origin.name).collect();
    for model_type in MODEL_TYPES {
        assert!(
            names.iter().any(|name| name.starts_with(model_type)),
            "{model_type}"
        );
    }
}
