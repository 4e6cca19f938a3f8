//! The quickest that this adapter computes the model's matmuls, and copies.

use std::time::Instant;

use anyhow::Result;
use latent_gpu::{
    GpuContext,
    ceiling::{DeviceCopy, MatmulShape, MicroKernel},
    kernels::Table,
};
use latent_model::{
    config::{Mlp, ModelConfig},
    model::Model,
};

use super::{measured::Measured, report::Ceiling};

/// Dispatches of one pass.
const REPEATS: u32 = 16;
/// Passes, of which the quickest counts.
const PASSES: usize = 5;
/// What is tried: tables, threads of a workgroup, and threads of a slice where sums are split.
const VARIANTS: [(Table, u32, u32); 8] = [
    (Table::Cpu, 8, 1),
    (Table::Cpu, 16, 1),
    (Table::Cpu, 32, 1),
    (Table::Cpu, 64, 1),
    (Table::Gpu, 32, 4),
    (Table::Gpu, 64, 4),
    (Table::Gpu, 128, 4),
    (Table::Gpu, 128, 8),
];
/// Bytes of a copy; more than caches hold, less than a binding of the smallest device.
const COPY_BYTES: u64 = 64 << 20;

/// Every matmul of a step: its name, inputs, outputs, and how often it comes.
fn matmuls(config: &ModelConfig) -> [(&'static str, usize, usize, usize); 5] {
    let (d, n_layers) = (config.hidden_size, config.n_layers);
    let intermediate = config.intermediate_size;
    let n_expanding = match config.architecture.mlp {
        Mlp::SwiGlu => 2,
        _ => 1,
    };
    [
        (
            "q, k, v",
            d,
            config.q_width() + 2 * config.kv_width(),
            n_layers,
        ),
        ("output", config.q_width(), d, n_layers),
        ("gate, up", d, intermediate, n_expanding * n_layers),
        ("down", intermediate, d, n_layers),
        ("head", d, config.vocab_size, 1),
    ]
}

/// The best of all variants at every shape of the model.
pub async fn ceiling(context: &GpuContext, model: &Model, lanes: &[usize]) -> Result<Vec<Ceiling>> {
    let mut found = Vec::new();
    for &n_lanes in lanes {
        for (matmul, inputs, outputs, n) in matmuls(&model.config) {
            let shape = MatmulShape {
                n_inputs: inputs,
                n_outputs: outputs,
                n_rows: n_lanes,
                format: model.weights.format,
            };
            let mut best: Option<Ceiling> = None;
            for (table, threads, quads) in VARIANTS {
                let context = context.with_table(table);
                let kernel = MicroKernel::new(&context, shape, (threads, quads)).await?;
                let seconds = quickest(&kernel).await?;
                let cost = kernel.cost();
                if best
                    .as_ref()
                    .is_none_or(|best| seconds * 1e6 < best.microseconds)
                {
                    best = Some(Ceiling {
                        matmul: matmul.into(),
                        inputs,
                        outputs,
                        lanes: n_lanes,
                        n,
                        microseconds: seconds * 1e6,
                        bytes_per_second: cost.bytes() as f64 / seconds,
                        flops_per_second: cost.flops as f64 / seconds,
                        threads,
                        kernels: table.name().into(),
                    });
                }
            }
            found.extend(best);
        }
    }
    Ok(found)
}

/// Seconds of one dispatch.
async fn quickest(kernel: &MicroKernel) -> Result<f64> {
    kernel.run(REPEATS).await?;
    let mut best = f64::INFINITY;
    for _ in 0..PASSES {
        let started = Instant::now();
        kernel.run(REPEATS).await?;
        best = best.min(started.elapsed().as_secs_f64() / f64::from(REPEATS));
    }
    Ok(best)
}

/// Seconds that a step's matmuls take at their best.
pub fn step_seconds(ceiling: &[Ceiling], lanes: usize) -> f64 {
    let of_lanes = ceiling.iter().filter(|best| best.lanes == lanes);
    of_lanes
        .map(|best| best.n as f64 * best.microseconds * 1e-6)
        .sum()
}

/// Bytes a second of a copy within the device, read and written.
pub async fn copy_speed(context: &GpuContext) -> Result<Measured> {
    let copy = DeviceCopy::new(context, COPY_BYTES.min(context.max_binding())).await?;
    copy.run(1).await?;
    let mut seconds = Vec::new();
    for _ in 0..PASSES {
        let started = Instant::now();
        copy.run(4).await?;
        seconds.push(started.elapsed().as_secs_f64() / 4.0);
    }
    Ok(Measured::rate(copy.n_bytes() as f64, &seconds))
}
