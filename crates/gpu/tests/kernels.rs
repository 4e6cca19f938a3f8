//! Each kernel of the forward pass against a plain f64 twin, at awkward sizes.

mod common;

use latent_gpu::{
    GpuContext,
    kernels::{ATTENTION, EMBED, HEAD, PROJECT, QKV, SWIGLU},
    layout::Column,
    weights::{packed, rotation_order, rows},
};
use latent_model::{
    checkpoint::Matrix,
    compare::{Tolerance, compare},
    reference::Rope,
};

const EPSILON: f64 = 1e-5;

/// (d, rows, columns): one quad, not a multiple of the workgroup, and a shipped model's.
const SHAPES: [(usize, usize, usize); 5] = [
    (4, 4, 1),
    (12, 20, 3),
    (8, 36, 4),
    (20, 12, 11),
    (128, 344, 8),
];

fn matrix(seed: u32, rows: usize, cols: usize) -> Matrix {
    let values = common::noise(seed, rows * cols);
    Matrix { rows, cols, values }
}

fn assert_near(at: &str, found: &[f32], expected: &[f32]) {
    let (difference, agrees) = compare(found, expected, Tolerance::F32);
    assert!(
        agrees,
        "{at}: differs by {difference:e}\n{found:?}\n{expected:?}"
    );
}

fn tile_for(n_columns: usize) -> usize {
    latent_gpu::kernels::tile_for(n_columns) as usize
}

/// Column tables are whole tiles; what is past `n_columns` is dead.
fn columns(n_columns: usize, column: impl Fn(usize) -> Column) -> Vec<Column> {
    let mut columns: Vec<Column> = (0..n_columns).map(column).collect();
    columns.resize(
        n_columns.next_multiple_of(tile_for(n_columns)),
        Column::default(),
    );
    columns
}

fn live() -> Column {
    Column {
        live: 1,
        wants_logits: 1,
        ..Column::default()
    }
}

/// `n` rows of `width` for every column of a table, dead ones too.
fn vectors(seed: u32, columns: &[Column], width: usize) -> Vec<f32> {
    common::noise(seed, columns.len() * width)
}

/// W x with f64 sums.
fn product(w: &Matrix, x: &[f64]) -> Vec<f64> {
    rows(w)
        .iter()
        .map(|row| row.iter().zip(x).map(|(&w, &x)| f64::from(w) * x).sum())
        .collect()
}

/// g ⊙ x / sqrt(mean(x²) + ε)
fn normed(x: &[f32], gain: &[f32]) -> Vec<f64> {
    let mean = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean + EPSILON).sqrt();
    x.iter()
        .zip(gain)
        .map(|(&x, &g)| f64::from(x) * scale * f64::from(g))
        .collect()
}

fn gain(seed: u32, d: usize) -> Vec<f32> {
    common::noise(seed, d)
        .iter()
        .map(|g| 1.0 + 0.3 * g)
        .collect()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

#[test]
fn embed_copies_rows_of_live_columns() {
    let Some(context) = common::context() else {
        return;
    };
    for (d, vocab_size, n_columns) in SHAPES {
        let table = matrix(1, vocab_size, d);
        let mut columns = columns(n_columns, |c| Column {
            token: ((5 * c + 2) % vocab_size) as u32,
            ..live()
        });
        columns[n_columns / 2].live = 0;
        let before = vectors(2, &columns, d);
        let buffers = [
            common::buffer(&context, &columns),
            common::buffer(&context, &table.values),
            common::buffer(&context, &before),
        ];
        let pipeline = EMBED.pipeline(context.device(), 8, &[("WIDTH", (d / 4) as f64)]);
        let grid = [(d / 4).div_ceil(8) as u32, columns.len() as u32];
        common::dispatch(
            &context,
            &pipeline,
            &[&buffers[0], &buffers[1], &buffers[2]],
            grid,
        );
        let found = common::contents::<f32>(&context, &buffers[2]);
        for (c, column) in columns.iter().enumerate() {
            let kept = &before[c * d..(c + 1) * d];
            let row = table.row(column.token as usize);
            let expected = if column.live == 1 { row } else { kept };
            assert_eq!(&found[c * d..(c + 1) * d], expected, "d = {d}, column {c}");
        }
    }
}

#[test]
fn project_adds_to_the_residual() {
    let Some(context) = common::context() else {
        return;
    };
    for (width, d, n_columns) in SHAPES {
        let w = matrix(1, d, width);
        let columns = columns(n_columns, |_| live());
        let (input, residual) = (vectors(2, &columns, width), vectors(3, &columns, d));
        let buffers = [
            common::buffer(&context, &columns),
            common::buffer(&context, &input),
            common::buffer(&context, &packed(&rows(&w), None)),
            common::buffer(&context, &residual),
        ];
        let tile = tile_for(n_columns);
        let constants = [
            ("COLUMNS", tile as f64),
            ("WIDTH", (width / 4) as f64),
            ("N_QUADS", (d / 4) as f64),
        ];
        let pipeline = PROJECT.pipeline(context.device(), 8, &constants);
        let grid = [(d / 4).div_ceil(8) as u32, (columns.len() / tile) as u32];
        common::dispatch(&context, &pipeline, &buffers.each_ref(), grid);
        let found = common::contents::<f32>(&context, &buffers[3]);
        for c in 0..n_columns {
            let x: Vec<f64> = input[c * width..][..width]
                .iter()
                .map(|&x| x.into())
                .collect();
            let added = product(&w, &x);
            let before = &residual[c * d..(c + 1) * d];
            let expected: Vec<f32> = before
                .iter()
                .zip(added)
                .map(|(&r, y)| (f64::from(r) + y) as f32)
                .collect();
            assert_near(
                &format!("{w} ← {width}", w = d),
                &found[c * d..(c + 1) * d],
                &expected,
            );
        }
    }
}

#[test]
fn swiglu_is_gate_times_up_even_where_exp_overflows() {
    let Some(context) = common::context() else {
        return;
    };
    for (d, intermediate, n_columns) in SHAPES {
        let (mut gate, up) = (matrix(1, intermediate, d), matrix(2, intermediate, d));
        // e^-z of rows 1 and 2 is far outside of f32, on either side.
        gate.values[d..2 * d]
            .iter_mut()
            .for_each(|w| *w = 300.0 * w.abs());
        gate.values[2 * d..3 * d]
            .iter_mut()
            .for_each(|w| *w = -300.0 * w.abs());
        let gain = gain(3, d);
        let columns = columns(n_columns, |_| live());
        let residual: Vec<f32> = vectors(4, &columns, d)
            .iter()
            .map(|x| x.abs() + 0.1)
            .collect();
        let gated = vec![0.0_f32; columns.len() * intermediate];
        let buffers = [
            common::buffer(&context, &columns),
            common::buffer(&context, &residual),
            common::buffer(&context, &packed(&rows(&gate), Some(&gain))),
            common::buffer(&context, &packed(&rows(&up), Some(&gain))),
            common::buffer(&context, &gated),
        ];
        let tile = tile_for(n_columns);
        let constants = [
            ("COLUMNS", tile as f64),
            ("WIDTH", (d / 4) as f64),
            ("N_QUADS", (intermediate / 4) as f64),
            ("EPSILON", EPSILON),
        ];
        let pipeline = SWIGLU.pipeline(context.device(), 8, &constants);
        let grid = [
            (intermediate / 4).div_ceil(8) as u32,
            (columns.len() / tile) as u32,
        ];
        common::dispatch(&context, &pipeline, &buffers.each_ref(), grid);
        let found = common::contents::<f32>(&context, &buffers[4]);
        for c in 0..n_columns {
            let x = normed(&residual[c * d..(c + 1) * d], &gain);
            let (gates, ups) = (product(&gate, &x), product(&up, &x));
            let expected: Vec<f64> = gates
                .iter()
                .zip(ups)
                .map(|(&z, u)| z / (1.0 + (-z).exp()) * u)
                .collect();
            let found = &found[c * intermediate..(c + 1) * intermediate];
            assert_near(&format!("d = {d}, column {c}"), found, &narrow(&expected));
        }
    }
}

#[test]
fn head_gives_logits_to_tiles_that_want_them() {
    let Some(context) = common::context() else {
        return;
    };
    for (d, vocab_size, n_columns) in [(4, 1, 1), (12, 5, 3), (8, 64, 9), (128, 1000, 8)] {
        let mut table = matrix(1, vocab_size, d);
        table.values.resize(vocab_size.next_multiple_of(4) * d, 0.0);
        let gain = gain(2, d);
        for is_wanted in [true, false] {
            let columns = columns(n_columns, |_| Column {
                wants_logits: u32::from(is_wanted),
                ..live()
            });
            let stride = vocab_size.next_multiple_of(4);
            let residual = vectors(3, &columns, d);
            let before = vec![7.0_f32; columns.len() * stride];
            let buffers = [
                common::buffer(&context, &columns),
                common::buffer(&context, &residual),
                common::buffer(&context, &gain),
                common::buffer(&context, &table.values),
                common::buffer(&context, &before),
            ];
            let tile = tile_for(n_columns);
            let constants = [
                ("COLUMNS", tile as f64),
                ("WIDTH", (d / 4) as f64),
                ("N_QUADS", (stride / 4) as f64),
                ("EPSILON", EPSILON),
            ];
            let pipeline = HEAD.pipeline(context.device(), 8, &constants);
            let grid = [
                (stride / 4).div_ceil(8) as u32,
                (columns.len() / tile) as u32,
            ];
            common::dispatch(&context, &pipeline, &buffers.each_ref(), grid);
            let found = common::contents::<f32>(&context, &buffers[4]);
            if !is_wanted {
                assert_eq!(found[..before.len()], before, "the head must be skipped");
                continue;
            }
            for c in 0..n_columns {
                let hidden = normed(&residual[c * d..(c + 1) * d], &gain);
                let expected = narrow(&product(&table, &hidden)[..vocab_size]);
                let found = &found[c * stride..c * stride + vocab_size];
                assert_near(&format!("V = {vocab_size}, column {c}"), found, &expected);
            }
        }
    }
}

/// Heads of one test of qkv or attention.
#[derive(Clone, Copy, Debug)]
struct Heads {
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
}

const HEADS: [Heads; 4] = [
    Heads {
        n_heads: 1,
        n_kv_heads: 1,
        head_dim: 4,
    },
    Heads {
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 8,
    },
    Heads {
        n_heads: 6,
        n_kv_heads: 3,
        head_dim: 12,
    },
    Heads {
        n_heads: 4,
        n_kv_heads: 4,
        head_dim: 32,
    },
];

impl Heads {
    fn constants(self) -> [(&'static str, f64); 3] {
        [
            ("N_HEADS", self.n_heads as f64),
            ("N_KV_HEADS", self.n_kv_heads as f64),
            ("HEAD_DIM", self.head_dim as f64),
        ]
    }

    fn q_width(self) -> usize {
        self.n_heads * self.head_dim
    }

    fn kv_width(self) -> usize {
        self.n_kv_heads * self.head_dim
    }
}

/// Positions of a lane's part of the cache in these tests.
const N_POSITIONS: usize = 40;

fn check_qkv(context: &GpuContext, heads: Heads, d: usize, n_columns: usize) {
    let (q_width, kv_width) = (heads.q_width(), heads.kv_width());
    let (q, k, v) = (
        matrix(1, q_width, d),
        matrix(2, kv_width, d),
        matrix(3, kv_width, d),
    );
    let gain = gain(4, d);
    let mut columns = columns(n_columns, |c| Column {
        base: (c * N_POSITIONS) as u32,
        position: ((17 * c + 3) % N_POSITIONS) as u32,
        ..live()
    });
    let dead = n_columns / 2;
    columns[dead].live = u32::from(n_columns == 1);
    let residual = vectors(5, &columns, d);
    let rope = Rope::new(heads.head_dim, N_POSITIONS, 100.0);
    let interleaved = |position: usize| {
        let (cos, sin) = rope.row(position);
        cos.iter()
            .zip(sin)
            .flat_map(|(&cos, &sin)| [cos, sin])
            .collect::<Vec<f32>>()
    };
    let rotations: Vec<f32> = (0..N_POSITIONS).flat_map(interleaved).collect();
    let in_order: Vec<&[f32]> = [&q, &k, &v]
        .into_iter()
        .flat_map(|w| rotation_order(w, heads.head_dim))
        .collect();
    let cache = vec![9.0_f32; columns.len() * N_POSITIONS * kv_width];
    let buffers = [
        common::buffer(context, &columns),
        common::buffer(context, &residual),
        common::buffer(context, &packed(&in_order, Some(&gain))),
        common::buffer(context, &rotations),
        common::buffer(context, &vec![0.0_f32; columns.len() * q_width]),
        common::buffer(context, &cache),
        common::buffer(context, &cache),
    ];
    let tile = tile_for(n_columns);
    let mut constants = vec![
        ("COLUMNS", tile as f64),
        ("WIDTH", (d / 4) as f64),
        ("EPSILON", EPSILON),
    ];
    constants.extend(heads.constants());
    let pipeline = QKV.pipeline(context.device(), 8, &constants);
    let n_quads = (q_width + 2 * kv_width) / 4;
    let grid = [n_quads.div_ceil(8) as u32, (columns.len() / tile) as u32];
    common::dispatch(context, &pipeline, &buffers.each_ref(), grid);

    let read = |index: usize| common::contents::<f32>(context, &buffers[index]);
    let (queries, keys, values) = (read(4), read(5), read(6));
    for (c, column) in columns.iter().enumerate().take(n_columns) {
        let at = format!("{heads:?}, d = {d}, column {c}");
        let position = column.position as usize;
        let row = (column.base as usize + position) * kv_width;
        if column.live == 0 {
            assert_eq!(keys[row..row + kv_width], cache[..kv_width], "{at} is dead");
            continue;
        }
        let x = normed(&residual[c * d..(c + 1) * d], &gain);
        let turned = |w: &Matrix| {
            let mut y = narrow(&product(w, &x));
            rope.rotate(&mut y, position);
            y
        };
        assert_near(
            &format!("{at}: q"),
            &queries[c * q_width..][..q_width],
            &turned(&q),
        );
        assert_near(&format!("{at}: k"), &keys[row..row + kv_width], &turned(&k));
        let expected = narrow(&product(&v, &x));
        assert_near(&format!("{at}: v"), &values[row..row + kv_width], &expected);
    }
}

#[test]
fn qkv_norms_projects_rotates_and_caches() {
    let Some(context) = common::context() else {
        return;
    };
    for (heads, (d, n_columns)) in HEADS.into_iter().zip([(4, 1), (12, 3), (20, 9), (128, 8)]) {
        check_qkv(&context, heads, d, n_columns);
    }
}

fn check_attention(context: &GpuContext, heads: Heads, columns: &[Column]) {
    let (q_width, kv_width, head_dim) = (heads.q_width(), heads.kv_width(), heads.head_dim);
    // Far apart, so that the softmax must subtract its maximum.
    let queries: Vec<f32> = vectors(1, columns, q_width)
        .iter()
        .map(|q| 20.0 * q)
        .collect();
    let n_rows = columns.len() * N_POSITIONS;
    let (keys, values) = (
        common::noise(2, n_rows * kv_width),
        common::noise(3, n_rows * kv_width),
    );
    let scores = vec![0.0_f32; columns.len() * heads.n_heads * N_POSITIONS];
    let buffers = [
        common::buffer(context, columns),
        common::buffer(context, &queries),
        common::buffer(context, &keys),
        common::buffer(context, &values),
        common::buffer(context, &scores),
        common::buffer(context, &vec![0.0_f32; columns.len() * q_width]),
    ];
    let pipeline = ATTENTION.pipeline(context.device(), 8, &heads.constants());
    let grid = [heads.n_heads as u32, columns.len() as u32];
    common::dispatch(context, &pipeline, &buffers.each_ref(), grid);
    let found = common::contents::<f32>(context, &buffers[5]);
    for (c, column) in columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.live == 1)
    {
        for head in 0..heads.n_heads {
            let kv_head = head / (heads.n_heads / heads.n_kv_heads);
            let cached = |table: &[f32], position: u32| -> Vec<f64> {
                let shared = position < column.n_prefix;
                let base = if shared {
                    column.prefix_base
                } else {
                    column.base
                };
                let first = (base + position) as usize * kv_width + kv_head * head_dim;
                table[first..first + head_dim]
                    .iter()
                    .map(|&x| x.into())
                    .collect()
            };
            let query = &queries[c * q_width + head * head_dim..][..head_dim];
            let score = |position: u32| -> f64 {
                let key = cached(&keys, position);
                let dot: f64 = query.iter().zip(key).map(|(&q, k)| f64::from(q) * k).sum();
                dot / (head_dim as f64).sqrt()
            };
            let scores: Vec<f64> = (0..=column.position).map(score).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
            let mut expected = vec![0.0; head_dim];
            for (position, score) in (0..).zip(&scores) {
                let weight = (score - max).exp() / sum;
                let value = cached(&values, position);
                expected
                    .iter_mut()
                    .zip(value)
                    .for_each(|(out, v)| *out += weight * v);
            }
            let found = &found[c * q_width + head * head_dim..][..head_dim];
            let at = format!("{heads:?}, column {c} {column:?}, head {head}");
            assert_near(&at, found, &narrow(&expected));
        }
    }
}

#[test]
fn attention_reads_the_shared_prompt_and_the_lanes_own_positions() {
    let Some(context) = common::context() else {
        return;
    };
    let column = |base: u32, prefix_base: u32, n_prefix: u32, position: u32| Column {
        base: base * N_POSITIONS as u32,
        prefix_base: prefix_base * N_POSITIONS as u32,
        n_prefix,
        position,
        ..live()
    };
    let columns = [
        column(0, 0, 0, 0),
        column(1, 0, 5, 5),
        column(2, 0, 5, 30),
        Column::default(),
        column(3, 3, 7, N_POSITIONS as u32 - 1),
    ];
    for heads in HEADS {
        check_attention(&context, heads, &columns);
    }
}
