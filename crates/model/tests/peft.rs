//! Adapters against Python `peft`, which wrote them and shares nothing with the reference (their
//! origin is `fixtures/make_peft_adapters.py`).

use std::{collections::BTreeMap, path::Path};

use latent_model::{
    checkpoint::Weights,
    config::ModelConfig,
    contemplation::{Contemplation, ContemplationFiles, FILES, FOLDER},
    program::Adapter,
    reference::layer_states,
};
use serde::Deserialize;

/// As against `transformers`; the adapters make weights and logits a little larger.
const TOLERANCE: f32 = 3e-5;

#[derive(Deserialize)]
struct Fixture {
    ids: Vec<u32>,
    logits: BTreeMap<String, Vec<Vec<f32>>>,
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/tiny-llama"
    ));
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn logits_under_adapters_are_those_of_peft() {
    let config = String::from_utf8(fixture("config.json")).expect("text");
    let config = ModelConfig::from_json(&config).expect("written by transformers");
    let file = (
        "model.safetensors".to_string(),
        fixture("model.safetensors").into(),
    );
    let mut weights = Weights::from_safetensors(&config, &[file]).expect("weights");
    let files = ContemplationFiles {
        folder: FOLDER.into(),
        contents: FILES.map(|name| fixture(&format!("{FOLDER}/{name}")).into()),
    };
    let set = Contemplation::from_files(&config, &weights, &files);
    weights.contemplation = Some(set.unwrap_or_else(|error| panic!("{error}")));
    let fixture: Fixture = serde_json::from_slice(&fixture("ccot/logits.json")).expect("JSON");
    for (adapter, name) in [
        (Adapter::Generator, "generator"),
        (Adapter::Decoder, "decoder"),
    ] {
        let found = layer_states(&config, (&weights, adapter), &fixture.ids).logits;
        let expected = &fixture.logits[name];
        assert_eq!(found.len(), expected.len());
        for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
            for (found, expected) in found.iter().zip(expected) {
                let difference = (found - expected).abs();
                assert!(
                    difference < TOLERANCE,
                    "{name}, position {position}: {difference}"
                );
            }
        }
    }
}
