//! What low-rank adapters cost on this machine's adapter, applied in three ways to a matmul of the
//! shipped shape: y += W·x with the adapted W merged beforehand, or y += W·x + B·(A·x).
//!
//! `cargo run --release -p latent-gpu --example adapters`

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::twins::{matrix, vectors};
use latent_gpu::{
    GpuContext,
    kernels::{PROJECT, Pipeline, threads_for, tile_for},
    layout::Row,
    packing::{packed, rows},
};
use latent_model::checkpoint::WeightFormat;
use pollster::block_on;

/// Dispatches of one submit.
const REPEATS: usize = 200;
/// Submits, of which the quickest counts.
const SUBMITS: usize = 25;
/// (inputs, outputs) of the output and down projections.
const SHAPES: [(usize, usize); 2] = [(128, 128), (256, 128)];

/// A matmul and what it is bound to.
struct Bound {
    pipeline: Pipeline,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
}

struct Bench {
    context: GpuContext,
    n_rows: usize,
}

impl Bench {
    /// y += W x over `batch`; `weights` are `n_sets` packed matrices of (outputs, inputs).
    fn matmul(
        &self,
        (inputs, outputs): (usize, usize),
        n_sets: usize,
        [rows, x, weights, y]: [&wgpu::Buffer; 4],
    ) -> Bound {
        let threads = threads_for(outputs as u32 / 4);
        let tile = tile_for(self.n_rows);
        let constants = [
            ("TILE", f64::from(tile)),
            ("WIDTH", (inputs / 4) as f64),
            ("N_QUADS", (outputs / 4) as f64),
            ("N_SETS", n_sets as f64),
        ];
        let pipeline = PROJECT.pipeline(&self.context, threads, &constants);
        let pipeline = pipeline.expect("a shape that runs");
        Bound {
            // Without a bias its binding is not read.
            bind_group: pipeline.bind(&self.context, &[rows, x, weights, weights, y]),
            grid: [
                (outputs as u32 / 4).div_ceil(threads),
                self.n_rows as u32 / tile,
            ],
            pipeline,
        }
    }

    /// Microseconds that one round of dispatches takes.
    fn time(&self, dispatches: &[Bound]) -> f64 {
        let device = self.context.device();
        let mut best = f64::INFINITY;
        for _ in 0..SUBMITS {
            let mut encoder = device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for dispatch in (0..REPEATS).flat_map(|_| dispatches) {
                    pass.set_pipeline(dispatch.pipeline.compiled());
                    pass.set_bind_group(0, &dispatch.bind_group, &[]);
                    pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
                }
            }
            let started = Instant::now();
            self.context.queue().submit([encoder.finish()]);
            let waited = device.poll(wgpu::PollType::wait_indefinitely());
            waited.expect("finished work");
            best = best.min(started.elapsed().as_secs_f64() / REPEATS as f64);
        }
        best * 1e6
    }

    fn measure(&self, (inputs, outputs): (usize, usize), rank: usize, spread: bool) {
        let (context, n_rows) = (&self.context, self.n_rows);
        let buffer = |values: &[f32]| common::buffer(context, values);
        let row = |r: usize| Row {
            live: 1,
            adapter: if spread { r as u32 % 3 } else { 1 },
            ..Row::default()
        };
        let batch: Vec<Row> = (0..n_rows).map(row).collect();
        let [x, y, u] = [inputs, outputs, rank].map(|width| buffer(&vectors(1, &batch, width)));
        let of_batch = common::buffer(context, &batch);
        let as_base = |batch: &[Row]| -> Vec<Row> {
            let base = |row: &Row| Row { adapter: 0, ..*row };
            batch.iter().map(base).collect()
        };
        let base_rows = common::buffer(context, &as_base(&batch));
        let pack = |seed, rows_of: usize, cols: usize| -> Vec<f32> {
            let words = packed(&rows(&matrix(seed, rows_of, cols)), WeightFormat::F32, None);
            words.into_iter().map(f32::from_bits).collect()
        };
        let sets: Vec<Vec<f32>> = (0..3).map(|set| pack(set, outputs, inputs)).collect();
        let [w, all] = [buffer(&sets[0]), buffer(&sets.concat())];
        let shape = (inputs, outputs);

        let one_set = self.time(&[self.matmul(shape, 1, [&base_rows, &x, &w, &y])]);
        let merged = self.time(&[self.matmul(shape, 3, [&of_batch, &x, &all, &y])]);
        let skipping: Vec<Bound> = (0..3)
            .map(|set| {
                let own = |row: &Row| Row {
                    live: u32::from(row.adapter == set),
                    adapter: 0,
                    ..*row
                };
                let own: Vec<Row> = batch.iter().map(own).collect();
                let (rows, w) = (common::buffer(context, &own), buffer(&sets[set as usize]));
                self.matmul(shape, 1, [&rows, &x, &w, &y])
            })
            .collect();
        let skipping = self.time(&skipping);
        // A and B of the base, which has no adapter, are not read.
        let down = [
            vec![0.0; rank * inputs],
            pack(4, rank, inputs),
            pack(5, rank, inputs),
        ]
        .concat();
        let up = [
            vec![0.0; rank * outputs],
            pack(6, outputs, rank),
            pack(7, outputs, rank),
        ]
        .concat();
        let unmerged = self.time(&[
            self.matmul(shape, 1, [&base_rows, &x, &w, &y]),
            self.matmul((inputs, rank), 3, [&of_batch, &x, &buffer(&down), &u]),
            self.matmul((rank, outputs), 3, [&of_batch, &u, &buffer(&up), &y]),
        ]);
        let rows = if spread {
            "of three sets"
        } else {
            "of one set"
        };
        println!(
            "{inputs:3} → {outputs}, rank {rank:2}, {n_rows:2} rows {rows:13}: no adapters \
             {one_set:6.1} µs; merged, one dispatch {merged:6.1}; merged, a dispatch a set \
             {skipping:6.1}; unmerged {unmerged:6.1}",
        );
    }
}

fn main() {
    let context = block_on(GpuContext::request()).expect("a GPU adapter");
    println!("{}", context.adapter_name());
    for n_rows in [1, 8, 64] {
        let bench = Bench {
            context: context.clone(),
            n_rows,
        };
        for shape in SHAPES {
            for rank in [32, 64] {
                bench.measure(shape, rank, false);
                if n_rows > 1 {
                    bench.measure(shape, rank, true);
                }
            }
        }
    }
}
