//! Plain f64 twins of what the kernels compute, and the inputs that they are given.

use latent_gpu::{
    GpuContext,
    kernels::{Kernel, Pipeline, Table},
    layout::Row,
    packing::{MatrixRow, packed},
};
use latent_model::{
    checkpoint::{Matrix, WeightFormat},
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

/// How a kernel's work is shared among threads.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    pub table: Table,
    pub threads: u32,
    /// Fours of outputs of a workgroup that splits its sums.
    pub quads: u32,
}

/// All tables, at few threads and at as many as production has.
const SHARINGS: [Sharing; 7] = [
    Sharing::new(Table::Cpu, 8, 1),
    Sharing::new(Table::Cpu, 32, 1),
    Sharing::new(Table::Cpu, 64, 1),
    Sharing::new(Table::CpuSubgroups, 8, 1),
    Sharing::new(Table::CpuSubgroups, 64, 1),
    Sharing::new(Table::Gpu, 64, 8),
    Sharing::new(Table::Gpu, 128, 4),
];

/// Those that a device can run.
pub fn sharings(context: &GpuContext) -> Vec<Sharing> {
    let runs = |sharing: &Sharing| context.runs(sharing.table, sharing.threads);
    SHARINGS.into_iter().filter(runs).collect()
}

impl Sharing {
    const fn new(table: Table, threads: u32, quads: u32) -> Self {
        Self {
            table,
            threads,
            quads,
        }
    }

    /// A matmul compiled for it.
    pub fn matmul(
        self,
        context: &GpuContext,
        kernel: Kernel,
        format: WeightFormat,
        constants: &[(&'static str, f64)],
    ) -> Pipeline {
        let mut all = constants.to_vec();
        all.extend(context.with_table(self.table).sharing_constant(self.quads));
        let kernel = kernel.of(self.table, format);
        let pipeline = kernel.pipeline(context, self.threads, &all);
        pipeline.expect("a shape that runs")
    }
}

/// The grid of a matmul over a batch.
pub fn matmul_grid(pipeline: &Pipeline, n_outputs: usize, n_tiles: usize) -> [u32; 2] {
    let n_quads = n_outputs.div_ceil(4) as u32;
    [n_quads.div_ceil(pipeline.quads_per_group()), n_tiles as u32]
}

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
    let sum = |row: &[f32]| row.iter().zip(x).map(|(&w, &x)| f64::from(w) * x).sum();
    (0..w.rows).map(|row| sum(&w.row(row))).collect()
}

/// Sets of weights as kernels read them; only f32 weights hold the norm's gain.
pub fn packed_sets(sets: &[Vec<MatrixRow<'_>>], format: WeightFormat, gain: &[f32]) -> Vec<u32> {
    let gain = (format == WeightFormat::F32).then_some(gain);
    let packed = |rows: &Vec<MatrixRow<'_>>| packed(rows, format, gain);
    sets.iter().flat_map(packed).collect()
}

/// What a model may have behind a norm, or not.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    pub format: WeightFormat,
    pub layer_norm: bool,
    pub bias: bool,
    /// A gate in the MLP, a rotation of heads.
    pub gated_or_turned: bool,
}

impl Variant {
    /// The twelve variants that tests go round.
    pub fn nth(index: usize) -> Self {
        let (layer_norm, bias, gated_or_turned) = [
            (false, false, true),
            (true, true, false),
            (false, true, true),
            (true, false, true),
        ][index % 4];
        Self {
            format: WeightFormat::ALL[index % 3],
            layer_norm,
            bias,
            gated_or_turned,
        }
    }

    pub fn constants(self) -> [(&'static str, f64); 3] {
        [
            ("GAIN", (self.format != WeightFormat::F32).into()),
            ("LAYER_NORM", self.layer_norm.into()),
            ("BIAS", self.bias.into()),
        ]
    }

    /// The norm of x without its bias, which goes through the weights.
    pub fn normed(self, x: &[f32], gain: &[f32]) -> Vec<f64> {
        let mean = match self.layer_norm {
            true => x.iter().sum::<f32>() / x.len() as f32,
            false => 0.0,
        };
        normed(&x.iter().map(|x| x - mean).collect::<Vec<f32>>(), gain)
    }

    /// y + b, if there is a bias.
    pub fn biased(self, mut y: Vec<f64>, bias: &[f32]) -> Vec<f64> {
        if self.bias {
            y.iter_mut()
                .zip(bias)
                .for_each(|(y, &b)| *y += f64::from(b));
        }
        y
    }
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
