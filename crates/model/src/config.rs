//! The shape of a model, read from a Hugging Face `config.json`.

use serde::Deserialize;

use crate::text;

/// A Llama-architecture model: RMSNorm, RoPE, grouped-query attention, SwiGLU.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// V: rows of the embedding table.
    pub vocab_size: usize,
    /// d: width of the residual stream.
    pub hidden_size: usize,
    /// Width of the SwiGLU layer.
    pub intermediate_size: usize,
    /// L: number of layers.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Largest number of positions.
    pub max_position_embeddings: usize,
    /// ε of RMSNorm.
    pub rms_norm_eps: f32,
    /// Base of the rotary embedding.
    pub rope_theta: f32,
    /// Whether the LM head is the embedding table.
    pub tie_word_embeddings: bool,
}

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
    #[error("config.json: model_type must be \"llama\", found {0:?}")]
    Architecture(String),
    /// A feature of Llama models that this project does not run.
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

/// `config.json` as Hugging Face writes it; fields that change the maths are all read.
#[derive(Deserialize)]
struct Raw {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    rope_theta: Option<f32>,
    /// transformers 5 moved `rope_theta` here.
    rope_parameters: Option<RopeParameters>,
    rope_scaling: Option<serde_json::Value>,
    #[serde(default)]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
}

#[derive(Deserialize)]
struct RopeParameters {
    rope_theta: Option<f32>,
    rope_type: Option<String>,
}

impl ModelConfig {
    /// Reads a `config.json`.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let raw: Raw = serde_json::from_str(&text::clean(json)).map_err(|reason| {
            let file = "config.json";
            ConfigError::Json { file, reason }
        })?;
        if raw.model_type != "llama" {
            return Err(ConfigError::Architecture(raw.model_type));
        }
        raw.check_maths()?;
        let parameters_theta = raw
            .rope_parameters
            .as_ref()
            .and_then(|rope| rope.rope_theta);
        let config = Self {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            n_layers: raw.num_hidden_layers,
            n_heads: raw.num_attention_heads,
            n_kv_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
            head_dim: raw
                .head_dim
                .unwrap_or(raw.hidden_size / raw.num_attention_heads.max(1)),
            max_position_embeddings: raw.max_position_embeddings,
            rms_norm_eps: raw.rms_norm_eps,
            rope_theta: raw.rope_theta.or(parameters_theta).unwrap_or(10_000.0),
            tie_word_embeddings: raw.tie_word_embeddings,
        };
        config.check_shape()?;
        Ok(config)
    }

    /// Width of all query heads together.
    pub fn q_width(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }

    fn check_shape(&self) -> Result<(), ConfigError> {
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

impl Raw {
    fn check_maths(&self) -> Result<(), ConfigError> {
        let act = self.hidden_act.as_deref().unwrap_or("silu");
        require(act == "silu", "hidden_act", "\"silu\"", act)?;
        require(
            !self.attention_bias,
            "attention_bias",
            "false",
            self.attention_bias,
        )?;
        require(!self.mlp_bias, "mlp_bias", "false", self.mlp_bias)?;
        let scaled = self
            .rope_scaling
            .as_ref()
            .filter(|scaling| !scaling.is_null());
        let unscaled = scaled.is_none_or(|scaling| scaling["rope_type"] == "default");
        require(
            unscaled,
            "rope_scaling",
            "absent or \"default\"",
            format!("{scaled:?}"),
        )?;
        let rope_type = self
            .rope_parameters
            .as_ref()
            .and_then(|rope| rope.rope_type.as_deref());
        let rope_type = rope_type.unwrap_or("default");
        require(
            rope_type == "default",
            "rope_parameters.rope_type",
            "\"default\"",
            rope_type,
        )
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
