//! The adapters of a run as files: each in PEFT's layout, and beside them what PEFT has no place
//! for.

use bytes::Bytes;
use half::f16;
use latent_model::contemplation::{ContemplationFiles, FOLDER};
use safetensors::tensor::{Dtype, SafeTensorError, TensorView};
use serde_json::json;

use super::weights::MODULES;
use super::{CcotConfig, CcotWeights, Input, LoraConfig, Part};
use crate::parameters::Weight;
use crate::tensor_ops::check_finite;
use crate::tensor_ops::{flat, read};

/// The folder of adapters beside the model's own files.
///
/// # Errors
/// If a number is not finite, or the device failed.
pub async fn contemplation_files(
    config: &CcotConfig,
    weights: &CcotWeights,
    base: &str,
) -> anyhow::Result<ContemplationFiles> {
    let about = json!({
        "layer": config.layer,
        "ratio": config.ratio,
        "keep": config.keep,
    });
    // States that are fed as they are have no map.
    let is_mapped = config.input != Input::Raw;
    let beside = |part| part == Part::End || (part == Part::InputMap && is_mapped);
    let beside = serialized(weights.weights(beside), |name, dims| {
        // A bias is a vector in files.
        let shape = match dims {
            [1, n] => vec![n],
            dims => dims.to_vec(),
        };
        (name.to_string(), shape)
    });
    let in_peft = |weight: &str, dims: [usize; 2]| (peft_name(weight), dims.to_vec());
    let is_generator = |part| matches!(part, Part::Generator { .. });
    let is_decoder = |part| part == Part::Decoder;
    let contents = [
        pretty(&about)?,
        beside.await?,
        pretty(&adapter_config(config.generator, base))?,
        serialized(weights.weights(is_generator), in_peft).await?,
        pretty(&adapter_config(config.decoder, base))?,
        serialized(weights.weights(is_decoder), in_peft).await?,
    ];
    Ok(ContemplationFiles {
        folder: FOLDER.into(),
        contents: contents.map(Bytes::from),
    })
}

/// `adapter_config.json` as PEFT's `LoraConfig` reads it.
fn adapter_config(lora: LoraConfig, base: &str) -> serde_json::Value {
    let modules = MODULES.map(|(_, module)| module.rsplit('.').next());
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "target_modules": modules,
    })
}

/// `generator.layers.0.q.a` by PEFT's name.
fn peft_name(weight: &str) -> String {
    let mut parts = weight.split('.').skip(2);
    let mut next = || parts.next().expect("adapter.layers.N.module.matrix");
    let (layer, ours, matrix) = (next(), next(), next());
    let module = MODULES.iter().find(|(known, _)| *known == ours);
    let (_, module) = module.expect("a name of the table");
    let matrix = matrix.to_uppercase();
    format!("base_model.model.model.layers.{layer}.{module}.lora_{matrix}.weight")
}

/// The weights as a safetensors file of f16, under its names and shapes.
async fn serialized(
    weights: Vec<Weight>,
    in_file: impl Fn(&str, [usize; 2]) -> (String, Vec<usize>),
) -> anyhow::Result<Vec<u8>> {
    let tensors = weights.iter().map(|w| flat(w.tensor.clone())).collect();
    let numbers = read(tensors).await?;
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (weight, numbers) in weights.iter().zip(numbers) {
        check_finite(&weight.name, &numbers)?;
        let (name, shape) = in_file(&weight.name, weight.tensor.dims());
        let halves = numbers.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes());
        tensors.push((name, shape, halves.collect()));
    }
    let views: Vec<(&str, TensorView)> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F16, shape.clone(), bytes)?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<_, SafeTensorError>>()?;
    let metadata = [("format".to_string(), "pt".to_string())].into();
    Ok(safetensors::serialize(views, Some(metadata))?)
}

fn pretty(value: &serde_json::Value) -> anyhow::Result<Vec<u8>> {
    Ok((serde_json::to_string_pretty(value)? + "\n").into_bytes())
}
