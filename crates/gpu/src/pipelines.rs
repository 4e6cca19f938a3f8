//! The pipelines of a model: every kernel with the constants and threads that its shape gives.

use latent_model::{
    checkpoint::WeightFormat,
    config::{Mlp, ModelConfig, Norm, Positions},
    input::Tap,
};

use crate::{
    context::{GpuContext, GpuError},
    kernels::{
        ATTENTION, CONTEMPLATE, DISTRIBUTION, EMBED, EXPAND, FINAL_NORM, HEAD, Kernel, MAX_PARTS,
        PROJECT, Pipeline, QK_NORM, QKV, RING_STEPS, SELECT, Shape, TAP, parts_of, threads_for,
    },
    layout::TOKENS_PER_THREAD,
    weights::{DeviceWeights, Shard},
};

/// The pipelines that do not depend on the batch.
#[derive(Clone, Debug)]
pub(crate) struct RowPipelines {
    /// One per shard of the embedding table.
    pub embed: Vec<Pipeline>,
    /// Where heads have norms of their own.
    pub qk_norm: Option<Pipeline>,
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
    pub expand: Pipeline,
    pub down: Pipeline,
    /// One per shard of the head.
    pub head: Vec<Pipeline>,
}

/// A constant that says yes or no.
fn flag(name: &'static str, holds: bool) -> (&'static str, f64) {
    (name, f64::from(u8::from(holds)))
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
        context: &GpuContext,
        config: &ModelConfig,
        weights: &DeviceWeights,
    ) -> Result<Self, GpuError> {
        let made_of = config.architecture;
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
                flag("LEARNED_POSITIONS", made_of.positions == Positions::Learned),
            ];
            let embed = EMBED.reading(weights.format);
            embed.pipeline(context, row_threads, &constants)
        };
        let epsilon = ("EPSILON", f64::from(config.norm_eps));
        let qk_norm = || {
            let constants = [&attention_constants(config)[..], &[epsilon]].concat();
            QK_NORM.pipeline(context, attention_threads(config), &constants)
        };
        let layer_norm = flag("LAYER_NORM", made_of.norm == Norm::LayerNorm);
        Ok(Self {
            qk_norm: made_of.qk_norm.then(qk_norm).transpose()?,
            embed: weights
                .tables
                .embedding
                .iter()
                .map(embed)
                .collect::<Result<_, _>>()?,
            attention: ATTENTION.pipeline(
                context,
                attention_threads(config),
                &attention_constants(config),
            )?,
            final_norm: FINAL_NORM.pipeline(context, row_threads, &[width, epsilon, layer_norm])?,
            distribution: DISTRIBUTION.pipeline(context, threads, &[("VOCAB_SIZE", vocab_size)])?,
            select: SELECT.pipeline(
                context,
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
    context: &GpuContext,
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
            CONTEMPLATE.pipeline(context, threads, &[width, slot, epsilon])
        }
        Tap::Layer(_) | Tap::Contemplation => TAP.pipeline(context, threads, &place),
    };
    pipeline.map(Some)
}

impl TilePipelines {
    pub fn new(
        context: &GpuContext,
        config: &ModelConfig,
        weights: &DeviceWeights,
        tile: u32,
    ) -> Result<Self, GpuError> {
        let made_of = config.architecture;
        let quads = |width: usize| width.div_ceil(4) as f64;
        let tile_size = ("TILE", f64::from(tile));
        let n_sets = ("N_SETS", weights.n_sets as f64);
        let width = ("WIDTH", quads(config.hidden_size));
        let is_layer_norm = made_of.norm == Norm::LayerNorm;
        let compiled = |kernel: Kernel, outputs: usize, constants: &[(&'static str, f64)]| {
            let threads = threads_for(outputs.div_ceil(4) as u32);
            kernel
                .reading(weights.format)
                .pipeline(context, threads, constants)
        };
        // The constants of norm.wgsl, and those of every matmul.
        let behind_norm = |has_bias: bool| {
            [
                tile_size,
                n_sets,
                width,
                ("EPSILON", f64::from(config.norm_eps)),
                flag("LAYER_NORM", is_layer_norm),
                // A norm's gain is in f32 weights.
                flag("GAIN", weights.format != WeightFormat::F32),
                flag("BIAS", has_bias || is_layer_norm),
            ]
        };
        let project = |input_width: usize, has_bias: bool| {
            let constants = [
                tile_size,
                n_sets,
                ("WIDTH", quads(input_width)),
                ("N_QUADS", quads(config.hidden_size)),
                flag("BIAS", has_bias),
            ];
            compiled(PROJECT, config.hidden_size, &constants)
        };
        let head = |shard: &Shard| {
            let constants = [
                tile_size,
                width,
                ("N_QUADS", f64::from(shard.n_ids / 4)),
                ("FIRST_QUAD", f64::from(shard.first_id / 4)),
                ("ALL_QUADS", quads(config.vocab_size)),
            ];
            compiled(HEAD, shard.n_ids as usize, &constants)
        };
        let mut qkv = behind_norm(made_of.qkv_bias).to_vec();
        qkv.extend(attention_constants(config));
        // Heads with norms of their own turn behind them.
        let turns = config.rope().is_some() && !made_of.qk_norm;
        qkv.push(flag("TURNS", turns));
        let mut expand = behind_norm(made_of.mlp_bias).to_vec();
        expand.push(("N_QUADS", quads(config.intermediate_size)));
        expand.push(flag("GATED", made_of.mlp == Mlp::SwiGlu));
        let heads = weights.tables.head.iter();
        Ok(Self {
            tile,
            qkv: compiled(QKV, config.q_width() + 2 * config.kv_width(), &qkv)?,
            output: project(config.q_width(), made_of.output_bias)?,
            expand: compiled(EXPAND, config.intermediate_size, &expand)?,
            down: project(config.intermediate_size, made_of.mlp_bias)?,
            head: heads.map(head).collect::<Result<_, _>>()?,
        })
    }
}
