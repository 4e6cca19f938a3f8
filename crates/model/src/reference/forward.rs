//! The forward pass of a model at one position, in plain Rust, read from top to bottom.

use std::pin::Pin;

use super::ops::{Frequencies, Precision, Rotation, add, gelu, sigmoid, silu, softmax};
use crate::{
    checkpoint::{LayerWeights, NormWeights, Weights},
    config::ModelConfig,
    input::Input,
    program::Adapter,
};

/// Keys and values of the positions that a lane has seen.
#[derive(Clone, Debug)]
pub struct KvCache {
    /// One per layer.
    layers: Vec<LayerCache>,
}

#[derive(Clone, Debug, Default)]
struct LayerCache {
    /// (position, n_kv_heads · head_dim), turned
    keys: Vec<f32>,
    /// (position, n_kv_heads · head_dim)
    values: Vec<f32>,
}

impl KvCache {
    /// No positions yet.
    pub fn new(n_layers: usize) -> Self {
        Self {
            layers: vec![LayerCache::default(); n_layers],
        }
    }

    /// Forgets every position from `n_positions` on.
    pub fn truncate(&mut self, config: &ModelConfig, n_positions: usize) {
        let n_values = n_positions * config.kv_width();
        for layer in &mut self.layers {
            layer.keys.truncate(n_values);
            layer.values.truncate(n_values);
        }
    }
}

/// Lets others have their turn on a thread that this work shares with them, as a page's does; it is
/// asked after every part of a pass.
pub type Breathe = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// Rows of the head between two such turns.
const HEAD_ROWS_AT_ONCE: usize = 2048;

/// A model bound to the way in which it adds.
#[derive(Clone, Debug)]
pub struct Forward {
    precision: Precision,
    breathe: Option<Breathe>,
    /// `None` where positions are learned.
    frequencies: Option<Frequencies>,
}

impl Forward {
    /// What the model's positions need.
    pub fn new(config: &ModelConfig, precision: Precision) -> Self {
        let rope = config.rope();
        Self {
            precision,
            breathe: None,
            frequencies: rope.map(|rope| Frequencies::new(config.head_dim, rope)),
        }
    }

    /// The same, with turns for others.
    pub fn with_breaks(self, breathe: Option<Breathe>) -> Self {
        Self { breathe, ..self }
    }

    async fn breathe(&self) {
        if let Some(breathe) = self.breathe {
            breathe().await;
        }
    }

    /// The vector that enters the first layer at a position, (d).
    pub fn embed(&self, weights: &Weights, input: &Input, position: usize) -> Vec<f32> {
        let mut x = self.vector(weights, input);
        if let Some(positions) = &weights.positions {
            add(&mut x, &positions.row(position));
        }
        x
    }

    /// The vector that an input stands for wherever it is fed, (d).
    pub fn vector(&self, weights: &Weights, input: &Input) -> Vec<f32> {
        match input {
            Input::Token(id) => weights.embedding.row(*id as usize).into_owned(),
            Input::Mixture(mixture) => {
                let mut x = vec![0.0; weights.embedding.cols];
                for &(id, weight) in mixture {
                    let row = weights.embedding.row(id as usize);
                    x.iter_mut()
                        .zip(row.iter())
                        .for_each(|(x, e)| *x += weight * e);
                }
                x
            }
            Input::Vector(vector) => vector.clone(),
        }
    }

    /// Runs one position through all layers of an adapter; returns the hidden state after the final norm, (d).
    ///
    /// `on_layer` sees the residual stream, (d), after each layer, and may change it.
    pub async fn position(
        &self,
        config: &ModelConfig,
        (weights, adapter): (&Weights, Adapter),
        cache: &mut KvCache,
        position: usize,
        mut x: Vec<f32>,
        mut on_layer: impl FnMut(usize, &mut [f32]),
    ) -> Vec<f32> {
        let frequencies = self.frequencies.as_ref();
        let rotation = frequencies.map(|frequencies| frequencies.at(position));
        for (index, layer) in weights.layers_under(adapter).iter().enumerate() {
            let cache = &mut cache.layers[index];
            let attended = self.attention(config, layer, cache, rotation.as_ref(), &x);
            add(&mut x, &attended);
            let expanded = self.mlp(config, layer, &x);
            add(&mut x, &expanded);
            on_layer(index, &mut x);
            self.breathe().await;
        }
        self.final_norm(config, weights, &x)
    }

    /// The state that the LM head reads, (d), of the residual stream after a layer: the last one,
    /// or any other where the logit lens looks at it.
    pub fn final_norm(&self, config: &ModelConfig, weights: &Weights, x: &[f32]) -> Vec<f32> {
        self.norm(config, x, &weights.final_norm)
    }

    fn norm(&self, config: &ModelConfig, x: &[f32], weights: &NormWeights) -> Vec<f32> {
        let norm = config.architecture.norm;
        self.precision.norm(norm, x, weights, config.norm_eps)
    }

    /// A contemplation token, (d), from the state after its layer.
    pub fn contemplation(
        &self,
        config: &ModelConfig,
        weights: &Weights,
        state: Vec<f32>,
    ) -> Vec<f32> {
        let set = weights.contemplation.as_ref();
        let Some(map) = set.and_then(|set| set.input_map.as_ref()) else {
            return state;
        };
        let gain = vec![map.scale; state.len()];
        let normed = self.precision.rms_norm(&state, &gain, config.norm_eps);
        let mut x = self.precision.matvec(&map.weight, &normed);
        add(&mut x, &map.bias);
        x
    }

    /// logits = W_head · h, (V).
    pub fn logits(&self, weights: &Weights, hidden: &[f32]) -> Vec<f32> {
        self.precision.matvec(weights.head(), hidden)
    }

    /// The same, with turns for others between its parts.
    pub async fn logits_in_turns(&self, weights: &Weights, hidden: &[f32]) -> Vec<f32> {
        let head = weights.head();
        let mut logits = Vec::with_capacity(head.rows);
        for first in (0..head.rows).step_by(HEAD_ROWS_AT_ONCE) {
            let rows = first..(first + HEAD_ROWS_AT_ONCE).min(head.rows);
            logits.extend(self.precision.matvec(&head.slice_rows(rows), hidden));
            self.breathe().await;
        }
        logits
    }

    /// σ(w · h + b), where there is a classifier for inputs that ran under `adapter`.
    pub fn end_probability(
        &self,
        (weights, adapter): (&Weights, Adapter),
        hidden: &[f32],
    ) -> Option<f32> {
        let classifier = weights.end_classifier_under(adapter)?;
        let product = self.precision.dot(&classifier.weight, hidden);
        Some(sigmoid(product + classifier.bias))
    }

    /// Causal grouped-query attention of the newest position over the cache; returns (d).
    fn attention(
        &self,
        config: &ModelConfig,
        layer: &LayerWeights,
        cache: &mut LayerCache,
        rotation: Option<&Rotation>,
        x: &[f32],
    ) -> Vec<f32> {
        let precision = self.precision;
        let normed = self.norm(config, x, &layer.attention_norm);
        let mut q = precision.linear(&layer.q, &normed);
        let mut k = precision.linear(&layer.k, &normed);
        if let Some([q_gain, k_gain]) = &layer.qk_norm {
            for (heads, gain) in [(&mut q, q_gain), (&mut k, k_gain)] {
                for head in heads.chunks_exact_mut(config.head_dim) {
                    head.copy_from_slice(&precision.rms_norm(head, gain, config.norm_eps));
                }
            }
        }
        if let Some(rotation) = rotation {
            rotation.turn(&mut q);
            rotation.turn(&mut k);
        }
        cache.keys.extend_from_slice(&k);
        cache.values.extend(precision.linear(&layer.v, &normed));

        let (head_dim, kv_width) = (config.head_dim, config.kv_width());
        let heads_per_kv_head = config.n_heads / config.n_kv_heads;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut mixed = vec![0.0; q.len()];
        for (head, (q, out)) in q
            .chunks_exact(head_dim)
            .zip(mixed.chunks_exact_mut(head_dim))
            .enumerate()
        {
            let offset = head / heads_per_kv_head * head_dim;
            let at_head = offset..offset + head_dim;
            let rows = cache.keys.chunks_exact(kv_width);
            let mut weights: Vec<f32> = rows
                .map(|row| scale * precision.dot(q, &row[at_head.clone()]))
                .collect();
            softmax(&mut weights);
            for (row, weight) in cache.values.chunks_exact(kv_width).zip(weights) {
                let value = &row[at_head.clone()];
                out.iter_mut()
                    .zip(value)
                    .for_each(|(out, v)| *out += weight * v);
            }
        }
        precision.linear(&layer.o, &mixed)
    }

    /// W_down (silu(W_gate x) ⊙ W_up x), or W_down gelu(W_up x) where there is no gate, on the normed
    /// input; returns (d).
    fn mlp(&self, config: &ModelConfig, layer: &LayerWeights, x: &[f32]) -> Vec<f32> {
        let precision = self.precision;
        let normed = self.norm(config, x, &layer.mlp_norm);
        let gate = layer.gate.as_ref();
        let gate = gate.map(|gate| precision.linear(gate, &normed));
        let up = precision.linear(&layer.up, &normed);
        let expanded: Vec<f32> = match gate {
            Some(gate) => gate.iter().zip(up).map(|(g, up)| silu(*g) * up).collect(),
            None => up.into_iter().map(gelu).collect(),
        };
        precision.linear(&layer.down, &expanded)
    }
}
