//! Weights in the Hugging Face layout: `model.safetensors`, one file or several.

use bytes::Bytes;

pub use self::shards::shard_names;
pub(crate) use self::{hub::Checked, shards::Shards};
pub use crate::matrix::{BLOCK, Dtype, Matrix, WeightFormat};
use crate::{
    config::ModelConfig,
    contemplation::Contemplation,
    engine::ModelCapabilities,
    gguf::{self, Gguf, GgufError},
    input::Tap,
    program::Adapter,
    turns::{Breathe, at_once},
};

mod conversion;
mod hub;
mod shards;

/// All weights of a model. Matrices stay in their file's number format, or in that which they were
/// converted to; vectors are f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The format in which engines keep matrices. With f32 the matrices here stay as their file has
    /// them: the reference reads them so where the model is large, a device gets them widened.
    pub format: WeightFormat,
    /// (V, d)
    pub embedding: Matrix,
    /// (positions, d), where they are learned.
    pub positions: Option<Matrix>,
    /// One per layer.
    pub layers: Vec<LayerWeights>,
    /// Before the head.
    pub final_norm: NormWeights,
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

/// The weights of a norm.
#[derive(Clone, Debug, PartialEq)]
pub struct NormWeights {
    /// (d)
    pub gain: Vec<f32>,
    /// (d), of LayerNorm.
    pub bias: Option<Vec<f32>>,
}

/// y = W x + b.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// (out, in)
    pub weight: Matrix,
    /// (out)
    pub bias: Option<Vec<f32>>,
}

/// The weights of one transformer layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights {
    /// Before attention.
    pub attention_norm: NormWeights,
    /// (n_heads · head_dim, d)
    pub q: Linear,
    /// (n_kv_heads · head_dim, d)
    pub k: Linear,
    /// (n_kv_heads · head_dim, d)
    pub v: Linear,
    /// Gains of the norms of every head's query and key, (head_dim) each, where there are any.
    pub qk_norm: Option<[Vec<f32>; 2]>,
    /// (d, n_heads · head_dim)
    pub o: Linear,
    /// Before the MLP.
    pub mlp_norm: NormWeights,
    /// (intermediate, d), of SwiGLU.
    pub gate: Option<Linear>,
    /// (intermediate, d)
    pub up: Linear,
    /// (d, intermediate)
    pub down: Linear,
}

impl LayerWeights {
    /// What Hugging Face calls the matrices of a Llama layer, in the order of
    /// [`LayerWeights::linears`].
    pub const MATRICES: [&str; 7] = [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];

    /// Its linear maps, each at its place of [`LayerWeights::MATRICES`]; `None` where the
    /// architecture has none there.
    pub fn linears(&self) -> [Option<&Linear>; 7] {
        [
            Some(&self.q),
            Some(&self.k),
            Some(&self.v),
            Some(&self.o),
            self.gate.as_ref(),
            Some(&self.up),
            Some(&self.down),
        ]
    }

    /// Its matrices, each with its place in [`LayerWeights::MATRICES`].
    pub fn matrices(&self) -> impl Iterator<Item = (usize, &Matrix)> {
        let places = self.linears().into_iter().enumerate();
        places.filter_map(|(place, linear)| Some((place, &linear?.weight)))
    }

    /// Its matrices, to be changed, each with its place in [`LayerWeights::MATRICES`].
    pub fn matrices_mut(&mut self) -> impl Iterator<Item = (usize, &mut Matrix)> {
        let linears = [
            Some(&mut self.q),
            Some(&mut self.k),
            Some(&mut self.v),
            Some(&mut self.o),
            self.gate.as_mut(),
            Some(&mut self.up),
            Some(&mut self.down),
        ];
        let places = linears.into_iter().enumerate();
        places.filter_map(|(place, linear)| Some((place, &mut linear?.weight)))
    }

    /// Number of its parameters.
    fn n_parameters(&self) -> usize {
        let norm = |norm: &NormWeights| norm.gain.len() + norm.bias.as_ref().map_or(0, Vec::len);
        let linear =
            |linear: &Linear| linear.weight.n_values() + linear.bias.as_ref().map_or(0, Vec::len);
        let linears = self.linears().into_iter().flatten();
        linears.map(linear).sum::<usize>()
            + norm(&self.attention_norm)
            + norm(&self.mlp_norm)
            + self.qk_norm.iter().flatten().map(Vec::len).sum::<usize>()
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
    /// Not a GGUF file that can be used.
    #[error(transparent)]
    Gguf(#[from] GgufError),
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
        Self::from_tensors(config, &Shards::open(files, "config.json")?)
    }

    /// Reads all weights out of a GGUF file, where it is one, or of one or more safetensors files,
    /// with turns for others where there are any.
    ///
    /// # Errors
    /// If a file is none, or a tensor is missing, of another shape or format, or not finite.
    pub async fn from_files_in_turns(
        config: &ModelConfig,
        files: &[(String, Bytes)],
        breathe: Option<Breathe>,
    ) -> Result<Self, CheckpointError> {
        match files {
            [(file, bytes)] if gguf::is_gguf(bytes) => {
                hub::read(config, &Gguf::open(file, bytes)?, breathe).await
            }
            _ => hub::read(config, &Shards::open(files, "config.json")?, breathe).await,
        }
    }

    /// Reads all weights out of whatever holds tensors under the names of Hugging Face.
    ///
    /// # Errors
    /// If a tensor is missing, of another shape or format, or not finite.
    pub fn from_tensors(
        config: &ModelConfig,
        tensors: &impl TensorSource,
    ) -> Result<Self, CheckpointError> {
        at_once(hub::read(config, tensors, None))
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

    /// The matrix that turns a hidden state into logits, (V, d).
    pub fn head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.embedding)
    }

    /// Sum of the norms of some rows of the embedding table, which is what the norm of a hidden
    /// state is compared with.
    pub fn embedding_norms(&self, rows: std::ops::Range<usize>) -> f32 {
        let norm = |row: usize| {
            let row = self.embedding.row(row);
            row.iter().map(|x| x * x).sum::<f32>().sqrt()
        };
        rows.map(norm).sum()
    }

    /// Number of parameters of the language model; end classifier and adapters are not part of it.
    pub fn n_parameters(&self) -> usize {
        let final_norm = &self.final_norm;
        self.embedding.n_values()
            + self.positions.as_ref().map_or(0, Matrix::n_values)
            + self
                .layers
                .iter()
                .map(LayerWeights::n_parameters)
                .sum::<usize>()
            + final_norm.gain.len()
            + final_norm.bias.as_ref().map_or(0, Vec::len)
            + self.lm_head.as_ref().map_or(0, Matrix::n_values)
    }
}

/// Tensors under the names of Hugging Face, wherever they lie.
pub trait TensorSource {
    /// A tensor of this name; `None` where there is none.
    ///
    /// # Errors
    /// If its number format is not read.
    fn tensor(&self, name: &str) -> Result<Option<Tensor>, CheckpointError>;

    /// Whether GPT-2's matrices are (in, out), as Hugging Face's `Conv1D` keeps them; all others
    /// are (out, in) everywhere.
    fn has_conv1d(&self) -> bool {
        true
    }

    /// What the source itself calls a tensor, for errors.
    fn own_name(&self, name: &str) -> String {
        name.into()
    }

    /// The file that says which tensors there are and of what shape, for errors.
    fn asked_by(&self) -> &'static str {
        "config.json"
    }
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The slowest dimension first.
    pub shape: Vec<usize>,
    /// Its values; the columns are the last dimension.
    pub values: Matrix,
}
