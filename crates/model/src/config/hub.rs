//! `config.json` as Hugging Face writes it, for every architecture that runs.

use serde::Deserialize;
use serde_json::Value;

use super::{Architecture, ConfigError, MODEL_TYPES, ModelConfig, Rope, RopeScaling, require};
use crate::text;

const FILE: &str = "config.json";

/// Reads a `config.json`.
pub(super) fn read(json: &str) -> Result<ModelConfig, ConfigError> {
    #[derive(Deserialize)]
    struct Kind {
        model_type: String,
    }
    let json = text::clean(json);
    let Kind { model_type } = parsed(&json)?;
    let config = match model_type.as_str() {
        "llama" | "qwen2" | "qwen3" => parsed::<Llama>(&json)?.config(&model_type)?,
        "gpt2" => parsed::<Gpt2>(&json)?.config()?,
        found => {
            let found = found.into();
            return Err(ConfigError::Architecture { found });
        }
    };
    debug_assert!(MODEL_TYPES.contains(&model_type.as_str()));
    config.check_shape()?;
    Ok(config)
}

fn parsed<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ConfigError> {
    serde_json::from_str(json).map_err(|reason| ConfigError::Json { file: FILE, reason })
}

/// The fields of Llama and of what was made after it; those that change the maths are all read.
#[derive(Deserialize)]
struct Llama {
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
    /// transformers 5 keeps `rope_theta` and the scaling here.
    rope_parameters: Option<RopeFields>,
    rope_scaling: Option<RopeFields>,
    #[serde(default)]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    use_sliding_window: bool,
    layer_types: Option<Vec<String>>,
}

impl Llama {
    fn config(self, model_type: &str) -> Result<ModelConfig, ConfigError> {
        let act = self.hidden_act.as_deref().unwrap_or("silu");
        require(act == "silu", "hidden_act", "\"silu\"", act)?;
        let slides = self.use_sliding_window;
        require(!slides, "use_sliding_window", "false", slides)?;
        let mut layer_types = self.layer_types.iter().flatten();
        if let Some(other) = layer_types.find(|kind| *kind != "full_attention") {
            require(
                false,
                "layer_types",
                "\"full_attention\" for every layer",
                other,
            )?;
        }
        // Qwen2's biases are part of the architecture: its config does not tell of them.
        let is_qwen2 = model_type == "qwen2";
        let architecture = Architecture {
            qkv_bias: is_qwen2 || self.attention_bias,
            output_bias: !is_qwen2 && self.attention_bias,
            mlp_bias: model_type == "llama" && self.mlp_bias,
            qk_norm: model_type == "qwen3",
            ..Architecture::llama(self.rope()?)
        };
        // Qwen3's heads are this wide where its config does not say.
        let head_dim = match model_type {
            "qwen3" => 128,
            _ => self.hidden_size / self.num_attention_heads.max(1),
        };
        Ok(ModelConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            n_layers: self.num_hidden_layers,
            n_heads: self.num_attention_heads,
            n_kv_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            head_dim: self.head_dim.unwrap_or(head_dim),
            max_position_embeddings: self.max_position_embeddings,
            norm_eps: self.rms_norm_eps,
            tie_word_embeddings: self.tie_word_embeddings,
            architecture,
        })
    }

    fn rope(&self) -> Result<Rope, ConfigError> {
        let written = [&self.rope_parameters, &self.rope_scaling];
        let written = || written.into_iter().flatten();
        let theta = written().find_map(|rope| rope.rope_theta);
        let mut scaling = RopeScaling::None;
        for rope in written().filter(|rope| rope.kind() != "default") {
            let own = rope.scaling()?;
            // Both at once are what transformers 5 makes of files of transformers 4.
            let is_same = [RopeScaling::None, own].contains(&scaling);
            require(
                is_same,
                "rope_scaling",
                "that of rope_parameters",
                rope.kind(),
            )?;
            scaling = own;
        }
        Ok(Rope {
            theta: self.rope_theta.or(theta).unwrap_or(10_000.0),
            scaling,
        })
    }
}

/// `rope_parameters`, and `rope_scaling` as transformers 4 and older releases wrote it.
#[derive(Deserialize)]
struct RopeFields {
    rope_theta: Option<f32>,
    rope_type: Option<String>,
    /// The older name of `rope_type`.
    r#type: Option<String>,
    factor: Option<f32>,
    low_freq_factor: Option<f32>,
    high_freq_factor: Option<f32>,
    original_max_position_embeddings: Option<f32>,
    partial_rotary_factor: Option<f32>,
}

impl RopeFields {
    fn kind(&self) -> &str {
        let named = self.rope_type.as_deref().or(self.r#type.as_deref());
        named.unwrap_or("default")
    }

    fn scaling(&self) -> Result<RopeScaling, ConfigError> {
        let positive = |field: &'static str, value: Option<f32>| {
            let is_positive = value.is_some_and(|value| value.is_finite() && value > 0.0);
            let found = value.map_or("nothing".to_owned(), |value| value.to_string());
            require(is_positive, field, "a number above 0", found)?;
            Ok::<f32, ConfigError>(value.unwrap_or_default())
        };
        let partial = self.partial_rotary_factor.unwrap_or(1.0);
        require(partial == 1.0, "partial_rotary_factor", "1", partial)?;
        let factor = || positive("rope_scaling.factor", self.factor);
        match self.kind() {
            "linear" => Ok(RopeScaling::Linear { factor: factor()? }),
            "llama3" => {
                let low_freq_factor =
                    positive("rope_scaling.low_freq_factor", self.low_freq_factor)?;
                let high_freq_factor =
                    positive("rope_scaling.high_freq_factor", self.high_freq_factor)?;
                require(
                    high_freq_factor > low_freq_factor,
                    "rope_scaling.high_freq_factor",
                    "above low_freq_factor",
                    high_freq_factor,
                )?;
                Ok(RopeScaling::Llama3 {
                    factor: factor()?,
                    low_freq_factor,
                    high_freq_factor,
                    original_max_position_embeddings: positive(
                        "rope_scaling.original_max_position_embeddings",
                        self.original_max_position_embeddings,
                    )?,
                })
            }
            other => {
                let expected = "absent, \"default\", \"linear\" or \"llama3\"";
                require(false, "rope_scaling", expected, other)?;
                Ok(RopeScaling::None)
            }
        }
    }
}

/// The fields of GPT-2.
#[derive(Deserialize)]
struct Gpt2 {
    vocab_size: usize,
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    n_positions: usize,
    n_inner: Option<usize>,
    #[serde(default = "gpt2_epsilon")]
    layer_norm_epsilon: f32,
    activation_function: Option<String>,
    tie_word_embeddings: Option<bool>,
    scale_attn_weights: Option<bool>,
    scale_attn_by_inverse_layer_idx: Option<bool>,
    add_cross_attention: Option<Value>,
}

fn gpt2_epsilon() -> f32 {
    1e-5
}

impl Gpt2 {
    fn config(self) -> Result<ModelConfig, ConfigError> {
        let act = self.activation_function.as_deref().unwrap_or("gelu_new");
        let is_tanh = ["gelu_new", "gelu_pytorch_tanh"].contains(&act);
        require(is_tanh, "activation_function", "\"gelu_new\"", act)?;
        let scales = self.scale_attn_weights.unwrap_or(true);
        require(scales, "scale_attn_weights", "true", scales)?;
        let by_layer = self.scale_attn_by_inverse_layer_idx.unwrap_or(false);
        require(
            !by_layer,
            "scale_attn_by_inverse_layer_idx",
            "false",
            by_layer,
        )?;
        let crosses = self.add_cross_attention == Some(Value::Bool(true));
        require(!crosses, "add_cross_attention", "false", crosses)?;
        let n_heads = self.n_head;
        let divides = n_heads > 0 && self.n_embd.is_multiple_of(n_heads);
        require(divides, "n_head", "a divisor of n_embd", n_heads)?;
        Ok(ModelConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.n_embd,
            intermediate_size: self.n_inner.unwrap_or(self.n_embd.saturating_mul(4)),
            n_layers: self.n_layer,
            n_heads,
            n_kv_heads: n_heads,
            head_dim: self.n_embd / n_heads,
            max_position_embeddings: self.n_positions,
            norm_eps: self.layer_norm_epsilon,
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(true),
            architecture: Architecture::GPT2,
        })
    }
}
