//! Bytes that a model's weights take on a device, told before anything is allocated.

use std::fmt;

use latent_model::{
    checkpoint::WeightFormat,
    config::{Mlp, ModelConfig, Norm, Positions},
    engine::ModelCapabilities,
    program::Adapter,
};

use crate::packing::packed_words;

/// What a model needs of a device; [`fmt::Display`] says it in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightMemory {
    /// Bytes of all weights. A run's own buffers come on top of them.
    pub n_bytes: u64,
    /// Bytes of the largest buffer that a kernel of the device can read.
    pub max_binding: u64,
    /// Shards of the embedding table, as few as fit.
    pub n_shards: usize,
}

impl WeightMemory {
    /// What the weights of a model take in a format, with adapters where it has some.
    pub fn of(
        config: &ModelConfig,
        format: WeightFormat,
        capabilities: ModelCapabilities,
        max_binding: u64,
    ) -> Self {
        let made_of = config.architecture;
        let (d, ff) = (config.hidden_size, config.intermediate_size);
        let q_width = config.q_width();
        let qkv_rows = q_width + 2 * config.kv_width();
        let n_sets = match capabilities.contemplation {
            Some(_) => Adapter::ALL.len(),
            None => 1,
        };
        let when = |holds: bool, n_words: usize| if holds { n_words } else { 0 };
        let is_layer_norm = made_of.norm == Norm::LayerNorm;
        let is_gained = format != WeightFormat::F32;
        let matrix = |rows: usize, cols: usize| n_sets * packed_words(format, rows, cols);
        // The gain and the biases of a matmul behind a norm.
        let vectors = |has_bias: bool, n_outputs: usize| {
            let has_bias = has_bias || is_layer_norm;
            when(has_bias || is_gained, d) + when(has_bias, n_sets * n_outputs)
        };
        let layer = matrix(qkv_rows, d)
            + vectors(made_of.qkv_bias, qkv_rows)
            + when(made_of.qk_norm, 2 * config.head_dim)
            + matrix(d, q_width)
            + when(made_of.output_bias, d)
            + when(made_of.mlp == Mlp::SwiGlu, matrix(ff, d))
            + matrix(ff, d)
            + vectors(made_of.mlp_bias, 2 * ff)
            + matrix(d, ff)
            + when(made_of.mlp_bias, d);
        let shard_ids = ids_per_shard(format, d, max_binding);
        let shards = (0..config.vocab_size).step_by(shard_ids);
        let n_shards = shards.len();
        let shards = shards.map(|first| shard_ids.min(config.vocab_size - first));
        let table: usize = shards.map(|n_ids| packed_words(format, n_ids, d)).sum();
        let is_learned = made_of.positions == Positions::Learned;
        let n_words = table * if config.tie_word_embeddings { 1 } else { 2 }
            + when(is_learned, config.max_position_embeddings * d)
            + config.n_layers * layer
            + d * if is_layer_norm { 2 } else { 1 }
            + n_sets * (d + 4)
            + when(n_sets > 1, d * d + d)
            + 4;
        Self {
            n_bytes: n_words as u64 * size_of::<u32>() as u64,
            max_binding,
            n_shards,
        }
    }
}

impl fmt::Display for WeightMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        let needed = match megabytes(self.n_bytes) {
            needed if needed < 10.0 => format!("{needed:.1}"),
            needed => format!("{needed:.0}"),
        };
        let allowed = megabytes(self.max_binding);
        write!(
            f,
            "needs {needed} MB, this adapter allows {allowed:.0} MB a binding"
        )?;
        match self.n_shards {
            1 => Ok(()),
            n => write!(f, ": loads in {n} shards"),
        }
    }
}

/// Rows of a table, a multiple of 4, that one binding can hold.
pub(crate) fn ids_per_shard(format: WeightFormat, d: usize, max_binding: u64) -> usize {
    // Eight rows, because scales come in whole elements of two fours.
    let eight_rows = (packed_words(format, 8, d) * size_of::<u32>()) as u64;
    match format {
        WeightFormat::Int8 => (max_binding / eight_rows) as usize * 8,
        WeightFormat::F32 | WeightFormat::F16 => (2 * max_binding / eight_rows) as usize * 4,
    }
    .max(4)
}
