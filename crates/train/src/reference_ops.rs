//! What `fused` computes, in burn's own operations: for other devices, and to test it against.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines of a call's positions, one row of c/2 for each row of `[G·Q·n]`.
#[derive(Clone, Debug, Default)]
pub struct AngleTable {
    /// Cosines, row after row.
    pub cos: Vec<f32>,
    /// Sines, row after row.
    pub sin: Vec<f32>,
}

/// Which keys a row of scores may see.
#[derive(Clone)]
pub struct Visible {
    /// Positions of each context; the rest of its T keys is padding.
    pub lengths: Arc<Vec<usize>>,
    /// n, the new positions a question: new position i sees m − n + i + 1 of its own m keys.
    pub n_new: usize,
    /// Own keys that the questions of each context do not see.
    pub hidden: Option<Arc<Vec<Range<usize>>>>,
}

impl Visible {
    /// The own keys that the questions of a context do not see.
    pub fn hidden_of(&self, context: usize) -> Range<usize> {
        let ranges = self.hidden.as_ref();
        ranges.map_or(0..0, |ranges| ranges[context].clone())
    }
}

/// Added to the scores of hidden keys; e^−1e9 is 0 in f32.
const HIDDEN: f32 = -1e9;

/// See [`crate::fused::rms_norm`].
pub fn rms_norm(x: Tensor<2>, gain: Tensor<2>, epsilon: f32) -> Tensor<2> {
    let mean_square = x.clone().square().mean_dim(1).add_scalar(epsilon);
    x * mean_square.sqrt().recip() * gain
}

/// See [`crate::fused::swiglu`].
pub fn swiglu(both: Tensor<2>) -> Tensor<2> {
    let f = both.dims()[1] / 2;
    silu(both.clone().narrow(1, 0, f)) * both.narrow(1, f, f)
}

/// See [`crate::fused::apply_rope`].
pub fn apply_rope(heads: Tensor<2>, angles: &AngleTable, head_dim: usize, scale: f32) -> Tensor<2> {
    let [n_rows, width] = heads.dims();
    let half = head_dim / 2;
    let device = heads.device();
    let table = |values: &Vec<f32>| {
        Tensor::<3>::from_data(TensorData::new(values.clone(), [n_rows, 1, half]), &device)
    };
    let (cos, sin) = (table(&angles.cos), table(&angles.sin));
    let heads = heads.reshape([n_rows, width / head_dim, head_dim]);
    let (a, b) = (
        heads.clone().narrow(2, 0, half),
        heads.narrow(2, half, half),
    );
    let rotated_a = a.clone() * cos.clone() - b.clone() * sin.clone();
    let rotated_b = b * cos + a * sin;
    Tensor::cat(vec![rotated_a, rotated_b], 2)
        .mul_scalar(scale)
        .reshape([n_rows, width])
}

/// See [`crate::fused::shared_softmax`].
pub fn shared_softmax(graph: Tensor<4>, own: Tensor<4>, visible: &Visible) -> Tensor<4> {
    let n_own = own.dims()[3];
    let scores = Tensor::cat(vec![graph, own], 3);
    let mask = mask(scores.dims(), visible, n_own, &scores.device());
    softmax(scores + mask, 3)
}

/// See [`crate::fused::causal_softmax`].
pub fn causal_softmax(scores: Tensor<4>) -> Tensor<4> {
    let [n_graphs, _, n_rows, n_own] = scores.dims();
    let visible = Visible {
        lengths: Arc::new(vec![0; n_graphs]),
        n_new: n_rows,
        hidden: None,
    };
    let mask = mask(scores.dims(), &visible, n_own, &scores.device());
    softmax(scores + mask, 3)
}

/// 0 where a key of `[G, H, rows, T + m]` scores is visible, [`HIDDEN`] elsewhere.
fn mask(shape: [usize; 4], visible: &Visible, n_own: usize, device: &Device) -> Tensor<4> {
    let [_, n_heads, n_rows, width] = shape;
    let n_graph = width - n_own;
    let mut values = Vec::with_capacity(shape.iter().product());
    for (context, length) in visible.lengths.iter().enumerate() {
        let hidden = visible.hidden_of(context);
        for row in 0..n_heads * n_rows {
            let last_own = n_own - visible.n_new + row % visible.n_new;
            values.extend((0..width).map(|key| {
                let seen = match key.checked_sub(n_graph) {
                    None => key < *length,
                    Some(own) => own <= last_own && !hidden.contains(&own),
                };
                if seen { 0.0 } else { HIDDEN }
            }));
        }
    }
    Tensor::from_data(TensorData::new(values, shape), device)
}
