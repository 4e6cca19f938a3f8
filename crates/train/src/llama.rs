//! The Llama architecture in burn, shaped for many questions about one shared graph.
//!
//! It computes what Hugging Face's `LlamaForCausalLM` computes on the sequence
//! `graph · question · thoughts · answer`, but the graph's keys and values are computed once and
//! all its questions attend to them without a copy. Shapes: G graphs, Q questions a graph,
//! n new positions a question, T graph positions, m positions a question has seen, H heads,
//! c head dimension, d hidden size, V vocabulary.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::example::Distribution;
use crate::fused::{apply_rope, causal_softmax, rms_norm, shared_softmax, swiglu};
use crate::parameters::{LayerTensors, LlamaConfig, Parameters};
use crate::reference_ops::{AngleTable, Visible};
use crate::tensor_ops::dense_rows;

/// Keys and values of the graphs' statements, shared by all questions of a graph.
pub struct ContextCache {
    /// One (keys, values) pair a layer, each `[G, H, T, c]`.
    layers: Vec<(Tensor<4>, Tensor<4>)>,
    /// Positions of each graph; the rest of T is padding.
    lengths: Arc<Vec<usize>>,
}

impl ContextCache {
    /// No graph.
    #[cfg(test)]
    pub(crate) fn empty() -> ContextCache {
        ContextCache {
            layers: Vec::new(),
            lengths: Arc::new(vec![0]),
        }
    }

    /// The first `n` positions of graph `index`: those of the graph, then its only question's.
    pub fn of_sequence(&self, own: &QuestionCache, index: usize, n: usize) -> ContextCache {
        let length = self.lengths[index];
        let whole = |graph: &Tensor<4>, own: &Tensor<5>| {
            let [_, n_heads, _, n_own, c] = own.dims();
            let own = own
                .clone()
                .narrow(0, index, 1)
                .reshape([1, n_heads, n_own, c]);
            let graph = graph.clone().narrow(0, index, 1).narrow(2, 0, length);
            Tensor::cat(vec![graph, own], 2).narrow(2, 0, n)
        };
        let layers = self.layers.iter().zip(&own.layers);
        ContextCache {
            layers: layers
                .map(|((k, v), (own_k, own_v))| (whole(k, own_k), whole(v, own_v)))
                .collect(),
            lengths: Arc::new(vec![n]),
        }
    }

    /// Several caches as one, padded to the longest.
    ///
    /// # Panics
    /// If there is none.
    pub fn together(caches: &[&ContextCache]) -> ContextCache {
        let lengths: Vec<usize> = caches.iter().flat_map(|c| c.lengths.to_vec()).collect();
        let longest = lengths.iter().copied().max().expect("there is a cache");
        let padded = |part: &Tensor<4>| {
            let [n_graphs, n_heads, n, c] = part.dims();
            if n == longest {
                return part.clone();
            }
            let padding = Tensor::zeros([n_graphs, n_heads, longest - n, c], &part.device());
            Tensor::cat(vec![part.clone(), padding], 2)
        };
        let layer = |index: usize| {
            let layers = || caches.iter().map(|cache| &cache.layers[index]);
            let keys = layers().map(|(k, _)| padded(k)).collect();
            let values = layers().map(|(_, v)| padded(v)).collect();
            (Tensor::cat(keys, 0), Tensor::cat(values, 0))
        };
        ContextCache {
            layers: (0..caches[0].layers.len()).map(layer).collect(),
            lengths: Arc::new(lengths),
        }
    }

    /// The same on the autodiff device, as constants.
    pub fn autodiff(self) -> ContextCache {
        let layers = self.layers.into_iter();
        ContextCache {
            layers: layers.map(|(k, v)| (k.autodiff(), v.autodiff())).collect(),
            lengths: self.lengths,
        }
    }
}

/// Keys and values of each question's own positions so far.
#[derive(Clone, Default)]
pub struct QuestionCache {
    /// One (keys, values) pair a layer, each `[G, H, Q, m, c]`; empty before the first position.
    layers: Vec<(Tensor<5>, Tensor<5>)>,
    /// m.
    pub n_positions: usize,
    /// The positions of each graph's questions that later ones neither see nor count.
    hidden: Option<Arc<Vec<Range<usize>>>>,
}

/// The residual stream after the positions of one call.
pub struct Residuals {
    /// After the last layer, `[G·Q·n, d]`, before the final norm.
    pub last: Tensor<2>,
    /// After each layer, the same shape.
    pub by_layer: Vec<Tensor<2>>,
    /// What each layer's heads attend to, `[G, H, Q·n, T + m]`: the graph's positions, then the
    /// question's own, the new ones included.
    pub attention: Vec<Tensor<4>>,
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
    /// V, the number of tokens.
    pub fn n_tokens(&self) -> usize {
        self.parameters.n_tokens()
    }

    /// Input vectors of mixtures of tokens: `[N, V]` weights to `[N, d]`. A token is a one-hot row.
    pub fn embed(&self, weights: Tensor<2>) -> Tensor<2> {
        weights.matmul(self.parameters.embedding.clone())
    }

    /// [`Llama::embed`] of rows that the host has.
    pub fn embed_rows(&self, rows: &[Distribution]) -> Tensor<2> {
        self.embed(dense_rows(rows, self.n_tokens(), &self.device))
    }

    /// The final norm of residuals `[N, d]`: what Coconut feeds back, and what the head reads.
    pub fn final_norm(&self, residual: Tensor<2>) -> Tensor<2> {
        self.norm(residual, &self.parameters.final_norm)
    }

    /// Logits `[N, V]` of normed states `[N, d]`; the head is the embedding table.
    pub fn logits(&self, normed: Tensor<2>) -> Tensor<2> {
        normed.matmul(self.parameters.embedding.clone().transpose())
    }

    /// Reads the statements, `inputs` `[G·T, d]`, and keeps their keys and values.
    ///
    /// `lengths` are the numbers of positions that are not padding. The last layer is cut short
    /// after its keys and values, because nothing reads the statements' outputs.
    pub fn read_contexts(&self, inputs: Tensor<2>, lengths: &[usize]) -> ContextCache {
        let n_graphs = lengths.len();
        let n_positions = inputs.dims()[0] / n_graphs;
        let angles = self.angles(&vec![0; n_graphs], 1, n_positions);
        let mut residual = inputs;
        let mut layers = Vec::new();
        for (index, layer) in self.parameters.layers.iter().enumerate() {
            let [q, k, v] = self
                .project(&residual, layer, &angles)
                .map(|rows| self.heads(rows, n_graphs));
            if index + 1 < self.config.n_layers {
                let weights = causal_softmax(q.matmul(k.clone().swap_dims(2, 3)));
                residual = self.finish_layer(residual, weights.matmul(v.clone()), layer);
            }
            layers.push((k, v));
        }
        ContextCache {
            layers,
            lengths: Arc::new(lengths.to_vec()),
        }
    }

    /// Computes n new positions of every question, `inputs` `[G·Q·n, d]`, and grows `own`.
    ///
    /// Each position sees its graph, its question's earlier positions and itself.
    pub fn extend(
        &self,
        inputs: Tensor<2>,
        graph: &ContextCache,
        n_questions: usize,
        own: &mut QuestionCache,
    ) -> Residuals {
        self.extend_through(inputs, graph, n_questions, own, |_, residual| residual)
    }

    /// [`Llama::extend`] with something between the layers: what comes out of layer i enters the
    /// next as `after_layer(i, residual)`, which may stop its gradient.
    pub fn extend_through(
        &self,
        inputs: Tensor<2>,
        graph: &ContextCache,
        n_questions: usize,
        own: &mut QuestionCache,
        after_layer: impl Fn(usize, Tensor<2>) -> Tensor<2>,
    ) -> Residuals {
        let n_graphs = graph.lengths.len();
        let n_new = inputs.dims()[0] / (n_graphs * n_questions);
        let counted = |(graph, length): (usize, &usize)| {
            length + own.n_positions - own.hidden.as_ref().map_or(0, |hidden| hidden[graph].len())
        };
        let starts: Vec<usize> = graph.lengths.iter().enumerate().map(counted).collect();
        let angles = self.angles(&starts, n_questions, n_new);
        let visible = Visible {
            lengths: graph.lengths.clone(),
            n_new,
            hidden: own.hidden.clone(),
        };
        let mut residual = inputs;
        let mut by_layer = Vec::new();
        let mut attention = Vec::new();
        for (index, layer) in self.parameters.layers.iter().enumerate() {
            let [q, k, v] = self
                .project(&residual, layer, &angles)
                .map(|rows| self.heads(rows, n_graphs));
            let (k, v) = own.grow(index, k, v, n_questions);
            let (mixed, weights) = attend(q, &graph.layers[index], k, v, &visible);
            attention.push(weights);
            residual = self.finish_layer(residual, mixed, layer);
            by_layer.push(residual.clone());
            residual = after_layer(index, residual);
        }
        own.n_positions += n_new;
        Residuals {
            last: residual,
            by_layer,
            attention,
        }
    }

    /// Queries, keys and values of `[N, d]` residuals, each `[N, H·c]`; queries are scaled by
    /// 1/√c, queries and keys are rotated.
    fn project(
        &self,
        residual: &Tensor<2>,
        layer: &LayerTensors,
        angles: &Arc<AngleTable>,
    ) -> [Tensor<2>; 3] {
        let c = self.config.head_dim;
        let width = self.config.n_heads * c;
        let normed = self.norm(residual.clone(), &layer.attention_norm);
        let [q, k, v] = [0, 1, 2].map(|part| {
            let matrix = layer.qkv.clone().narrow(0, part * width, width);
            normed.clone().matmul(matrix.transpose())
        });
        let q = apply_rope(q, angles.clone(), c, (c as f32).powf(-0.5));
        [q, apply_rope(k, angles.clone(), c, 1.0), v]
    }

    /// `[G·r, H·c]` rows as `[G, H, r, c]`, a view.
    fn heads(&self, rows: Tensor<2>, n_graphs: usize) -> Tensor<4> {
        let (n_heads, c) = (self.config.n_heads, self.config.head_dim);
        let n_rows = rows.dims()[0] / n_graphs;
        rows.reshape([n_graphs, n_rows, n_heads, c]).swap_dims(1, 2)
    }

    /// Adds the attention's output (from `[G, H, r, c]`), then the SwiGLU's, to the residual.
    fn finish_layer(
        &self,
        residual: Tensor<2>,
        mixed: Tensor<4>,
        layer: &LayerTensors,
    ) -> Tensor<2> {
        let width = self.config.n_heads * self.config.head_dim;
        let n_rows = residual.dims()[0];
        let mixed = mixed.swap_dims(1, 2).reshape([n_rows, width]);
        let residual = residual + mixed.matmul(layer.o.clone().transpose());
        let normed = self.norm(residual.clone(), &layer.mlp_norm);
        let gated = swiglu(normed.matmul(layer.gate_up.clone().transpose()));
        residual + gated.matmul(layer.down.clone().transpose())
    }

    fn norm(&self, x: Tensor<2>, gain: &Tensor<2>) -> Tensor<2> {
        rms_norm(x, gain.clone(), self.config.rms_norm_eps as f32)
    }

    /// Angles of the positions `starts[g] ..` of each of graph g's questions, row by row.
    fn angles(&self, starts: &[usize], n_questions: usize, n_new: usize) -> Arc<AngleTable> {
        let half = self.config.head_dim / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|i| self.config.rope_theta.powf(-(i as f64) / half as f64))
            .collect();
        let mut table = AngleTable::default();
        for start in starts {
            let first = table.cos.len();
            for position in *start..start + n_new {
                for frequency in &frequencies {
                    let angle = position as f64 * frequency;
                    table.cos.push(angle.cos() as f32);
                    table.sin.push(angle.sin() as f32);
                }
            }
            for _ in 1..n_questions {
                table.cos.extend_from_within(first..first + n_new * half);
                table.sin.extend_from_within(first..first + n_new * half);
            }
        }
        Arc::new(table)
    }
}

/// Attention of queries `[G, H, Q·n, c]` to the graph and to the question's own positions
/// (`k`, `v`: `[G, H, Q, m, c]`), one softmax over both; gives `[G, H, Q·n, c]` and the softmax.
fn attend(
    q: Tensor<4>,
    (graph_k, graph_v): &(Tensor<4>, Tensor<4>),
    k: Tensor<5>,
    v: Tensor<5>,
    visible: &Visible,
) -> (Tensor<4>, Tensor<4>) {
    let [n_graphs, n_heads, rows, c] = q.dims();
    let (n_graph, n_own) = (graph_k.dims()[2], k.dims()[3]);
    let by_question = [n_graphs, n_heads, rows / visible.n_new, visible.n_new, c];
    let graph_scores = q.clone().matmul(graph_k.clone().swap_dims(2, 3));
    let own_scores = q
        .reshape(by_question)
        .matmul(k.swap_dims(3, 4))
        .reshape([n_graphs, n_heads, rows, n_own]);
    let weights = shared_softmax(graph_scores, own_scores, visible.clone());
    let from_graph = weights
        .clone()
        .narrow(3, 0, n_graph)
        .matmul(graph_v.clone());
    let from_own = weights
        .clone()
        .narrow(3, n_graph, n_own)
        .reshape([
            n_graphs,
            n_heads,
            rows / visible.n_new,
            visible.n_new,
            n_own,
        ])
        .matmul(v)
        .reshape([n_graphs, n_heads, rows, c]);
    (from_graph + from_own, weights)
}

impl QuestionCache {
    /// Hides, for each graph, what lies from its position `firsts[g]` on to the newest one, as if
    /// the sequence of its questions had ended there: later positions do not see it, and count on
    /// from `firsts[g]`. Sequences of different lengths, padded to one, go on together this way.
    ///
    /// # Panics
    /// If something is hidden already.
    pub fn cut(&mut self, firsts: &[usize]) {
        assert!(self.hidden.is_none(), "a sequence is cut once");
        let ranges = firsts.iter().map(|&first| first..self.n_positions);
        self.hidden = Some(Arc::new(ranges.collect()));
    }

    /// Appends one layer's new keys and values, `[G, H, Q·n, c]`, and gives all of them.
    fn grow(
        &mut self,
        layer: usize,
        k: Tensor<4>,
        v: Tensor<4>,
        n_questions: usize,
    ) -> (Tensor<5>, Tensor<5>) {
        let [n_graphs, n_heads, rows, c] = k.dims();
        let shape = [n_graphs, n_heads, n_questions, rows / n_questions, c];
        let (k, v) = (k.reshape(shape), v.reshape(shape));
        if layer == self.layers.len() {
            self.layers.push((k, v));
        } else {
            let (old_k, old_v) = self.layers[layer].clone();
            self.layers[layer] = (
                Tensor::cat(vec![old_k, k], 3),
                Tensor::cat(vec![old_v, v], 3),
            );
        }
        self.layers[layer].clone()
    }
}
