//! Writes a trained model as a Hugging Face folder that `transformers` loads unchanged.

use std::path::Path;

use anyhow::Context;
use burn::tensor::Tensor;
use half::f16;
use latent_model::hub::hub_files;
use latent_model::model::ModelFiles;
use latent_model::training_record::TrainingRecord;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use crate::config::RunConfig;
use crate::end_classifier::EndClassifier;
use crate::objective::numbers;
use crate::parameters::Parameters;
use crate::progress::Progress;

/// Positions that `config.json` promises; an official problem with its chain needs about 130.
const MAX_POSITIONS: usize = 512;

/// The files of a model folder. Weights are f16, which moved no logit by more than 0.01 where it
/// was measured.
///
/// # Errors
/// If a weight cannot be written as safetensors.
pub fn model_files(
    config: &RunConfig,
    parameters: &Parameters,
    end_classifier: Option<&EndClassifier>,
) -> anyhow::Result<ModelFiles> {
    let weights = weights(config, parameters, end_classifier)?;
    let [_, (_, generation_config)] = hub_files(&config.task.markers(), MAX_POSITIONS);
    Ok(ModelFiles {
        config: pretty(&config_json(config, parameters))?,
        tokenizer: pretty(&config.task.tokenizer_json())?,
        generation_config: Some(pretty(&generation_config)?),
        weights: vec![("model.safetensors".into(), weights.into())],
    })
}

/// Writes `config.json`, `model.safetensors`, `tokenizer.json`, the files of [`hub_files`] and
/// `training.json` to `folder`.
///
/// # Errors
/// If a file cannot be written.
pub fn export(
    folder: &Path,
    files: &ModelFiles,
    config: &RunConfig,
    progress: &Progress,
    parameters: &Parameters,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    write("config.json", files.config.as_bytes())?;
    write("tokenizer.json", files.tokenizer.as_bytes())?;
    for (name, bytes) in &files.weights {
        write(name, bytes)?;
    }
    for (name, content) in hub_files(&config.task.markers(), MAX_POSITIONS) {
        write(name, pretty(&content)?.as_bytes())?;
    }
    let training = TrainingRecord {
        program: concat!("latent-train ", env!("CARGO_PKG_VERSION")).into(),
        config,
        parameters: parameters.count(),
        progress,
    };
    // By way of a value, which sorts the keys.
    write("training.json", pretty(&json!(training))?.as_bytes())
}

fn pretty(value: &serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// `config.json` as `LlamaConfig` of `transformers` reads it.
fn config_json(config: &RunConfig, parameters: &Parameters) -> serde_json::Value {
    let model = &config.model;
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": parameters.n_tokens(),
        "hidden_size": model.hidden_size,
        "intermediate_size": model.intermediate_size,
        "num_hidden_layers": model.n_layers,
        "num_attention_heads": model.n_heads,
        "num_key_value_heads": model.n_heads,
        "head_dim": model.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": model.rms_norm_eps,
        "rope_theta": model.rope_theta,
        "max_position_embeddings": MAX_POSITIONS,
        "tie_word_embeddings": true,
        "attention_bias": false,
        "mlp_bias": false,
        "bos_token_id": null,
        "eos_token_id": config.task.markers().eos,
        "pad_token_id": config.task.markers().pad,
        "torch_dtype": "float16",
    })
}

/// `model.safetensors` with Hugging Face's names, the fused matrices taken apart.
fn weights(
    config: &RunConfig,
    parameters: &Parameters,
    end_classifier: Option<&EndClassifier>,
) -> anyhow::Result<Vec<u8>> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: String, shape: &[usize], values: &[f32]| {
        let bytes = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes());
        tensors.push((name, shape.to_vec(), bytes.collect()));
    };
    let model = &config.model;
    let (d, f) = (model.hidden_size, model.intermediate_size);
    let width = model.n_heads * model.head_dim;
    let read = |tensor: &Tensor<2>| numbers(tensor.clone());
    let embedding = read(&parameters.embedding);
    add(
        "model.embed_tokens.weight".into(),
        &[parameters.n_tokens(), d],
        &embedding,
    );
    for (index, layer) in parameters.layers.iter().enumerate() {
        let name = |part: &str| format!("model.layers.{index}.{part}.weight");
        add(name("input_layernorm"), &[d], &read(&layer.attention_norm));
        let qkv = read(&layer.qkv);
        let parts = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
        for (part, values) in parts.into_iter().zip(qkv.chunks_exact(width * d)) {
            add(name(part), &[width, d], values);
        }
        add(name("self_attn.o_proj"), &[d, width], &read(&layer.o));
        add(
            name("post_attention_layernorm"),
            &[d],
            &read(&layer.mlp_norm),
        );
        let gate_up = read(&layer.gate_up);
        let parts = ["mlp.gate_proj", "mlp.up_proj"];
        for (part, values) in parts.into_iter().zip(gate_up.chunks_exact(f * d)) {
            add(name(part), &[f, d], values);
        }
        add(name("mlp.down_proj"), &[d, f], &read(&layer.down));
    }
    add(
        "model.norm.weight".into(),
        &[d],
        &read(&parameters.final_norm),
    );
    if let Some(classifier) = end_classifier {
        let weight: Vec<f32> = classifier.weight.iter().map(|&w| w as f32).collect();
        add("end_classifier.weight".into(), &[d], &weight);
        add(
            "end_classifier.bias".into(),
            &[1],
            &[classifier.bias as f32],
        );
    }
    let views: Vec<(&str, TensorView)> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F16, shape.clone(), bytes)?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<_, safetensors::SafeTensorError>>()?;
    let metadata = [("format".to_string(), "pt".to_string())].into();
    Ok(safetensors::serialize(views, Some(metadata))?)
}
