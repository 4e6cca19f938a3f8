//! The forward pass as an ordered list of dispatches, built once and replayed every step.

use latent_model::{config::ModelConfig, input::Tap};

use crate::{
    batch::{Batch, KvCache},
    buffer::DeviceBuffer,
    context::GpuContext,
    kernels::Pipeline,
    pipelines::{RowPipelines, TilePipelines},
    weights::{DeviceInputMap, DeviceLayer, DeviceWeights, Shard},
};

/// One dispatch: a pipeline, its buffers, its grid. Nothing in it changes from step to step;
/// what does (positions, inputs, phases) lies in buffers that the select stage advances.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub pipeline: Pipeline,
    pub bind_group: wgpu::BindGroup,
    pub grid: [u32; 2],
}

/// What a tap reads: the state after a layer, and the map that it goes through.
struct Tapped<'a> {
    layer: usize,
    map: Option<&'a DeviceInputMap>,
}

/// A model and a batch, from which dispatches are made.
pub(crate) struct Forward<'a> {
    pub context: &'a GpuContext,
    pub config: &'a ModelConfig,
    pub weights: &'a DeviceWeights,
    pub row_pipelines: &'a RowPipelines,
    /// Compiled for the batch's tile.
    pub tile_pipelines: &'a TilePipelines,
    /// Of those, the one for as many positions as the cache has.
    pub attention: &'a Pipeline,
    pub batch: &'a Batch,
    pub cache: &'a KvCache,
}

impl Forward<'_> {
    /// residual ← what enters each row: a dispatch per shard of the embedding table.
    pub fn embed(&self) -> Vec<Dispatch> {
        let batch = self.batch;
        let shards = self.weights.tables.embedding.iter();
        let dispatch = |(shard, pipeline): (&Shard, &Pipeline)| {
            let buffers = [
                &batch.rows,
                &batch.inputs,
                &shard.buffer,
                &batch.hidden,
                self.or_unread(&self.weights.positions),
                &batch.residual,
            ];
            self.over_width(pipeline, &buffers)
        };
        shards
            .zip(&self.row_pipelines.embed)
            .map(dispatch)
            .collect()
    }

    /// What keeps the state after layer `index` where `taps` has it, as it is or as a contemplation
    /// token.
    pub fn keep(&self, index: usize, taps: &[(Tap, &Pipeline)]) -> Vec<Dispatch> {
        let Batch {
            rows,
            residual,
            hidden,
            ..
        } = self.batch;
        let kept = |(tap, pipeline): &(Tap, &Pipeline)| {
            let read = self.tapped(*tap).filter(|read| read.layer == index)?;
            Some(match read.map {
                None => self.over_width(pipeline, &[rows, residual, hidden]),
                Some(map) => self.matmul(
                    pipeline,
                    self.config.hidden_size,
                    &[rows, residual, &map.bias, &map.weight, hidden],
                ),
            })
        };
        taps.iter().filter_map(kept).collect()
    }

    /// What a tap reads of a layer; `None` for the state after the final norm.
    fn tapped(&self, tap: Tap) -> Option<Tapped<'_>> {
        match tap {
            Tap::FinalNorm => None,
            Tap::Layer(layer) => Some(Tapped {
                layer: layer as usize,
                map: None,
            }),
            Tap::Contemplation => Some(Tapped {
                layer: self.weights.capabilities.contemplation?.layer as usize,
                map: self.weights.input_map.as_ref(),
            }),
        }
    }

    /// Layer `index`: five dispatches, or six where heads have norms of their own.
    pub fn layer(&self, index: usize) -> Vec<Dispatch> {
        let mut dispatches = self.queries_and_keys(index);
        dispatches.extend(self.mixed_and_expanded(index));
        dispatches
    }

    /// The first part of layer `index`, which is all of it that later positions read: queries, and keys
    /// and values in the cache.
    pub fn queries_and_keys(&self, index: usize) -> Vec<Dispatch> {
        let (batch, pipelines) = (self.batch, self.tile_pipelines);
        let layer: &DeviceLayer = &self.weights.layers[index];
        let (keys, values) = (&self.cache.keys[index], &self.cache.values[index]);
        let (rows, residual) = (&batch.rows, &batch.residual);
        let qkv_rows = self.config.q_width() + 2 * self.config.kv_width();
        let mut dispatches = vec![self.matmul(
            &pipelines.qkv,
            qkv_rows,
            &[
                rows,
                residual,
                self.or_unread(&layer.qkv_vectors),
                &layer.qkv,
                &self.cache.rotations,
                &batch.queries,
                keys,
                values,
            ],
        )];
        dispatches.extend(self.qk_norm(layer, keys));
        dispatches
    }

    /// The rest of layer `index`: attention and the MLP, added to the residual stream.
    fn mixed_and_expanded(&self, index: usize) -> [Dispatch; 4] {
        let (batch, pipelines) = (self.batch, self.tile_pipelines);
        let layer: &DeviceLayer = &self.weights.layers[index];
        let (rows, residual) = (&batch.rows, &batch.residual);
        let (d, intermediate) = (self.config.hidden_size, self.config.intermediate_size);
        [
            self.attention(&self.cache.keys[index], &self.cache.values[index]),
            self.matmul(
                &pipelines.output,
                d,
                &[
                    rows,
                    &batch.attended,
                    &layer.output,
                    self.or_unread(&layer.output_bias),
                    residual,
                ],
            ),
            self.matmul(
                &pipelines.expand,
                intermediate,
                &[
                    rows,
                    residual,
                    self.or_unread(&layer.mlp_vectors),
                    layer.gate.as_ref().unwrap_or(&layer.up),
                    &layer.up,
                    &batch.expanded,
                ],
            ),
            self.matmul(
                &pipelines.down,
                d,
                &[
                    rows,
                    &batch.expanded,
                    &layer.down,
                    self.or_unread(&layer.down_bias),
                    residual,
                ],
            ),
        ]
    }

    /// What a kernel is bound to where the model has nothing for it.
    fn or_unread<'b>(&'b self, buffer: &'b Option<DeviceBuffer>) -> &'b DeviceBuffer {
        buffer.as_ref().unwrap_or(&self.weights.unread)
    }

    /// Norms of the heads of queries and of the newest keys, where there are any, and their rotation.
    fn qk_norm(&self, layer: &DeviceLayer, keys: &DeviceBuffer) -> Option<Dispatch> {
        let pipeline = self.row_pipelines.qk_norm.as_ref()?;
        let batch = self.batch;
        let buffers = [
            &batch.rows,
            self.or_unread(&layer.qk_norm),
            &self.cache.rotations,
            &batch.queries,
            keys,
        ];
        let n_heads = self.config.n_heads + self.config.n_kv_heads;
        Some(Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(self.context, &buffers),
            grid: [n_heads as u32, batch.n_rows],
        })
    }

    /// hidden[0] ← the state after the final norm, with its norm and the end classifier's word.
    pub fn final_norm(&self) -> Dispatch {
        let batch = self.batch;
        let pipeline = &self.row_pipelines.final_norm;
        let buffers = [
            &batch.rows,
            &batch.residual,
            &self.weights.final_norm,
            &self.weights.end_classifier,
            &batch.hidden,
            &batch.states,
        ];
        Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(self.context, &buffers),
            grid: [batch.n_rows, 1],
        }
    }

    /// The LM head, a dispatch per shard; `logits` is (rows, V rounded up to 4).
    pub fn head(&self, logits: &DeviceBuffer) -> Vec<Dispatch> {
        let shards = self.weights.tables.head.iter();
        let dispatch = |(shard, pipeline): (&Shard, &Pipeline)| {
            let batch = self.batch;
            self.matmul(
                pipeline,
                shard.n_ids as usize,
                &[&batch.rows, &batch.hidden, &shard.buffer, logits],
            )
        };
        shards
            .zip(&self.tile_pipelines.head)
            .map(dispatch)
            .collect()
    }

    /// A thread per four values of every row.
    fn over_width(&self, pipeline: &Pipeline, buffers: &[&DeviceBuffer]) -> Dispatch {
        let n_quads = self.config.hidden_size.div_ceil(4);
        let n_groups = n_quads.div_ceil(pipeline.threads as usize);
        Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(self.context, buffers),
            grid: [n_groups as u32, self.batch.n_rows],
        }
    }

    fn attention(&self, keys: &DeviceBuffer, values: &DeviceBuffer) -> Dispatch {
        let batch = self.batch;
        let pipeline = self.attention;
        let buffers = [
            &batch.rows,
            &batch.queries,
            keys,
            values,
            &batch.scores,
            &batch.attended,
        ];
        Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(self.context, &buffers),
            grid: [self.config.n_heads as u32, batch.n_rows / pipeline.tile()],
        }
    }

    /// A workgroup per stretch of outputs and tile of rows.
    fn matmul(&self, pipeline: &Pipeline, n_outputs: usize, buffers: &[&DeviceBuffer]) -> Dispatch {
        let n_groups = n_outputs
            .div_ceil(4)
            .div_ceil(pipeline.quads_per_group() as usize);
        let n_tiles = self.batch.n_rows / self.tile_pipelines.tile;
        Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(self.context, buffers),
            grid: [n_groups as u32, n_tiles],
        }
    }
}
