//! Weights out of tensors that have the names and shapes of Hugging Face.

use super::{
    CheckpointError, EndClassifierWeights, LayerWeights, Linear, Matrix, NormWeights, TensorSource,
    WeightFormat, Weights,
};
use crate::{
    config::{Mlp, ModelConfig, Norm, Positions, TensorNames},
    turns::{Breathe, turn},
};

/// Coconut's mode classifier, of shape \[d\], beside the model's own tensors.
const END_WEIGHT: &str = "end_classifier.weight";
/// Its tensor of shape \[1\].
const END_BIAS: &str = "end_classifier.bias";

/// Reads all weights of the model of `config`, with turns for others where there are any: every
/// number of them is looked at.
pub(super) async fn read(
    config: &ModelConfig,
    source: &impl TensorSource,
    breathe: Option<Breathe>,
) -> Result<Weights, CheckpointError> {
    let reader = Reader {
        config,
        source,
        breathe,
    };
    match config.architecture.names {
        TensorNames::Llama => reader.llama().await,
        TensorNames::Gpt2 => reader.gpt2().await,
    }
}

struct Reader<'a, S> {
    config: &'a ModelConfig,
    source: &'a S,
    breathe: Option<Breathe>,
}

impl<S: TensorSource> Reader<'_, S> {
    async fn llama(&self) -> Result<Weights, CheckpointError> {
        let config = self.config;
        let (vocab_size, d) = (config.vocab_size, config.hidden_size);
        let embedding = self
            .source
            .matrix("model.embed_tokens.weight", vocab_size, d)?;
        Ok(Weights {
            format: WeightFormat::default(),
            embedding,
            positions: self.learned_positions("model.embed_positions.weight")?,
            layers: self.layers(|index| self.llama_layer(index)).await?,
            final_norm: self.norm("model.norm")?,
            lm_head: self.lm_head()?,
            end_classifier: self.end_classifier()?,
            contemplation: None,
        })
    }

    /// All layers, each read between two turns.
    async fn layers(
        &self,
        read: impl Fn(usize) -> Result<LayerWeights, CheckpointError>,
    ) -> Result<Vec<LayerWeights>, CheckpointError> {
        let mut layers = Vec::new();
        for index in 0..self.config.n_layers {
            turn(self.breathe).await;
            layers.push(read(index)?);
        }
        turn(self.breathe).await;
        Ok(layers)
    }

    fn llama_layer(&self, index: usize) -> Result<LayerWeights, CheckpointError> {
        let (config, made_of) = (self.config, self.config.architecture);
        let (d, ff) = (config.hidden_size, config.intermediate_size);
        let (q_width, kv_width) = (config.q_width(), config.kv_width());
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let linear = |part: &str, (rows, cols), has_bias: bool| {
            let weight = self
                .source
                .matrix(&name(&format!("{part}.weight")), rows, cols)?;
            let bias = name(&format!("{part}.bias"));
            let bias = has_bias
                .then(|| self.source.vector(&bias, rows))
                .transpose()?;
            Ok::<Linear, CheckpointError>(Linear { weight, bias })
        };
        let head_norm = |part: &str| self.source.vector(&name(part), config.head_dim);
        let qk_norms = || {
            let [q, k] = ["q", "k"].map(|part| format!("self_attn.{part}_norm.weight"));
            Ok::<_, CheckpointError>([head_norm(&q)?, head_norm(&k)?])
        };
        let gate = || linear("mlp.gate_proj", (ff, d), made_of.mlp_bias);
        Ok(LayerWeights {
            attention_norm: self.norm(&name("input_layernorm"))?,
            q: linear("self_attn.q_proj", (q_width, d), made_of.qkv_bias)?,
            k: linear("self_attn.k_proj", (kv_width, d), made_of.qkv_bias)?,
            v: linear("self_attn.v_proj", (kv_width, d), made_of.qkv_bias)?,
            qk_norm: made_of.qk_norm.then(qk_norms).transpose()?,
            o: linear("self_attn.o_proj", (d, q_width), made_of.output_bias)?,
            mlp_norm: self.norm(&name("post_attention_layernorm"))?,
            gate: (made_of.mlp == Mlp::SwiGlu).then(gate).transpose()?,
            up: linear("mlp.up_proj", (ff, d), made_of.mlp_bias)?,
            down: linear("mlp.down_proj", (d, ff), made_of.mlp_bias)?,
        })
    }

    /// GPT-2's tensors do not lie as the engines read them, so every matrix is copied, and the file
    /// may go when it is read.
    async fn gpt2(&self) -> Result<Weights, CheckpointError> {
        let config = self.config;
        let (vocab_size, d) = (config.vocab_size, config.hidden_size);
        let is_prefixed = self.source.tensor("transformer.wte.weight")?.is_some();
        let prefix = if is_prefixed { "transformer." } else { "" };
        let embedding = self
            .source
            .matrix(&format!("{prefix}wte.weight"), vocab_size, d)?;
        let positions = self.learned_positions(&format!("{prefix}wpe.weight"))?;
        Ok(Weights {
            format: WeightFormat::default(),
            embedding: embedding.detached(),
            positions: positions.map(|positions| positions.detached()),
            layers: self.layers(|index| self.gpt2_layer(prefix, index)).await?,
            final_norm: self.norm(&format!("{prefix}ln_f"))?,
            lm_head: self.lm_head()?.map(|head| head.detached()),
            end_classifier: self.end_classifier()?,
            contemplation: None,
        })
    }

    fn gpt2_layer(&self, prefix: &str, index: usize) -> Result<LayerWeights, CheckpointError> {
        let (d, ff) = (self.config.hidden_size, self.config.intermediate_size);
        let name = |part: &str| format!("{prefix}h.{index}.{part}");
        let linear = |part: &str, (rows, cols)| {
            let tensor = name(&format!("{part}.weight"));
            let weight = match self.source.has_conv1d() {
                true => self.source.matrix(&tensor, cols, rows)?.transposed(),
                false => self.source.matrix(&tensor, rows, cols)?.detached(),
            };
            let bias = Some(self.source.vector(&name(&format!("{part}.bias")), rows)?);
            Ok::<Linear, CheckpointError>(Linear { weight, bias })
        };
        let qkv = linear("attn.c_attn", (3 * d, d))?;
        let part = |index: usize| {
            let rows = index * d..(index + 1) * d;
            Linear {
                weight: qkv.weight.slice_rows(rows.clone()),
                bias: qkv.bias.as_ref().map(|bias| bias[rows].to_vec()),
            }
        };
        Ok(LayerWeights {
            attention_norm: self.norm(&name("ln_1"))?,
            q: part(0),
            k: part(1),
            v: part(2),
            qk_norm: None,
            o: linear("attn.c_proj", (d, d))?,
            mlp_norm: self.norm(&name("ln_2"))?,
            gate: None,
            up: linear("mlp.c_fc", (ff, d))?,
            down: linear("mlp.c_proj", (d, ff))?,
        })
    }

    fn norm(&self, name: &str) -> Result<NormWeights, CheckpointError> {
        let (d, norm) = (self.config.hidden_size, self.config.architecture.norm);
        let bias = || self.source.vector(&format!("{name}.bias"), d);
        Ok(NormWeights {
            gain: self.source.vector(&format!("{name}.weight"), d)?,
            bias: (norm == Norm::LayerNorm).then(bias).transpose()?,
        })
    }

    fn learned_positions(&self, name: &str) -> Result<Option<Matrix>, CheckpointError> {
        let config = self.config;
        let (n, d) = (config.max_position_embeddings, config.hidden_size);
        let is_learned = config.architecture.positions == Positions::Learned;
        is_learned
            .then(|| self.source.matrix(name, n, d))
            .transpose()
    }

    fn lm_head(&self) -> Result<Option<Matrix>, CheckpointError> {
        let (vocab_size, d) = (self.config.vocab_size, self.config.hidden_size);
        let head = || self.source.matrix("lm_head.weight", vocab_size, d);
        (!self.config.tie_word_embeddings).then(head).transpose()
    }

    /// Its two tensors, or neither.
    fn end_classifier(&self) -> Result<Option<EndClassifierWeights>, CheckpointError> {
        let half = |found, missing| CheckpointError::HalfEndClassifier { found, missing };
        let is_there = |name| Ok::<bool, CheckpointError>(self.source.tensor(name)?.is_some());
        match [is_there(END_WEIGHT)?, is_there(END_BIAS)?] {
            [false, false] => Ok(None),
            [true, false] => Err(half(END_WEIGHT, END_BIAS)),
            [false, true] => Err(half(END_BIAS, END_WEIGHT)),
            [true, true] => Ok(Some(EndClassifierWeights {
                weight: self.source.vector(END_WEIGHT, self.config.hidden_size)?,
                bias: self.source.vector(END_BIAS, 1)?[0],
            })),
        }
    }
}

/// What every source of tensors can be asked: a tensor of the shape that is asked for, all of it
/// finite.
pub(crate) trait Checked: TensorSource {
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        Ok(self.checked(name, &[len])?.to_f32().into_owned())
    }

    fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix, CheckpointError> {
        self.checked(name, &[rows, cols])
    }

    fn checked(&self, name: &str, expected: &[usize]) -> Result<Matrix, CheckpointError> {
        let missing = || CheckpointError::Missing {
            name: self.own_name(name),
            asked_by: self.asked_by(),
        };
        let tensor = self.tensor(name)?.ok_or_else(missing)?;
        if tensor.shape != expected {
            return Err(CheckpointError::Shape {
                name: self.own_name(name),
                expected: expected.to_vec(),
                found: tensor.shape,
            });
        }
        match tensor.values.first_non_finite() {
            Some((index, value)) => Err(CheckpointError::NonFinite {
                name: self.own_name(name),
                index,
                value,
            }),
            None => Ok(tensor.values),
        }
    }
}

impl<S: TensorSource> Checked for S {}
