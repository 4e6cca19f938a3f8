//! The adapters of a run as files: each in PEFT's layout, and beside them what PEFT has no place
//! for.

use half::f16;
use safetensors::tensor::{Dtype, SafeTensorError, TensorView};
use serde_json::json;

use super::weights::MODULES;
use super::{CcotConfig, CcotWeights, Input, LoraConfig, Part};
use crate::parameters::Weight;
use crate::tensor_ops::check_finite;
use crate::tensor_ops::{flat, read};

/// The files of the folder `ccot/`: `ccot.json`, `contemplation.safetensors` (the input map and
/// END), and the folders `generator/` and `decoder/` with `adapter_config.json` and
/// `adapter_model.safetensors`, which Python's `peft` reads.
///
/// # Errors
/// If a number is not finite, or the device failed.
pub async fn adapter_files(
    config: &CcotConfig,
    weights: &CcotWeights,
    base: &str,
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let about = json!({
        "layer": config.layer,
        "ratio": config.ratio,
        "keep": config.keep,
        "input": match config.input {
            Input::Raw => "raw",
            Input::Scaled | Input::Mapped => "mapped",
        },
    });
    let mut files = vec![("ccot/ccot.json".to_string(), pretty(&about)?)];
    let beside = |part| matches!(part, Part::InputMap | Part::End);
    let tensors = named(weights.weights(beside), |name, dims| {
        // A bias is a vector in files.
        let shape = match dims {
            [1, n] => vec![n],
            dims => dims.to_vec(),
        };
        (name.to_string(), shape)
    });
    files.push((
        "ccot/contemplation.safetensors".into(),
        serialized(tensors.await?)?,
    ));
    let adapters: [(&str, LoraConfig, fn(Part) -> bool); 2] = [
        ("generator", config.generator, |part| {
            matches!(part, Part::Generator { .. })
        }),
        ("decoder", config.decoder, |part| part == Part::Decoder),
    ];
    for (name, lora, is_meant) in adapters {
        let tensors = named(weights.weights(is_meant), |weight, dims| {
            (peft_name(weight), dims.to_vec())
        });
        files.push((
            format!("ccot/{name}/adapter_config.json"),
            pretty(&adapter_config(lora, base))?,
        ));
        files.push((
            format!("ccot/{name}/adapter_model.safetensors"),
            serialized(tensors.await?)?,
        ));
    }
    Ok(files)
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

type Named = (String, Vec<usize>, Vec<u8>);

/// The weights as f16 under names and shapes of a file.
async fn named(
    weights: Vec<Weight>,
    in_file: impl Fn(&str, [usize; 2]) -> (String, Vec<usize>),
) -> anyhow::Result<Vec<Named>> {
    let tensors = weights.iter().map(|w| flat(w.tensor.clone())).collect();
    let numbers = read(tensors).await?;
    let mut all = Vec::new();
    for (weight, numbers) in weights.iter().zip(numbers) {
        check_finite(&weight.name, &numbers)?;
        let (name, shape) = in_file(&weight.name, weight.tensor.dims());
        let bytes = numbers
            .iter()
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect();
        all.push((name, shape, bytes));
    }
    Ok(all)
}

fn serialized(tensors: Vec<Named>) -> anyhow::Result<Vec<u8>> {
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
