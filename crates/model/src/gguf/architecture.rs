//! Architectures of GGUF files: what their keys and tensors are called at Hugging Face.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use super::{
    Gguf, GgufFault,
    metadata::{Metadata, needed},
};

/// What a file says of its model that its tensors are read by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Architecture {
    spec: &'static ArchitectureSpec,
    n_heads: u64,
    n_kv_heads: u64,
    head_dim: u64,
}

/// An architecture that is read.
#[derive(Debug)]
struct ArchitectureSpec {
    /// `general.architecture`, and the `model_type` of Hugging Face.
    name: &'static str,
    /// Whether llama.cpp keeps the rows of q and k in an order of its own.
    interleaved: bool,
    /// Whether it is GPT-2, of which all fields and tensors have other names.
    is_gpt2: bool,
}

/// The architectures that are read.
const ARCHITECTURES: [ArchitectureSpec; 4] = [
    ArchitectureSpec {
        name: "llama",
        interleaved: true,
        is_gpt2: false,
    },
    ArchitectureSpec {
        name: "qwen2",
        interleaved: false,
        is_gpt2: false,
    },
    ArchitectureSpec {
        name: "qwen3",
        interleaved: false,
        is_gpt2: false,
    },
    ArchitectureSpec {
        name: "gpt2",
        interleaved: false,
        is_gpt2: true,
    },
];

/// Tensors that there is one of: Hugging Face's name, the file's.
const TENSORS: [(&str, &str); 6] = [
    ("model.embed_tokens", EMBEDDING),
    ("model.norm", "output_norm"),
    ("lm_head", OUTPUT),
    ("wte", EMBEDDING),
    ("wpe", "position_embd"),
    ("ln_f", "output_norm"),
];

/// Tensors of a layer.
const LAYER_TENSORS: [(&str, &str); 17] = [
    ("input_layernorm", "attn_norm"),
    (Q_PROJ, "attn_q"),
    (K_PROJ, "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("ln_1", "attn_norm"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"),
    ("ln_2", "ffn_norm"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

const EMBEDDING: &str = "token_embd";
const Q_PROJ: &str = "self_attn.q_proj";
const K_PROJ: &str = "self_attn.k_proj";
/// The head, where it is not the embedding.
const OUTPUT: &str = "output";
/// By what Llama 3.1 and later models slow each rotation down, (head_dim / 2).
const ROPE_FACTORS: &str = "rope_freqs.weight";
/// Who asks for metadata here.
const ASKED_BY: &str = "the model's config";

/// How the rows of a tensor stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowOrder {
    AsIs,
    /// The two numbers of a head that a rotation turns stand side by side.
    Interleaved {
        head_dim: usize,
    },
}

fn unsupported(what: &'static str, expected: &str, found: impl Into<String>) -> GgufFault {
    GgufFault::Unsupported {
        what,
        expected: expected.into(),
        found: found.into(),
    }
}

impl Architecture {
    pub fn new(metadata: &Metadata<'_>) -> Result<Self, GgufFault> {
        let key = "general.architecture";
        let name = needed(metadata.text(key)?, key, ASKED_BY)?;
        let known = ARCHITECTURES.iter().find(|spec| spec.name == name);
        let refused = || {
            let names = ARCHITECTURES.map(|spec| format!("{:?}", spec.name));
            let expected = format!("one of {}", names.join(", "));
            unsupported("general.architecture", &expected, format!("{name:?}"))
        };
        let spec = known.ok_or_else(refused)?;
        let positive = |key: &str, found: u64| match found {
            0 => Err(GgufFault::Value {
                key: format!("{name}.{key}"),
                expected: "at least 1".into(),
                found: found.to_string(),
            }),
            found => Ok(found),
        };
        let count = |key: &str| metadata.count(&format!("{name}.{key}"));
        let need = |key: &str| needed(count(key)?, &format!("{name}.{key}"), ASKED_BY);
        let heads = "attention.head_count";
        let n_heads = positive(heads, need(heads)?)?;
        let width = need("embedding_length")?;
        let head_dim = count("attention.key_length")?.unwrap_or(width / n_heads);
        Ok(Self {
            spec,
            n_heads,
            n_kv_heads: count("attention.head_count_kv")?.unwrap_or(n_heads),
            head_dim: positive("attention.key_length", head_dim)?,
        })
    }

    /// The model's `config.json`, out of the metadata and what tensors there are.
    pub fn config(&self, metadata: &Metadata<'_>, file: &Gguf) -> Result<Value, GgufFault> {
        let arch = self.spec.name;
        let count = |key: &str| metadata.count(&format!("{arch}.{key}"));
        let need = |key: &str| needed(count(key)?, &format!("{arch}.{key}"), ASKED_BY);
        let number = |key: &str| metadata.number(&format!("{arch}.{key}"));
        let need_number = |key: &str| needed(number(key)?, &format!("{arch}.{key}"), ASKED_BY);
        if let Some(experts) = count("expert_count")?.filter(|n| *n > 0) {
            return Err(unsupported("expert_count", "none", experts.to_string()));
        }
        let table = format!("{EMBEDDING}.weight");
        let rows = file.shape(&table).and_then(|shape| shape.first().copied());
        let vocab_size = needed(rows, &table, ASKED_BY)?;
        let has = |tensor: &str| file.shape(tensor).is_some();
        let is_tied = !has(&format!("{OUTPUT}.weight"));
        if self.spec.is_gpt2 {
            return Ok(json!({
                "model_type": arch,
                "vocab_size": vocab_size,
                "n_embd": need("embedding_length")?,
                "n_inner": need("feed_forward_length")?,
                "n_layer": need("block_count")?,
                "n_head": self.n_heads,
                "n_positions": need("context_length")?,
                "layer_norm_epsilon": need_number("attention.layer_norm_epsilon")?,
                "tie_word_embeddings": is_tied,
            }));
        }
        let rotated = count("rope.dimension_count")?.unwrap_or(self.head_dim);
        if rotated != self.head_dim {
            let expected = format!("all {} dimensions of a head", self.head_dim);
            let found = rotated.to_string();
            return Err(unsupported("rope.dimension_count", &expected, found));
        }
        let theta = number("rope.freq_base")?.unwrap_or(10_000.0);
        Ok(json!({
            "model_type": arch,
            "vocab_size": vocab_size,
            "hidden_size": need("embedding_length")?,
            "intermediate_size": need("feed_forward_length")?,
            "num_hidden_layers": need("block_count")?,
            "num_attention_heads": self.n_heads,
            "num_key_value_heads": self.n_kv_heads,
            "head_dim": self.head_dim,
            "max_position_embeddings": need("context_length")?,
            "rms_norm_eps": need_number("attention.layer_norm_rms_epsilon")?,
            "rope_theta": theta,
            "rope_scaling": self.rope_scaling(metadata, file, theta)?,
            "attention_bias": has("blk.0.attn_q.bias"),
            "mlp_bias": has("blk.0.ffn_up.bias"),
            "tie_word_embeddings": is_tied,
            "hidden_act": "silu",
        }))
    }

    /// What Hugging Face calls `rope_scaling`.
    fn rope_scaling(
        &self,
        metadata: &Metadata<'_>,
        file: &Gguf,
        theta: f64,
    ) -> Result<Value, GgufFault> {
        let key = |key: &str| format!("{}.rope.scaling.{key}", self.spec.name);
        if let Some(factors) = file.values(ROPE_FACTORS) {
            return self.llama3_scaling(&factors, theta).ok_or_else(|| {
                unsupported(ROPE_FACTORS, "the factors of Llama 3.1 and later", "others")
            });
        }
        match metadata.text(&key("type"))? {
            None | Some("none") => Ok(Value::Null),
            Some("linear") => {
                let name = key("factor");
                let factor = needed(metadata.number(&name)?, &name, ASKED_BY)?;
                Ok(json!({"rope_type": "linear", "factor": factor}))
            }
            Some(found) => {
                let found = format!("{found:?}");
                Err(unsupported(
                    "rope.scaling.type",
                    "\"none\" or \"linear\"",
                    found,
                ))
            }
        }
    }

    /// The file has the factors that llama.cpp's converter computed of a config, in which only the
    /// largest factor and the original context differ between Llama 3.1, 3.2 and 3.3; here they
    /// are found again.
    fn llama3_scaling(&self, factors: &[f32], theta: f64) -> Option<Value> {
        const LOW: f64 = 1.0;
        const HIGH: f64 = 4.0;
        let largest = f64::from(*factors.last()?);
        let wavelength = |pair: usize| TAU * theta.powf(2.0 * pair as f64 / self.head_dim as f64);
        // A factor between 1 and the largest one tells the context.
        let mut between = factors.iter().map(|&factor| f64::from(factor)).enumerate();
        let (pair, factor) = between.find(|(_, factor)| (1.01..0.99 * largest).contains(factor))?;
        let smooth = (1.0 / factor - 1.0 / largest) / (1.0 - 1.0 / largest);
        let context = (wavelength(pair) * (smooth * (HIGH - LOW) + LOW)).round();
        let expected = |pair: usize| {
            let smooth = ((context / wavelength(pair) - LOW) / (HIGH - LOW)).clamp(0.0, 1.0);
            1.0 / ((1.0 - smooth) / largest + smooth)
        };
        let is_that = |(pair, &found): (usize, &f32)| {
            let expected = expected(pair);
            (f64::from(found) - expected).abs() < 1e-3 * expected
        };
        let all = 2 * factors.len() as u64 == self.head_dim && largest >= 1.0;
        let found = json!({
            "rope_type": "llama3",
            "factor": largest,
            "low_freq_factor": LOW,
            "high_freq_factor": HIGH,
            "original_max_position_embeddings": context,
        });
        (all && factors.iter().enumerate().all(is_that)).then_some(found)
    }

    /// What the file calls a tensor that Hugging Face calls `name`, and the order of its rows.
    pub fn name_in_file(&self, name: &str) -> Option<(String, RowOrder)> {
        let (of, kind) = name.rsplit_once('.')?;
        let top = TENSORS.iter().find(|(hub, _)| *hub == of);
        if let Some((_, file)) = top {
            return Some((format!("{file}.{kind}"), RowOrder::AsIs));
        }
        let layers = if self.spec.is_gpt2 {
            "h."
        } else {
            "model.layers."
        };
        let (layer, part) = of.strip_prefix(layers)?.split_once('.')?;
        let (hub, file) = LAYER_TENSORS.iter().find(|(hub, _)| *hub == part)?;
        let rotates = [Q_PROJ, K_PROJ].contains(hub);
        let order = match rotates && self.spec.interleaved {
            true => RowOrder::Interleaved {
                head_dim: self.head_dim as usize,
            },
            false => RowOrder::AsIs,
        };
        Some((format!("blk.{layer}.{file}.{kind}"), order))
    }
}
