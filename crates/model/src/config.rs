//! The shape of a model, read from a Hugging Face `config.json`.

use serde::Deserialize;

use crate::text;

mod hub;

/// A decoder-only transformer: its sizes, and what its layers are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// V: rows of the embedding table.
    pub vocab_size: usize,
    /// d: width of the residual stream.
    pub hidden_size: usize,
    /// Width inside of the MLP.
    pub intermediate_size: usize,
    /// L: number of layers.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of one head; a multiple of 4.
    pub head_dim: usize,
    /// Largest number of positions.
    pub max_position_embeddings: usize,
    /// ε of every norm.
    pub norm_eps: f32,
    /// Whether the LM head is the embedding table.
    pub tie_word_embeddings: bool,
    /// What the layers are made of.
    pub architecture: Architecture,
}

/// What the layers of a model are made of. Both engines and the checkpoint reader branch on these
/// fields and never on a model's name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Architecture {
    /// The norm before attention, before the MLP and before the head.
    pub norm: Norm,
    /// How a position is told.
    pub positions: Positions,
    /// What is between the MLP's matrices.
    pub mlp: Mlp,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has a bias.
    pub output_bias: bool,
    /// Whether the MLP's matrices have a bias.
    pub mlp_bias: bool,
    /// Whether every head's query and key pass an RMSNorm before they turn.
    pub qk_norm: bool,
    /// What the tensors of a checkpoint are called, and how they lie.
    pub names: TensorNames,
}

impl Architecture {
    /// Llama's: RMSNorm, RoPE, SwiGLU, no biases and no norms of heads.
    pub const fn llama(rope: Rope) -> Self {
        Self {
            norm: Norm::RmsNorm,
            positions: Positions::Rope(rope),
            mlp: Mlp::SwiGlu,
            qkv_bias: false,
            output_bias: false,
            mlp_bias: false,
            qk_norm: false,
            names: TensorNames::Llama,
        }
    }

    /// GPT-2's.
    pub const GPT2: Self = Self {
        norm: Norm::LayerNorm,
        positions: Positions::Learned,
        mlp: Mlp::Gelu,
        qkv_bias: true,
        output_bias: true,
        mlp_bias: true,
        qk_norm: false,
        names: TensorNames::Gpt2,
    };
}

/// A norm over the width of the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// g ⊙ x / sqrt(mean(x²) + ε) (arXiv 1910.07467).
    RmsNorm,
    /// g ⊙ (x − mean(x)) / sqrt(var(x) + ε) + b (arXiv 1607.06450).
    LayerNorm,
}

/// How a position is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Positions {
    /// Queries and keys are turned (RoFormer, arXiv 2104.09864).
    Rope(Rope),
    /// A learned vector is added to what enters the first layer (GPT-2).
    Learned,
}

/// The angles of rotary positions: position p turns the pair (i, i + head_dim / 2) by p · fᵢ, with
/// fᵢ = theta^(−2i / head_dim) before scaling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// The base of the frequencies.
    pub theta: f32,
    /// What is done to them for contexts longer than those of pretraining.
    pub scaling: RopeScaling,
}

impl Rope {
    /// Frequencies as they are.
    pub const fn unscaled(theta: f32) -> Self {
        Self {
            theta,
            scaling: RopeScaling::None,
        }
    }
}

/// How frequencies are scaled, by Hugging Face's `rope_type`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// `default`: not at all.
    None,
    /// `linear`: f / factor (position interpolation, arXiv 2306.15595).
    Linear {
        /// Divides every frequency.
        factor: f32,
    },
    /// `llama3`: with n = original · f / 2π turns in the original context, f where
    /// n ≥ high_freq_factor, f / factor where n ≤ low_freq_factor, and a mixture of the two, linear
    /// in n, between (arXiv 2407.21783; the formula is that of the released code).
    Llama3 {
        /// Divides the low frequencies.
        factor: f32,
        /// Turns up to which a frequency is low.
        low_freq_factor: f32,
        /// Turns from which a frequency is high.
        high_freq_factor: f32,
        /// Positions that the model was pretrained on.
        original_max_position_embeddings: f32,
    },
}

/// What is between the MLP's matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mlp {
    /// W_down (silu(W_gate x) ⊙ W_up x) (arXiv 2002.05202).
    SwiGlu,
    /// W_down gelu(W_up x), with gelu(z) = z/2 · (1 + tanh(√(2/π) · (z + 0.044715 z³)))
    /// (arXiv 1606.08415; `gelu_new` and `gelu_pytorch_tanh`).
    Gelu,
}

/// What Hugging Face calls the tensors of a model, and how it lays them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorNames {
    /// `model.layers.0.self_attn.q_proj.weight` and so on, (out, in).
    Llama,
    /// `h.0.attn.c_attn.weight` and so on, with or without `transformer.` before them: q, k and v
    /// in one, and every matrix (in, out), as its `Conv1D` keeps it.
    Gpt2,
}

/// The values of `model_type` that run.
pub const MODEL_TYPES: [&str; 4] = ["llama", "qwen2", "qwen3", "gpt2"];

/// A `config.json` or `generation_config.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or a field is missing or of another type.
    #[error("{file}: {reason}")]
    Json {
        /// The file's name.
        file: &'static str,
        /// The parser's words.
        reason: serde_json::Error,
    },
    /// Another architecture.
    #[error("config.json: model_type must be one of {}, found {found:?}", MODEL_TYPES.join(", "))]
    Architecture {
        /// What it is.
        found: String,
    },
    /// A feature of the architecture that this project does not run.
    #[error("config.json: {field} must be {expected}, found {found}")]
    Unsupported {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// The tokens that end a text, as Hugging Face's `generate` finds them: those of
/// `generation_config.json`, or else those of `config.json`; none where neither names any.
///
/// # Errors
/// If one of the files is not what its name says, or a token is not one of the vocabulary.
pub fn end_tokens(
    config_json: &str,
    generation_config_json: Option<&str>,
) -> Result<Vec<u32>, ConfigError> {
    #[derive(Deserialize)]
    struct EndTokens {
        eos_token_id: Option<OneOrMany>,
        vocab_size: Option<u32>,
    }
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "eos_token_id: expected a token's id, several, or null"
    )]
    enum OneOrMany {
        One(u32),
        Many(Vec<u32>),
    }
    let read = |file, json: &str| -> Result<EndTokens, ConfigError> {
        serde_json::from_str(&text::clean(json))
            .map_err(|reason| ConfigError::Json { file, reason })
    };
    let config = read("config.json", config_json)?;
    let generation = generation_config_json.map(|json| read("generation_config.json", json));
    let named = generation.transpose()?.and_then(|file| file.eos_token_id);
    let ids = match named.or(config.eos_token_id) {
        None => Vec::new(),
        Some(OneOrMany::One(id)) => vec![id],
        Some(OneOrMany::Many(ids)) => ids,
    };
    for &id in &ids {
        let is_token = config.vocab_size.is_none_or(|size| id < size);
        require(is_token, "eos_token_id", "below vocab_size", id)?;
    }
    Ok(ids)
}

impl ModelConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// If it is not JSON, its architecture is none of [`MODEL_TYPES`], or a field asks for what is
    /// not run.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        hub::read(json)
    }

    /// The turned positions' angles; `None` where positions are learned.
    pub fn rope(&self) -> Option<Rope> {
        match self.architecture.positions {
            Positions::Rope(rope) => Some(rope),
            Positions::Learned => None,
        }
    }

    /// Width of all query heads together.
    pub fn q_width(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }

    /// Whether the engines can run these sizes. Whoever makes a config of something else than a
    /// `config.json` asks this first.
    ///
    /// # Errors
    /// If one of them is 0, or no multiple of what it must be a multiple of.
    pub fn check_shape(&self) -> Result<(), ConfigError> {
        let positive = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.n_layers),
            ("num_attention_heads", self.n_heads),
            ("num_key_value_heads", self.n_kv_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        for (field, value) in positive {
            require(value > 0, field, "positive", value)?;
            // Kernels count in 32 bits, and a size beyond them is no model's.
            require(value < 1 << 31, field, "below 2^31", value)?;
        }
        // The largest of the widths that are products.
        let q_width = self.n_heads.checked_mul(self.head_dim);
        let is_counted = q_width.is_some_and(|width| width < 1 << 31);
        let expected = "below 2^31 / num_attention_heads";
        require(is_counted, "head_dim", expected, self.head_dim)?;
        let has_epsilon = self.norm_eps.is_finite() && self.norm_eps >= 0.0;
        require(has_epsilon, "norm_eps", "a number from 0 on", self.norm_eps)?;
        if let Some(Rope { theta, .. }) = self.rope() {
            let is_base = theta.is_finite() && theta > 0.0;
            require(is_base, "rope_theta", "a number above 0", theta)?;
        }
        let grouped = self.n_heads.is_multiple_of(self.n_kv_heads);
        require(
            grouped,
            "num_key_value_heads",
            "a divisor of num_attention_heads",
            self.n_kv_heads,
        )?;
        // Kernels read vectors of four; every width that they walk must be a multiple.
        let widths = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("head_dim", self.head_dim),
        ];
        for (field, value) in widths {
            require(value.is_multiple_of(4), field, "a multiple of 4", value)?;
        }
        Ok(())
    }
}

fn require(
    holds: bool,
    field: &'static str,
    expected: &str,
    found: impl ToString,
) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::Unsupported {
        field,
        expected: expected.into(),
        found: found.to_string(),
    })
}
