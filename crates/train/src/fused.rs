//! RMSNorm, SwiGLU, rotary embedding and masked softmax, each as one pass over memory.
//!
//! On devices other than burn's `flex` they fall back to [`crate::reference_ops`].

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::custom_op::{apply, is_supported};
use crate::reference_ops::{self, AngleTable, Visible};

/// e^x by Cephes' polynomial, within 2 ulp; written so that the compiler makes vectors of it.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that x − n·ln 2 keeps its digits.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // A number added to this one loses its fraction; `floor` and `round` are calls where the target
    // has no instruction for them.
    const ROUNDS: f32 = 1.5 * (1_u32 << 23) as f32;
    let x = x.clamp(-87.0, 88.0);
    let n = (x * LOG2_E + ROUNDS) - ROUNDS;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = 1.987_569_1e-4_f32;
    for coefficient in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p * r + coefficient;
    }
    let power = f32::from_bits((((n as i32) + 127) << 23) as u32);
    (p * r * r + r + 1.0) * power
}

/// x / √(mean x² + ε) · gain for rows `[N, d]` and a gain `[1, d]`.
pub fn rms_norm(x: Tensor<2>, gain: Tensor<2>, epsilon: f32) -> Tensor<2> {
    if !is_supported(&x) {
        return reference_ops::rms_norm(x, gain, epsilon);
    }
    let shape @ [_, d] = x.dims();
    apply([x, gain], shape, move |[x, gain]| {
        let inverses: Vec<f32> = x
            .numbers()
            .chunks_exact(d)
            .map(|row| 1.0 / (sum(row.iter().map(|v| v * v)) / d as f32 + epsilon).sqrt())
            .collect();
        let mut output = Vec::with_capacity(x.numbers().len());
        for (row, inverse) in x.numbers().chunks_exact(d).zip(&inverses) {
            output.extend(row.iter().zip(gain.numbers()).map(|(v, g)| v * inverse * g));
        }
        let gradient = move |dy: &[f32]| {
            let (x, gain) = (x.numbers(), gain.numbers());
            let mut dx = Vec::with_capacity(x.len());
            let mut dgain = vec![0.0; d];
            for ((row, dy), inverse) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(&inverses) {
                let mut dot = 0.0;
                for i in 0..d {
                    dgain[i] += dy[i] * row[i] * inverse;
                    dot += dy[i] * gain[i] * row[i];
                }
                let pull = dot * inverse * inverse * inverse / d as f32;
                dx.extend((0..d).map(|i| dy[i] * gain[i] * inverse - row[i] * pull));
            }
            [dx, dgain]
        };
        (output, Arc::new(gradient))
    })
}

/// silu(gate) · up, where `[N, 2f]` rows hold gate and up side by side; gives `[N, f]`.
pub fn swiglu(both: Tensor<2>) -> Tensor<2> {
    if !is_supported(&both) {
        return reference_ops::swiglu(both);
    }
    let [n_rows, width] = both.dims();
    let f = width / 2;
    apply([both], [n_rows, f], move |[both]| {
        let mut output = Vec::with_capacity(n_rows * f);
        for row in both.numbers().chunks_exact(width) {
            let (gate, up) = row.split_at(f);
            output.extend(gate.iter().zip(up).map(|(g, u)| g / (1.0 + exp(-g)) * u));
        }
        let gradient = move |dy: &[f32]| {
            let mut d_both = vec![0.0; n_rows * width];
            let rows = both.numbers().chunks_exact(width).zip(dy.chunks_exact(f));
            for ((row, dy), d_row) in rows.zip(d_both.chunks_exact_mut(width)) {
                let (gate, up) = row.split_at(f);
                let (d_gate, d_up) = d_row.split_at_mut(f);
                for i in 0..f {
                    let sigmoid = 1.0 / (1.0 + exp(-gate[i]));
                    let silu = gate[i] * sigmoid;
                    d_gate[i] = dy[i] * up[i] * (sigmoid + silu * (1.0 - sigmoid));
                    d_up[i] = dy[i] * silu;
                }
            }
            [d_both]
        };
        (output, Arc::new(gradient))
    })
}

/// Rotary embedding (RoFormer, arXiv 2104.09864) in Hugging Face's layout (`rotate_half`), times a
/// scale: `[N, H·c]`.
pub fn apply_rope(
    heads: Tensor<2>,
    angles: Arc<AngleTable>,
    head_dim: usize,
    scale: f32,
) -> Tensor<2> {
    if !is_supported(&heads) {
        return reference_ops::apply_rope(heads, &angles, head_dim, scale);
    }
    let shape = heads.dims();
    apply([heads], shape, move |[heads]| {
        let output = rotated(heads.numbers(), &angles, shape[1], head_dim, scale, 1.0);
        // The rotation back is the transposed map.
        let gradient = move |dy: &[f32]| [rotated(dy, &angles, shape[1], head_dim, scale, -1.0)];
        (output, Arc::new(gradient))
    })
}

fn rotated(
    rows: &[f32],
    angles: &AngleTable,
    width: usize,
    head_dim: usize,
    scale: f32,
    direction: f32,
) -> Vec<f32> {
    let half = head_dim / 2;
    let mut output = rows.to_vec();
    let tables = angles
        .cos
        .chunks_exact(half)
        .zip(angles.sin.chunks_exact(half));
    for (row, (cos, sin)) in output.chunks_exact_mut(width).zip(tables) {
        for head in row.chunks_exact_mut(head_dim) {
            let (a, b) = head.split_at_mut(half);
            for i in 0..half {
                let (x, y) = (a[i], b[i]);
                let (cos, sin) = (cos[i] * scale, sin[i] * direction * scale);
                a[i] = x * cos - y * sin;
                b[i] = y * cos + x * sin;
            }
        }
    }
    output
}

/// One softmax over a graph's keys and a question's own: scores `[G, H, Q·n, T]` and
/// `[G, H, Q·n, m]` give weights `[G, H, Q·n, T + m]`, 0 where hidden.
pub fn shared_softmax(graph: Tensor<4>, own: Tensor<4>, visible: Visible) -> Tensor<4> {
    if !is_supported(&graph) {
        return reference_ops::shared_softmax(graph, own, &visible);
    }
    let [n_graphs, n_heads, rows, n_graph] = graph.dims();
    let n_own = own.dims()[3];
    let shape = [n_graphs, n_heads, rows, n_graph + n_own];
    apply([graph, own], shape, move |[graph, own]| {
        let rows_per_graph = n_heads * rows;
        let weights = softmax_rows(
            (graph.numbers(), n_graph),
            (own.numbers(), n_own),
            rows_per_graph,
            &visible,
        );
        let kept = weights.clone();
        let gradient = move |dy: &[f32]| softmax_gradient(&kept, dy, n_graph, n_own);
        (weights, Arc::new(gradient))
    })
}

/// Softmax of `[G, H, T, T]` scores in which each position sees itself and what is before it.
pub fn causal_softmax(scores: Tensor<4>) -> Tensor<4> {
    if !is_supported(&scores) {
        return reference_ops::causal_softmax(scores);
    }
    let shape @ [_, n_heads, rows, n_own] = scores.dims();
    apply([scores], shape, move |[scores]| {
        let visible = Visible {
            lengths: Arc::new(vec![0; shape[0]]),
            n_new: rows,
            hidden: None,
        };
        let own = (scores.numbers(), n_own);
        let weights = softmax_rows((&[], 0), own, n_heads * rows, &visible);
        let kept = weights.clone();
        let gradient = move |dy: &[f32]| {
            let [_, d_own] = softmax_gradient(&kept, dy, 0, n_own);
            [d_own]
        };
        (weights, Arc::new(gradient))
    })
}

fn softmax_rows(
    (graph, n_graph): (&[f32], usize),
    (own, n_own): (&[f32], usize),
    rows_per_graph: usize,
    visible: &Visible,
) -> Vec<f32> {
    let width = n_graph + n_own;
    let n_rows = own.len() / n_own;
    let mut weights = vec![0.0; n_rows * width];
    for (index, output) in weights.chunks_exact_mut(width).enumerate() {
        let seen_graph = visible.lengths[index / rows_per_graph].min(n_graph);
        let seen_own = n_own - visible.n_new + index % visible.n_new + 1;
        let hidden = visible.hidden_of(index / rows_per_graph);
        let hidden = hidden.start.min(seen_own)..hidden.end.min(seen_own);
        let (a, b) = output.split_at_mut(n_graph);
        let (a, b) = (&mut a[..seen_graph], &mut b[..seen_own]);
        a.copy_from_slice(&graph[index * n_graph..][..seen_graph]);
        b.copy_from_slice(&own[index * n_own..][..seen_own]);
        b[hidden.clone()].fill(f32::MIN);
        let largest = maximum(a).max(maximum(b));
        a.iter_mut().for_each(|v| *v = exp(*v - largest));
        b.iter_mut().for_each(|v| *v = exp(*v - largest));
        b[hidden].fill(0.0);
        let inverse = 1.0 / (sum(a.iter().copied()) + sum(b.iter().copied()));
        a.iter_mut().for_each(|v| *v *= inverse);
        b.iter_mut().for_each(|v| *v *= inverse);
    }
    weights
}

/// dscore = w · (dw − Σ w·dw), for both groups of keys.
fn softmax_gradient(weights: &[f32], dy: &[f32], n_graph: usize, n_own: usize) -> [Vec<f32>; 2] {
    let width = n_graph + n_own;
    let n_rows = weights.len() / width;
    let mut d_graph = vec![0.0; n_rows * n_graph];
    let mut d_own = vec![0.0; n_rows * n_own];
    let rows = weights.chunks_exact(width).zip(dy.chunks_exact(width));
    for (index, (weights, dy)) in rows.enumerate() {
        let dot = sum(weights.iter().zip(dy).map(|(w, d)| w * d));
        let (w_graph, w_own) = weights.split_at(n_graph);
        let (dy_graph, dy_own) = dy.split_at(n_graph);
        let pairs = [
            (
                &mut d_graph[index * n_graph..][..n_graph],
                w_graph,
                dy_graph,
            ),
            (&mut d_own[index * n_own..][..n_own], w_own, dy_own),
        ];
        for (output, weights, dy) in pairs {
            for ((d, w), dy) in output.iter_mut().zip(weights).zip(dy) {
                *d = w * (dy - dot);
            }
        }
    }
    [d_graph, d_own]
}

/// Sums in eight lanes, so that it can be done in vectors.
#[inline(always)]
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0; 8];
    for (index, value) in values.enumerate() {
        lanes[index % 8] += value;
    }
    lanes.iter().sum()
}

fn maximum(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::MIN, f32::max)
}
