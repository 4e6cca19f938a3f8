//! CCOT's part of a checkpoint (arXiv 2412.13171): a folder of adapters beside the base.
//!
//! ```text
//! ccot/ccot.json                      {"layer": ℓ, "ratio": r}
//! ccot/contemplation.safetensors      end_classifier.weight [d], end_classifier.bias [1], and
//!                                     input_map.weight [d, d], input_map.bias [d] or neither
//! ccot/generator/adapter_config.json  φ, as Python's `peft` writes it, with
//!                adapter_model.safetensors
//! ccot/decoder/…                      ψ likewise
//! ```

mod kept;
mod lora;

pub use kept::{kept_positions, n_kept};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::{
        Checked, CheckpointError, EndClassifierWeights, LayerWeights, Matrix, Shards, Weights,
    },
    config::ModelConfig,
    tasks::Problem,
    text,
};

/// The folder that is read where nobody names another.
pub const FOLDER: &str = "ccot";

/// The files of a folder, below it.
pub const FILES: [&str; 6] = [
    "ccot.json",
    "contemplation.safetensors",
    "generator/adapter_config.json",
    "generator/adapter_model.safetensors",
    "decoder/adapter_config.json",
    "decoder/adapter_model.safetensors",
];

/// What `ccot.json` says: how the adapters were trained. Other fields of it are for people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContemplationSpec {
    /// ℓ: the layer, counted from 0, whose state becomes the next contemplation token.
    pub layer: u32,
    /// r: contemplation tokens for each token of the chain that they stand for, in \[0, 1\].
    pub ratio: f64,
}

/// The files of a folder of adapters; whoever does the I/O fills this in.
#[derive(Clone, Debug)]
pub struct ContemplationFiles {
    /// The folder's name, for errors.
    pub folder: String,
    /// The contents of [`FILES`], in their order.
    pub contents: [Bytes; FILES.len()],
}

/// What a checkpoint contemplates with.
#[derive(Clone, Debug, PartialEq)]
pub struct Contemplation {
    /// How the adapters were trained.
    pub spec: ContemplationSpec,
    /// Makes an input of a state; without it, states are fed as they are, as in the paper.
    pub input_map: Option<InputMap>,
    /// END, asked of every contemplation token.
    pub end_classifier: EndClassifierWeights,
    /// θ + φ, one per layer; what φ does not adapt is the base's own memory.
    pub generator: Vec<LayerWeights>,
    /// θ + ψ likewise.
    pub decoder: Vec<LayerWeights>,
}

/// x = M·(s·z / sqrt(mean(z²) + ε)) + b, with ε of the model's norms: states of inner layers are
/// larger than embeddings, which is what the first layer has learned to read.
#[derive(Clone, Debug, PartialEq)]
pub struct InputMap {
    /// M, (d, d)
    pub weight: Matrix,
    /// b, (d)
    pub bias: Vec<f32>,
    /// s: the root mean square of the embedding table's values.
    pub scale: f32,
}

/// A folder of adapters that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContemplationError {
    /// Not UTF-8.
    #[error("{file} is not UTF-8 text")]
    Utf8 {
        /// The file, from the model's folder on.
        file: String,
    },
    /// Not JSON, or a field is missing or of another type.
    #[error("{file}: {reason}")]
    Json {
        /// The file, from the model's folder on.
        file: String,
        /// The parser's words.
        reason: serde_json::Error,
    },
    /// A value that is not run.
    #[error("{file}: {field} must be {expected}, found {found}")]
    Unsupported {
        /// The file, from the model's folder on.
        file: String,
        /// The field.
        field: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A tensor is missing or of another shape or format.
    #[error("{file}: {reason}")]
    Checkpoint {
        /// The file, from the model's folder on.
        file: String,
        /// What is wrong.
        reason: Box<CheckpointError>,
    },
    /// A tensor that would be left out in silence.
    #[error("{file}: expected no tensor but {expected}, found {found:?}")]
    UnknownTensor {
        /// The file, from the model's folder on.
        file: String,
        /// What there may be, in words.
        expected: &'static str,
        /// The tensor's name.
        found: String,
    },
}

impl Contemplation {
    /// Reads a folder of adapters for the model of `config` and `base`.
    ///
    /// # Errors
    /// If a file is not what its name says, or asks for what is not run.
    pub fn from_files(
        config: &ModelConfig,
        base: &Weights,
        files: &ContemplationFiles,
    ) -> Result<Self, ContemplationError> {
        let [spec, tensors, adapters @ ..] = &files.contents;
        let name = |index: usize| format!("{}/{}", files.folder, FILES[index]);
        let spec = ContemplationSpec::read(&name(0), spec, config)?;
        let merged = |first: usize| {
            let [weights_name, config_name] = [name(first + 1), name(first)];
            let [config_json, weights] = [&adapters[first - 2], &adapters[first - 1]];
            let adapter = lora::read(&config_name, config_json)?;
            adapter.merged(&base.layers, (&weights_name, weights))
        };
        let file = name(1);
        let (input_map, end_classifier) = read_tensors(tensors, config, base)
            .map_err(|reason| ContemplationError::checkpoint(&file, reason))?;
        Ok(Self {
            spec,
            input_map,
            end_classifier,
            generator: merged(2)?,
            decoder: merged(4)?,
        })
    }
}

impl ContemplationSpec {
    fn read(file: &str, json: &[u8], config: &ModelConfig) -> Result<Self, ContemplationError> {
        let spec: Self = read_json(file, json)?;
        let n_layers = config.n_layers;
        let unsupported = |field: &str, expected: String, found: String| {
            Err(ContemplationError::Unsupported {
                file: file.into(),
                field: field.into(),
                expected,
                found,
            })
        };
        if spec.layer as usize >= n_layers {
            let expected = format!("below the model's {n_layers} layers");
            return unsupported("layer", expected, spec.layer.to_string());
        }
        if !(0.0..=1.0).contains(&spec.ratio) {
            return unsupported("ratio", "in 0 ..= 1".into(), spec.ratio.to_string());
        }
        Ok(spec)
    }

    /// h: the most contemplation tokens, for chains of at most `max_chain` tokens (the paper's
    /// h = 200·r).
    pub fn cap(&self, max_chain: u32) -> u32 {
        n_kept(max_chain as usize, self.ratio) as u32
    }

    /// The tokens of a problem's chain that its contemplation tokens stand for, in order; none
    /// where its solution is not known.
    pub fn kept_tokens(&self, problem: &Problem) -> Vec<u32> {
        let steps = problem.step_tokens();
        let ranks = steps
            .iter()
            .flat_map(|step| problem.task().kept_ranks(step));
        let (ranks, tokens) = (ranks.collect::<Vec<u8>>(), steps.concat());
        let kept = kept_positions(&ranks, n_kept(tokens.len(), self.ratio));
        kept.into_iter().map(|position| tokens[position]).collect()
    }
}

/// The input map, if there is one, and END.
fn read_tensors(
    bytes: &Bytes,
    config: &ModelConfig,
    base: &Weights,
) -> Result<(Option<InputMap>, EndClassifierWeights), CheckpointError> {
    let files = [(FILES[1].to_string(), bytes.clone())];
    let tensors = Shards::open(&files, FILES[0])?;
    let d = config.hidden_size;
    let has_map = tensors.names().any(|name| name.starts_with("input_map."));
    let input_map = || -> Result<InputMap, CheckpointError> {
        Ok(InputMap {
            weight: tensors.matrix("input_map.weight", d, d)?,
            bias: tensors.vector("input_map.bias", d)?,
            scale: root_mean_square(&base.embedding),
        })
    };
    let input_map = has_map.then(input_map).transpose()?;
    let end_classifier = EndClassifierWeights {
        weight: tensors.vector("end_classifier.weight", d)?,
        bias: tensors.vector("end_classifier.bias", 1)?[0],
    };
    Ok((input_map, end_classifier))
}

/// sqrt(mean(m²)) over all values.
pub fn root_mean_square(matrix: &Matrix) -> f32 {
    let mut sum = 0.0;
    matrix.for_each_row(|row| sum += row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>());
    (sum / matrix.n_values() as f64).sqrt() as f32
}

fn read_json<T: serde::de::DeserializeOwned>(
    file: &str,
    json: &[u8],
) -> Result<T, ContemplationError> {
    let utf8 = std::str::from_utf8(json);
    let json = utf8.map_err(|_| ContemplationError::Utf8 { file: file.into() })?;
    serde_json::from_str(&text::clean(json)).map_err(|reason| ContemplationError::Json {
        file: file.into(),
        reason,
    })
}

impl ContemplationError {
    fn checkpoint(file: &str, reason: CheckpointError) -> Self {
        Self::Checkpoint {
            file: file.into(),
            reason: reason.into(),
        }
    }
}
