//! The pipelines of a model: every kernel with the constants and threads that its shape gives.

use latent_model::{config::ModelConfig, input::Tap};

use crate::{
    context::GpuError,
    kernels::{
        ATTENTION, CONTEMPLATE, DISTRIBUTION, EMBED, FINAL_NORM, HEAD, MAX_PARTS, PROJECT,
        Pipeline, QKV, RING_STEPS, SELECT, SWIGLU, Shape, TAP, parts_of, threads_for,
    },
    layout::TOKENS_PER_THREAD,
    weights::{DeviceWeights, Shard, Tables},
};

/// The pipelines that do not depend on the batch.
#[derive(Clone, Debug)]
pub(crate) struct RowPipelines {
    /// One per shard of the embedding table.
    pub embed: Vec<Pipeline>,
    pub attention: Pipeline,
    pub final_norm: Pipeline,
    pub distribution: Pipeline,
    pub select: Pipeline,
    /// Parts of the vocabulary.
    pub n_parts: u32,
}

/// The pipelines of matmuls, for one number of rows per thread.
#[derive(Clone, Debug)]
pub(crate) struct TilePipelines {
    pub tile: u32,
    pub qkv: Pipeline,
    pub output: Pipeline,
    pub swiglu: Pipeline,
    pub down: Pipeline,
    /// One per shard of the head.
    pub head: Vec<Pipeline>,
}

/// Constants of the attention kernel.
fn attention_constants(config: &ModelConfig) -> [(&'static str, f64); 3] {
    [
        ("N_HEADS", config.n_heads as f64),
        ("N_KV_HEADS", config.n_kv_heads as f64),
        ("HEAD_DIM", config.head_dim as f64),
    ]
}

/// As many threads as the weighted sum of values has vec4s: none idles, and on CPU adapters a
/// workgroup is one subgroup, whose barriers cost nothing.
fn attention_threads(config: &ModelConfig) -> u32 {
    (config.head_dim as u32 / 4)
        .next_power_of_two()
        .clamp(8, 64)
}

/// Whether attention over `n_positions` positions runs to its end everywhere.
pub(crate) fn check_positions(config: &ModelConfig, n_positions: usize) -> Result<(), GpuError> {
    ATTENTION.check(&Shape {
        threads: attention_threads(config),
        constants: &attention_constants(config),
        n_positions,
    })
}

impl RowPipelines {
    pub fn new(
        device: &wgpu::Device,
        config: &ModelConfig,
        tables: &Tables,
    ) -> Result<Self, GpuError> {
        let width = ("WIDTH", config.hidden_size as f64 / 4.0);
        let vocab_size = config.vocab_size as f64;
        let row_threads = threads_for(config.hidden_size as u32 / 4);
        let threads = threads_for(config.vocab_size as u32);
        let n_parts = parts_of(config.vocab_size, threads);
        if n_parts > MAX_PARTS {
            return Err(GpuError::TooManyTokens {
                found: config.vocab_size,
                most: (MAX_PARTS * threads * TOKENS_PER_THREAD) as usize,
            });
        }
        let embed = |shard: &Shard| {
            let constants = [
                width,
                ("FIRST_ID", f64::from(shard.first_id)),
                ("N_IDS", f64::from(shard.n_ids)),
            ];
            EMBED.pipeline(device, row_threads, &constants)
        };
        let epsilon = ("EPSILON", f64::from(config.norm_eps));
        Ok(Self {
            embed: tables
                .embedding
                .iter()
                .map(embed)
                .collect::<Result<_, _>>()?,
            attention: ATTENTION.pipeline(
                device,
                attention_threads(config),
                &attention_constants(config),
            )?,
            final_norm: FINAL_NORM.pipeline(device, row_threads, &[width, epsilon])?,
            distribution: DISTRIBUTION.pipeline(device, threads, &[("VOCAB_SIZE", vocab_size)])?,
            select: SELECT.pipeline(
                device,
                threads,
                &[
                    ("N_PARTS", f64::from(n_parts)),
                    ("RING_STEPS", f64::from(RING_STEPS)),
                ],
            )?,
            n_parts,
        })
    }
}

/// The kernel that keeps what `tap` reads in block `slot` of the hidden states; `None` where the
/// final norm does so itself.
pub(crate) fn tap_pipeline(
    device: &wgpu::Device,
    config: &ModelConfig,
    weights: &DeviceWeights,
    (slot, tap): (usize, Tap),
) -> Result<Option<Pipeline>, GpuError> {
    let threads = threads_for(config.hidden_size as u32 / 4);
    let place = [
        ("WIDTH", config.hidden_size as f64 / 4.0),
        ("SLOT", slot as f64),
    ];
    let epsilon = ("EPSILON", f64::from(config.norm_eps));
    let [width, slot] = place;
    let pipeline = match tap {
        Tap::FinalNorm => return Ok(None),
        Tap::Contemplation if weights.input_map.is_some() => {
            CONTEMPLATE.pipeline(device, threads, &[width, slot, epsilon])
        }
        Tap::Layer(_) | Tap::Contemplation => TAP.pipeline(device, threads, &place),
    };
    pipeline.map(Some)
}

impl TilePipelines {
    pub fn new(
        device: &wgpu::Device,
        config: &ModelConfig,
        weights: &DeviceWeights,
        tile: u32,
    ) -> Result<Self, GpuError> {
        let quads = |width: usize| width.div_ceil(4) as f64;
        let tile_size = ("TILE", f64::from(tile));
        let epsilon = ("EPSILON", f64::from(config.norm_eps));
        let n_sets = ("N_SETS", weights.n_sets as f64);
        let tables = &weights.tables;
        let width = ("WIDTH", quads(config.hidden_size));
        let threads = |outputs: usize| threads_for(outputs.div_ceil(4) as u32);
        let project = |input_width: usize| {
            let constants = [
                tile_size,
                ("WIDTH", quads(input_width)),
                ("N_QUADS", quads(config.hidden_size)),
                n_sets,
            ];
            PROJECT.pipeline(device, threads(config.hidden_size), &constants)
        };
        let head = |shard: &Shard| {
            let constants = [
                tile_size,
                width,
                ("N_QUADS", f64::from(shard.n_ids / 4)),
                ("FIRST_QUAD", f64::from(shard.first_id / 4)),
                ("ALL_QUADS", quads(config.vocab_size)),
            ];
            HEAD.pipeline(device, threads(shard.n_ids as usize), &constants)
        };
        Ok(Self {
            tile,
            qkv: QKV.pipeline(
                device,
                threads(config.q_width() + 2 * config.kv_width()),
                &[
                    tile_size,
                    width,
                    epsilon,
                    ("N_HEADS", config.n_heads as f64),
                    ("N_KV_HEADS", config.n_kv_heads as f64),
                    ("HEAD_DIM", config.head_dim as f64),
                    n_sets,
                ],
            )?,
            output: project(config.q_width())?,
            swiglu: SWIGLU.pipeline(
                device,
                threads(config.intermediate_size),
                &[
                    tile_size,
                    width,
                    epsilon,
                    ("N_QUADS", quads(config.intermediate_size)),
                    n_sets,
                ],
            )?,
            down: project(config.intermediate_size)?,
            head: tables.head.iter().map(head).collect::<Result<_, _>>()?,
        })
    }
}
