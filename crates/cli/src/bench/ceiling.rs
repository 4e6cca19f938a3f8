//! The quickest that this adapter computes the model's matmuls, and copies.

use anyhow::Result;
use latent_gpu::{
    GpuContext,
    ceiling::{MatmulShape, copies, quickest},
};
use latent_model::{
    config::{Mlp, ModelConfig},
    model::Model,
};

use super::{contestant::clock, measured::Measured, report::Ceiling};

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
                n_matrices: n,
                format: model.weights.format,
            };
            let best = quickest(context, shape, clock).await?;
            found.push(Ceiling {
                matmul: matmul.into(),
                inputs,
                outputs,
                lanes: n_lanes,
                n,
                microseconds: best.seconds * 1e6,
                bytes_per_second: best.cost.bytes() as f64 / best.seconds,
                flops_per_second: best.cost.flops as f64 / best.seconds,
                threads: best.threads,
                kernels: best.table.name().into(),
            });
        }
    }
    Ok(found)
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
    let (n_bytes, seconds) = copies(context, clock).await?;
    Ok(Measured::rate(n_bytes as f64, &seconds))
}
