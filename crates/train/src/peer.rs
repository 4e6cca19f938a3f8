//! A decoder as one writes it in burn, to measure this project's engines beside: greedy tokens with
//! a cache of keys and values, on burn's own operations alone.
//!
//! It is what a careful user of burn would write: q, k and v are one matmul and so are gate and up,
//! the cache is allocated once, the token that is chosen stays on the device and is fed from there,
//! and nothing is read before the end.

use anyhow::{Result, ensure};
use burn::tensor::{Device, Int, Tensor, TensorData, activation::softmax};
use latent_model::checkpoint::{Linear, Matrix};
use latent_model::config::{Mlp, ModelConfig, Norm};
use latent_model::model::Model;
use latent_model::reference::Frequencies;

use crate::Backend;
use crate::tensor_ops::read;

/// One layer; matrices are `[in, out]`, as burn's own linear layers keep them.
struct Layer {
    attention_norm: Tensor<2>,
    /// `[d, (H + 2·K)·c]` for H heads of queries and K of keys and values, c wide.
    qkv: Tensor<2>,
    o: Tensor<2>,
    mlp_norm: Tensor<2>,
    /// `[d, 2·f]`
    gate_up: Tensor<2>,
    down: Tensor<2>,
}

/// Keys and values of all layers, each `[B, K, T, c]`, and where B lanes stand.
#[derive(Clone)]
pub struct Cache {
    layers: Vec<[Tensor<4>; 2]>,
    n_positions: usize,
    /// What is fed next, `[B]`.
    next: Tensor<1, Int>,
}

/// A model on one of burn's backends.
pub struct BurnDecoder {
    config: ModelConfig,
    embedding: Tensor<2>,
    /// `[d, V]`
    head: Tensor<2>,
    layers: Vec<Layer>,
    final_norm: Tensor<2>,
    /// `[T, c/2]` each, of all positions
    rotations: [Tensor<2>; 2],
    device: Device,
}

impl BurnDecoder {
    /// Copies a model's weights to a backend, with room for `n_positions`.
    ///
    /// # Errors
    /// If the backend is not built in, or the model is not of Llama's architecture.
    pub fn new(model: &Model, backend: Backend, n_positions: usize) -> Result<Self> {
        let (config, weights) = (&model.config, &model.weights);
        let made_of = config.architecture;
        let is_llama = made_of.norm == Norm::RmsNorm
            && made_of.mlp == Mlp::SwiGlu
            && !(made_of.qkv_bias || made_of.qk_norm || made_of.output_bias || made_of.mlp_bias);
        let rope = config.rope().filter(|_| is_llama);
        ensure!(
            rope.is_some(),
            "the decoder in burn runs Llama's architecture, found {made_of:?}"
        );
        let device = backend.device()?;
        let frequencies = rope.map(|rope| Frequencies::new(config.head_dim, rope));
        let angles: Vec<_> = frequencies
            .iter()
            .flat_map(|frequencies| (0..n_positions).map(|position| frequencies.at(position)))
            .collect();
        let table = |rows: Vec<&Vec<f32>>| {
            let values: Vec<f32> = rows.into_iter().flatten().copied().collect();
            let shape = [n_positions, config.head_dim / 2];
            Tensor::from_data(TensorData::new(values, shape), &device)
        };
        let rotations = [
            table(angles.iter().map(|rotation| &rotation.cos).collect()),
            table(angles.iter().map(|rotation| &rotation.sin).collect()),
        ];
        let gain = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [1, values.len()]);
            Tensor::<2>::from_data(data, &device)
        };
        let layer = |layer: &latent_model::checkpoint::LayerWeights| Layer {
            attention_norm: gain(&layer.attention_norm.gain),
            qkv: transposed(&[&layer.q, &layer.k, &layer.v], &device),
            o: transposed(&[&layer.o], &device),
            mlp_norm: gain(&layer.mlp_norm.gain),
            gate_up: {
                let both: Vec<&Linear> = layer.gate.iter().chain([&layer.up]).collect();
                transposed(&both, &device)
            },
            down: transposed(&[&layer.down], &device),
        };
        let head = weights.lm_head.as_ref().unwrap_or(&weights.embedding);
        Ok(Self {
            config: config.clone(),
            embedding: matrix(&weights.embedding, &device),
            head: contiguous_transpose(matrix(head, &device)),
            layers: weights.layers.iter().map(layer).collect(),
            final_norm: gain(&weights.final_norm.gain),
            rotations,
            device,
        })
    }

    /// Feeds a prompt to `n_lanes` lanes; its last token's choice is what comes next.
    pub fn begin(&self, prompt: &[u32], n_lanes: usize) -> Cache {
        let config = &self.config;
        let n_positions = self.rotations[0].dims()[0];
        let shape = [n_lanes, config.n_kv_heads, n_positions, config.head_dim];
        let empty = || Tensor::<4>::zeros(shape, &self.device);
        let mut cache = Cache {
            layers: self.layers.iter().map(|_| [empty(), empty()]).collect(),
            n_positions: 0,
            next: Tensor::zeros([n_lanes], &self.device),
        };
        for &token in prompt {
            cache.next = Tensor::full([n_lanes], token as i64, &self.device);
            self.step(&mut cache);
        }
        cache
    }

    /// Decodes `n_tokens` more tokens of every lane and reads them, lane by lane.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn decode(&self, cache: &mut Cache, n_tokens: usize) -> Result<Vec<Vec<u32>>> {
        let mut chosen = Vec::new();
        for _ in 0..n_tokens {
            chosen.push(cache.next.clone());
            self.step(cache);
        }
        let n_lanes = cache.next.dims()[0];
        let all = read(vec![Tensor::cat(chosen, 0).float()]).await?;
        let of_lane = |lane: usize| all[0].iter().skip(lane).step_by(n_lanes);
        let ids = (0..n_lanes).map(|lane| of_lane(lane).map(|&id| id as u32).collect());
        Ok(ids.collect())
    }

    /// Feeds every lane what it chose, and chooses again.
    fn step(&self, cache: &mut Cache) {
        let config = &self.config;
        let position = cache.n_positions;
        let mut residual = self.embedding.clone().select(0, cache.next.clone());
        for (layer, cached) in self.layers.iter().zip(&mut cache.layers) {
            let normed = self.norm(residual.clone(), &layer.attention_norm);
            let mixed = self.attend(normed.matmul(layer.qkv.clone()), cached, position);
            residual = residual + mixed.matmul(layer.o.clone());
            let normed = self.norm(residual.clone(), &layer.mlp_norm);
            let both = normed.matmul(layer.gate_up.clone());
            let gate = both.clone().narrow(1, 0, config.intermediate_size);
            let up = both.narrow(1, config.intermediate_size, config.intermediate_size);
            let gated = burn::tensor::activation::silu(gate) * up;
            residual = residual + gated.matmul(layer.down.clone());
        }
        let logits = self
            .norm(residual, &self.final_norm)
            .matmul(self.head.clone());
        let n_lanes = logits.dims()[0];
        cache.next = logits.argmax(1).reshape([n_lanes]);
        cache.n_positions += 1;
    }

    /// Attention of the newest position, `qkv` `[B, (H + 2·K)·c]`, to itself and those before.
    fn attend(&self, qkv: Tensor<2>, cached: &mut [Tensor<4>; 2], position: usize) -> Tensor<2> {
        let config = &self.config;
        let (n_kv, c) = (config.n_kv_heads, config.head_dim);
        let (q_width, kv_width) = (config.q_width(), config.kv_width());
        let n_lanes = qkv.dims()[0];
        let q = qkv.clone().narrow(1, 0, q_width);
        let q = self.turned(
            q.reshape([n_lanes, n_kv, config.n_heads / n_kv, c]),
            position,
        );
        let k = qkv.clone().narrow(1, q_width, kv_width);
        let k = self.turned(k.reshape([n_lanes, n_kv, 1, c]), position);
        let v = qkv.narrow(1, q_width + kv_width, kv_width);
        let place = [0..n_lanes, 0..n_kv, position..position + 1, 0..c];
        for (cached, newest) in cached.iter_mut().zip([k, v.reshape([n_lanes, n_kv, 1, c])]) {
            *cached = cached.clone().slice_assign(place.clone(), newest);
        }
        let [keys, values] = cached
            .each_ref()
            .map(|all| all.clone().narrow(2, 0, position + 1));
        let scores = q
            .matmul(keys.swap_dims(2, 3))
            .mul_scalar((c as f32).powf(-0.5));
        softmax(scores, 3)
            .matmul(values)
            .reshape([n_lanes, q_width])
    }

    /// RoPE in every head of `[B, …, c]` at one position.
    fn turned(&self, x: Tensor<4>, position: usize) -> Tensor<4> {
        let half = self.config.head_dim / 2;
        let [cos, sin] = self.rotations.each_ref().map(|table| {
            let row = table.clone().narrow(0, position, 1);
            row.reshape([1, 1, 1, half])
        });
        let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let first = a.clone() * cos.clone() - b.clone() * sin.clone();
        Tensor::cat(vec![first, b * cos + a * sin], 3)
    }

    fn norm(&self, x: Tensor<2>, gain: &Tensor<2>) -> Tensor<2> {
        let mean = x.clone().square().mean_dim(1);
        x * (mean + self.config.norm_eps).sqrt().recip() * gain.clone()
    }
}

fn matrix(matrix: &Matrix, device: &Device) -> Tensor<2> {
    let data = TensorData::new(matrix.to_f32().into_owned(), [matrix.rows, matrix.cols]);
    Tensor::from_data(data, device)
}

/// `[out, in]` as `[in, out]` in memory too.
fn contiguous_transpose(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let device = matrix.device();
    // Adding to zeros makes a tensor of its own.
    Tensor::zeros([columns, rows], &device) + matrix.transpose()
}

/// Matrices below one another, turned.
fn transposed(linears: &[&Linear], device: &Device) -> Tensor<2> {
    let all = linears.iter().map(|linear| matrix(&linear.weight, device));
    contiguous_transpose(Tensor::cat(all.collect(), 0))
}
