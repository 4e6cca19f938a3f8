//! Low-rank adapters (LoRA, arXiv 2106.09685) in the layout of Python's `peft`, merged into the
//! layers that they adapt.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ContemplationError, read_json};
use crate::checkpoint::{Checked, CheckpointError, LayerWeights, Matrix, Shards};

/// What `adapter_config.json` says: W' = W + (alpha / r)·B·A for the matrices of every layer that
/// it targets.
#[derive(Debug)]
pub(super) struct Lora {
    rank: usize,
    /// alpha / r
    scale: f64,
    /// Whether each of [`LayerWeights::MATRICES`] is adapted.
    targets: [bool; LayerWeights::MATRICES.len()],
}

/// The fields of `adapter_config.json` that the maths needs.
#[derive(Deserialize)]
struct Raw {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    target_modules: Value,
}

/// Fields that say nothing of what the adapter computes once it is trained.
const SAY_NOTHING: [&str; 18] = [
    "peft_type",
    "r",
    "lora_alpha",
    "target_modules",
    "auto_mapping",
    "base_model_name_or_path",
    "eva_config",
    "corda_config",
    "inference_mode",
    "loftq_config",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
    "ensure_weight_tying",
];

/// Whether a field says what every plain LoRA says: nothing, or that B began at 0. Other
/// beginnings, such as PiSSA's, change the base.
fn is_neutral(field: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => field == "init_lora_weights",
        Value::String(text) => {
            [("bias", "none"), ("init_lora_weights", "gaussian")].contains(&(field, text.as_str()))
        }
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    }
}

/// Reads an `adapter_config.json`.
pub(super) fn read(file: &str, json: &[u8]) -> Result<Lora, ContemplationError> {
    let unsupported = |field: &str, expected: &str, found: &dyn ToString| {
        Err(ContemplationError::Unsupported {
            file: file.into(),
            field: field.into(),
            expected: expected.into(),
            found: found.to_string(),
        })
    };
    let fields: Map<String, Value> = read_json(file, json)?;
    let raw: Raw = read_json(file, json)?;
    if raw.peft_type != "LORA" {
        return unsupported("peft_type", "\"LORA\"", &Value::String(raw.peft_type));
    }
    for (field, value) in &fields {
        if !SAY_NOTHING.contains(&field.as_str()) && !is_neutral(field, value) {
            let expected = match field.as_str() {
                "bias" => "\"none\"",
                _ => "absent or off",
            };
            return unsupported(field, expected, value);
        }
    }
    if raw.r == 0 {
        return unsupported("r", "at least 1", &raw.r);
    }
    if !raw.lora_alpha.is_finite() {
        return unsupported("lora_alpha", "a number", &raw.lora_alpha);
    }
    let expected = "a list of a layer's matrices, such as \"q_proj\"";
    let names = raw.target_modules.as_array();
    let names = names.into_iter().flatten().map(Value::as_str);
    let mut targets = [false; LayerWeights::MATRICES.len()];
    for name in names {
        // As `peft` does: a module is meant by its name's end, at a dot.
        let is_meant = |matrix: &str| {
            name.is_some_and(|name| matrix == name || matrix.ends_with(&format!(".{name}")))
        };
        match LayerWeights::MATRICES.into_iter().position(is_meant) {
            Some(place) => targets[place] = true,
            None => return unsupported("target_modules", expected, &raw.target_modules),
        }
    }
    if targets == [false; LayerWeights::MATRICES.len()] {
        return unsupported("target_modules", expected, &raw.target_modules);
    }
    Ok(Lora {
        rank: raw.r,
        scale: raw.lora_alpha / raw.r as f64,
        targets,
    })
}

impl Lora {
    /// The layers with the adapter of `adapter_model.safetensors` in them. What is not adapted is
    /// shared with `base`.
    pub(super) fn merged(
        &self,
        base: &[LayerWeights],
        (file, bytes): (&str, &Bytes),
    ) -> Result<Vec<LayerWeights>, ContemplationError> {
        let wrong = |reason: CheckpointError| ContemplationError::checkpoint(file, reason);
        let files = [(file.to_string(), bytes.clone())];
        let tensors = Shards::open(&files, "adapter_config.json").map_err(wrong)?;
        let mut known = Vec::new();
        let mut layers = base.to_vec();
        for (index, layer) in layers.iter_mut().enumerate() {
            let targets = layer
                .matrices_mut()
                .filter(|(place, _)| self.targets[*place]);
            for (place, matrix) in targets {
                let name = LayerWeights::MATRICES[place];
                let tensor = |part: &str| {
                    format!("base_model.model.model.layers.{index}.{name}.lora_{part}.weight")
                };
                let [a, b] = ["A", "B"].map(tensor);
                let down = tensors.matrix(&a, self.rank, matrix.cols).map_err(wrong)?;
                let up = tensors.matrix(&b, matrix.rows, self.rank).map_err(wrong)?;
                *matrix = self.merge(matrix, &up, &down);
                known.extend([a, b]);
            }
        }
        let is_unknown = |name: &&str| !known.iter().any(|known| known == name);
        match tensors.names().find(is_unknown) {
            Some(found) => Err(ContemplationError::UnknownTensor {
                file: file.into(),
                expected: "lora_A.weight and lora_B.weight of what adapter_config.json targets",
                found: found.into(),
            }),
            None => Ok(layers),
        }
    }

    /// W + scale·B·A, summed in f64: one rounding to f32 for each value.
    fn merge(&self, w: &Matrix, b: &Matrix, a: &Matrix) -> Matrix {
        let a = a.to_f32();
        let mut merged = Vec::with_capacity(w.n_values());
        for row in 0..w.rows {
            let mut sums = vec![0.0_f64; w.cols];
            for (&b, a) in b.row(row).iter().zip(a.chunks_exact(w.cols)) {
                let b = self.scale * f64::from(b);
                sums.iter_mut()
                    .zip(a)
                    .for_each(|(sum, &a)| *sum += b * f64::from(a));
            }
            let values = w.row(row);
            let sums = values.iter().zip(sums);
            merged.extend(sums.map(|(&w, sum)| (f64::from(w) + sum) as f32));
        }
        Matrix::from_f32(w.rows, w.cols, &merged)
    }
}
