//! Model folders that cannot be used are refused with what was expected and what was found.

mod common;

use latent_model::{
    checkpoint::{CheckpointError, Matrix, Weights, shard_names},
    config::ModelConfig,
    tokenizer::{Marker, Tokenizer, TokenizerError},
};
use safetensors::{Dtype, tensor::TensorView};

const CONFIG: &str = r#"{
    "model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 48, "rms_norm_eps": 1e-5, "rope_theta": 500.0, "hidden_act": "silu"
}"#;

/// Hugging Face names and shapes of the test model's tensors.
fn tensors(weights: &Weights) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let matrix = |name: String, m: &Matrix| (name, vec![m.rows, m.cols], m.to_f32().into_owned());
    let vector = |name: String, v: &[f32]| (name, vec![v.len()], v.to_vec());
    let mut all = vec![
        matrix("model.embed_tokens.weight".into(), &weights.embedding),
        vector("model.norm.weight".into(), &weights.final_norm.gain),
    ];
    all.extend(
        weights
            .lm_head
            .iter()
            .map(|head| matrix("lm_head.weight".into(), head)),
    );
    if let Some(classifier) = &weights.end_classifier {
        all.extend([
            vector("end_classifier.weight".into(), &classifier.weight),
            vector("end_classifier.bias".into(), &[classifier.bias]),
        ]);
    }
    for (index, layer) in weights.layers.iter().enumerate() {
        let name = |part: &str| format!("model.layers.{index}.{part}.weight");
        all.extend([
            vector(name("input_layernorm"), &layer.attention_norm.gain),
            vector(name("post_attention_layernorm"), &layer.mlp_norm.gain),
            matrix(name("self_attn.q_proj"), &layer.q.weight),
            matrix(name("self_attn.k_proj"), &layer.k.weight),
            matrix(name("self_attn.v_proj"), &layer.v.weight),
            matrix(name("self_attn.o_proj"), &layer.o.weight),
            matrix(
                name("mlp.gate_proj"),
                &layer.gate.as_ref().expect("SwiGLU").weight,
            ),
            matrix(name("mlp.up_proj"), &layer.up.weight),
            matrix(name("mlp.down_proj"), &layer.down.weight),
        ]);
    }
    all
}

fn file(tensors: &[(String, Vec<usize>, Vec<f32>)], dtype: Dtype) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| match dtype {
            Dtype::F16 => values
                .iter()
                .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
                .collect(),
            Dtype::BF16 => values
                .iter()
                .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
                .collect(),
            _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        })
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (
            name,
            TensorView::new(dtype, shape.clone(), bytes).expect("a fitting shape"),
        )
    });
    safetensors::serialize(views, None).expect("a fitting file")
}

fn read(files: &[(&str, &[u8])]) -> Result<Weights, CheckpointError> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, bytes)| (name.to_string(), bytes.to_vec().into()))
        .collect();
    Weights::from_safetensors(&common::config(), &files)
}

#[test]
fn every_number_format_and_several_shards_are_read() {
    let weights = common::weights(&common::config());
    let all = tensors(&weights);
    assert_eq!(
        read(&[("model", &file(&all, Dtype::F32))]).expect("f32"),
        *weights
    );
    let (first, second) = all.split_at(5);
    let shards = [file(first, Dtype::F32), file(second, Dtype::F32)];
    assert_eq!(
        read(&[("a", &shards[0]), ("b", &shards[1])]).expect("shards"),
        *weights
    );
    for (dtype, tolerance) in [(Dtype::F16, 1e-3), (Dtype::BF16, 8e-3)] {
        let read = read(&[("model", &file(&all, dtype))]).expect("half precision");
        for (found, expected) in read
            .embedding
            .to_f32()
            .iter()
            .zip(weights.embedding.to_f32().iter())
        {
            assert!(
                (found - expected).abs() <= tolerance * expected.abs().max(1e-3),
                "{dtype:?}"
            );
        }
    }
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "one.safetensors"}}"#;
    assert_eq!(
        shard_names(index).expect("an index"),
        ["one.safetensors", "two.safetensors"]
    );
}

#[test]
fn broken_checkpoints_are_named() {
    let all = tensors(&common::weights(&common::config()));
    let whole = file(&all, Dtype::F32);
    let truncated = read(&[("model.safetensors", &whole[..whole.len() - 7])]);
    let message = truncated.expect_err("truncated").to_string();
    assert!(
        message.contains("model.safetensors") && message.contains("bytes"),
        "{message}"
    );

    let without_norm: Vec<_> = all
        .iter()
        .filter(|(name, ..)| name != "model.norm.weight")
        .cloned()
        .collect();
    let missing = read(&[("model", &file(&without_norm, Dtype::F32))]).expect_err("no norm");
    assert!(
        missing.to_string().contains("\"model.norm.weight\""),
        "{missing}"
    );

    let mut reshaped = all.clone();
    reshaped[0].1 = vec![16, 40];
    let shape = read(&[("model", &file(&reshaped, Dtype::F32))]).expect_err("transposed");
    assert!(shape.to_string().contains("[40, 16]"), "{shape}");
    assert!(shape.to_string().contains("[16, 40]"), "{shape}");

    let mut nan = all;
    nan[1].2[3] = f32::NAN;
    let nan = read(&[("model", &file(&nan, Dtype::F32))]).expect_err("NaN");
    assert!(nan.to_string().contains("value 3"), "{nan}");
}

#[test]
fn an_end_classifier_is_read_where_there_is_one_and_refused_where_it_is_broken() {
    let weights = common::weights(&common::config());
    let all = tensors(&weights);
    let found = read(&[("model", &file(&all, Dtype::F32))]).expect("with a classifier");
    assert_eq!(found.end_classifier, weights.end_classifier);
    assert!(found.end_classifier.is_some());
    let without = |part: &str| -> Vec<_> {
        let other = |(name, ..): &&(String, _, _)| !name.contains(part);
        all.iter().filter(other).cloned().collect()
    };
    let none = read(&[("model", &file(&without("end_classifier"), Dtype::F32))]);
    assert_eq!(none.expect("without a classifier").end_classifier, None);

    for (there, missing) in [("weight", "bias"), ("bias", "weight")] {
        let half = without(&format!("end_classifier.{missing}"));
        let error = read(&[("model", &file(&half, Dtype::F32))]).expect_err("half of one");
        for name in [there, missing] {
            let name = format!("end_classifier.{name}");
            assert!(error.to_string().contains(&name), "{error}");
        }
    }
    let broken = |name: &str, change: fn(&mut Vec<usize>, &mut Vec<f32>)| {
        let mut all = all.clone();
        let tensor = all.iter_mut().find(|(found, ..)| found == name);
        let (_, shape, values) = tensor.expect("a tensor of the classifier");
        change(shape, values);
        let error = read(&[("model", &file(&all, Dtype::F32))]);
        error.expect_err("a broken classifier").to_string()
    };
    let error = broken("end_classifier.weight", |shape, _| *shape = vec![1, 16]);
    assert!(error.contains("[16], found [1, 16]"), "{error}");
    let error = broken("end_classifier.bias", |shape, values| {
        *shape = vec![2];
        values.push(0.0);
    });
    assert!(error.contains("[1], found [2]"), "{error}");
    let error = broken("end_classifier.bias", |_, values| values[0] = f32::NAN);
    assert!(
        error.contains("\"end_classifier.bias\": value 0"),
        "{error}"
    );
}

#[test]
fn configs_are_read_and_refused_by_field() {
    assert_eq!(
        ModelConfig::from_json(CONFIG).expect("a good config"),
        ModelConfig {
            tie_word_embeddings: false,
            ..common::config()
        }
    );
    for (good, bad, named) in [
        (
            "\"llama\"",
            "\"gemma3\"",
            "one of llama, qwen2, qwen3, gpt2",
        ),
        ("\"silu\"", "\"gelu\"", "hidden_act"),
        (
            "\"num_key_value_heads\": 2",
            "\"num_key_value_heads\": 3",
            "num_key_value_heads",
        ),
        ("\"head_dim\": 8", "\"head_dim\": 6", "head_dim"),
        ("\"vocab_size\": 40,", "", "vocab_size"),
        (
            "\"hidden_act\"",
            "\"use_sliding_window\": true, \"hidden_act\"",
            "use_sliding_window",
        ),
        (
            "\"hidden_act\"",
            "\"rope_scaling\": {\"rope_type\": \"yarn\"}, \"hidden_act\"",
            "rope_scaling",
        ),
    ] {
        assert!(CONFIG.contains(good), "{good}");
        let error = ModelConfig::from_json(&CONFIG.replace(good, bad)).expect_err(named);
        assert!(error.to_string().contains(named), "{error}");
    }
}

const TOKENIZER: &str = r#"{
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 2, "content": "<eos>", "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true}],
    "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
    "decoder": null,
    "model": {"type": "WordLevel", "vocab": {"cat": 0, "dog": 1}, "unk_token": "<unk>"}
}"#;

#[test]
fn an_unknown_word_and_a_missing_marker_are_named() {
    let tokenizer = Tokenizer::from_json(TOKENIZER).expect("a tokenizer");
    assert_eq!(tokenizer.encode("dog cat").expect("known"), [1, 0]);
    match tokenizer.encode("dog cow cat") {
        Err(TokenizerError::UnknownWord { word, known }) => {
            assert_eq!(
                (word.as_str(), known),
                ("cow", vec!["cat".to_string(), "dog".into()])
            );
        }
        other => panic!("expected an unknown word, found {other:?}"),
    }
    assert_eq!(tokenizer.marker(Marker::Eos).expect("there"), 2);
    let error = tokenizer.marker(Marker::Bot).expect_err("not there");
    assert!(error.to_string().contains("<bot>"), "{error}");
    assert!(Tokenizer::from_json("{}").is_err());
}
