//! What a dispatch moves and computes, by its kernel, its constants and the rows of its batch.
//!
//! Bytes are those that no cache can save: every value that a row's work needs is counted once,
//! however many threads read it, and a matmul's weights once for each tile of rows (and each set
//! that the tile's rows run under). FLOPs are those of the formula, without what threads repeat.

use std::{iter::Sum, ops::Add};

use latent_model::{checkpoint::WeightFormat, input::Input, record::StepRecord};

use super::Shape;
use crate::{
    layout::{Lane, Part, Phase, Row, RowInput, RowState},
    packing::packed_words,
};

/// Declared work of one dispatch, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes read, weights among them.
    pub bytes_read: u64,
    /// Bytes of weight matrices read.
    pub weight_bytes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Floating-point operations (a multiply-add is two).
    pub flops: u64,
}

impl Cost {
    /// Bytes read and written.
    pub fn bytes(&self) -> u64 {
        self.bytes_read + self.bytes_written
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes_read: self.bytes_read + other.bytes_read,
            weight_bytes: self.weight_bytes + other.weight_bytes,
            bytes_written: self.bytes_written + other.bytes_written,
            flops: self.flops + other.flops,
        }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

/// What of a row decides how much work it is. The default is a dead row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowWork {
    /// Whether kernels work on it.
    pub is_live: bool,
    /// Whether its logits are wanted.
    pub wants_logits: bool,
    /// Positions that it sees, itself among them.
    pub n_keys: u64,
    /// Of these, the first ones that all rows of its tile see in the same rows of the cache.
    pub n_shared: u64,
    /// Rows of the embedding table that enter it; none where a vector does.
    pub n_tokens: u64,
    /// The set of weights that it runs under.
    pub adapter: u32,
}

impl RowWork {
    /// The work of a row and what is fed there.
    pub fn new(row: &Row, input: &Input) -> Self {
        Self {
            is_live: row.live == 1,
            wants_logits: row.live == 1 && row.wants_logits == 1,
            n_keys: u64::from(row.position) + 1,
            n_shared: u64::from(row.n_shared),
            n_tokens: match input {
                Input::Token(_) => 1,
                Input::Mixture(mixture) => mixture.len() as u64,
                Input::Vector(_) => 0,
            },
            adapter: row.adapter,
        }
    }
}

/// A dispatch, as far as its cost depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// The pipeline's threads and constants.
    pub shape: &'a Shape<'a>,
    /// The format of its weights.
    pub format: WeightFormat,
    /// All rows of the batch.
    pub rows: &'a [RowWork],
}

/// Bytes of numbers of 32 bits.
const fn words(n: u64) -> u64 {
    4 * n
}

impl Work<'_> {
    fn get(&self, constant: &str) -> u64 {
        self.shape.get(constant)
    }

    fn live(&self) -> impl Iterator<Item = &RowWork> {
        self.rows.iter().filter(|row| row.is_live)
    }

    fn n_live(&self) -> u64 {
        self.live().count() as u64
    }

    fn n_wanting(&self) -> u64 {
        self.rows.iter().filter(|row| row.wants_logits).count() as u64
    }

    /// Bytes of the rows' own structs, which every kernel reads.
    fn row_bytes(&self) -> u64 {
        (self.rows.len() * size_of::<Row>()) as u64
    }

    /// Products of `n_matrices` matrices of 4 · `n_quads` outputs with the rows of each tile that
    /// `n_passes` counts passes over; a pass reads the matrices and computes all rows of the tile.
    /// Results are not written here.
    fn products(
        &self,
        n_matrices: u64,
        n_quads: u64,
        n_passes: impl Fn(&[RowWork]) -> usize,
    ) -> Cost {
        let (tile, width) = (self.get("TILE").max(1), self.get("WIDTH"));
        let (n_outputs, n_inputs) = (4 * n_quads as usize, 4 * width as usize);
        let tiles = || self.rows.chunks(tile as usize).map(&n_passes);
        let n_at_work = tiles().filter(|&n| n > 0).count() as u64;
        let n_passes = tiles().sum::<usize>() as u64;
        let matrix = words(packed_words(self.format, n_outputs, n_inputs) as u64);
        let weight_bytes = n_passes * n_matrices * matrix;
        Cost {
            bytes_read: self.row_bytes() + weight_bytes + words(n_at_work * tile * 4 * width),
            weight_bytes,
            bytes_written: 0,
            flops: 2 * n_passes * tile * n_matrices * (n_outputs * n_inputs) as u64,
        }
    }

    /// The products of each set that live rows of a tile run under.
    fn products_of_sets(&self, n_matrices: u64, n_quads: u64) -> Cost {
        self.products(n_matrices, n_quads, |tile| {
            let is_first = |(place, row): &(usize, &RowWork)| {
                let mut before = tile[..*place].iter();
                row.is_live && !before.any(|other| other.is_live && other.adapter == row.adapter)
            };
            tile.iter().enumerate().filter(is_first).count()
        })
    }

    /// Bytes of the gain and the biases behind a norm, each read by a dispatch that has rows.
    fn vector_bytes(&self, n_biases: u64) -> u64 {
        words(self.get("GAIN") * 4 * self.get("WIDTH") + self.get("BIAS") * n_biases)
    }

    /// Every live row reads and writes so many numbers of 32 bits.
    fn per_live_row(&self, n_read: u64, n_written: u64) -> Cost {
        Cost {
            bytes_read: self.row_bytes() + words(self.n_live() * n_read),
            bytes_written: words(self.n_live() * n_written),
            ..Cost::default()
        }
    }
}

pub(super) fn embed(work: &Work<'_>) -> Cost {
    let d = 4 * work.get("WIDTH");
    let is_first = work.get("FIRST_ID") == 0;
    let positions = if is_first {
        work.get("LEARNED_POSITIONS") * d
    } else {
        d
    };
    // Which shard holds a token is not known here: the first one stands for all. A token's numbers
    // lie between those of three others, and memory moves all four.
    let counted = |row: &RowWork| if is_first { row.n_tokens } else { 0 };
    let n_tokens: u64 = work.live().map(counted).sum();
    let vectors = work.live().filter(|row| is_first && row.n_tokens == 0);
    let vectors = words(vectors.count() as u64 * d);
    let table = n_tokens * words(packed_words(work.format, 4, d as usize) as u64);
    let inputs = work.n_live() * size_of::<RowInput>() as u64;
    let rows = work.per_live_row(positions, d);
    Cost {
        bytes_read: rows.bytes_read + table + vectors + inputs,
        flops: 2 * n_tokens * d,
        ..rows
    }
}

pub(super) fn qkv(work: &Work<'_>) -> Cost {
    let head_dim = work.get("HEAD_DIM");
    let n_outputs = (work.get("N_HEADS") + 2 * work.get("N_KV_HEADS")) * head_dim;
    let turning = work.per_live_row(work.get("TURNS") * head_dim, n_outputs);
    let products = work.products_of_sets(1, n_outputs / 4);
    Cost {
        bytes_read: products.bytes_read
            + work.vector_bytes(n_outputs)
            + words(work.n_live() * work.get("TURNS") * head_dim),
        bytes_written: turning.bytes_written,
        ..products
    }
}

pub(super) fn qk_norm(work: &Work<'_>) -> Cost {
    let head_dim = work.get("HEAD_DIM");
    let width = (work.get("N_HEADS") + work.get("N_KV_HEADS")) * head_dim;
    let rows = work.per_live_row(width + head_dim, width);
    Cost {
        bytes_read: rows.bytes_read + words(2 * head_dim),
        // Squares, gains and turns.
        flops: work.n_live() * width * (2 + 2 + 3),
        ..rows
    }
}

pub(super) fn attention(work: &Work<'_>) -> Cost {
    let (n_heads, head_dim) = (work.get("N_HEADS"), work.get("HEAD_DIM"));
    let (q_width, kv_width) = (n_heads * head_dim, work.get("N_KV_HEADS") * head_dim);
    let n_keys: u64 = work.live().map(|row| row.n_keys).sum();
    let tile = work.get("TILE").max(1) as usize;
    // What a tile's rows share is read for the first live one.
    let n_repeated = work.rows.chunks(tile).flat_map(|tile| {
        let live = tile.iter().filter(|row| row.is_live);
        live.skip(1).map(|row| row.n_shared)
    });
    let n_read = n_keys - n_repeated.sum::<u64>();
    let rows = work.per_live_row(q_width, q_width);
    Cost {
        bytes_read: rows.bytes_read + words(2 * kv_width * n_read),
        // A workgroup's scores stay in a cache from loop to loop, and leave it once.
        bytes_written: rows.bytes_written + words(n_heads * n_keys),
        flops: 4 * q_width * n_keys,
        ..rows
    }
}

pub(super) fn project(work: &Work<'_>) -> Cost {
    let n_outputs = 4 * work.get("N_QUADS");
    let products = work.products_of_sets(1, work.get("N_QUADS"));
    let residual = words(work.n_live() * n_outputs);
    Cost {
        bytes_read: products.bytes_read + residual + words(work.get("BIAS") * n_outputs),
        bytes_written: residual,
        ..products
    }
}

pub(super) fn expand(work: &Work<'_>) -> Cost {
    let n_outputs = 4 * work.get("N_QUADS");
    let products = work.products_of_sets(1 + work.get("GATED"), work.get("N_QUADS"));
    Cost {
        bytes_read: products.bytes_read + work.vector_bytes(2 * n_outputs),
        bytes_written: words(work.n_live() * n_outputs),
        ..products
    }
}

pub(super) fn tap(work: &Work<'_>) -> Cost {
    let d = 4 * work.get("WIDTH");
    work.per_live_row(d, d)
}

pub(super) fn contemplate(work: &Work<'_>) -> Cost {
    let d = 4 * work.get("WIDTH");
    let is_live = |tile: &[RowWork]| usize::from(tile.iter().any(|row| row.is_live));
    let products = work.products(1, work.get("WIDTH"), is_live);
    Cost {
        bytes_read: products.bytes_read + words(d),
        bytes_written: words(work.n_live() * d),
        ..products
    }
}

pub(super) fn final_norm(work: &Work<'_>) -> Cost {
    let d = 4 * work.get("WIDTH");
    let n_vectors = 1 + work.get("LAYER_NORM");
    // The state, the classifier and its bias; what the norm tells beside the vector.
    let told = size_of::<RowState>() as u64 / 4;
    let rows = work.per_live_row(2 * d + 4, d + told);
    Cost {
        bytes_read: rows.bytes_read + words(n_vectors * d),
        flops: work.n_live() * 8 * d,
        ..rows
    }
}

pub(super) fn head(work: &Work<'_>) -> Cost {
    let n_quads = work.get("N_QUADS");
    let is_wanted = |tile: &[RowWork]| usize::from(tile.iter().any(|row| row.wants_logits));
    let products = work.products(1, n_quads, is_wanted);
    let tiles = work.rows.chunks(work.get("TILE").max(1) as usize);
    let n_rows: usize = tiles.map(|tile| is_wanted(tile) * tile.len()).sum();
    Cost {
        bytes_written: words(n_rows as u64 * 4 * n_quads),
        ..products
    }
}

pub(super) fn distribution(work: &Work<'_>) -> Cost {
    let vocab_size = work.get("VOCAB_SIZE");
    let n_parts = vocab_size.div_ceil(work.shape.tokens_of_part());
    let n_wanting = work.n_wanting();
    let deciding = size_of::<Lane>() + size_of::<Phase>() + size_of::<RowState>();
    Cost {
        bytes_read: work.row_bytes() + n_wanting * (words(vocab_size) + deciding as u64),
        weight_bytes: 0,
        bytes_written: n_wanting * n_parts * size_of::<Part>() as u64,
        // z − m, its exponential and two sums, at the phase's temperature and at 1.
        flops: 10 * n_wanting * vocab_size,
    }
}

pub(super) fn select(work: &Work<'_>) -> Cost {
    let parts = work.get("N_PARTS") * size_of::<Part>() as u64;
    let lane = size_of::<Lane>() + size_of::<Row>();
    let read = lane + size_of::<Phase>() + size_of::<RowState>();
    let written = lane + size_of::<RowInput>() + size_of::<StepRecord>();
    Cost {
        bytes_read: work.n_live() * read as u64 + work.n_wanting() * parts,
        bytes_written: work.n_live() * written as u64,
        ..Cost::default()
    }
}
