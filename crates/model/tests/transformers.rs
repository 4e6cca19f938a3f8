//! The reference engine against Python `transformers`, an implementation that shares nothing
//! with it (the fixture's origin is `fixtures/make_tiny_llama.py`).

use std::path::Path;

use latent_model::{
    checkpoint::Weights,
    config::{Architecture, ModelConfig, Rope},
    program::Adapter,
    reference::{LayerStates, layer_states},
};
use serde::Deserialize;

/// Both sides work in f32 over 16 to 24 terms and print six decimals; logits are of order 1.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
    last_hidden: Vec<f32>,
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/tiny-llama"
    ));
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn logits_and_hidden_states_are_those_of_transformers() {
    let config = String::from_utf8(fixture("config.json")).expect("text");
    let config = ModelConfig::from_json(&config).expect("written by transformers");
    assert_eq!(
        (config.n_kv_heads, config.head_dim, config.architecture),
        (2, 8, Architecture::llama(Rope::unscaled(500.0)))
    );
    let file = (
        "model.safetensors".to_string(),
        fixture("model.safetensors").into(),
    );
    let weights = Weights::from_safetensors(&config, &[file]).expect("written by transformers");
    let fixture: Fixture = serde_json::from_slice(&fixture("logits.json")).expect("the fixture");
    for case in &fixture.cases {
        let LayerStates { logits, hidden, .. } =
            layer_states(&config, (&weights, Adapter::Base), &case.ids);
        for (position, (found, expected)) in logits.iter().zip(&case.logits).enumerate() {
            let difference = max_difference(found, expected);
            assert!(difference < TOLERANCE, "position {position}: {difference}");
        }
        let last = hidden.last().expect("at least one position");
        assert!(max_difference(last, &case.last_hidden) < TOLERANCE);
    }
}
