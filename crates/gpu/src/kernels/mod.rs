//! The kernels: their sources, the iterations of their loops, and what their dispatches cost.

pub mod cost;
mod pipeline;

use latent_model::{
    checkpoint::WeightFormat,
    program::{MAX_KEPT, MAX_PHASES, MAX_STOP_TOKENS},
};

use self::cost::{Cost, Work};
pub(crate) use self::pipeline::Compiled;
pub use self::pipeline::Pipeline;
use crate::layout::TOKENS_PER_THREAD;

/// The most iterations that all loops of one invocation may take together. Mesa's llvmpipe ends
/// them there, in silence, whatever they were doing (`LP_MAX_TGSI_LOOP_ITERATIONS`).
pub const MOST_ITERATIONS: u64 = 65_535;

/// The most workgroups of a dispatch in one dimension that every device has
/// (`maxComputeWorkgroupsPerDimension`).
pub const MOST_WORKGROUPS: u64 = 65_535;

/// How work is shared among threads. What an adapter is quick at, another is slow at, so there are
/// several tables of kernels; they differ in the order of their sums and in nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// For adapters on the CPU: a thread computes whole outputs, without barriers. A workgroup that
    /// reduces is up to 40 times slower there (SwiftShader, 256 threads).
    Cpu,
    /// The same where the device has subgroups, whose threads read for each other: the inputs of matmuls,
    /// whose results are to the bit those of `Cpu`, and in attention whatever several of them need.
    CpuSubgroups,
    /// For GPUs: threads read side by side and share every sum, so that a small matrix has work for
    /// thousands of them.
    Gpu,
}

impl Table {
    /// All of them; a device without subgroups cannot run [`Table::CpuSubgroups`].
    pub const ALL: [Self; 3] = [Self::Cpu, Self::CpuSubgroups, Self::Gpu];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "for CPU adapters",
            Self::CpuSubgroups => "for CPU adapters with subgroups",
            Self::Gpu => "for GPUs",
        }
    }
}

/// Texts that make a shader, one behind the other. They are put together where a pipeline is made:
/// put together by the compiler, each with the prelude, they were 700 kB of the page.
pub type Parts = &'static [&'static str];

/// One file of `shaders/`.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The file's name without `.wgsl`.
    pub name: &'static str,
    /// The prelude, the parts that it shares with others, and the file.
    pub parts: Parts,
    /// The same of each [`Table`], for weights of each of [`WeightFormat::ALL`]; equal where the kernel
    /// is in both tables, and where it reads no weights that are packed.
    pub all_parts: [[Parts; WeightFormat::ALL.len()]; Table::ALL.len()],
    /// For every loop statement that `main` reaches, in no order: the most iterations that one
    /// invocation makes of it, all its entries together.
    pub loops: fn(&Shape<'_>) -> Vec<u64>,
    /// What one dispatch moves and computes.
    pub cost: fn(&Work<'_>) -> Cost,
    /// The format of the weights that `parts` read.
    pub format: WeightFormat,
}

/// What the number of a kernel's iterations depends on.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Threads of a workgroup.
    pub threads: u32,
    /// The kernel's other constants.
    pub constants: &'a [(&'a str, f64)],
    /// Positions of the longest lane; 1 where no run is known yet.
    pub n_positions: usize,
}

impl Shape<'_> {
    /// A constant of the kernel.
    fn get(&self, name: &str) -> u64 {
        let found = self.constants.iter().find(|(known, _)| *known == name);
        found.map_or(0, |(_, value)| *value as u64)
    }

    /// Iterations of a thread that takes every THREADS-th of `n`.
    fn shared(&self, n: u64) -> u64 {
        n.div_ceil(u64::from(self.threads))
    }

    /// Tokens of a part of the vocabulary.
    fn tokens_of_part(&self) -> u64 {
        u64::from(self.threads * TOKENS_PER_THREAD)
    }
}

/// Loops of a matmul over sets of weights, and of each set over its inputs.
fn loops_of_sets(shape: &Shape<'_>) -> Vec<u64> {
    let n_sets = shape.get("N_SETS").max(1);
    let times = |n| n_sets * n;
    // A slice of threads has a part of the inputs; the sums of slices are added twice for each four
    // rows at most.
    let slices = match shape.get("QUADS") {
        0 => 1,
        quads => u64::from(shape.threads) / quads,
    };
    let width = shape.get("WIDTH");
    let mut loops = vec![n_sets, times(width.div_ceil(slices))];
    // A turn for as many inputs as a subgroup has threads.
    match shape.get("SUBGROUP") {
        0 => {}
        subgroup => loops.push(times(width.div_ceil(subgroup))),
    }
    if slices > 1 {
        loops.push(times(4 * u64::from(slices.ilog2())));
    }
    loops
}

/// The same behind a norm, which may read every row once more for its mean.
fn loops_behind_norm(shape: &Shape<'_>) -> Vec<u64> {
    let for_means = shape.get("LAYER_NORM") * shape.get("TILE") * shape.get("WIDTH");
    let mut loops = loops_of_sets(shape);
    loops.push(for_means);
    loops
}

/// Loops of attention where a workgroup has a tile of rows.
fn loops_of_tiles(shape: &Shape<'_>) -> Vec<u64> {
    let (positions, quads) = (shape.n_positions as u64, shape.get("HEAD_DIM") / 4);
    let tile = shape.get("TILE").max(1);
    let row_threads = u64::from(shape.threads) / tile;
    let fours = positions.div_ceil(4);
    let own_fours = fours.div_ceil(row_threads);
    let own_quads = quads.div_ceil(row_threads);
    let (shared_fours, shared_quads) = match tile {
        1 => (0, 0),
        _ => (shape.shared(fours), shape.shared(quads)),
    };
    vec![
        shared_fours,
        shared_fours * quads,
        shared_fours * 4,
        shared_quads,
        shared_quads * positions,
        positions.div_ceil(row_threads),
        own_fours,
        own_fours * quads,
        own_fours * 4,
        row_threads,
        positions.div_ceil(row_threads),
        row_threads,
        own_quads,
        own_quads * positions,
    ]
}

/// Loops of attention where a subgroup has a tile of rows. What rows share is counted as if all
/// positions were shared, and again what is their own.
fn loops_of_subgroups(shape: &Shape<'_>, subgroup: u64) -> Vec<u64> {
    let (positions, quads) = (shape.n_positions as u64, shape.get("HEAD_DIM") / 4);
    let tile = shape.get("TILE").max(1);
    let starts = quads.div_ceil(subgroup);
    let (shared, shared_blocks) = match tile {
        1 => (0, 0),
        _ => (positions, positions.div_ceil(subgroup)),
    };
    let blocks = tile * positions.div_ceil(4 * subgroup);
    vec![
        // score_shared
        shared_blocks,
        shared_blocks * starts,
        shared_blocks * quads,
        // score_own
        blocks,
        blocks * starts,
        blocks * quads,
        // mix_shared
        starts * shared_blocks,
        starts * shared,
        // mix_own
        starts * blocks,
        starts * blocks * 4,
        starts * tile * positions.div_ceil(4),
        // attend
        tile,
        starts,
        starts * tile,
    ]
}

/// Loops of attention where slices of a workgroup share one row's positions.
fn loops_of_slices(shape: &Shape<'_>, slices: u64) -> Vec<u64> {
    let (positions, quads) = (shape.n_positions as u64, shape.get("HEAD_DIM") / 4);
    let own = shape.shared(positions);
    let halvings = u64::from(shape.threads.ilog2());
    vec![
        own,
        own * (quads / 4),
        own * 3,
        halvings,
        own,
        halvings,
        positions.div_ceil(4 * slices),
        3,
        slices,
    ]
}

/// The prelude, the parts that a kernel shares with others, and its own file.
macro_rules! parts {
    ($($part:literal),+) => {
        &[
            include_str!("../../../../shaders/prelude.wgsl"),
            $(include_str!(concat!("../../../../shaders/", $part, ".wgsl"))),+
        ]
    };
}

/// The same source for weights of every format.
macro_rules! of_formats {
    ($($part:literal),+) => {
        [
            parts!("weights_f32", $($part),+),
            parts!("weights_f16", $($part),+),
            parts!("weights_int8", $($part),+),
        ]
    };
}

/// Sources for subgroups, which a page has no use for: it asks for no optional feature.
macro_rules! of_subgroups {
    ($sources:expr) => {
        if cfg!(target_arch = "wasm32") {
            [&[] as Parts; WeightFormat::ALL.len()]
        } else {
            $sources
        }
    };
}

macro_rules! kernel {
    ($name:literal, $loops:expr, $cost:path) => {
        Kernel {
            name: $name,
            parts: parts!($name),
            all_parts: [[parts!($name); WeightFormat::ALL.len()]; Table::ALL.len()],
            loops: $loops,
            cost: $cost,
            format: WeightFormat::F32,
        }
    };
    // A kernel that asks the phases of lanes.
    ($name:literal, phases; $loops:expr, $cost:path) => {
        Kernel {
            parts: parts!("phases", $name),
            all_parts: [[parts!("phases", $name); WeightFormat::ALL.len()]; Table::ALL.len()],
            ..kernel!($name, $loops, $cost)
        }
    };
    // A kernel that reads packed weights.
    ($name:literal, weights; $loops:expr, $cost:path) => {
        Kernel {
            parts: parts!("weights_f32", $name),
            all_parts: [of_formats!($name); Table::ALL.len()],
            ..kernel!($name, $loops, $cost)
        }
    };
    // A matmul, with what it is made of beside the skeleton.
    ($name:literal, matmul $(, $part:literal)+; $loops:expr, $cost:path) => {
        Kernel {
            parts: parts!("weights_f32" $(, $part)+, "tile", "whole_sums", "own_reads", $name),
            all_parts: [
                of_formats!($($part),+, "tile", "whole_sums", "own_reads", $name),
                of_subgroups!(of_formats!($($part),+, "tile", "whole_sums", "subgroups", "subgroup_reads", $name)),
                of_formats!($($part),+, "tile", "split_sums", "split_reads", $name),
            ],
            ..kernel!($name, $loops, $cost)
        }
    };
    // A kernel with a part of its own in each table.
    ($name:literal, cpu $cpu:literal, subgroups $subgroups:literal, gpu $gpu:literal; $loops:expr, $cost:path) => {
        Kernel {
            parts: parts!($cpu, $name),
            all_parts: [
                [parts!($cpu, $name); WeightFormat::ALL.len()],
                of_subgroups!([parts!("subgroups", $subgroups, $name); WeightFormat::ALL.len()]),
                [parts!($gpu, $name); WeightFormat::ALL.len()],
            ],
            ..kernel!($name, $loops, $cost)
        }
    };
}

/// The files of `shaders/` that kernels share; all others are kernels.
pub const SHARED: [&str; 18] = [
    "prelude",
    "phases",
    "norm",
    "plain",
    "ungated",
    "tile",
    "whole_sums",
    "own_reads",
    "subgroups",
    "subgroup_reads",
    "split_sums",
    "split_reads",
    "whole_attention",
    "subgroup_attention",
    "split_attention",
    "weights_f32",
    "weights_f16",
    "weights_int8",
];

const KEPT: u64 = MAX_KEPT as u64;

/// The input vectors of a batch.
pub const EMBED: Kernel = kernel!("embed", weights; |_| vec![KEPT], cost::embed);
/// Attention norm, query, key and value projections, rotation.
pub const QKV: Kernel = kernel!("qkv", matmul, "norm", "ungated"; loops_behind_norm, cost::qkv);
/// Norms of heads, rotation.
pub const QK_NORM: Kernel = kernel!(
    "qk_norm",
    |shape| {
        let quads = shape.shared(shape.get("HEAD_DIM") / 4);
        vec![quads, shape.threads.into(), quads]
    },
    cost::qk_norm
);
/// Attention over the cache.
pub const ATTENTION: Kernel = kernel!(
    "attention", cpu "whole_attention", subgroups "subgroup_attention", gpu "split_attention";
    |shape| match (shape.get("SUBGROUP"), shape.get("SLICES")) {
        (0, 0) => loops_of_tiles(shape),
        (0, slices) => loops_of_slices(shape, slices),
        (subgroup, _) => loops_of_subgroups(shape, subgroup),
    },
    cost::attention
);
/// Output and down projections, added to the residual stream.
pub const PROJECT: Kernel =
    kernel!("project", matmul, "plain", "ungated"; loops_of_sets, cost::project);
/// MLP norm, gate and up projections, activation.
pub const EXPAND: Kernel = kernel!("expand", matmul, "norm"; loops_behind_norm, cost::expand);
/// A layer's state, kept to be fed back.
pub const TAP: Kernel = kernel!("tap", |_| Vec::new(), cost::tap);
/// A contemplation token, made of a layer's state.
pub const CONTEMPLATE: Kernel =
    kernel!("contemplate", matmul, "norm", "ungated"; loops_behind_norm, cost::contemplate);
/// Final norm, and what the end classifier says of it.
pub const FINAL_NORM: Kernel = kernel!(
    "final_norm",
    |shape| vec![
        shape.shared(shape.get("WIDTH")),
        shape.threads.into(),
        shape.shared(shape.get("WIDTH")),
        shape.get("LAYER_NORM") * shape.get("WIDTH"),
    ],
    cost::final_norm
);
/// LM head.
pub const HEAD: Kernel = kernel!("head", matmul, "plain", "ungated"; loops_of_sets, cost::head);
/// The distribution over each part of the vocabulary.
pub const DISTRIBUTION: Kernel = kernel!(
    "distribution", phases;
    |shape| {
        let (own, threads) = (u64::from(TOKENS_PER_THREAD), u64::from(shape.threads));
        let pool = own * threads.min(KEPT);
        vec![
            MAX_PHASES as u64,
            own,
            threads,
            shape.shared(KEPT),
            own,
            own,
            shape.shared(pool) * pool,
            threads,
        ]
    },
    cost::distribution
);
/// The distribution of all parts, the decision, and the next input.
pub const SELECT: Kernel = kernel!(
    "select", phases;
    |shape| {
        let parts = shape.get("N_PARTS");
        let pool = KEPT * parts.min(KEPT);
        vec![
            // ln_gamma_draw, for every kept token
            16 * KEPT,
            // merge_top
            shape.shared(KEPT),
            shape.shared(parts),
            shape.shared(parts) * parts,
            shape.shared(parts),
            shape.shared(parts) * KEPT,
            shape.shared(pool),
            shape.shared(pool) * pool,
            // sum_parts, weigh_top, finish_distribution
            shape.shared(parts),
            parts.min(shape.threads.into()),
            shape.shared(KEPT),
            parts.min(shape.threads.into()),
            // normalise, at most six times
            6 * KEPT,
            6 * KEPT,
            // softmax_weights, sort
            KEPT,
            KEPT,
            KEPT,
            KEPT * KEPT / 2,
            // truncated, mix, draw_token, make_one_hot twice
            KEPT,
            KEPT,
            KEPT,
            KEPT,
            KEPT,
            KEPT,
            2 * KEPT,
            // is_stop_token, decide, main
            MAX_STOP_TOKENS as u64,
            MAX_PHASES as u64,
            shape.shared(KEPT),
        ]
    },
    cost::select
);

/// Every kernel: `tests/shaders.rs` compares this with the folder.
pub const KERNELS: [Kernel; 12] = [
    EMBED,
    QKV,
    QK_NORM,
    ATTENTION,
    PROJECT,
    EXPAND,
    TAP,
    CONTEMPLATE,
    FINAL_NORM,
    HEAD,
    DISTRIBUTION,
    SELECT,
];

/// Steps that the ring of records holds: the most that one submit runs.
pub const RING_STEPS: u32 = 64;

/// Rows that one thread of a matmul can hold.
pub const MAX_TILE: u32 = 8;

/// The most parts of a vocabulary that the select stage merges.
pub const MAX_PARTS: u32 = 256;

impl Kernel {
    /// Its WGSL.
    pub fn source(&self) -> String {
        self.parts.concat()
    }

    /// The kernel for weights in a format; kernels are for f32 and for CPU adapters unless they are
    /// asked.
    pub fn reading(self, format: WeightFormat) -> Self {
        self.of(Table::Cpu, format)
    }

    /// The kernel of a table, for weights in a format.
    pub fn of(self, table: Table, format: WeightFormat) -> Self {
        Self {
            parts: self.all_parts[table as usize][format as usize],
            format,
            ..self
        }
    }
}

/// Threads of the largest workgroup for equal pieces of work.
pub const MOST_THREADS: u32 = 64;

/// Threads of a workgroup for `n_items` equal pieces of work.
///
/// Small shapes are cut into about eight workgroups, so that the cores of a CPU adapter and the
/// processors of a GPU all get one; large shapes get workgroups of two warps.
pub fn threads_for(n_items: u32) -> u32 {
    (n_items / 8).next_power_of_two().clamp(8, MOST_THREADS)
}

/// Threads and fours of outputs of a workgroup that splits the sums of a matmul of `tile` rows. A slice takes
/// two turns at 64 to 256 inputs. Fours side by side are 256 bytes of f32 weights; one row of few outputs has
/// half of that, so that more of a GPU's processors get a workgroup, and a head for a large vocabulary twice,
/// so that fewer sums have to be added. (Measured on an NVIDIA H200, for 64 to 49,152 outputs.)
pub fn split_sums_for(n_inputs: usize, n_outputs: usize, tile: u32) -> (u32, u32) {
    const MOST: u32 = 128;
    let quads = match n_outputs.div_ceil(16) {
        0..64 if tile == 1 => 2,
        0..1024 => 4,
        _ => 8,
    };
    let slices = (n_inputs as u32 / 8).next_power_of_two();
    (slices.clamp(8, MOST / quads) * quads, quads)
}

/// Parts that a vocabulary is cut into, with `threads` threads for each.
pub fn parts_of(vocab_size: usize, threads: u32) -> u32 {
    (vocab_size as u32).div_ceil(threads * TOKENS_PER_THREAD)
}

/// Places for the scores of a row and head over `n_positions` positions. Where a subgroup scores, a row's
/// own positions lie in blocks of four for each of its threads, of which the last may not be full.
pub fn score_places(n_positions: usize, subgroup_size: Option<u32>) -> usize {
    let block = 4 * subgroup_size.unwrap_or(1) as usize;
    (n_positions + block).next_multiple_of(4)
}

/// Rows per thread for a batch of `n_rows`.
pub fn tile_for(n_rows: usize) -> u32 {
    match n_rows {
        1 => 1,
        2..=4 => 4,
        _ => MAX_TILE,
    }
}
