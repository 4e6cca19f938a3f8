//! Plain f64 twins of what the kernels compute, and the inputs that they are given.

use latent_gpu::{layout::Column, weights::rows};
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

pub fn tile_for(n_columns: usize) -> usize {
    latent_gpu::kernels::tile_for(n_columns) as usize
}

/// Column tables are whole tiles; what is past `n_columns` is dead.
pub fn columns(n_columns: usize, column: impl Fn(usize) -> Column) -> Vec<Column> {
    let mut columns: Vec<Column> = (0..n_columns).map(column).collect();
    columns.resize(
        n_columns.next_multiple_of(tile_for(n_columns)),
        Column::default(),
    );
    columns
}

pub fn live() -> Column {
    Column {
        live: 1,
        wants_logits: 1,
        ..Column::default()
    }
}

/// `n` rows of `width` for every column of a table, dead ones too.
pub fn vectors(seed: u32, columns: &[Column], width: usize) -> Vec<f32> {
    noise(seed, columns.len() * width)
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
