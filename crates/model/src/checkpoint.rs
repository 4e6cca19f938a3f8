//! Weights in the Hugging Face layout: `model.safetensors`, one file or several.

use bytes::Bytes;
use safetensors::{SafeTensors, tensor::TensorView};

pub use crate::matrix::{Dtype, Matrix};
use crate::{
    config::ModelConfig, contemplation::Contemplation, engine::ModelCapabilities, input::Tap,
    program::Adapter, text,
};

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
    /// Adapters that contemplate and answer from it, where the checkpoint has them.
    pub contemplation: Option<Contemplation>,
}

/// Coconut's mode classifier and CCOT's END, σ(w·h + b) on a hidden state after the final norm:
/// the probability that the thoughts fed so far are enough.
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

impl LayerWeights {
    /// What Hugging Face calls the matrices of a layer, in the order of [`LayerWeights::matrices`].
    pub const MATRICES: [&str; 7] = [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];

    /// Its matrices.
    pub fn matrices(&self) -> [&Matrix; 7] {
        [
            &self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down,
        ]
    }

    /// Its matrices, to be changed.
    pub fn matrices_mut(&mut self) -> [&mut Matrix; 7] {
        [
            &mut self.q,
            &mut self.k,
            &mut self.v,
            &mut self.o,
            &mut self.gate,
            &mut self.up,
            &mut self.down,
        ]
    }

    /// The same layer with every matrix kept as f32.
    pub(crate) fn widened(&self) -> Self {
        let mut wide = self.clone();
        for matrix in wide.matrices_mut() {
            *matrix = matrix.widened();
        }
        wide
    }
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
    #[error("the checkpoint has no tensor {name:?}, which {asked_by} asks for")]
    Missing {
        /// The tensor's name.
        name: String,
        /// The file that tells of it.
        asked_by: &'static str,
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
        /// What the file that tells of it asks for.
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
        let shards = Shards::open(files, "config.json")?;
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
            contemplation: None,
        })
    }

    /// What the checkpoint brings beside its language model.
    pub fn capabilities(&self) -> ModelCapabilities {
        ModelCapabilities {
            end_classifier: self.end_classifier.is_some(),
            contemplation: self.contemplation.as_ref().map(|set| set.spec),
        }
    }

    /// The sets of layers that the checkpoint has, by their codes.
    pub fn adapters(&self) -> &'static [Adapter] {
        match self.contemplation {
            Some(_) => &Adapter::ALL,
            None => &Adapter::ALL[..1],
        }
    }

    /// The layers that an input runs under. A set that the checkpoint lacks is refused by
    /// [`Engine::begin`](crate::engine::Engine::begin); here it is the base.
    pub fn layers_under(&self, adapter: Adapter) -> &[LayerWeights] {
        match (adapter, &self.contemplation) {
            (Adapter::Generator, Some(set)) => &set.generator,
            (Adapter::Decoder, Some(set)) => &set.decoder,
            (Adapter::Base, _) | (_, None) => &self.layers,
        }
    }

    /// The classifier that is asked after an input that ran under `adapter`: the generator has its
    /// own.
    pub fn end_classifier_under(&self, adapter: Adapter) -> Option<&EndClassifierWeights> {
        match (adapter, &self.contemplation) {
            (Adapter::Generator, Some(set)) => Some(&set.end_classifier),
            _ => self.end_classifier.as_ref(),
        }
    }

    /// The layer whose state a tap reads; `None` for the state after the final norm.
    pub fn tapped_layer(&self, tap: Tap) -> Option<usize> {
        match tap {
            Tap::FinalNorm => None,
            Tap::Layer(layer) => Some(layer as usize),
            Tap::Contemplation => Some(self.contemplation.as_ref()?.spec.layer as usize),
        }
    }

    /// The same weights with every matrix kept as f32: twice the memory of f16, and quicker to
    /// multiply with.
    pub fn widened(&self) -> Self {
        let layers: Vec<LayerWeights> = self.layers.iter().map(LayerWeights::widened).collect();
        let contemplation = self.contemplation.as_ref();
        let contemplation = contemplation.map(|set| set.widened(&self.layers, &layers));
        Self {
            embedding: self.embedding.widened(),
            layers,
            final_norm: self.final_norm.clone(),
            lm_head: self.lm_head.as_ref().map(Matrix::widened),
            end_classifier: self.end_classifier.clone(),
            contemplation,
        }
    }

    /// The matrix that turns a hidden state into logits, (V, d).
    pub fn head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.embedding)
    }

    /// Number of parameters of the language model; end classifier and adapters are not part of it.
    pub fn n_parameters(&self) -> usize {
        let layer = |layer: &LayerWeights| {
            let of_matrices: usize = layer.matrices().into_iter().map(Matrix::n_values).sum();
            of_matrices + layer.attention_norm.len() + layer.mlp_norm.len()
        };
        self.embedding.n_values()
            + self.layers.iter().map(layer).sum::<usize>()
            + self.final_norm.len()
            + self.lm_head.as_ref().map_or(0, Matrix::n_values)
    }
}

/// Opened safetensors files, searched in order.
pub(crate) struct Shards<'a> {
    files: Vec<(&'a Bytes, SafeTensors<'a>)>,
    /// The file that says which tensors there are and of what shape.
    asked_by: &'static str,
}

impl<'a> Shards<'a> {
    pub(crate) fn open(
        files: &'a [(String, Bytes)],
        asked_by: &'static str,
    ) -> Result<Self, CheckpointError> {
        let open = |(file, bytes): &'a (String, Bytes)| match SafeTensors::deserialize(bytes) {
            Ok(tensors) => Ok((bytes, tensors)),
            Err(reason) => Err(CheckpointError::Format {
                file: file.clone(),
                bytes: bytes.len(),
                reason,
            }),
        };
        let files = files.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { files, asked_by })
    }

    /// Every tensor's name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().flat_map(|(_, file)| file.names())
    }

    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        Ok(self.tensor(name, &[len], 1, len)?.to_f32().into_owned())
    }

    pub(crate) fn matrix(
        &self,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<Matrix, CheckpointError> {
        self.tensor(name, &[rows, cols], rows, cols)
    }

    /// Its two tensors, or neither.
    pub(crate) fn end_classifier(
        &self,
        d: usize,
    ) -> Result<Option<EndClassifierWeights>, CheckpointError> {
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
        let mut files = self.files.iter();
        files.find_map(|(bytes, file)| Some((*bytes, file.tensor(name).ok()?)))
    }

    /// A tensor of the shape that is asked for, all of it finite.
    fn tensor(
        &self,
        name: &str,
        expected: &[usize],
        rows: usize,
        cols: usize,
    ) -> Result<Matrix, CheckpointError> {
        let found = self.find(name);
        let missing = || CheckpointError::Missing {
            name: name.into(),
            asked_by: self.asked_by,
        };
        let (file, view) = found.ok_or_else(missing)?;
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
