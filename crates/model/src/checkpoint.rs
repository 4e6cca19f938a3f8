//! Weights in the Hugging Face layout: `model.safetensors`, one file or several.

use bytes::Bytes;
use safetensors::{SafeTensors, tensor::TensorView};

pub use crate::matrix::{Dtype, Matrix};
use crate::{config::ModelConfig, text};

/// All weights of a model. Matrices stay in their file's number format; vectors are f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// (V, d)
    pub embedding: Matrix,
    /// One per layer.
    pub layers: Vec<LayerWeights>,
    /// (d)
    pub final_norm: Vec<f32>,
    /// (V, d); `None` where the embedding is the head too.
    pub lm_head: Option<Matrix>,
    /// Tells when thinking is over, where the checkpoint was taught to tell.
    pub end_classifier: Option<EndClassifierWeights>,
}

/// Coconut's mode classifier, σ(w·h + b) on a hidden state after the final norm: the probability
/// that the thoughts fed so far are enough.
#[derive(Clone, Debug, PartialEq)]
pub struct EndClassifierWeights {
    /// (d)
    pub weight: Vec<f32>,
    /// Added to the product.
    pub bias: f32,
}

/// Its tensor of shape \[d\], beside the model's own in `model.safetensors`.
const END_WEIGHT: &str = "end_classifier.weight";
/// Its tensor of shape \[1\].
const END_BIAS: &str = "end_classifier.bias";

/// The weights of one transformer layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights {
    /// (d)
    pub attention_norm: Vec<f32>,
    /// (n_heads · head_dim, d)
    pub q: Matrix,
    /// (n_kv_heads · head_dim, d)
    pub k: Matrix,
    /// (n_kv_heads · head_dim, d)
    pub v: Matrix,
    /// (d, n_heads · head_dim)
    pub o: Matrix,
    /// (d)
    pub mlp_norm: Vec<f32>,
    /// (intermediate, d)
    pub gate: Matrix,
    /// (intermediate, d)
    pub up: Matrix,
    /// (d, intermediate)
    pub down: Matrix,
}

/// A checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Truncated, or not a safetensors file.
    #[error("{file}: not a readable safetensors file ({reason}); found {bytes} bytes")]
    Format {
        /// The file's name.
        file: String,
        /// Its size.
        bytes: usize,
        /// The reader's words.
        reason: safetensors::SafeTensorError,
    },
    /// A tensor that the config asks for is not there.
    #[error("the checkpoint has no tensor {name:?}, which config.json asks for")]
    Missing {
        /// The tensor's name.
        name: String,
    },
    /// Half of an end classifier.
    #[error("the checkpoint has tensor {found:?} and no {missing:?}; expected both or neither")]
    HalfEndClassifier {
        /// The tensor that is there.
        found: &'static str,
        /// The tensor that is not.
        missing: &'static str,
    },
    /// A tensor of the wrong shape.
    #[error("tensor {name:?}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// What config.json asks for.
        expected: Vec<usize>,
        /// What the file holds.
        found: Vec<usize>,
    },
    /// A number format that is not read.
    #[error("tensor {name:?}: expected F32, F16 or BF16 values, found {found:?}")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// What the file holds.
        found: safetensors::Dtype,
    },
    /// NaN or infinite weights.
    #[error("tensor {name:?}: value {index} is {value}, expected a finite number")]
    NonFinite {
        /// The tensor's name.
        name: String,
        /// Index of the first bad value.
        index: usize,
        /// The bad value.
        value: f32,
    },
    /// The shard index is broken.
    #[error("model.safetensors.index.json: {0}")]
    Index(serde_json::Error),
}

/// The files that a `model.safetensors.index.json` names, each once, sorted.
pub fn shard_names(index_json: &str) -> Result<Vec<String>, CheckpointError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let index = serde_json::from_str(&text::clean(index_json));
    let index: Index = index.map_err(CheckpointError::Index)?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    Ok(names)
}

impl Weights {
    /// Reads all weights out of one or more safetensors files, given as (file name, bytes).
    /// Matrices are parts of these files and keep them in memory; nothing of them is copied.
    ///
    /// # Errors
    /// If a file is none, or a tensor is missing, of another shape or format, or not finite.
    pub fn from_safetensors(
        config: &ModelConfig,
        files: &[(String, Bytes)],
    ) -> Result<Self, CheckpointError> {
        let shards = Shards::open(files)?;
        let (d, ff) = (config.hidden_size, config.intermediate_size);
        let (q_width, kv_width) = (config.q_width(), config.kv_width());
        let layer = |index: usize| -> Result<LayerWeights, CheckpointError> {
            let name = |part: &str| format!("model.layers.{index}.{part}.weight");
            Ok(LayerWeights {
                attention_norm: shards.vector(&name("input_layernorm"), d)?,
                q: shards.matrix(&name("self_attn.q_proj"), q_width, d)?,
                k: shards.matrix(&name("self_attn.k_proj"), kv_width, d)?,
                v: shards.matrix(&name("self_attn.v_proj"), kv_width, d)?,
                o: shards.matrix(&name("self_attn.o_proj"), d, q_width)?,
                mlp_norm: shards.vector(&name("post_attention_layernorm"), d)?,
                gate: shards.matrix(&name("mlp.gate_proj"), ff, d)?,
                up: shards.matrix(&name("mlp.up_proj"), ff, d)?,
                down: shards.matrix(&name("mlp.down_proj"), d, ff)?,
            })
        };
        let head = || shards.matrix("lm_head.weight", config.vocab_size, d);
        Ok(Self {
            embedding: shards.matrix("model.embed_tokens.weight", config.vocab_size, d)?,
            layers: (0..config.n_layers).map(layer).collect::<Result<_, _>>()?,
            final_norm: shards.vector("model.norm.weight", d)?,
            lm_head: if config.tie_word_embeddings {
                None
            } else {
                Some(head()?)
            },
            end_classifier: shards.end_classifier(d)?,
        })
    }

    /// The same weights with every matrix kept as f32: twice the memory of f16, and quicker to
    /// multiply with.
    pub fn widened(&self) -> Self {
        let layer = |layer: &LayerWeights| LayerWeights {
            attention_norm: layer.attention_norm.clone(),
            q: layer.q.widened(),
            k: layer.k.widened(),
            v: layer.v.widened(),
            o: layer.o.widened(),
            mlp_norm: layer.mlp_norm.clone(),
            gate: layer.gate.widened(),
            up: layer.up.widened(),
            down: layer.down.widened(),
        };
        Self {
            embedding: self.embedding.widened(),
            layers: self.layers.iter().map(layer).collect(),
            final_norm: self.final_norm.clone(),
            lm_head: self.lm_head.as_ref().map(Matrix::widened),
            end_classifier: self.end_classifier.clone(),
        }
    }

    /// The matrix that turns a hidden state into logits, (V, d).
    pub fn head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.embedding)
    }

    /// Number of parameters of the language model; an end classifier is not part of it.
    pub fn n_parameters(&self) -> usize {
        let layer = |l: &LayerWeights| {
            [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down]
                .map(Matrix::n_values)
                .iter()
                .sum::<usize>()
                + l.attention_norm.len()
                + l.mlp_norm.len()
        };
        self.embedding.n_values()
            + self.layers.iter().map(layer).sum::<usize>()
            + self.final_norm.len()
            + self.lm_head.as_ref().map_or(0, Matrix::n_values)
    }
}

/// Opened safetensors files, searched in order.
struct Shards<'a>(Vec<(&'a Bytes, SafeTensors<'a>)>);

impl<'a> Shards<'a> {
    fn open(files: &'a [(String, Bytes)]) -> Result<Self, CheckpointError> {
        let open = |(file, bytes): &'a (String, Bytes)| match SafeTensors::deserialize(bytes) {
            Ok(tensors) => Ok((bytes, tensors)),
            Err(reason) => Err(CheckpointError::Format {
                file: file.clone(),
                bytes: bytes.len(),
                reason,
            }),
        };
        Ok(Self(files.iter().map(open).collect::<Result<_, _>>()?))
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        Ok(self.tensor(name, &[len], 1, len)?.to_f32().into_owned())
    }

    fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix, CheckpointError> {
        self.tensor(name, &[rows, cols], rows, cols)
    }

    fn end_classifier(&self, d: usize) -> Result<Option<EndClassifierWeights>, CheckpointError> {
        let half = |found, missing| CheckpointError::HalfEndClassifier { found, missing };
        match [END_WEIGHT, END_BIAS].map(|name| self.find(name).is_some()) {
            [false, false] => Ok(None),
            [true, false] => Err(half(END_WEIGHT, END_BIAS)),
            [false, true] => Err(half(END_BIAS, END_WEIGHT)),
            [true, true] => Ok(Some(EndClassifierWeights {
                weight: self.vector(END_WEIGHT, d)?,
                bias: self.vector(END_BIAS, 1)?[0],
            })),
        }
    }

    fn find(&self, name: &str) -> Option<(&'a Bytes, TensorView<'a>)> {
        let mut files = self.0.iter();
        files.find_map(|(bytes, file)| Some((*bytes, file.tensor(name).ok()?)))
    }

    /// A tensor of the shape that config.json asks for, all of it finite.
    fn tensor(
        &self,
        name: &str,
        expected: &[usize],
        rows: usize,
        cols: usize,
    ) -> Result<Matrix, CheckpointError> {
        let found = self.find(name);
        let (file, view) = found.ok_or_else(|| CheckpointError::Missing { name: name.into() })?;
        if view.shape() != expected {
            return Err(CheckpointError::Shape {
                name: name.into(),
                expected: expected.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        let dtype = match view.dtype() {
            safetensors::Dtype::F32 => Dtype::F32,
            safetensors::Dtype::F16 => Dtype::F16,
            safetensors::Dtype::BF16 => Dtype::Bf16,
            found => {
                let name = name.into();
                return Err(CheckpointError::Dtype { name, found });
            }
        };
        let matrix = Matrix::from_bytes(rows, cols, dtype, file.slice_ref(view.data()));
        match matrix.first_non_finite() {
            Some((index, value)) => Err(CheckpointError::NonFinite {
                name: name.into(),
                index,
                value,
            }),
            None => Ok(matrix),
        }
    }
}
