//! The weights of a model: its sizes, how they start, and the order in which they are listed.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The sizes of a model, as they stand in the TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// d, the width of the residual stream.
    pub hidden_size: usize,
    /// Transformer blocks.
    pub n_layers: usize,
    /// H; every head has keys and values of its own.
    pub n_heads: usize,
    /// c; H·c need not be d. Sets of nodes need wide heads (64).
    pub head_dim: usize,
    /// Width of the SwiGLU.
    pub intermediate_size: usize,
    /// Base of the rotary angles; at 1e6 most of a head is nearly free of position.
    pub rope_theta: f64,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
}

/// One layer's weights. Matrices are `[out, in]`, as in Hugging Face's files.
#[derive(Clone)]
pub struct LayerTensors {
    /// Gain before attention, `[1, d]`.
    pub attention_norm: Tensor<2>,
    /// Query, key and value projections below one another, `[3·H·c, d]`.
    pub qkv: Tensor<2>,
    /// Output projection, `[d, H·c]`.
    pub o: Tensor<2>,
    /// Gain before the SwiGLU, `[1, d]`.
    pub mlp_norm: Tensor<2>,
    /// Gate and up projections below one another, `[2·f, d]`.
    pub gate_up: Tensor<2>,
    /// Down projection, `[d, f]`.
    pub down: Tensor<2>,
}

/// All weights of a model.
#[derive(Clone)]
pub struct Parameters {
    /// `[V, d]`, also the head.
    pub embedding: Tensor<2>,
    /// The blocks in order.
    pub layers: Vec<LayerTensors>,
    /// Gain of the final norm, `[1, d]`.
    pub final_norm: Tensor<2>,
}

/// The name of the embedding table.
pub const EMBEDDING: &str = "embedding";

/// One weight of a list, with what an optimizer and a file have to know of it.
#[derive(Clone)]
pub struct Weight {
    /// Its name, such as `layers.0.qkv`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its numbers.
    pub tensor: Tensor<2>,
}

/// What kind of weight a tensor is, which decides how it is optimized and exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The embedding table.
    Embedding,
    /// A gain.
    Norm,
    /// This many matrices below one another.
    Matrices(usize),
}

impl Parameters {
    /// V, the number of tokens.
    pub fn n_tokens(&self) -> usize {
        self.embedding.dims()[0]
    }

    /// Starts with all scales matched, so that an output can be fed back as an input.
    ///
    /// With s = d^(−1/4): embeddings N(0, s²) and final gain s, which gives a pure token the
    /// logit √d; matrices N(0, 1/fan_in); those that write to the residual times s/√(2L).
    pub fn init(config: &LlamaConfig, n_tokens: usize, seed: u64, device: &Device) -> Parameters {
        let mut random = Random::new(seed);
        let d = config.hidden_size;
        let (width, f) = (config.n_heads * config.head_dim, config.intermediate_size);
        let scale = (d as f64).powf(-0.25);
        let into_residual = scale / (2.0 * config.n_layers as f64).sqrt();
        let mut normal = |rows: usize, columns: usize, std: f64| {
            let values: Vec<f32> = (0..rows * columns)
                .map(|_| (random.normal() * std) as f32)
                .collect();
            Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), device)
        };
        let fan_in = |n: usize| (n as f64).powf(-0.5);
        let gain = |value: f64| Tensor::<2>::full([1, d], value, device);
        let embedding = normal(n_tokens, d, scale);
        let layers = (0..config.n_layers)
            .map(|_| LayerTensors {
                attention_norm: gain(1.0),
                qkv: normal(3 * width, d, fan_in(d)),
                o: normal(d, width, fan_in(width) * into_residual),
                mlp_norm: gain(1.0),
                gate_up: normal(2 * f, d, fan_in(d)),
                down: normal(d, f, fan_in(f) * into_residual),
            })
            .collect();
        Parameters {
            embedding,
            layers,
            final_norm: gain(scale),
        }
    }

    /// Every weight, in a fixed order.
    pub fn weights(&self) -> Vec<Weight> {
        let mut all = Vec::new();
        let mut add = |name: String, kind, tensor: &Tensor<2>| {
            let tensor = tensor.clone();
            all.push(Weight { name, kind, tensor });
        };
        add(EMBEDDING.into(), Kind::Embedding, &self.embedding);
        for (index, layer) in self.layers.iter().enumerate() {
            let name = |part: &str| format!("layers.{index}.{part}");
            add(name("attention_norm"), Kind::Norm, &layer.attention_norm);
            add(name("qkv"), Kind::Matrices(3), &layer.qkv);
            add(name("o"), Kind::Matrices(1), &layer.o);
            add(name("mlp_norm"), Kind::Norm, &layer.mlp_norm);
            add(name("gate_up"), Kind::Matrices(2), &layer.gate_up);
            add(name("down"), Kind::Matrices(1), &layer.down);
        }
        add("final_norm".into(), Kind::Norm, &self.final_norm);
        all
    }

    /// Replaces every tensor by `f` of it, in the order of [`Parameters::weights`].
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn try_map<E>(
        self,
        mut f: impl FnMut(Tensor<2>) -> Result<Tensor<2>, E>,
    ) -> Result<Parameters, E> {
        let embedding = f(self.embedding)?;
        let mut layers = Vec::new();
        for layer in self.layers {
            layers.push(LayerTensors {
                attention_norm: f(layer.attention_norm)?,
                qkv: f(layer.qkv)?,
                o: f(layer.o)?,
                mlp_norm: f(layer.mlp_norm)?,
                gate_up: f(layer.gate_up)?,
                down: f(layer.down)?,
            });
        }
        Ok(Parameters {
            embedding,
            layers,
            final_norm: f(self.final_norm)?,
        })
    }

    /// [`Parameters::try_map`] for an `f` that cannot fail.
    pub fn map(self, mut f: impl FnMut(Tensor<2>) -> Tensor<2>) -> Parameters {
        let mapped = self.try_map(|tensor| Ok::<_, std::convert::Infallible>(f(tensor)));
        match mapped {
            Ok(parameters) => parameters,
            Err(never) => match never {},
        }
    }

    /// The same model with these tensors, which are in the order of [`Parameters::weights`].
    pub fn replaced(self, tensors: Vec<Tensor<2>>) -> Parameters {
        let mut tensors = tensors.into_iter();
        self.map(|_| tensors.next().expect("there is one tensor for each weight"))
    }

    /// The same weights as leaves of a new autodiff graph.
    pub fn tracked(&self) -> Parameters {
        self.clone().map(|tensor| tensor.autodiff().require_grad())
    }

    /// How many numbers the model has.
    pub fn count(&self) -> usize {
        let weights = self.weights();
        let counts = weights.iter().map(|w| w.tensor.shape().num_elements());
        counts.sum()
    }
}
