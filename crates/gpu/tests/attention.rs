//! The kernels that know of heads and positions against plain f64 twins.

mod common;

use common::twins::*;
use latent_gpu::{
    GpuContext,
    kernels::{ATTENTION, QK_NORM, QKV, Table, score_places},
    layout::Row,
    packing::{MatrixRow, rotation_order, rotation_places},
};
use latent_model::{
    checkpoint::{Matrix, WeightFormat},
    config::Rope,
    reference::Frequencies,
};

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

/// The rows of q, k and v as the kernel reads them.
fn in_order(set: &[Matrix; 3], head_dim: usize) -> Vec<MatrixRow<'_>> {
    let rows = set.each_ref().map(|w| rotation_order(w, head_dim));
    rows.concat()
}

fn check_qkv(
    context: &GpuContext,
    heads: Heads,
    (d, n_rows): (usize, usize),
    n_sets: usize,
    sharing: Sharing,
    variant: Variant,
) {
    let (q_width, kv_width) = (heads.q_width(), heads.kv_width());
    let set = |set: u32| {
        let shapes = [(10, q_width), (20, kv_width), (30, kv_width)];
        shapes.map(|(seed, width)| matrix(seed + set, width, d).converted(variant.format))
    };
    let bias = |set: u32| {
        let shapes = [(40, q_width), (50, kv_width), (60, kv_width)];
        shapes.map(|(seed, width)| common::noise(seed + set, width))
    };
    let biases: Vec<[Vec<f32>; 3]> = (0..n_sets as u32).map(bias).collect();
    let sets: Vec<[Matrix; 3]> = (0..n_sets as u32).map(set).collect();
    let gain = gain(4, d);
    let mut batch = rows_of(n_rows, |r| Row {
        base: (r * N_POSITIONS) as u32,
        position: ((17 * r + 3) % N_POSITIONS) as u32,
        // Not where its position lies: a row may keep its key to itself.
        write_row: (r * N_POSITIONS + (17 * r + 9) % N_POSITIONS) as u32,
        adapter: ((r + n_sets - 1) % n_sets) as u32,
        ..live()
    });
    let dead = n_rows / 2;
    batch[dead].live = u32::from(n_rows == 1);
    let residual = vectors(5, &batch, d);
    let frequencies = Frequencies::new(heads.head_dim, Rope::unscaled(100.0));
    let interleaved = |position: usize| {
        let rotation = frequencies.at(position);
        let pairs = rotation.cos.into_iter().zip(rotation.sin);
        pairs
            .flat_map(|(cos, sin)| [cos, sin])
            .collect::<Vec<f32>>()
    };
    let rotations: Vec<f32> = (0..N_POSITIONS).flat_map(interleaved).collect();
    let in_order = sets.iter().map(|set| in_order(set, heads.head_dim));
    let in_order: Vec<Vec<MatrixRow<'_>>> = in_order.collect();
    let biases_in_order = biases.iter().flatten().flat_map(|bias| {
        let places = rotation_places(bias.len(), heads.head_dim);
        places.map(|place| bias[place])
    });
    let vectors_of_norm: Vec<f32> = gain.iter().copied().chain(biases_in_order).collect();
    let cache = vec![9.0_f32; batch.len() * N_POSITIONS * kv_width];
    let buffers = [
        common::buffer(context, &batch),
        common::buffer(context, &residual),
        common::buffer(context, &vectors_of_norm),
        common::buffer(context, &packed_sets(&in_order, variant.format, &gain)),
        common::buffer(context, &rotations),
        common::buffer(context, &vec![0.0_f32; batch.len() * q_width]),
        common::buffer(context, &cache),
        common::buffer(context, &cache),
    ];
    let tile = tile_for(n_rows);
    let mut constants = vec![
        ("TILE", tile as f64),
        ("WIDTH", (d / 4) as f64),
        ("EPSILON", EPSILON),
        ("N_SETS", n_sets as f64),
    ];
    constants.extend(heads.constants());
    constants.extend(variant.constants());
    constants.push(("TURNS", variant.gated_or_turned.into()));
    let pipeline = sharing.matmul(context, QKV, variant.format, &constants);
    let grid = matmul_grid(&pipeline, q_width + 2 * kv_width, batch.len() / tile);
    common::dispatch(context, &pipeline, &buffers.each_ref(), grid);

    let read = |index: usize| common::contents::<f32>(context, &buffers[index]);
    let (queries, keys, values) = (read(5), read(6), read(7));
    for (r, row) in batch.iter().enumerate().take(n_rows) {
        let at = format!("{heads:?}, d = {d}, {variant:?}, {sharing:?}, row {r}");
        let [q_bias, k_bias, v_bias] = &biases[row.adapter as usize];
        let [q, k, v] = &sets[row.adapter as usize];
        let position = row.position as usize;
        let first = row.write_row as usize * kv_width;
        if row.live == 0 {
            assert_eq!(
                keys[first..first + kv_width],
                cache[..kv_width],
                "{at} is dead"
            );
            continue;
        }
        let x = variant.normed(&residual[r * d..(r + 1) * d], &gain);
        let turned = |w: &Matrix, bias: &[f32]| {
            let mut y = narrow(&variant.biased(product(w, &x), bias));
            if variant.gated_or_turned {
                frequencies.at(position).turn(&mut y);
            }
            y
        };
        assert_near(
            &format!("{at}: q"),
            &queries[r * q_width..][..q_width],
            &turned(q, q_bias),
        );
        assert_near(
            &format!("{at}: k"),
            &keys[first..first + kv_width],
            &turned(k, k_bias),
        );
        let expected = narrow(&variant.biased(product(v, &x), v_bias));
        assert_near(
            &format!("{at}: v"),
            &values[first..first + kv_width],
            &expected,
        );
    }
}

#[test]
fn qkv_norms_projects_rotates_and_caches() {
    let Some(context) = common::context() else {
        return;
    };
    let shapes = HEADS.into_iter().zip([(4, 1), (12, 3), (20, 9), (128, 8)]);
    let shapes = shapes.flat_map(|shape| {
        sharings(&context)
            .into_iter()
            .map(move |sharing| (shape, sharing))
    });
    let cases = shapes.flat_map(|shape| [1, 3].map(|n_sets| (shape, n_sets)));
    for (index, (((heads, shape), sharing), n_sets)) in cases.enumerate() {
        check_qkv(&context, heads, shape, n_sets, sharing, Variant::nth(index));
    }
}

#[test]
fn norms_of_heads_come_before_their_rotation_and_leave_other_rows_alone() {
    let Some(context) = common::context() else {
        return;
    };
    for (heads, threads) in HEADS.into_iter().flat_map(|h| THREADS.map(|t| (h, t))) {
        let (q_width, kv_width, head_dim) = (heads.q_width(), heads.kv_width(), heads.head_dim);
        let mut batch = rows_of(5, |r| Row {
            position: (17 * r + 3) as u32,
            write_row: (r + 1) as u32,
            ..live()
        });
        batch[2].live = 0;
        let gains = [gain(1, head_dim), gain(2, head_dim)];
        let in_order = gains.each_ref().map(|gain| {
            let places = rotation_places(head_dim, head_dim);
            places.map(|place| gain[place]).collect::<Vec<f32>>()
        });
        let frequencies = Frequencies::new(head_dim, Rope::unscaled(100.0));
        let n_positions = 17 * batch.len() + 3;
        let rotations: Vec<f32> = (0..n_positions)
            .flat_map(|position| {
                let rotation = frequencies.at(position);
                let pairs = rotation.cos.into_iter().zip(rotation.sin);
                pairs
                    .flat_map(|(cos, sin)| [cos, sin])
                    .collect::<Vec<f32>>()
            })
            .collect();
        let queries = vectors(3, &batch, q_width);
        let keys = common::noise(4, (batch.len() + 2) * kv_width);
        let buffers = [
            common::buffer(&context, &batch),
            common::buffer(&context, &in_order.concat()),
            common::buffer(&context, &rotations),
            common::buffer(&context, &queries),
            common::buffer(&context, &keys),
        ];
        let constants = [&heads.constants()[..], &[("EPSILON", EPSILON)]].concat();
        let pipeline = QK_NORM.pipeline(&context, threads, &constants);
        let grid = [
            (heads.n_heads + heads.n_kv_heads) as u32,
            batch.len() as u32,
        ];
        let pipeline = pipeline.expect("a shape that runs");
        common::dispatch(&context, &pipeline, &buffers.each_ref(), grid);
        let mut expected = [queries, keys];
        for (r, row) in batch.iter().enumerate().filter(|(_, row)| row.live == 1) {
            let places = [(r, q_width), (row.write_row as usize, kv_width)];
            for ((values, gain), (at, width)) in expected.iter_mut().zip(&gains).zip(places) {
                for head in values[at * width..][..width].chunks_exact_mut(head_dim) {
                    head.copy_from_slice(&narrow(&normed(head, gain)));
                    frequencies.at(row.position as usize).turn(head);
                }
            }
        }
        for (buffer, expected) in buffers[3..].iter().zip(&expected) {
            let found = common::contents::<f32>(&context, buffer);
            let at = format!("{heads:?}, {threads} threads");
            assert_near(&at, &found[..expected.len()], expected);
        }
    }
}

/// How attention's work can be shared: where subgroups are asked for, a workgroup is one.
fn sharings_of_attention(context: &GpuContext) -> Vec<Sharing> {
    let size = context.subgroup_size();
    let runs =
        |sharing: &Sharing| sharing.table != Table::CpuSubgroups || Some(sharing.threads) == size;
    sharings(context).into_iter().filter(runs).collect()
}

/// Attention of `batch`, in tiles of `tile` rows.
fn check_attention(
    context: &GpuContext,
    heads: Heads,
    (batch, tile): (&[Row], u32),
    sharing: Sharing,
) {
    let (q_width, kv_width, head_dim) = (heads.q_width(), heads.kv_width(), heads.head_dim);
    // Far apart, so that the softmax must subtract its maximum.
    let queries: Vec<f32> = vectors(1, batch, q_width)
        .iter()
        .map(|q| 20.0 * q)
        .collect();
    let n_cached = batch.len() * N_POSITIONS;
    let (keys, values) = (
        common::noise(2, n_cached * kv_width),
        common::noise(3, n_cached * kv_width),
    );
    let places = score_places(N_POSITIONS, context.subgroup_size());
    // Anything may lie where scores go.
    let scores = common::noise(4, batch.len() * heads.n_heads * places);
    let scores: Vec<f32> = scores.iter().map(|score| 1e4 * score).collect();
    let buffers = [
        common::buffer(context, batch),
        common::buffer(context, &queries),
        common::buffer(context, &keys),
        common::buffer(context, &values),
        common::buffer(context, &scores),
        common::buffer(context, &vec![0.0_f32; batch.len() * q_width]),
    ];
    let mut constants = heads.constants().to_vec();
    constants.push(("TILE", tile.into()));
    let threads = match sharing.table {
        Table::Cpu => tile * sharing.threads,
        Table::CpuSubgroups => {
            constants.push(("SUBGROUP", sharing.threads.into()));
            sharing.threads
        }
        Table::Gpu => {
            let slices = sharing.threads / (head_dim as u32 / 4);
            constants.push(("SLICES", slices.into()));
            sharing.threads
        }
    };
    let pipeline = ATTENTION
        .of(sharing.table, WeightFormat::F32)
        .pipeline(context, threads, &constants)
        .expect("a shape that runs");
    let grid = [heads.n_heads as u32, batch.len() as u32 / tile];
    common::dispatch(context, &pipeline, &buffers.each_ref(), grid);
    let found = common::contents::<f32>(context, &buffers[5]);
    for (r, row) in batch.iter().enumerate().filter(|(_, row)| row.live == 1) {
        for head in 0..heads.n_heads {
            let kv_head = head / (heads.n_heads / heads.n_kv_heads);
            let cached = |table: &[f32], position: u32| -> Vec<f64> {
                let shared = position < row.n_prefix;
                let base = if shared { row.prefix_base } else { row.base };
                let is_own = position == row.position;
                let cache_row = if is_own {
                    row.write_row
                } else {
                    base + position
                };
                let first = cache_row as usize * kv_width + kv_head * head_dim;
                table[first..first + head_dim]
                    .iter()
                    .map(|&x| x.into())
                    .collect()
            };
            let query = &queries[r * q_width + head * head_dim..][..head_dim];
            let score = |position: u32| -> f64 {
                let key = cached(&keys, position);
                let dot: f64 = query.iter().zip(key).map(|(&q, k)| f64::from(q) * k).sum();
                dot / (head_dim as f64).sqrt()
            };
            let scores: Vec<f64> = (0..=row.position).map(score).collect();
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
            let found = &found[r * q_width + head * head_dim..][..head_dim];
            let at = format!("{heads:?}, tiles of {tile}, row {r} {row:?}, head {head}");
            assert_near(&at, found, &narrow(&expected));
        }
    }
}

#[test]
fn attention_reads_the_shared_prompt_and_the_lanes_own_positions() {
    let Some(context) = common::context() else {
        return;
    };
    let n = N_POSITIONS as u32;
    let row = |base: u32, prefix_base: u32, n_prefix: u32, position: u32| Row {
        base: base * n,
        prefix_base: prefix_base * n,
        n_prefix,
        position,
        write_row: base * n + position,
        ..live()
    };
    let batch = [
        row(0, 0, 0, 0),
        row(1, 0, 5, 5),
        row(2, 0, 5, 30),
        Row::default(),
        row(3, 3, 7, n - 1),
        // It sees lane 2's positions, and keeps its own key and value elsewhere.
        Row {
            write_row: 5 * n + 1,
            ..row(2, 0, 5, 30)
        },
    ];
    for heads in HEADS {
        for sharing in sharings_of_attention(&context) {
            check_attention(&context, heads, (&batch, 1), sharing);
        }
    }
}

#[test]
fn the_rows_of_a_tile_read_once_what_they_share() {
    let Some(context) = common::context() else {
        return;
    };
    let n = N_POSITIONS as u32;
    let row = |base: u32, n_prefix: u32, position: u32, n_shared: u32| Row {
        base: base * n,
        prefix_base: 0,
        n_prefix,
        position,
        write_row: base * n + position,
        n_shared,
        ..live()
    };
    let dead = |row: Row| Row { live: 0, ..row };
    // Positions of one prompt, which each see those before them.
    let prompt = (0..8).map(|r| row(2, 0, 9 + r, 9));
    // Lanes that share eleven positions, of which some have ended, the first one among them.
    let lanes = (0..8).map(|r| {
        let lane = row(r, 11, 11 + 2 * r, 11);
        if r % 3 == 0 { dead(lane) } else { lane }
    });
    // Lanes that share nothing, and a tile that is not full.
    let alone = [row(0, 0, 0, 0), row(1, 5, 5, 0), row(2, 0, n - 1, 0)];
    let rest = (0..5).map(|_| Row::default());
    let probes = [row(4, 11, 25, 25), row(4, 11, 30, 25)];
    let rest_shares = (0..6).map(|_| Row {
        n_shared: 25,
        ..Row::default()
    });
    let batch: Vec<Row> = prompt
        .chain(lanes)
        .chain(alone)
        .chain(rest)
        .chain(probes)
        .chain(rest_shares)
        .collect();
    for heads in HEADS {
        for sharing in sharings_of_attention(&context) {
            for tile in [4, 8] {
                // A workgroup of every device has 256 threads; on GPUs it has one row.
                if sharing.table != Table::Gpu && tile * sharing.threads <= 256 {
                    check_attention(&context, heads, (&batch, tile), sharing);
                }
            }
        }
    }
}
