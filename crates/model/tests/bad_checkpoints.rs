//! Checkpoints and configs that are broken: each fault has its own words, and none ends the program.

#[path = "common/architectures.rs"]
mod architectures;

use std::fs;

use architectures::{FOLDER, NAMES};
use latent_model::{checkpoint::Weights, config::ModelConfig};
use proptest::prelude::*;
use serde_json::{Value, json};

fn fixture(name: &str, file: &str) -> Vec<u8> {
    fs::read(format!("{FOLDER}/{name}/{file}")).expect("a file of the fixture")
}

fn config(name: &str) -> Value {
    serde_json::from_slice(&fixture(name, "config.json")).expect("JSON")
}

fn read(name: &str, bytes: Vec<u8>) -> Result<Weights, String> {
    let config = ModelConfig::from_json(&config(name).to_string()).expect("a good config");
    let files = [("model.safetensors".to_string(), bytes.into())];
    Weights::from_safetensors(&config, &files).map_err(|error| error.to_string())
}

/// The checkpoint of a fixture after a change of its header, an object of its tensors.
fn with_header(name: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let bytes = fixture(name, "model.safetensors");
    let after_header = 8 + length_of(&bytes);
    let mut header: Value = serde_json::from_slice(&bytes[8..after_header]).expect("a header");
    change(&mut header);
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &bytes[after_header..]].concat()
}

/// Bytes of a checkpoint's header.
fn length_of(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize
}

#[test]
fn every_fault_of_a_checkpoint_has_words_of_its_own() {
    for (name, tensor) in [
        ("qwen3", "model.layers.1.self_attn.q_norm.weight"),
        ("qwen2-tied", "model.layers.0.self_attn.k_proj.bias"),
        ("gpt2", "transformer.wpe.weight"),
        ("gpt2-unprefixed", "h.1.attn.c_attn.bias"),
    ] {
        let whole = fixture(name, "model.safetensors");
        let refused = |bytes: Vec<u8>, words: &[&str]| {
            let error = read(name, bytes).expect_err(words[0]);
            for word in words {
                assert!(
                    error.contains(word),
                    "{name}: expected {word:?} in {error:?}"
                );
            }
        };
        read(name, whole.clone()).expect("a good checkpoint");
        for n_bytes in [0, 7, 8, 100, whole.len() - 1] {
            let n = n_bytes.to_string();
            refused(whole[..n_bytes].to_vec(), &["model.safetensors: not a", &n]);
        }
        let mut long_header = whole.clone();
        long_header[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        refused(
            long_header,
            &["model.safetensors: not a", "header too large"],
        );
        let overlapping = with_header(name, |header| {
            let offsets = &mut header[tensor]["data_offsets"];
            let shifted = [0, 1].map(|i| offsets[i].as_u64().expect("an offset") - 2);
            *offsets = json!(shifted);
        });
        refused(overlapping, &["model.safetensors: not a", "invalid offset"]);
        let integers = with_header(name, |header| header[tensor]["dtype"] = json!("I16"));
        refused(integers, &[tensor, "expected F32, F16 or BF16", "I16"]);
        let renamed = with_header(name, |header| {
            let moved = header[tensor].take();
            let header = header.as_object_mut().expect("an object");
            header.remove(tensor);
            header.insert("other".into(), moved);
        });
        refused(renamed, &["has no tensor", tensor, "config.json"]);
        let mut nan = whole.clone();
        let header: Value =
            serde_json::from_slice(&whole[8..8 + length_of(&whole)]).expect("a header");
        let offset = header[tensor]["data_offsets"][0]
            .as_u64()
            .expect("an offset") as usize;
        let at = 8 + length_of(&whole) + offset + 2 * 3;
        nan[at..at + 2].copy_from_slice(&0x7E00_u16.to_le_bytes());
        refused(nan, &[tensor, "value 3 is NaN"]);
    }
}

#[test]
fn what_a_config_cannot_mean_is_refused_by_field() {
    for (name, field, value, words) in [
        (
            "qwen3",
            "model_type",
            json!("gemma3"),
            "llama, qwen2, qwen3, gpt2",
        ),
        (
            "qwen3",
            "vocab_size",
            json!(1_u64 << 60),
            "vocab_size must be below",
        ),
        (
            "qwen3",
            "num_attention_heads",
            json!(1 << 30),
            "head_dim must be",
        ),
        ("qwen3", "rms_norm_eps", json!(-1.0), "norm_eps must be"),
        ("qwen3", "hidden_act", json!("gelu"), "hidden_act must be"),
        (
            "qwen2-tied",
            "use_sliding_window",
            json!(true),
            "use_sliding_window",
        ),
        (
            "qwen3",
            "layer_types",
            json!(["sliding_attention"]),
            "layer_types",
        ),
        ("qwen3", "rope_theta", json!(0.0), "rope_theta must be"),
        (
            "llama-linear-tied",
            "rope_parameters",
            json!({"rope_type": "linear", "factor": 0.0}),
            "factor must be",
        ),
        (
            "llama-linear-tied",
            "rope_scaling",
            json!({"type": "yarn", "factor": 2.0}),
            "\"linear\" or \"llama3\", found yarn",
        ),
        (
            "llama-llama3-biased",
            "rope_parameters",
            json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0,
                "high_freq_factor": 1.0, "original_max_position_embeddings": 40}),
            "high_freq_factor must be above",
        ),
        (
            "gpt2",
            "activation_function",
            json!("relu"),
            "activation_function",
        ),
        (
            "gpt2",
            "scale_attn_weights",
            json!(false),
            "scale_attn_weights",
        ),
        (
            "gpt2",
            "scale_attn_by_inverse_layer_idx",
            json!(true),
            "by_inverse_layer_idx",
        ),
        (
            "gpt2",
            "add_cross_attention",
            json!(true),
            "add_cross_attention",
        ),
        ("gpt2", "n_head", json!(5), "n_head must be"),
    ] {
        let mut config = config(name);
        config[field] = value;
        let error = ModelConfig::from_json(&config.to_string());
        let error = error.expect_err(words).to_string();
        assert!(error.contains(words), "{name}, {field}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_to_a_checkpoint_ends_the_program(
        which in 0..NAMES.len(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        in_header in any::<bool>(),
        kept in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let name = NAMES[which];
        let mut bytes = fixture(name, "model.safetensors");
        // Most of a file is weights, which are hardly ever wrong.
        let n = if in_header { 8 + length_of(&bytes) } else { bytes.len() };
        for (place, byte) in damages {
            bytes[place.index(n)] = byte;
        }
        if let Some(kept) = kept {
            bytes.truncate(kept.index(n));
        }
        // Any answer is right.
        let _ = read(name, bytes);
    }

    #[test]
    fn no_number_in_a_config_ends_the_program(
        which in 0..NAMES.len(),
        field in any::<prop::sample::Index>(),
        value in prop_oneof![any::<u64>().prop_map(Value::from), any::<f64>().prop_map(Value::from),
            any::<u8>().prop_map(Value::from), Just(Value::Null), Just(json!({})), Just(json!([]))],
    ) {
        let mut config = config(NAMES[which]);
        let fields = config.as_object_mut().expect("an object");
        let name = fields.keys().nth(field.index(fields.len())).expect("a field").clone();
        fields.insert(name, value);
        if let Ok(config) = ModelConfig::from_json(&config.to_string()) {
            // Whatever is believed can be counted with.
            prop_assert!(config.q_width() >= config.kv_width());
            prop_assert!(config.rope().is_none_or(|rope| rope.theta > 0.0));
        }
    }
}
