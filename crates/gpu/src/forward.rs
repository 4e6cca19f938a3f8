//! The forward pass as an ordered list of dispatches, built once and replayed every step.

use latent_model::config::ModelConfig;

use crate::{
    batch::{Batch, KvCache},
    kernels::{ColumnPipelines, Pipeline, TilePipelines},
    weights::{DeviceLayer, DeviceWeights},
};

/// What one dispatch declares of its work. Attention counts no positions: its part grows with
/// the run and is small for short contexts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of weights read.
    pub weight_bytes: u64,
    /// Floating-point operations (a multiply-add is two).
    pub flops: u64,
}

/// One dispatch: a pipeline, its buffers, its grid. Nothing in it changes from step to step;
/// what does (positions, inputs, phases) lies in buffers that the select stage advances.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub pipeline: Pipeline,
    pub bind_group: wgpu::BindGroup,
    pub grid: [u32; 2],
    pub cost: Cost,
}

/// Appends the dispatches to a pass.
pub(crate) fn record<'a>(
    dispatches: impl IntoIterator<Item = &'a Dispatch>,
    pass: &mut wgpu::ComputePass<'_>,
) {
    for dispatch in dispatches {
        pass.set_pipeline(dispatch.pipeline.compiled());
        pass.set_bind_group(0, &dispatch.bind_group, &[]);
        pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
    }
}

/// A model and a batch, from which dispatches are made.
pub(crate) struct Forward<'a> {
    pub device: &'a wgpu::Device,
    pub config: &'a ModelConfig,
    pub weights: &'a DeviceWeights,
    pub column_pipelines: &'a ColumnPipelines,
    /// Compiled for the batch's tile.
    pub tile_pipelines: &'a TilePipelines,
    pub batch: &'a Batch,
    pub cache: &'a KvCache,
}

impl Forward<'_> {
    /// residual ← E[token]
    pub fn embed(&self) -> Dispatch {
        let batch = self.batch;
        let pipeline = &self.column_pipelines.embed;
        let buffers = [&batch.columns, &self.weights.embedding, &batch.residual];
        let n_groups = self
            .config
            .hidden_size
            .div_ceil(4)
            .div_ceil(pipeline.threads as usize);
        Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(self.device, &buffers),
            grid: [n_groups as u32, batch.n_columns],
            cost: Cost::default(),
        }
    }

    /// All layers, in order.
    pub fn layers(&self) -> impl Iterator<Item = Dispatch> {
        (0..self.config.n_layers).flat_map(|index| self.layer(index))
    }

    /// Layer `index`: five dispatches.
    pub fn layer(&self, index: usize) -> [Dispatch; 5] {
        let (batch, pipelines) = (self.batch, self.tile_pipelines);
        let layer: &DeviceLayer = &self.weights.layers[index];
        let (keys, values) = (&self.cache.keys[index], &self.cache.values[index]);
        let (columns, residual) = (&batch.columns, &batch.residual);
        let (d, intermediate) = (self.config.hidden_size, self.config.intermediate_size);
        let qkv_rows = self.config.q_width() + 2 * self.config.kv_width();
        [
            self.matmul(
                &pipelines.qkv,
                (qkv_rows, d),
                &[
                    columns,
                    residual,
                    &layer.qkv,
                    &self.cache.rotations,
                    &batch.queries,
                    keys,
                    values,
                ],
            ),
            self.attention(keys, values),
            self.matmul(
                &pipelines.output,
                (d, self.config.q_width()),
                &[columns, &batch.attended, &layer.output, residual],
            ),
            self.matmul(
                &pipelines.swiglu,
                (intermediate, 2 * d),
                &[columns, residual, &layer.gate, &layer.up, &batch.gated],
            ),
            self.matmul(
                &pipelines.down,
                (d, intermediate),
                &[columns, &batch.gated, &layer.down, residual],
            ),
        ]
    }

    /// Final norm and LM head; `logits` is (columns, V rounded up to 4).
    pub fn head(&self, logits: &wgpu::Buffer) -> Dispatch {
        self.matmul(
            &self.tile_pipelines.head,
            (self.config.vocab_size, self.config.hidden_size),
            &[
                &self.batch.columns,
                &self.batch.residual,
                &self.weights.final_norm,
                &self.weights.head,
                logits,
            ],
        )
    }

    fn attention(&self, keys: &wgpu::Buffer, values: &wgpu::Buffer) -> Dispatch {
        let batch = self.batch;
        let pipeline = &self.column_pipelines.attention;
        let buffers = [
            &batch.columns,
            &batch.queries,
            keys,
            values,
            &batch.scores,
            &batch.attended,
        ];
        Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(self.device, &buffers),
            grid: [self.config.n_heads as u32, batch.n_columns],
            cost: Cost::default(),
        }
    }

    /// A thread per four rows and tile of columns; `shape` is the weight's (rows, columns).
    fn matmul(
        &self,
        pipeline: &Pipeline,
        shape: (usize, usize),
        buffers: &[&wgpu::Buffer],
    ) -> Dispatch {
        let n_groups = shape.0.div_ceil(4).div_ceil(pipeline.threads as usize);
        let n_tiles = self.batch.n_columns / self.tile_pipelines.tile;
        let n_weights = (shape.0 * shape.1) as u64;
        Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(self.device, buffers),
            grid: [n_groups as u32, n_tiles],
            cost: Cost {
                weight_bytes: u64::from(n_tiles) * n_weights * size_of::<f32>() as u64,
                flops: 2 * u64::from(self.batch.n_columns) * n_weights,
            },
        }
    }
}
