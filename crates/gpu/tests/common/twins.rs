//! Plain f64 twins of what the kernels compute, and the inputs that they are given.

use latent_gpu::{layout::Row, weights::rows};
use latent_model::{
    checkpoint::Matrix,
    compare::{Tolerance, compare},
};

use super::noise;

pub const EPSILON: f64 = 1e-5;

pub fn matrix(seed: u32, rows: usize, cols: usize) -> Matrix {
    Matrix::from_f32(rows, cols, &noise(seed, rows * cols))
}

pub fn assert_near(at: &str, found: &[f32], expected: &[f32]) {
    let (difference, agrees) = compare(found, expected, Tolerance::F32);
    assert!(
        agrees,
        "{at}: differs by {difference:e}\n{found:?}\n{expected:?}"
    );
}

/// Threads of a workgroup: as few as a subgroup of a CPU adapter has, and as many as production.
pub const THREADS: [u32; 3] = [8, 32, 64];

pub fn tile_for(n_rows: usize) -> usize {
    latent_gpu::kernels::tile_for(n_rows) as usize
}

/// Batches are whole tiles; what is past `n_rows` is dead.
pub fn rows_of(n_rows: usize, row: impl Fn(usize) -> Row) -> Vec<Row> {
    let mut rows: Vec<Row> = (0..n_rows).map(row).collect();
    rows.resize(n_rows.next_multiple_of(tile_for(n_rows)), Row::default());
    rows
}

pub fn live() -> Row {
    Row {
        live: 1,
        wants_logits: 1,
        ..Row::default()
    }
}

/// Live rows under `n_sets` sets of weights, round the batch.
pub fn rows_under(n_rows: usize, n_sets: usize) -> Vec<Row> {
    rows_of(n_rows, |r| Row {
        adapter: ((r + n_sets - 1) % n_sets) as u32,
        ..live()
    })
}

/// A vector of `width` for every row, dead ones too.
pub fn vectors(seed: u32, batch: &[Row], width: usize) -> Vec<f32> {
    noise(seed, batch.len() * width)
}

/// W x with f64 sums.
pub fn product(w: &Matrix, x: &[f64]) -> Vec<f64> {
    rows(w)
        .iter()
        .map(|row| row.iter().zip(x).map(|(&w, &x)| f64::from(w) * x).sum())
        .collect()
}

/// g ⊙ x / sqrt(mean(x²) + ε)
pub fn normed(x: &[f32], gain: &[f32]) -> Vec<f64> {
    let mean = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean + EPSILON).sqrt();
    x.iter()
        .zip(gain)
        .map(|(&x, &g)| f64::from(x) * scale * f64::from(g))
        .collect()
}

pub fn gain(seed: u32, d: usize) -> Vec<f32> {
    noise(seed, d).iter().map(|g| 1.0 + 0.3 * g).collect()
}

pub fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}
