//! The embedding and the matmul kernels against plain f64 twins, at awkward sizes.

mod common;

use common::twins::*;
use latent_gpu::{
    GpuContext,
    kernels::{CONTEMPLATE, EMBED, EXPAND, FINAL_NORM, HEAD, PROJECT, TAP},
    layout::{Row, RowInput, RowState},
    packing::{packed, rows},
    weights::classifier_values,
};
use latent_model::{
    checkpoint::{EndClassifierWeights, Matrix, WeightFormat},
    input::Input,
};

/// (d, outputs, rows): one quad, not a multiple of the workgroup, and a shipped model's, up and down.
const SHAPES: [(usize, usize, usize); 6] = [
    (4, 4, 1),
    (12, 20, 3),
    (8, 36, 4),
    (20, 12, 11),
    (128, 256, 8),
    (256, 128, 8),
];

/// Every shape with every way to share a matmul, for one set of weights and for three.
fn shapes_sharings_and_sets(
    context: &GpuContext,
) -> impl Iterator<Item = (((usize, usize, usize), Sharing), usize)> {
    let sharings = sharings(context);
    let shapes = SHAPES.into_iter().flat_map(move |s| {
        let sharings = sharings.clone();
        sharings.into_iter().map(move |t| (s, t))
    });
    shapes.flat_map(|shape| [1, 3].map(|n_sets| (shape, n_sets)))
}

/// Every shape with every number of threads, for one set of weights and for three.
fn shapes_threads_and_sets() -> impl Iterator<Item = (((usize, usize, usize), u32), usize)> {
    let shapes = SHAPES.into_iter().flat_map(|s| THREADS.map(|t| (s, t)));
    shapes.flat_map(|shape| [1, 3].map(|n_sets| (shape, n_sets)))
}

/// Every kind of input, round the batch.
fn inputs(n_rows: usize, vocab_size: usize, d: usize) -> Vec<Input> {
    let id = |r: usize| ((5 * r + 2) % vocab_size) as u32;
    let mixture = |r: usize| vec![(id(r), 0.5), (id(r + 1), 0.25), (id(r + 7), 0.25)];
    let input = |r: usize| match r % 3 {
        0 => Input::Token(id(r)),
        1 => Input::Mixture(mixture(r)),
        _ => Input::Vector(common::noise(r as u32, d)),
    };
    (0..n_rows).map(input).collect()
}

#[test]
fn embed_feeds_every_kind_of_input_from_one_shard_or_several() {
    let Some(context) = common::context() else {
        return;
    };
    let shapes = SHAPES.into_iter().zip([1, 1, 2, 3, 4, 5]);
    let cases = shapes.flat_map(|shape| THREADS.map(|threads| (shape, threads)));
    for (index, (((d, vocab_size, n_rows), n_shards), threads)) in cases.enumerate() {
        let Variant { format, .. } = Variant::nth(index);
        let (table, learns_positions) =
            (matrix(1, vocab_size, d).converted(format), index % 2 == 1);
        let positions = matrix(9, 7, d);
        let mut batch = rows_of(n_rows, |r| Row {
            position: (3 * r % 7) as u32,
            ..live()
        });
        batch[n_rows / 2].live = u32::from(n_rows == 1);
        let fed = inputs(batch.len(), vocab_size, d);
        let row_inputs: Vec<RowInput> = fed.iter().map(RowInput::new).collect();
        let vector = |input: &Input| match input {
            Input::Vector(vector) => vector.clone(),
            _ => vec![f32::NAN; d],
        };
        let hidden: Vec<f32> = fed.iter().flat_map(vector).collect();
        let before = vectors(2, &batch, d);
        let [rows_buffer, inputs, hidden, positions_buffer, residual] = [
            common::buffer(&context, &batch),
            common::buffer(&context, &row_inputs),
            common::buffer(&context, &hidden),
            common::buffer(&context, &positions.to_f32()),
            common::buffer(&context, &before),
        ];
        let shard_ids = vocab_size.div_ceil(n_shards).next_multiple_of(4);
        for first in (0..vocab_size).step_by(shard_ids) {
            let last = vocab_size.min(first + shard_ids);
            let shard = packed(&rows(&table.slice_rows(first..last)), format, None);
            let shard = common::buffer(&context, &shard);
            let constants = [
                ("WIDTH", (d / 4) as f64),
                ("FIRST_ID", first as f64),
                ("N_IDS", (last - first) as f64),
                ("LEARNED_POSITIONS", learns_positions.into()),
            ];
            let embed = EMBED.reading(format);
            let pipeline = embed.pipeline(&context, threads, &constants);
            let pipeline = pipeline.expect("a shape that runs");
            let grid = [
                (d / 4).div_ceil(threads as usize) as u32,
                batch.len() as u32,
            ];
            let buffers = [
                &rows_buffer,
                &inputs,
                &shard,
                &hidden,
                &positions_buffer,
                &residual,
            ];
            common::dispatch(&context, &pipeline, &buffers, grid);
        }
        let found = common::contents::<f32>(&context, &residual);
        for (r, row) in batch.iter().enumerate() {
            let mut expected = match (&fed[r], row.live) {
                (_, 0) => before[r * d..(r + 1) * d].to_vec(),
                (Input::Token(id), _) => table.row(*id as usize).into_owned(),
                (Input::Vector(vector), _) => vector.clone(),
                (Input::Mixture(mixture), _) => (0..d)
                    .map(|i| {
                        mixture
                            .iter()
                            .map(|&(id, w)| w * table.row(id as usize)[i])
                            .sum()
                    })
                    .collect(),
            };
            if learns_positions && row.live == 1 {
                let position = positions.row(row.position as usize);
                expected
                    .iter_mut()
                    .zip(&*position)
                    .for_each(|(x, p)| *x += p);
            }
            let at = format!(
                "d = {d}, {format:?}, {n_shards} shards, row {r} of {:?}",
                fed[r]
            );
            assert_near(&at, &found[r * d..(r + 1) * d], &expected);
        }
    }
}

#[test]
fn a_tap_keeps_the_residual_of_live_rows_in_its_block() {
    let Some(context) = common::context() else {
        return;
    };
    let (d, n_rows, slot) = (20, 9, 2);
    let mut batch = rows_of(n_rows, |_| live());
    batch[3].live = 0;
    let residual = vectors(1, &batch, d);
    let n = batch.len() * d;
    let buffers = [
        common::buffer(&context, &batch),
        common::buffer(&context, &residual),
        common::buffer(&context, &vec![7.0_f32; 4 * n]),
    ];
    let constants = [("WIDTH", (d / 4) as f64), ("SLOT", f64::from(slot))];
    let pipeline = TAP.pipeline(&context, 8, &constants);
    let grid = [1, batch.len() as u32];
    common::dispatch(
        &context,
        &pipeline.expect("a shape that runs"),
        &buffers.each_ref(),
        grid,
    );
    let found = common::contents::<f32>(&context, &buffers[2]);
    for (index, found) in found.chunks_exact(d).enumerate() {
        let (block, r) = (index / batch.len(), index % batch.len());
        let is_kept = block == slot as usize && batch[r].live == 1;
        let untouched = vec![7.0; d];
        let expected = if is_kept {
            &residual[r * d..(r + 1) * d]
        } else {
            &untouched[..]
        };
        assert_eq!(found, expected, "block {block}, row {r}");
    }
}

#[test]
fn a_contemplation_token_is_the_map_of_a_normed_state() {
    let Some(context) = common::context() else {
        return;
    };
    let slot = 1;
    let cases = SHAPES
        .into_iter()
        .flat_map(|s| sharings(&context).into_iter().map(move |t| (s, t)));
    for ((d, _, n_rows), sharing) in cases {
        let mut batch = rows_of(n_rows, |_| live());
        batch[n_rows / 2].live = u32::from(n_rows == 1);
        let (residual, map) = (vectors(1, &batch, d), matrix(2, d, d));
        let (scale, bias) = (vec![0.3; d], common::noise(3, d));
        let n = batch.len() * d;
        let buffers = [
            common::buffer(&context, &batch),
            common::buffer(&context, &residual),
            common::buffer(&context, &bias),
            common::buffer(
                &context,
                &packed(&rows(&map), WeightFormat::F32, Some(&scale)),
            ),
            common::buffer(&context, &vec![7.0_f32; 2 * n]),
        ];
        let tile = tile_for(n_rows);
        let constants = [
            ("TILE", tile as f64),
            ("WIDTH", (d / 4) as f64),
            ("SLOT", f64::from(slot)),
            ("EPSILON", EPSILON),
        ];
        let pipeline = sharing.matmul(&context, CONTEMPLATE, WeightFormat::F32, &constants);
        let grid = matmul_grid(&pipeline, d, batch.len() / tile);
        common::dispatch(&context, &pipeline, &buffers.each_ref(), grid);
        let found = common::contents::<f32>(&context, &buffers[4]);
        assert!(found[..n].iter().all(|&x| x == 7.0), "another block");
        for (r, row) in batch.iter().enumerate() {
            let found = &found[n + r * d..n + (r + 1) * d];
            if row.live == 0 {
                assert_eq!(found, vec![7.0; d], "row {r} is dead");
                continue;
            }
            let normed = normed(&residual[r * d..(r + 1) * d], &scale);
            let mapped = product(&map, &normed);
            let expected = mapped.iter().zip(&bias).map(|(y, &b)| y + f64::from(b));
            let at = format!("d = {d}, {sharing:?}, row {r}");
            assert_near(&at, found, &narrow(&expected.collect::<Vec<f64>>()));
        }
    }
}

#[test]
fn the_final_norm_tells_the_norm_and_what_the_rows_own_classifier_says() {
    let Some(context) = common::context() else {
        return;
    };
    let cases = shapes_threads_and_sets().enumerate();
    for (index, (((d, _, n_rows), threads), n_sets)) in cases {
        let variant = Variant {
            bias: index % 4 > 1,
            layer_norm: index % 4 > 1,
            ..Variant::nth(0)
        };
        let mut batch = rows_under(n_rows, n_sets);
        batch[n_rows / 2].live = u32::from(n_rows == 1);
        let (residual, gain, bias) = (vectors(1, &batch, d), gain(2, d), common::noise(8, d));
        let classifier = |set| EndClassifierWeights {
            weight: common::noise(3 + set, d).iter().map(|w| 0.2 * w).collect(),
            bias: -0.5 * set as f32,
        };
        let classifiers: Vec<EndClassifierWeights> = (0..n_sets as u32).map(classifier).collect();
        let of_sets = classifiers.iter();
        let of_sets = of_sets.flat_map(|classifier| classifier_values(d, Some(classifier)));
        let before = vec![7.0_f32; batch.len() * d];
        let buffers = [
            common::buffer(&context, &batch),
            common::buffer(&context, &residual),
            common::buffer(&context, &[&gain[..], &bias].concat()),
            common::buffer(&context, &of_sets.collect::<Vec<f32>>()),
            common::buffer(&context, &before),
            common::buffer(&context, &vec![[7.0_f32; 2]; batch.len()]),
        ];
        let constants = [
            ("WIDTH", (d / 4) as f64),
            ("EPSILON", EPSILON),
            ("LAYER_NORM", variant.layer_norm.into()),
        ];
        let pipeline = FINAL_NORM.pipeline(&context, threads, &constants);
        let pipeline = pipeline.expect("a shape that runs");
        common::dispatch(
            &context,
            &pipeline,
            &buffers.each_ref(),
            [batch.len() as u32, 1],
        );
        let hidden = common::contents::<f32>(&context, &buffers[4]);
        let states = common::contents::<RowState>(&context, &buffers[5]);
        for (r, row) in batch.iter().enumerate() {
            let at = format!("d = {d}, {threads} threads, row {r}");
            let found = [states[r].hidden_norm, states[r].end_probability];
            if row.live == 0 {
                assert_eq!(hidden[r * d..(r + 1) * d], before[..d], "{at} is dead");
                assert_eq!(found, [7.0; 2], "{at} is dead");
                continue;
            }
            let classifier = &classifiers[row.adapter as usize];
            let h = variant.normed(&residual[r * d..(r + 1) * d], &gain);
            let h = variant.biased(h, &bias);
            assert_near(&at, &hidden[r * d..(r + 1) * d], &narrow(&h));
            let norm = h.iter().map(|x| x * x).sum::<f64>().sqrt();
            let weighted = h
                .iter()
                .zip(&classifier.weight)
                .map(|(h, &w)| h * f64::from(w));
            let logit = weighted.sum::<f64>() + f64::from(classifier.bias);
            let expected = [norm, 1.0 / (1.0 + (-logit).exp())];
            assert_near(&at, &found, &narrow(&expected));
        }
    }
}

#[test]
fn project_adds_to_the_residual_what_the_rows_own_set_gives() {
    let Some(context) = common::context() else {
        return;
    };
    let cases = shapes_sharings_and_sets(&context).enumerate();
    for (index, (((width, d, n_rows), sharing), n_sets)) in cases {
        let variant = Variant::nth(index);
        let sets: Vec<Matrix> = (0..n_sets as u32)
            .map(|set| matrix(10 + set, d, width).converted(variant.format))
            .collect();
        let packed = |w| packed(&rows(w), variant.format, None);
        let all: Vec<u32> = sets.iter().flat_map(packed).collect();
        let bias = common::noise(8, d);
        let batch = rows_under(n_rows, n_sets);
        let (input, residual) = (vectors(2, &batch, width), vectors(3, &batch, d));
        let buffers = [
            common::buffer(&context, &batch),
            common::buffer(&context, &input),
            common::buffer(&context, &all),
            common::buffer(&context, &bias),
            common::buffer(&context, &residual),
        ];
        let tile = tile_for(n_rows);
        let constants = [
            ("TILE", tile as f64),
            ("WIDTH", (width / 4) as f64),
            ("N_QUADS", (d / 4) as f64),
            ("N_SETS", n_sets as f64),
            ("BIAS", variant.bias.into()),
        ];
        let pipeline = sharing.matmul(&context, PROJECT, variant.format, &constants);
        let grid = matmul_grid(&pipeline, d, batch.len() / tile);
        common::dispatch(&context, &pipeline, &buffers.each_ref(), grid);
        let found = common::contents::<f32>(&context, &buffers[4]);
        for r in 0..n_rows {
            let x: Vec<f64> = input[r * width..][..width]
                .iter()
                .map(|&x| x.into())
                .collect();
            let added = product(&sets[batch[r].adapter as usize], &x);
            let added = variant.biased(added, &bias);
            let before = &residual[r * d..(r + 1) * d];
            let expected: Vec<f32> = before
                .iter()
                .zip(added)
                .map(|(&r, y)| (f64::from(r) + y) as f32)
                .collect();
            assert_near(
                &format!("{d} ← {width}, row {r}, {n_sets} sets, {variant:?}, {sharing:?}"),
                &found[r * d..(r + 1) * d],
                &expected,
            );
        }
    }
}

#[test]
fn the_mlp_expands_with_a_gate_and_without_even_where_exp_overflows() {
    let Some(context) = common::context() else {
        return;
    };
    let cases = shapes_sharings_and_sets(&context).enumerate();
    for (index, (((d, intermediate, n_rows), sharing), n_sets)) in cases {
        let variant = Variant::nth(index);
        let set = |set: u32| {
            let mut gate = matrix(10 + set, intermediate, d);
            // e^-z of rows 1 and 2 is far outside of f32, on either side.
            common::random::edit(&mut gate, |values| {
                values[d..2 * d]
                    .iter_mut()
                    .for_each(|w| *w = 300.0 * w.abs());
                values[2 * d..3 * d]
                    .iter_mut()
                    .for_each(|w| *w = -300.0 * w.abs());
            });
            let up = match variant.gated_or_turned {
                true => matrix(20 + set, intermediate, d),
                false => gate.clone(),
            };
            (gate.converted(variant.format), up.converted(variant.format))
        };
        let (gates, ups): (Vec<Matrix>, Vec<Matrix>) = (0..n_sets as u32).map(set).unzip();
        let gain = gain(3, d);
        let biases = common::noise(5, n_sets * 2 * intermediate);
        let all = |sets: &[Matrix]| {
            let sets: Vec<_> = sets.iter().map(rows).collect();
            packed_sets(&sets, variant.format, &gain)
        };
        let batch = rows_under(n_rows, n_sets);
        let residual: Vec<f32> = vectors(4, &batch, d)
            .iter()
            .map(|x| x.abs() + 0.1)
            .collect();
        let expanded = vec![0.0_f32; batch.len() * intermediate];
        let buffers = [
            common::buffer(&context, &batch),
            common::buffer(&context, &residual),
            common::buffer(&context, &[&gain[..], &biases].concat()),
            common::buffer(&context, &all(&gates)),
            common::buffer(&context, &all(&ups)),
            common::buffer(&context, &expanded),
        ];
        let tile = tile_for(n_rows);
        let mut constants = vec![
            ("TILE", tile as f64),
            ("WIDTH", (d / 4) as f64),
            ("N_QUADS", (intermediate / 4) as f64),
            ("EPSILON", EPSILON),
            ("N_SETS", n_sets as f64),
            ("GATED", variant.gated_or_turned.into()),
        ];
        constants.extend(variant.constants());
        let pipeline = sharing.matmul(&context, EXPAND, variant.format, &constants);
        let grid = matmul_grid(&pipeline, intermediate, batch.len() / tile);
        common::dispatch(&context, &pipeline, &buffers.each_ref(), grid);
        let found = common::contents::<f32>(&context, &buffers[5]);
        for r in 0..n_rows {
            let x = variant.normed(&residual[r * d..(r + 1) * d], &gain);
            let set = batch[r].adapter as usize;
            let biases = &biases[2 * set * intermediate..][..2 * intermediate];
            let (gate_bias, up_bias) = biases.split_at(intermediate);
            let gate = variant.biased(product(&gates[set], &x), gate_bias);
            let up = variant.biased(product(&ups[set], &x), up_bias);
            let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
            let expected: Vec<f64> = match variant.gated_or_turned {
                true => gate
                    .iter()
                    .zip(up)
                    .map(|(&z, u)| z * sigmoid(z) * u)
                    .collect(),
                false => up
                    .iter()
                    .map(|&z| {
                        let inner =
                            (2.0 / std::f64::consts::PI).sqrt() * (z + 0.044715 * z.powi(3));
                        0.5 * z * (1.0 + inner.tanh())
                    })
                    .collect(),
            };
            let found = &found[r * intermediate..(r + 1) * intermediate];
            let at = format!("d = {d}, row {r}, {n_sets} sets, {variant:?}, {sharing:?}");
            assert_near(&at, found, &narrow(&expected));
        }
    }
}

#[test]
fn head_gives_logits_to_tiles_that_want_them() {
    let Some(context) = common::context() else {
        return;
    };
    let shapes: [(usize, usize, usize); 4] = [(4, 1, 1), (12, 5, 3), (8, 64, 9), (128, 1000, 8)];
    let shapes = shapes.into_iter().zip([1, 2, 3, 1]);
    let cases = shapes.flat_map(|shape| {
        sharings(&context)
            .into_iter()
            .map(move |sharing| (shape, sharing))
    });
    for (index, (((d, vocab_size, n_rows), n_shards), sharing)) in cases.enumerate() {
        let Variant { format, .. } = Variant::nth(index);
        let stride = vocab_size.next_multiple_of(4);
        let table = matrix(1, vocab_size, d).converted(format);
        for is_wanted in [true, false] {
            let batch = rows_of(n_rows, |_| Row {
                wants_logits: u32::from(is_wanted),
                ..live()
            });
            let hidden = vectors(3, &batch, d);
            let before = vec![7.0_f32; batch.len() * stride];
            let [rows_buffer, hidden_buffer, logits] = [
                common::buffer(&context, &batch),
                common::buffer(&context, &hidden),
                common::buffer(&context, &before),
            ];
            let tile = tile_for(n_rows);
            let shard_size = stride.div_ceil(n_shards).next_multiple_of(4);
            for first in (0..stride).step_by(shard_size) {
                let last = stride.min(first + shard_size);
                let of_shard = table.slice_rows(first..last.min(vocab_size));
                let shard = packed(&rows(&of_shard), format, None);
                let shard = common::buffer(&context, &shard);
                let constants = [
                    ("TILE", tile as f64),
                    ("WIDTH", (d / 4) as f64),
                    ("N_QUADS", ((last - first) / 4) as f64),
                    ("FIRST_QUAD", (first / 4) as f64),
                    ("ALL_QUADS", (stride / 4) as f64),
                ];
                let pipeline = sharing.matmul(&context, HEAD, format, &constants);
                let grid = matmul_grid(&pipeline, last - first, batch.len() / tile);
                let buffers = [&rows_buffer, &hidden_buffer, &shard, &logits];
                common::dispatch(&context, &pipeline, &buffers, grid);
            }
            let found = common::contents::<f32>(&context, &logits);
            if !is_wanted {
                assert_eq!(found[..before.len()], before, "the head must be skipped");
                continue;
            }
            for r in 0..n_rows {
                let x: Vec<f64> = hidden[r * d..(r + 1) * d]
                    .iter()
                    .map(|&x| x.into())
                    .collect();
                let expected = narrow(&product(&table, &x)[..vocab_size]);
                let found = &found[r * stride..r * stride + vocab_size];
                assert_near(
                    &format!("V = {vocab_size}, {format:?}, row {r}, {sharing:?}"),
                    found,
                    &expected,
                );
            }
        }
    }
}
