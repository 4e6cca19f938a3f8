//! A trained model as a Hugging Face folder that `transformers` loads unchanged.

use half::f16;
use latent_model::contemplation::FILES;
use latent_model::hub::hub_files;
use latent_model::model::ModelFiles;
use latent_model::training_record::TrainingRecord;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use crate::config::RunConfig;
use crate::hub_tensors::hub_tensors;
use crate::logistic::LinearClassifier;
use crate::parameters::Parameters;
use crate::progress::Record;
use crate::tensor_ops::check_finite;
use crate::tensor_ops::{flat, read};

/// Positions that `config.json` promises; an official problem with its chain needs about 130.
const MAX_POSITIONS: usize = 512;

/// The files of a model folder. Weights are f16, which moved no logit by more than 0.01 where it
/// was measured.
///
/// # Errors
/// If a weight is not a finite number, or the device failed.
pub async fn model_files(
    config: &RunConfig,
    parameters: &Parameters,
    end_classifier: Option<&LinearClassifier>,
) -> anyhow::Result<ModelFiles> {
    let weights = weights(parameters, end_classifier).await?;
    let [_, (_, generation_config)] = hub_files(&config.task.markers(), MAX_POSITIONS);
    Ok(ModelFiles {
        config: pretty(&config_json(config, parameters))?,
        tokenizer: pretty(&config.task.tokenizer_json())?,
        generation_config: Some(pretty(&generation_config)?),
        tokenizer_config: None,
        chat_template: None,
        weights: vec![("model.safetensors".into(), weights.into())],
        contemplation: None,
    })
}

/// The files of the folder by name: `config.json`, `model.safetensors`, `tokenizer.json`, those of
/// [`hub_files`] and `training.json`.
///
/// # Errors
/// If the record cannot be written as JSON.
pub fn folder_files(
    files: &ModelFiles,
    config: &RunConfig,
    record: &Record,
    parameters: &Parameters,
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let training = TrainingRecord {
        program: concat!("latent-train ", env!("CARGO_PKG_VERSION")).into(),
        config,
        parameters: parameters.count(),
        progress: record,
    };
    // By way of a value, which sorts the keys.
    let training = pretty(&json!(training))?;
    let mut all = vec![
        ("config.json".to_string(), files.config.clone().into()),
        ("tokenizer.json".to_string(), files.tokenizer.clone().into()),
        ("training.json".to_string(), training.into()),
    ];
    for (name, content) in hub_files(&config.task.markers(), MAX_POSITIONS) {
        all.push((name.to_string(), pretty(&content)?.into()));
    }
    let weights = files.weights.iter();
    all.extend(weights.map(|(name, bytes)| (name.clone(), bytes.to_vec())));
    if let Some(adapters) = &files.contemplation {
        let contents = FILES.iter().zip(&adapters.contents);
        all.extend(
            contents.map(|(name, bytes)| (format!("{}/{name}", adapters.folder), bytes.to_vec())),
        );
    }
    Ok(all)
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
async fn weights(
    parameters: &Parameters,
    end_classifier: Option<&LinearClassifier>,
) -> anyhow::Result<Vec<u8>> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: String, shape: &[usize], values: &[f32]| {
        let bytes = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes());
        tensors.push((name, shape.to_vec(), bytes.collect()));
    };
    let weights = parameters.weights();
    let numbers = read(weights.iter().map(|w| flat(w.tensor.clone())).collect()).await?;
    for (weight, numbers) in weights.iter().zip(numbers) {
        check_finite(&weight.name, &numbers)?;
        let parts = hub_tensors(&weight.name, weight.kind, weight.tensor.dims());
        let size = numbers.len() / parts.len();
        for ((name, shape), values) in parts.into_iter().zip(numbers.chunks_exact(size)) {
            add(name, &shape, values);
        }
    }
    if let Some(classifier) = end_classifier {
        let weight: Vec<f32> = classifier.weight.iter().map(|&w| w as f32).collect();
        add("end_classifier.weight".into(), &[weight.len()], &weight);
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
