//! The maths of a transformer layer on the CPU, one position at a time.

use super::{
    attention::{self, HeadRows},
    products,
};
use crate::{
    checkpoint::{Matrix, NormWeights},
    config::{Norm, Rope, RopeScaling},
};

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
            Self::Fast => products::dot(a, b),
        }
    }

    /// y = W x for each of `xs`, of each of `ws`: a W is (rows, cols), an x is (cols) and its result
    /// (rows). A row of a W is read, and decoded where it is no f32, once for all of them; each
    /// result is that of its W and its x alone, to the bit.
    pub fn products(self, ws: &[&Matrix], xs: &[Vec<f32>]) -> Vec<Vec<Vec<f32>>> {
        debug_assert!(ws.iter().all(|w| xs.iter().all(|x| x.len() == w.cols)));
        match self {
            Self::Oracle => {
                let products = ws.iter().map(|w| {
                    let mut ys = vec![vec![0.0; w.rows]; xs.len()];
                    w.for_each_rows::<1>(|index, row| {
                        let products = xs.iter().zip(&mut ys);
                        products.for_each(|(x, y)| y[index] = self.dot(row, x));
                    });
                    ys
                });
                products.collect()
            }
            Self::Fast => products::products(ws, xs),
        }
    }

    /// y = W x.
    pub fn matvec(self, w: &Matrix, x: &[f32]) -> Vec<f32> {
        let mut ys = self.products(&[w], &[x.to_vec()]).into_iter().flatten();
        ys.next().expect("a result for each x")
    }

    /// The product of a head's key at each position with a query, (head_dim): (positions).
    pub fn scores(self, keys: HeadRows<'_>, query: &[f32]) -> Vec<f32> {
        match self {
            Self::Oracle => {
                let keys = (0..keys.n_rows()).map(|position| keys.row(position));
                keys.map(|key| self.dot(query, key)).collect()
            }
            Self::Fast => attention::scores(keys, query),
        }
    }

    /// The norm of x, (d).
    pub fn norm(self, norm: Norm, x: &[f32], weights: &NormWeights, eps: f32) -> Vec<f32> {
        let mut normed = match norm {
            Norm::RmsNorm => self.rms_norm(x, &weights.gain, eps),
            Norm::LayerNorm => {
                let mean = self.dot(x, &vec![1.0; x.len()]) / x.len() as f32;
                let centred: Vec<f32> = x.iter().map(|x| x - mean).collect();
                self.rms_norm(&centred, &weights.gain, eps)
            }
        };
        if let Some(bias) = &weights.bias {
            add(&mut normed, bias);
        }
        normed
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

/// The frequencies of rotary positions: position p turns the pair (i, i + head_dim / 2) of every
/// head by p · fᵢ (RoFormer, arXiv 2104.09864, in the half-split order of Hugging Face's Llama).
#[derive(Clone, Debug)]
pub struct Frequencies {
    /// (head_dim / 2)
    frequencies: Vec<f64>,
}

impl Frequencies {
    /// Those of a model, scaled as its config says.
    pub fn new(head_dim: usize, rope: Rope) -> Self {
        let theta = f64::from(rope.theta);
        let unscaled = |i: usize| theta.powf(-2.0 * i as f64 / head_dim as f64);
        let scaled = |i| scaled_frequency(unscaled(i), rope.scaling);
        Self {
            frequencies: (0..head_dim / 2).map(scaled).collect(),
        }
    }

    /// The rotation of a position.
    pub fn at(&self, position: usize) -> Rotation {
        let angles = self.frequencies.iter().map(|f| position as f64 * f);
        let (cos, sin) = angles
            .map(|angle| (angle.cos() as f32, angle.sin() as f32))
            .unzip();
        Rotation { cos, sin }
    }
}

fn scaled_frequency(frequency: f64, scaling: RopeScaling) -> f64 {
    match scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear { factor } => frequency / f64::from(factor),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => {
            let turns =
                f64::from(original_max_position_embeddings) * frequency / std::f64::consts::TAU;
            let (low, high) = (f64::from(low_freq_factor), f64::from(high_freq_factor));
            let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            kept * frequency + (1.0 - kept) * frequency / f64::from(factor)
        }
    }
}

/// Cosines and sines of a position's angles, (head_dim / 2) each.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    /// Cosines.
    pub cos: Vec<f32>,
    /// Sines.
    pub sin: Vec<f32>,
}

impl Rotation {
    /// Turns every head of `x`, (n heads · head_dim), in place.
    pub fn turn(&self, x: &mut [f32]) {
        let half = self.cos.len();
        for head in x.chunks_exact_mut(2 * half) {
            let (first, second) = head.split_at_mut(half);
            for i in 0..half {
                let (a, b) = (first[i], second[i]);
                first[i] = a * self.cos[i] - b * self.sin[i];
                second[i] = b * self.cos[i] + a * self.sin[i];
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

/// gelu(x) in its form with tanh: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), which is
/// x · σ(2√(2/π) · (x + 0.044715 x³)).
pub fn gelu(x: f32) -> f32 {
    const SCALE: f32 = 2.0 * 0.797_884_6;
    x * sigmoid(SCALE * (x + 0.044_715 * x * x * x))
}

/// x += y.
pub fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
