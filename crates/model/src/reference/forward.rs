//! The forward pass of a model, in plain Rust, read from top to bottom.

use super::{
    attention::{HeadRows, mix},
    ops::{Frequencies, Precision, Rotation, add, gelu, sigmoid, silu, softmax},
};
use crate::{
    checkpoint::{LayerWeights, Linear, Matrix, NormWeights, Weights},
    config::ModelConfig,
    input::Input,
    program::Adapter,
    turns::{Breathe, at_once, parts, turn},
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

    /// Positions that it holds.
    pub fn n_positions(&self, config: &ModelConfig) -> usize {
        let layer = self.layers.first();
        layer.map_or(0, |layer| layer.keys.len() / config.kv_width())
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

impl LayerCache {
    /// Keeps what later positions read of one more.
    fn push(&mut self, key: &[f32], value: &[f32]) {
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
    }
}

/// Positions of one lane that follow each other.
pub struct Stretch<'a> {
    cache: &'a mut KvCache,
    /// The first one.
    first: usize,
    /// What enters the first layer at each, (d).
    inputs: Vec<Vec<f32>>,
}

impl<'a> Stretch<'a> {
    /// Positions from `first` on, after those in the cache.
    pub fn new(cache: &'a mut KvCache, first: usize, inputs: Vec<Vec<f32>>) -> Self {
        Self {
            cache,
            first,
            inputs,
        }
    }
}

/// The positions of stretches, side by side on their way through the layers.
struct Rows<'a> {
    /// By each row's position; `None` where positions are learned.
    rotations: Vec<Option<Rotation>>,
    /// The residual stream, (d) each.
    xs: Vec<Vec<f32>>,
    /// Each with the number of rows that are its own and come after what it holds.
    caches: Vec<(&'a mut KvCache, usize)>,
}

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

    /// The same, with turns for others, which the methods called `in_turns` give.
    pub fn with_breaks(self, breathe: Option<Breathe>) -> Self {
        Self { breathe, ..self }
    }

    pub(super) async fn breathe(&self) {
        turn(self.breathe).await;
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

    /// Runs stretches of positions through all layers of an adapter, their rows side by side;
    /// returns the hidden states after the final norm, (d), row by row. Each is that of its
    /// stretch alone, to the bit.
    ///
    /// `on_layer` sees the residual stream, (d), of a row after each layer, and may change it.
    pub fn stretches(
        &self,
        config: &ModelConfig,
        (weights, adapter): (&Weights, Adapter),
        stretches: Vec<Stretch<'_>>,
        on_layer: impl FnMut(usize, usize, &mut [f32]),
    ) -> Vec<Vec<f32>> {
        let whole = self.clone().with_breaks(None);
        at_once(whole.stretches_in_turns(config, (weights, adapter), stretches, on_layer))
    }

    /// The same, with turns for others.
    pub async fn stretches_in_turns(
        &self,
        config: &ModelConfig,
        (weights, adapter): (&Weights, Adapter),
        stretches: Vec<Stretch<'_>>,
        mut on_layer: impl FnMut(usize, usize, &mut [f32]),
    ) -> Vec<Vec<f32>> {
        let layers = weights.layers_under(adapter);
        let mut rows = self.side_by_side(stretches);
        for (index, layer) in layers.iter().enumerate() {
            self.layer(config, (index, layer), &mut rows).await;
            let xs = rows.xs.iter_mut().enumerate();
            xs.for_each(|(row, x)| on_layer(row, index, x));
        }
        let normed = rows.xs.iter().map(|x| self.final_norm(config, weights, x));
        normed.collect()
    }

    /// Runs stretches whose hidden states nobody asks for, so that the last layer has nothing to do but
    /// keep their keys and values; with turns for others.
    pub async fn fill_in_turns(
        &self,
        config: &ModelConfig,
        (weights, adapter): (&Weights, Adapter),
        stretches: Vec<Stretch<'_>>,
    ) {
        let Some((last, layers)) = weights.layers_under(adapter).split_last() else {
            return;
        };
        let mut rows = self.side_by_side(stretches);
        for (index, layer) in layers.iter().enumerate() {
            self.layer(config, (index, layer), &mut rows).await;
        }
        let normed = self.normed(config, &rows.xs, &last.attention_norm);
        let [mut keys, values] = self.linear([&last.k, &last.v], &normed).await;
        self.turn_keys(config, last, &rows.rotations, &mut keys);
        let mut kept = keys.iter().zip(&values);
        for (cache, n_rows) in rows.caches {
            let cache = &mut cache.layers[layers.len()];
            let own = kept.by_ref().take(n_rows);
            own.for_each(|(key, value)| cache.push(key, value));
        }
    }

    fn side_by_side<'a>(&self, stretches: Vec<Stretch<'a>>) -> Rows<'a> {
        let rotations = stretches
            .iter()
            .flat_map(|stretch| stretch.first..stretch.first + stretch.inputs.len())
            .map(|position| Some(self.frequencies.as_ref()?.at(position)))
            .collect();
        let mut rows = Rows {
            rotations,
            xs: Vec::new(),
            caches: Vec::new(),
        };
        for stretch in stretches {
            rows.caches.push((stretch.cache, stretch.inputs.len()));
            rows.xs.extend(stretch.inputs);
        }
        rows
    }

    /// The residual stream of all rows through one layer.
    async fn layer(
        &self,
        config: &ModelConfig,
        (index, layer): (usize, &LayerWeights),
        rows: &mut Rows<'_>,
    ) {
        let attended = self.attention(config, (index, layer), rows).await;
        add_rows(&mut rows.xs, &attended);
        let expanded = self.mlp(config, layer, &rows.xs).await;
        add_rows(&mut rows.xs, &expanded);
    }

    /// [`Forward::stretches`] of one position.
    pub fn position(
        &self,
        config: &ModelConfig,
        under: (&Weights, Adapter),
        cache: &mut KvCache,
        position: usize,
        x: Vec<f32>,
        mut on_layer: impl FnMut(usize, &mut [f32]),
    ) -> Vec<f32> {
        let stretch = Stretch::new(cache, position, vec![x]);
        let on_layer = |_, layer, x: &mut [f32]| on_layer(layer, x);
        let mut hidden = self.stretches(config, under, vec![stretch], on_layer);
        hidden.pop().expect("a state for each input")
    }

    /// The state that the LM head reads, (d), of the residual stream after a layer: the last one,
    /// or any other where the logit lens looks at it.
    pub fn final_norm(&self, config: &ModelConfig, weights: &Weights, x: &[f32]) -> Vec<f32> {
        self.norm(config, x, &weights.final_norm)
    }

    fn normed(
        &self,
        config: &ModelConfig,
        xs: &[Vec<f32>],
        weights: &NormWeights,
    ) -> Vec<Vec<f32>> {
        let normed = xs.iter().map(|x| self.norm(config, x, weights));
        normed.collect()
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

    /// logits = W_head · h, (V), of each hidden state.
    pub fn logits(&self, weights: &Weights, hidden: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let whole = self.clone().with_breaks(None);
        at_once(whole.logits_in_turns(weights, hidden))
    }

    /// The same, with turns for others.
    pub async fn logits_in_turns(&self, weights: &Weights, hidden: &[Vec<f32>]) -> Vec<Vec<f32>> {
        if hidden.is_empty() {
            return Vec::new();
        }
        let mut logits = self.products(&[weights.head()], hidden).await;
        logits.pop().expect("a result for each matrix")
    }

    /// y = W x for each of `xs`, of each W, with turns for others between parts of its rows.
    async fn products(&self, ws: &[&Matrix], xs: &[Vec<f32>]) -> Vec<Vec<Vec<f32>>> {
        if self.breathe.is_none() {
            return self.precision.products(ws, xs);
        }
        let mut all = Vec::new();
        for w in ws {
            let mut ys = vec![Vec::with_capacity(w.rows); xs.len()];
            for rows in parts(w.rows, w.cols * xs.len(), self.breathe) {
                let part = self.precision.products(&[&w.slice_rows(rows)], xs);
                let part = part.into_iter().flatten();
                ys.iter_mut().zip(part).for_each(|(y, part)| y.extend(part));
                self.breathe().await;
            }
            all.push(ys);
        }
        all
    }

    /// y = W x + b for each of `xs`, of each of some maps, with the same turns.
    async fn linear<const N: usize>(
        &self,
        linears: [&Linear; N],
        xs: &[Vec<f32>],
    ) -> [Vec<Vec<f32>>; N] {
        let mut all = self
            .products(&linears.map(|linear| &linear.weight), xs)
            .await;
        for (ys, linear) in all.iter_mut().zip(linears) {
            if let Some(bias) = &linear.bias {
                ys.iter_mut().for_each(|y| add(y, bias));
            }
        }
        all.try_into().expect("a result for each matrix")
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

    /// Causal grouped-query attention of new rows over their caches, which hold them then; returns
    /// (d) each.
    async fn attention(
        &self,
        config: &ModelConfig,
        (index, layer): (usize, &LayerWeights),
        rows: &mut Rows<'_>,
    ) -> Vec<Vec<f32>> {
        let normed = self.normed(config, &rows.xs, &layer.attention_norm);
        let maps = [&layer.q, &layer.k, &layer.v];
        let [mut queries, mut keys, values] = self.linear(maps, &normed).await;
        let gain = layer.qk_norm.as_ref().map(|[gain, _]| &gain[..]);
        self.turn_heads(config, gain, &rows.rotations, &mut queries);
        self.turn_keys(config, layer, &rows.rotations, &mut keys);
        let mut new = queries.iter().zip(keys.iter().zip(&values));
        let mut mixed = Vec::with_capacity(queries.len());
        for (cache, n_rows) in &mut rows.caches {
            let cache = &mut cache.layers[index];
            for (query, (key, value)) in new.by_ref().take(*n_rows) {
                cache.push(key, value);
                mixed.push(self.mixed(config, cache, query));
                self.breathe().await;
            }
        }
        let [attended] = self.linear([&layer.o], &mixed).await;
        attended
    }

    /// [`Forward::turn_heads`] of keys.
    fn turn_keys(
        &self,
        config: &ModelConfig,
        layer: &LayerWeights,
        rotations: &[Option<Rotation>],
        keys: &mut [Vec<f32>],
    ) {
        let gain = layer.qk_norm.as_ref().map(|[_, gain]| &gain[..]);
        self.turn_heads(config, gain, rotations, keys);
    }

    /// Norms the heads of every row, where they have a norm of their own, and turns them by the row's
    /// position, where positions are turned by.
    fn turn_heads(
        &self,
        config: &ModelConfig,
        gain: Option<&[f32]>,
        rotations: &[Option<Rotation>],
        rows: &mut [Vec<f32>],
    ) {
        for (row, rotation) in rows.iter_mut().zip(rotations) {
            if let Some(gain) = gain {
                for head in row.chunks_exact_mut(config.head_dim) {
                    let normed = self.precision.rms_norm(head, gain, config.norm_eps);
                    head.copy_from_slice(&normed);
                }
            }
            if let Some(rotation) = rotation {
                rotation.turn(row);
            }
        }
    }

    /// The values in a cache, mixed for each head of `q`, (n_heads · head_dim), by how well its
    /// keys fit; as long as `q`.
    fn mixed(&self, config: &ModelConfig, cache: &LayerCache, q: &[f32]) -> Vec<f32> {
        let head_dim = config.head_dim;
        let heads_per_kv_head = config.n_heads / config.n_kv_heads;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut mixed = vec![0.0; q.len()];
        let heads = q.chunks_exact(head_dim);
        for (head, (q, out)) in heads.zip(mixed.chunks_exact_mut(head_dim)).enumerate() {
            let of_head = |cache| HeadRows {
                cache,
                stride: config.kv_width(),
                offset: head / heads_per_kv_head * head_dim,
                width: head_dim,
            };
            let mut weights = self.precision.scores(of_head(&cache.keys), q);
            weights.iter_mut().for_each(|weight| *weight *= scale);
            softmax(&mut weights);
            mix(of_head(&cache.values), &weights, out);
        }
        mixed
    }

    /// W_down (silu(W_gate x) ⊙ W_up x), or W_down gelu(W_up x) where there is no gate, on the normed
    /// inputs; returns (d) each.
    async fn mlp(
        &self,
        config: &ModelConfig,
        layer: &LayerWeights,
        xs: &[Vec<f32>],
    ) -> Vec<Vec<f32>> {
        let normed = self.normed(config, xs, &layer.mlp_norm);
        let expanded = match &layer.gate {
            Some(gate) => {
                let [gates, mut ups] = self.linear([gate, &layer.up], &normed).await;
                let values = ups.iter_mut().flatten().zip(gates.iter().flatten());
                values.for_each(|(up, gate)| *up *= silu(*gate));
                ups
            }
            None => {
                let [mut ups] = self.linear([&layer.up], &normed).await;
                ups.iter_mut().flatten().for_each(|up| *up = gelu(*up));
                ups
            }
        };
        let [narrowed] = self.linear([&layer.down], &expanded).await;
        narrowed
    }
}

/// x += y, row by row.
fn add_rows(xs: &mut [Vec<f32>], ys: &[Vec<f32>]) {
    xs.iter_mut().zip(ys).for_each(|(x, y)| add(x, y));
}
