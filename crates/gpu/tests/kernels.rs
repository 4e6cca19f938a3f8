//! The embedding and the matmul kernels against plain f64 twins, at awkward sizes.

mod common;

use common::twins::*;
use latent_gpu::{
    kernels::{EMBED, HEAD, PROJECT, SWIGLU},
    layout::Column,
    weights::{packed, rows},
};
use latent_model::checkpoint::Matrix;

/// (d, rows, columns): one quad, not a multiple of the workgroup, and a shipped model's, up and down.
const SHAPES: [(usize, usize, usize); 6] = [
    (4, 4, 1),
    (12, 20, 3),
    (8, 36, 4),
    (20, 12, 11),
    (128, 256, 8),
    (256, 128, 8),
];

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
            common::buffer(&context, &*table.to_f32()),
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
            let expected = if column.live == 1 { &*row } else { kept };
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
        let (gate, up) = (matrix(1, intermediate, d), matrix(2, intermediate, d));
        let mut gates = gate.to_f32().into_owned();
        // e^-z of rows 1 and 2 is far outside of f32, on either side.
        gates[d..2 * d]
            .iter_mut()
            .for_each(|w| *w = 300.0 * w.abs());
        gates[2 * d..3 * d]
            .iter_mut()
            .for_each(|w| *w = -300.0 * w.abs());
        let gate = Matrix::from_f32(intermediate, d, &gates);
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
        let table = matrix(1, vocab_size, d);
        let mut padded = table.to_f32().into_owned();
        padded.resize(vocab_size.next_multiple_of(4) * d, 0.0);
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
                common::buffer(&context, &padded),
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
