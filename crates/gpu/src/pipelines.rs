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
        MOST_THREADS, PROJECT, Pipeline, QK_NORM, QKV, RING_STEPS, SELECT, TAP, Table, parts_of,
        split_sums_for, threads_for,
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
    pub final_norm: Pipeline,
    pub distribution: Pipeline,
    pub select: Pipeline,
    /// Parts of the vocabulary.
    pub n_parts: u32,
}

/// The pipelines of what works on tiles of rows, for one size of tile.
#[derive(Clone, Debug)]
pub(crate) struct TilePipelines {
    pub tile: u32,
    pub qkv: Pipeline,
    /// The quickest first.
    attention: Vec<Pipeline>,
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

/// As many threads as a head's vector has vec4s: none idles. Eight rows of them are a workgroup that
/// every device takes.
fn head_threads(config: &ModelConfig) -> u32 {
    (config.head_dim as u32 / 4)
        .next_power_of_two()
        .clamp(8, 32)
}

/// Attention's kernels for tiles of `tile` rows, the quickest first; the last one runs over as many
/// positions as any. On CPU adapters the rows of a tile are a workgroup, which is a subgroup where there
/// are subgroups. On GPUs every row has its own, of which slices share the positions, where a slice is as
/// wide as a head.
fn attention(
    context: &GpuContext,
    config: &ModelConfig,
    tile: u32,
) -> Result<Vec<Pipeline>, GpuError> {
    const GPU_THREADS: u32 = 256;
    let compiled = |table, threads, tile: u32, shared_by: Option<(&'static str, u32)>| {
        let mut constants = attention_constants(config).to_vec();
        constants.push(("TILE", f64::from(tile)));
        constants.extend(shared_by.map(|(name, value)| (name, f64::from(value))));
        let kernel = ATTENTION.of(table, WeightFormat::F32);
        kernel.pipeline(context, threads, &constants)
    };
    let slices = GPU_THREADS / (config.head_dim as u32 / 4);
    let whole = || compiled(Table::Cpu, tile * head_threads(config), tile, None);
    match (context.table(), context.subgroup_size()) {
        (Table::Gpu, _) if slices > 0 => {
            let split = compiled(Table::Gpu, GPU_THREADS, 1, Some(("SLICES", slices)))?;
            Ok(vec![split])
        }
        (Table::CpuSubgroups, Some(size)) => {
            let of_subgroups = compiled(Table::CpuSubgroups, size, tile, Some(("SUBGROUP", size)))?;
            Ok(vec![of_subgroups, whole()?])
        }
        _ => Ok(vec![whole()?]),
    }
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
        // A thread of a GPU ranks few tokens; on CPU adapters, threads take turns anyway.
        let threads = match context.table() {
            Table::Gpu => MOST_THREADS,
            Table::Cpu | Table::CpuSubgroups => threads_for(config.vocab_size as u32),
        };
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
            QK_NORM.pipeline(context, head_threads(config), &constants)
        };
        let layer_norm = flag("LAYER_NORM", made_of.norm == Norm::LayerNorm);
        // A workgroup a head; every other grid is smaller than that of some matmul, or a row's.
        QK_NORM.check_grid(config.n_heads + config.n_kv_heads)?;
        Ok(Self {
            qk_norm: made_of.qk_norm.then(qk_norm).transpose()?,
            embed: weights
                .tables
                .embedding
                .iter()
                .map(embed)
                .collect::<Result<_, _>>()?,
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

/// The kernel that keeps what `tap` reads in block `slot` of the hidden states, for a batch of tiles of
/// `tile` rows; `None` where the final norm does so itself.
pub(crate) fn tap_pipeline(
    context: &GpuContext,
    config: &ModelConfig,
    weights: &DeviceWeights,
    (slot, tap): (usize, Tap),
    tile: u32,
) -> Result<Option<Pipeline>, GpuError> {
    let width = ("WIDTH", config.hidden_size as f64 / 4.0);
    let slot = ("SLOT", slot as f64);
    let pipeline = match tap {
        Tap::FinalNorm => return Ok(None),
        Tap::Contemplation if weights.input_map.is_some() => {
            let constants = [width, slot, ("EPSILON", f64::from(config.norm_eps))];
            let d = config.hidden_size;
            matmul(
                context,
                (CONTEMPLATE, WeightFormat::F32),
                (d, d, tile),
                &constants,
            )
        }
        Tap::Layer(_) | Tap::Contemplation => {
            let threads = threads_for(config.hidden_size as u32 / 4);
            TAP.pipeline(context, threads, &[width, slot])
        }
    };
    pipeline.map(Some)
}

/// A matmul of `tile` rows with so many inputs and outputs, shared as the context's table of kernels shares
/// it.
pub(crate) fn matmul(
    context: &GpuContext,
    (kernel, format): (Kernel, WeightFormat),
    (inputs, outputs, tile): (usize, usize, u32),
    constants: &[(&'static str, f64)],
) -> Result<Pipeline, GpuError> {
    let kernel = kernel.of(context.table(), format);
    let n_quads = outputs.div_ceil(4);
    let (threads, quads) = match context.table() {
        Table::Cpu | Table::CpuSubgroups => {
            // Whole subgroups.
            let least = context.subgroup_size().unwrap_or(1);
            (threads_for(n_quads as u32).max(least), 1)
        }
        Table::Gpu => split_sums_for(inputs, outputs, tile),
    };
    let mut constants = [&[("TILE", f64::from(tile))], constants].concat();
    constants.extend(context.sharing_constant(quads));
    let pipeline = kernel.pipeline(context, threads, &constants)?;
    kernel.check_grid(n_quads.div_ceil(pipeline.quads_per_group() as usize))?;
    Ok(pipeline)
}

impl TilePipelines {
    pub fn new(
        context: &GpuContext,
        config: &ModelConfig,
        weights: &DeviceWeights,
        tile: u32,
    ) -> Result<Self, GpuError> {
        let (made_of, d) = (config.architecture, config.hidden_size);
        let quads = |width: usize| width.div_ceil(4) as f64;
        let n_sets = ("N_SETS", weights.n_sets as f64);
        let width = ("WIDTH", quads(config.hidden_size));
        let is_layer_norm = made_of.norm == Norm::LayerNorm;
        let compiled = |kernel: Kernel,
                        (inputs, outputs): (usize, usize),
                        constants: &[(&'static str, f64)]| {
            let shape = (inputs, outputs, tile);
            matmul(context, (kernel, weights.format), shape, constants)
        };
        // The constants of norm.wgsl, and those of every matmul.
        let behind_norm = |has_bias: bool| {
            [
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
                n_sets,
                ("WIDTH", quads(input_width)),
                ("N_QUADS", quads(config.hidden_size)),
                flag("BIAS", has_bias),
            ];
            compiled(PROJECT, (input_width, d), &constants)
        };
        let head = |shard: &Shard| {
            let constants = [
                width,
                ("N_QUADS", f64::from(shard.n_ids / 4)),
                ("FIRST_QUAD", f64::from(shard.first_id / 4)),
                ("ALL_QUADS", quads(config.vocab_size)),
            ];
            compiled(HEAD, (d, shard.n_ids as usize), &constants)
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
            attention: attention(context, config, tile)?,
            qkv: compiled(QKV, (d, config.q_width() + 2 * config.kv_width()), &qkv)?,
            output: project(config.q_width(), made_of.output_bias)?,
            expand: compiled(EXPAND, (d, config.intermediate_size), &expand)?,
            down: project(config.intermediate_size, made_of.mlp_bias)?,
            head: heads.map(head).collect::<Result<_, _>>()?,
        })
    }

    /// The quickest attention that runs to its end over `n_positions` positions everywhere.
    pub fn attention(&self, n_positions: usize) -> Result<&Pipeline, GpuError> {
        let mut found = self.attention.iter().map(|pipeline| {
            pipeline.check(n_positions)?;
            Ok(pipeline)
        });
        let first = found.next().expect("there is one at least");
        found.fold(first, Result::or)
    }
}
