//! What one run needs on the device: columns, activations, and the KV cache.

use latent_model::{config::ModelConfig, reference::Rope};

use crate::{
    context::{GpuContext, GpuError},
    kernels::tile_for,
    layout::Column,
};

/// The columns of a batch and the vectors that pass between kernels; one for the lanes of a run,
/// one for its prefill.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Number of columns, a multiple of the tile.
    pub n_columns: u32,
    /// Columns per thread of a matmul.
    pub tile: u32,
    /// (columns) of [`Column`]
    pub columns: wgpu::Buffer,
    /// (columns, d): the residual stream
    pub residual: wgpu::Buffer,
    /// (columns, heads · head_dim), rotated
    pub queries: wgpu::Buffer,
    /// (columns, heads, positions)
    pub scores: wgpu::Buffer,
    /// (columns, heads · head_dim)
    pub attended: wgpu::Buffer,
    /// (columns, intermediate)
    pub gated: wgpu::Buffer,
}

impl Batch {
    /// Room for `n_columns` columns, rounded up to whole tiles; all of them are dead until
    /// [`Batch::write_columns`].
    pub fn new(
        context: &GpuContext,
        config: &ModelConfig,
        n_columns: usize,
        n_positions: usize,
    ) -> Result<Self, GpuError> {
        let tile = tile_for(n_columns);
        let n_columns = n_columns.next_multiple_of(tile as usize);
        let floats = |what: &str, width: usize| {
            context.storage(what, (n_columns * width * size_of::<f32>()) as u64)
        };
        Ok(Self {
            n_columns: n_columns as u32,
            tile,
            columns: context.storage("columns", (n_columns * size_of::<Column>()) as u64)?,
            residual: floats("the residual stream", config.hidden_size)?,
            queries: floats("queries", config.q_width())?,
            scores: floats("attention scores", config.n_heads * n_positions)?,
            attended: floats("attention outputs", config.q_width())?,
            gated: floats("MLP activations", config.intermediate_size)?,
        })
    }

    /// Sets the columns; those past the end of `columns` are dead.
    pub fn write_columns(&self, context: &GpuContext, columns: &[Column]) {
        let mut all = columns.to_vec();
        all.resize(self.n_columns as usize, Column::default());
        context
            .queue
            .write_buffer(&self.columns, 0, bytemuck::cast_slice(&all));
    }
}

/// Keys and values of a run, and the rotations of its positions.
#[derive(Debug)]
pub(crate) struct KvCache {
    /// Rows of the cache that one lane owns; lane l's position p has row l · positions + p.
    pub n_positions: u32,
    /// Per layer: (lanes · positions, kv heads · head_dim), rotated
    pub keys: Vec<wgpu::Buffer>,
    /// Per layer: (lanes · positions, kv heads · head_dim)
    pub values: Vec<wgpu::Buffer>,
    /// (positions, head_dim / 4) of (cos, sin, cos, sin) for the pairs 2i and 2i + 1. A table,
    /// because WGSL's own cos and sin promise nothing for large angles.
    pub rotations: wgpu::Buffer,
}

impl KvCache {
    pub fn new(
        context: &GpuContext,
        config: &ModelConfig,
        n_lanes: usize,
        n_positions: usize,
    ) -> Result<Self, GpuError> {
        let bytes = (n_lanes * n_positions * config.kv_width() * size_of::<f32>()) as u64;
        let per_layer = |what: &str| -> Result<Vec<wgpu::Buffer>, GpuError> {
            (0..config.n_layers)
                .map(|_| context.storage(what, bytes))
                .collect()
        };
        let rope = Rope::new(config.head_dim, n_positions, config.rope_theta);
        let rotations: Vec<[f32; 2]> = (0..n_positions)
            .flat_map(|position| {
                let (cos, sin) = rope.row(position);
                cos.iter().zip(sin).map(|(&cos, &sin)| [cos, sin])
            })
            .collect();
        Ok(Self {
            n_positions: n_positions as u32,
            keys: per_layer("a layer's keys")?,
            values: per_layer("a layer's values")?,
            rotations: context.storage_of("rotations", &rotations)?,
        })
    }
}
