//! The Llama architecture in burn, shaped for many questions about one shared graph.
//!
//! It computes what Hugging Face's `LlamaForCausalLM` computes on the sequence
//! `graph · question · thoughts · answer`, but the graph's keys and values are computed once and
//! all its questions attend to them without a copy. Shapes: G graphs, Q questions a graph,
//! n new positions a question, T graph positions, m positions a question has seen, H heads,
//! c head dimension, d hidden size, V vocabulary.

use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::parameters::{LayerTensors, Parameters};

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

/// Keys and values of the graphs' statements, shared by all questions of a graph.
pub struct GraphCache {
    /// One (keys, values) pair a layer, each `[G, H, T, c]`.
    layers: Vec<(Tensor<4>, Tensor<4>)>,
    /// 0 where a statement stands, −1e9 on padding: `[G, 1, 1, T]`.
    padding: Tensor<4>,
}

/// Keys and values of each question's own positions so far.
#[derive(Clone, Default)]
pub struct QuestionCache {
    /// One (keys, values) pair a layer, each `[G, H, Q, m, c]`; empty before the first position.
    layers: Vec<(Tensor<5>, Tensor<5>)>,
    /// m.
    pub n_positions: usize,
}

/// The residual stream after the positions of one call.
pub struct Residuals {
    /// After the last layer, `[G·Q·n, d]`, before the final norm.
    pub last: Tensor<2>,
    /// After each layer, the same shape.
    pub by_layer: Vec<Tensor<2>>,
}

/// Cosines and sines for the new positions, each `[G, 1, n, 1, c/2]`.
struct Angles {
    cos: Tensor<5>,
    sin: Tensor<5>,
}

/// A model ready to compute: sizes, and parameters on a device.
pub struct Llama<'a> {
    /// The sizes.
    pub config: &'a LlamaConfig,
    /// The weights, tracked by autodiff when a step is being trained.
    pub parameters: Parameters,
    /// Where everything is computed.
    pub device: Device,
}

impl Llama<'_> {
    /// Input vectors of mixtures of tokens: `[N, V]` weights to `[N, d]`. A token is a one-hot row.
    pub fn embed(&self, weights: Tensor<2>) -> Tensor<2> {
        weights.matmul(self.parameters.embedding.clone())
    }

    /// The final norm of residuals `[N, d]`: what Coconut feeds back, and what the head reads.
    pub fn final_norm(&self, residual: Tensor<2>) -> Tensor<2> {
        self.rms_norm(residual, self.parameters.final_norm.clone())
    }

    /// Logits `[N, V]` of normed states `[N, d]`; the head is the embedding table.
    pub fn logits(&self, normed: Tensor<2>) -> Tensor<2> {
        normed.matmul(self.parameters.embedding.clone().transpose())
    }

    /// Reads the statements, `inputs` `[G·T, d]`, and keeps their keys and values.
    ///
    /// `lengths` are the numbers of positions that are not padding. The last layer is cut short
    /// after its keys and values, because nothing reads the statements' outputs.
    pub fn read_graphs(&self, inputs: Tensor<2>, lengths: &[usize]) -> GraphCache {
        let n_graphs = lengths.len();
        let n_positions = inputs.dims()[0] / n_graphs;
        let angles = self.angles(&vec![0; n_graphs], 0, n_positions);
        let padding = self.padding(lengths, n_positions);
        let causal = self.causal_mask(n_positions, n_positions);
        let mut residual = inputs;
        let mut layers = Vec::new();
        for (index, layer) in self.parameters.layers.iter().enumerate() {
            let dims = [n_graphs, 1, n_positions];
            let [q, k, v] = self.project(&residual, layer, dims, &angles);
            if index + 1 < self.config.n_layers {
                let scores = self.scores(q, k.clone()) + causal.clone();
                let mixed = softmax(scores, 4).matmul(v.clone());
                residual = self.finish_layer(residual, mixed, layer);
            }
            layers.push((k.squeeze_dim(2), v.squeeze_dim(2)));
        }
        GraphCache { layers, padding }
    }

    /// Computes n new positions of every question, `inputs` `[G·Q·n, d]`, and grows `own`.
    ///
    /// Each position sees its graph, its question's earlier positions and itself.
    pub fn extend(
        &self,
        inputs: Tensor<2>,
        graph: &GraphCache,
        graph_lengths: &[usize],
        n_questions: usize,
        own: &mut QuestionCache,
    ) -> Residuals {
        let n_graphs = graph_lengths.len();
        let n_new = inputs.dims()[0] / (n_graphs * n_questions);
        let dims = [n_graphs, n_questions, n_new];
        let angles = self.angles(graph_lengths, own.n_positions, n_new);
        let causal = self.causal_mask(n_new, own.n_positions + n_new);
        let mut residual = inputs;
        let mut by_layer = Vec::new();
        for (index, layer) in self.parameters.layers.iter().enumerate() {
            let [q, k, v] = self.project(&residual, layer, dims, &angles);
            let (k, v) = own.grow(index, k, v);
            let mixed = self.attend(q, &graph.layers[index], &graph.padding, k, v, &causal);
            residual = self.finish_layer(residual, mixed, layer);
            by_layer.push(residual.clone());
        }
        own.n_positions += n_new;
        Residuals {
            last: residual,
            by_layer,
        }
    }

    /// Queries, keys and values of `[G·Q·n, d]` residuals, each `[G, H, Q, n, c]`; queries are
    /// scaled by 1/√c, queries and keys are turned.
    fn project(
        &self,
        residual: &Tensor<2>,
        layer: &LayerTensors,
        [n_graphs, n_questions, n_new]: [usize; 3],
        angles: &Angles,
    ) -> [Tensor<5>; 3] {
        let (n_heads, c) = (self.config.n_heads, self.config.head_dim);
        let normed = self.rms_norm(residual.clone(), layer.attention_norm.clone());
        let all = normed
            .matmul(layer.qkv.clone().transpose())
            .reshape([n_graphs, n_questions, n_new, 3 * n_heads, c]);
        let turned = turn(all.clone().narrow(3, 0, 2 * n_heads), angles).permute([0, 3, 1, 2, 4]);
        let q = turned.clone().narrow(1, 0, n_heads);
        let k = turned.narrow(1, n_heads, n_heads);
        let v = all.narrow(3, 2 * n_heads, n_heads).permute([0, 3, 1, 2, 4]);
        [q, k, v]
    }

    /// Attention of queries `[G, H, Q, n, c]` to the graph and to the question's own positions
    /// (`k`, `v`: `[G, H, Q, m, c]`), one softmax over both; gives `[G, H, Q, n, c]`.
    fn attend(
        &self,
        q: Tensor<5>,
        (graph_k, graph_v): &(Tensor<4>, Tensor<4>),
        padding: &Tensor<4>,
        k: Tensor<5>,
        v: Tensor<5>,
        causal: &Tensor<5>,
    ) -> Tensor<5> {
        let [n_graphs, n_heads, n_questions, n_new, c] = q.dims();
        let (n_statement_tokens, n_own) = (graph_k.dims()[2], k.dims()[3]);
        let rows = n_questions * n_new;
        let own_scores = self.scores(q.clone(), k) + causal.clone();
        let q_rows = q.reshape([n_graphs, n_heads, rows, c]);
        let scale = (c as f64).powf(-0.5);
        let graph_scores = q_rows
            .matmul(graph_k.clone().swap_dims(2, 3))
            .mul_scalar(scale)
            + padding.clone();
        let own_scores = own_scores.reshape([n_graphs, n_heads, rows, n_own]);
        let weights = softmax(Tensor::cat(vec![graph_scores, own_scores], 3), 3);
        let from_graph = weights
            .clone()
            .narrow(3, 0, n_statement_tokens)
            .matmul(graph_v.clone())
            .reshape([n_graphs, n_heads, n_questions, n_new, c]);
        let from_own = weights
            .narrow(3, n_statement_tokens, n_own)
            .reshape([n_graphs, n_heads, n_questions, n_new, n_own])
            .matmul(v);
        from_graph + from_own
    }

    /// Scaled dot products `[.., n, m]` of queries `[.., n, c]` and keys `[.., m, c]`.
    fn scores(&self, q: Tensor<5>, k: Tensor<5>) -> Tensor<5> {
        let scale = (self.config.head_dim as f64).powf(-0.5);
        q.matmul(k.swap_dims(3, 4)).mul_scalar(scale)
    }

    /// Adds the attention's output (from `[G, H, Q, n, c]`), then the SwiGLU's, to the residual.
    fn finish_layer(
        &self,
        residual: Tensor<2>,
        mixed: Tensor<5>,
        layer: &LayerTensors,
    ) -> Tensor<2> {
        let width = self.config.n_heads * self.config.head_dim;
        let n_rows = residual.dims()[0];
        let mixed = mixed.permute([0, 2, 3, 1, 4]).reshape([n_rows, width]);
        let residual = residual + mixed.matmul(layer.o.clone().transpose());
        let normed = self.rms_norm(residual.clone(), layer.mlp_norm.clone());
        let f = self.config.intermediate_size;
        let both = normed.matmul(layer.gate_up.clone().transpose());
        let gated = silu(both.clone().narrow(1, 0, f)) * both.narrow(1, f, f);
        residual + gated.matmul(layer.down.clone().transpose())
    }

    /// x / √(mean x² + ε) · gain, for `[N, d]` rows and a `[1, d]` gain.
    fn rms_norm(&self, x: Tensor<2>, gain: Tensor<2>) -> Tensor<2> {
        let mean_square = x.clone().square().mean_dim(1);
        let inverse = mean_square
            .add_scalar(self.config.rms_norm_eps)
            .sqrt()
            .recip();
        x * inverse * gain
    }

    /// Angles of the positions `starts[g] + offset ..` of graph g.
    fn angles(&self, starts: &[usize], offset: usize, n_new: usize) -> Angles {
        let half = self.config.head_dim / 2;
        let mut cos = Vec::with_capacity(starts.len() * n_new * half);
        let mut sin = Vec::with_capacity(cos.capacity());
        for start in starts {
            for position in start + offset..start + offset + n_new {
                for i in 0..half {
                    let exponent = -(i as f64) / half as f64;
                    let angle = position as f64 * self.config.rope_theta.powf(exponent);
                    cos.push(angle.cos() as f32);
                    sin.push(angle.sin() as f32);
                }
            }
        }
        let shape = [starts.len(), 1, n_new, 1, half];
        Angles {
            cos: Tensor::from_data(TensorData::new(cos, shape), &self.device),
            sin: Tensor::from_data(TensorData::new(sin, shape), &self.device),
        }
    }

    /// 0 where new position i may see own position j, −1e9 after it: `[1, 1, 1, n, m]`.
    fn causal_mask(&self, n_new: usize, n_own: usize) -> Tensor<5> {
        let n_before = n_own - n_new;
        let mask: Vec<f32> = (0..n_new)
            .flat_map(|i| (0..n_own).map(move |j| if j <= n_before + i { 0.0 } else { -1e9 }))
            .collect();
        Tensor::from_data(
            TensorData::new(mask, [1, 1, 1, n_new, n_own]),
            &self.device,
        )
    }

    fn padding(&self, lengths: &[usize], n_positions: usize) -> Tensor<4> {
        let mask: Vec<f32> = lengths
            .iter()
            .flat_map(|&length| {
                (0..n_positions).map(move |i| if i < length { 0.0 } else { -1e9 })
            })
            .collect();
        Tensor::from_data(
            TensorData::new(mask, [lengths.len(), 1, 1, n_positions]),
            &self.device,
        )
    }
}

impl QuestionCache {
    /// Appends one layer's new keys and values and gives all of them.
    fn grow(&mut self, layer: usize, k: Tensor<5>, v: Tensor<5>) -> (Tensor<5>, Tensor<5>) {
        if layer == self.layers.len() {
            self.layers.push((k, v));
        } else {
            let (old_k, old_v) = self.layers[layer].clone();
            self.layers[layer] = (Tensor::cat(vec![old_k, k], 3), Tensor::cat(vec![old_v, v], 3));
        }
        self.layers[layer].clone()
    }
}

/// Rotary embedding, Hugging Face's `rotate_half` convention, on `[G, Q, n, heads, c]`.
fn turn(x: Tensor<5>, angles: &Angles) -> Tensor<5> {
    let half = x.dims()[4] / 2;
    let (a, b) = (x.clone().narrow(4, 0, half), x.narrow(4, half, half));
    let turned_a = a.clone() * angles.cos.clone() - b.clone() * angles.sin.clone();
    let turned_b = b * angles.cos.clone() + a * angles.sin.clone();
    Tensor::cat(vec![turned_a, turned_b], 4)
}
