//! The maths of a transformer layer on the CPU, one position at a time.

use crate::checkpoint::Matrix;

/// How dot products add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f64 accumulation: the oracle that kernels are compared with.
    Oracle,
    /// f32 accumulation in independent sums that the compiler can vectorise: the page's engine
    /// where there is no WebGPU, and the CLI's.
    Fast,
}

impl Precision {
    /// a · b, both of the same length.
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        debug_assert_eq!(a.len(), b.len());
        match self {
            Self::Oracle => a
                .iter()
                .zip(b)
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum::<f64>() as f32,
            Self::Fast => dot_fast(a, b),
        }
    }

    /// y = W x: `w` is (rows, cols), `x` is (cols), the result is (rows).
    pub fn matvec(self, w: &Matrix, x: &[f32]) -> Vec<f32> {
        debug_assert_eq!(w.cols, x.len());
        let mut y = Vec::with_capacity(w.rows);
        w.for_each_row(|row| y.push(self.dot(row, x)));
        y
    }

    /// g ⊙ x / sqrt(mean(x²) + ε).
    pub fn rms_norm(self, x: &[f32], gain: &[f32], eps: f32) -> Vec<f32> {
        let mean_square = self.dot(x, x) / x.len() as f32;
        let scale = 1.0 / (mean_square + eps).sqrt();
        x.iter()
            .zip(gain)
            .map(|(x, gain)| x * scale * gain)
            .collect()
    }
}

fn dot_fast(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

/// Rotary position embedding, tabulated: for head dimension pair (i, i + head_dim / 2) and
/// position p, the angle is p · θ^(−2i / head_dim) (RoFormer, arXiv 2104.09864, in the
/// half-split order of Hugging Face Llama).
#[derive(Clone, Debug)]
pub struct Rope {
    half: usize,
    /// (position, half)
    cos: Vec<f32>,
    /// (position, half)
    sin: Vec<f32>,
}

impl Rope {
    /// Tables for `n_positions` positions.
    pub fn new(head_dim: usize, n_positions: usize, theta: f32) -> Self {
        let half = head_dim / 2;
        let angle = |index: usize| {
            let (position, i) = (index / half, index % half);
            position as f64 * f64::from(theta).powf(-2.0 * i as f64 / head_dim as f64)
        };
        let angles: Vec<f64> = (0..n_positions * half).map(angle).collect();
        Self {
            half,
            cos: angles.iter().map(|angle| angle.cos() as f32).collect(),
            sin: angles.iter().map(|angle| angle.sin() as f32).collect(),
        }
    }

    /// Cosines and sines of a position's angles, (half) each.
    pub fn row(&self, position: usize) -> (&[f32], &[f32]) {
        let row = position * self.half..(position + 1) * self.half;
        (&self.cos[row.clone()], &self.sin[row])
    }

    /// Turns every head of `x`, (n heads · head_dim), in place.
    pub fn rotate(&self, x: &mut [f32], position: usize) {
        let (cos, sin) = self.row(position);
        for head in x.chunks_exact_mut(2 * self.half) {
            let (first, second) = head.split_at_mut(self.half);
            for i in 0..self.half {
                let (a, b) = (first[i], second[i]);
                first[i] = a * cos[i] - b * sin[i];
                second[i] = b * cos[i] + a * sin[i];
            }
        }
    }
}

/// softmax(x) in place.
pub fn softmax(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for value in x.iter_mut() {
        *value = (*value - max).exp();
        sum += f64::from(*value);
    }
    for value in x {
        *value = (f64::from(*value) / sum) as f32;
    }
}

/// σ(x) = 1 / (1 + e⁻ˣ).
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// silu(x) = x · sigmoid(x).
pub fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// x += y.
pub fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
