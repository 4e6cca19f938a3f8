//! The kernels that know of heads and positions against plain f64 twins.

mod common;

use common::twins::*;
use latent_gpu::{
    GpuContext,
    kernels::{ATTENTION, QKV},
    layout::Column,
    weights::{packed, rotation_order},
};
use latent_model::{checkpoint::Matrix, reference::Rope};

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
        head_dim: 64,
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
    let in_order: Vec<_> = [&q, &k, &v]
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
