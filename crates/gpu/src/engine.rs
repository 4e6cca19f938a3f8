//! The GPU engine: the contract of `latent_model::engine::Engine` on a device.

use std::mem::{Discriminant, discriminant};

use latent_model::{
    checkpoint::Weights,
    config::ModelConfig,
    engine::{
        Engine, EngineError, LaneCursor, LaneSpec, Patch, SharedPrefix, WatchedStep,
        checks::{Limits, check_cursors, check_lanes, check_patches, check_peek, check_records},
        shared_prefixes,
    },
    input::{Input, Tap},
    record::StepRecord,
    reference::LayerStates,
    select::LaneState,
    turns::Breathe,
};

use crate::{
    batch::{Batch, KvCache, SCRATCH_ROWS, share_positions},
    buffer::DeviceBuffer,
    context::{GpuContext, GpuError},
    counts::DeviceCounts,
    forward::{Dispatch, Forward},
    kernels::{MAX_TILE, Pipeline, RING_STEPS, cost::Cost, tile_for},
    layout::Row,
    pipelines::{RowPipelines, TilePipelines, tap_pipeline},
    run::{Run, SelectBuffers, lane_rows, positions_needed, prefill_rows, submit_rows, taps_of},
    weights::DeviceWeights,
};

/// The largest number of lanes in a run: eight tiles, which is enough for a batch of problems
/// to keep a device busy. Nothing but memory depends on it.
pub const MAX_LANES: usize = 64;

/// Positions that one submit prefills.
const PREFILL_ROWS: usize = 64;

/// What an engine has done since it was made, and what one step costs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Dispatches of one step of all lanes.
    pub dispatches_per_step: usize,
    /// Declared work of the first step of all lanes.
    pub step_cost: Cost,
    /// Steps, counted once for all lanes together.
    pub steps: u64,
    /// Command buffers submitted, prefill included.
    pub submits: u64,
    /// Buffers mapped, which is what the host waits for.
    pub maps: u64,
    /// Bytes read back.
    pub bytes_read_back: u64,
    /// All of what was asked of the device; the three before are among it.
    pub device: DeviceCounts,
}

/// Runs programs on a device. Several engines may share one [`GpuContext`].
#[derive(Debug)]
pub struct GpuEngine {
    pub(crate) context: GpuContext,
    pub(crate) config: ModelConfig,
    pub(crate) weights: DeviceWeights,
    pub(crate) row_pipelines: RowPipelines,
    /// One set per tile that was asked for so far.
    tile_pipelines: Vec<TilePipelines>,
    /// What keeps a tap's state in a block of the hidden states, as far as a run has needed it.
    /// One kernel serves all layers.
    tap_pipelines: Vec<(TapKey, Pipeline)>,
    pub(crate) run: Option<Run>,
    first_step_cost: Cost,
    steps: u64,
}

impl GpuEngine {
    /// Uploads a model and compiles its kernels.
    ///
    /// # Errors
    /// If the device has no room for the model, cannot run it, or is lost.
    pub async fn new(
        config: &ModelConfig,
        weights: &Weights,
        context: &GpuContext,
    ) -> Result<Self, GpuError> {
        Self::new_in_turns(config, weights, context, None).await
    }

    /// The same, with turns for others where there are any.
    ///
    /// # Errors
    /// As [`GpuEngine::new`].
    pub async fn new_in_turns(
        config: &ModelConfig,
        weights: &Weights,
        context: &GpuContext,
        breathe: Option<Breathe>,
    ) -> Result<Self, GpuError> {
        let context = context.counting();
        let weights = DeviceWeights::upload(&context, config, weights, breathe).await?;
        let create = || {
            let rows = RowPipelines::new(&context, config, &weights)?;
            let tiles = vec![TilePipelines::new(&context, config, &weights, MAX_TILE)?];
            Ok((rows, tiles))
        };
        let (row_pipelines, tile_pipelines) = context.checked("the kernels", create).await?;
        Ok(Self {
            context,
            config: config.clone(),
            weights,
            row_pipelines,
            tile_pipelines,
            tap_pipelines: Vec::new(),
            run: None,
            first_step_cost: Cost::default(),
            steps: 0,
        })
    }

    /// Counters for the page and the benchmark.
    pub fn stats(&self) -> EngineStats {
        let device = self.context.counts();
        let run = self.run.as_ref();
        EngineStats {
            dispatches_per_step: run.map_or(0, Run::n_dispatches),
            step_cost: self.first_step_cost,
            steps: self.steps,
            submits: device.submits,
            maps: device.maps,
            bytes_read_back: device.bytes_read_back,
            device,
        }
    }

    /// Declared work of the next step by kernel, one entry a dispatch, of lanes that stand where
    /// `cursors` say; those that are not named are done. Nothing where there is no run.
    pub fn step_costs(&self, cursors: &[LaneCursor]) -> Vec<(&'static str, Cost)> {
        let run = self.run.as_ref();
        run.map(|run| run.costs(cursors)).unwrap_or_default()
    }

    /// Bytes of the model's weights on the device.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.n_bytes()
    }

    /// The device that it runs on.
    pub fn context(&self) -> &GpuContext {
        &self.context
    }

    /// What this engine can run, in runs of at most `max_lanes` lanes.
    pub(crate) fn limits(&self, max_lanes: usize) -> Limits<'_> {
        Limits {
            config: &self.config,
            capabilities: self.weights.capabilities,
            max_lanes,
        }
    }

    /// The matmuls for a tile, compiled the first time that it is asked for.
    pub(crate) async fn tile_pipelines(&mut self, tile: u32) -> Result<TilePipelines, GpuError> {
        let known = self
            .tile_pipelines
            .iter()
            .find(|pipelines| pipelines.tile == tile);
        if let Some(compiled) = known {
            return Ok(compiled.clone());
        }
        let (context, weights) = (&self.context, &self.weights);
        let create = || TilePipelines::new(context, &self.config, weights, tile);
        let compiled = self.context.checked("the kernels", create).await?;
        self.tile_pipelines.push(compiled.clone());
        Ok(compiled)
    }

    /// The forward pass over a batch, with matmuls compiled for its tile.
    pub(crate) fn forward<'a>(
        &'a self,
        tile_pipelines: &'a TilePipelines,
        batch: &'a Batch,
        cache: &'a KvCache,
    ) -> Result<Forward<'a>, GpuError> {
        debug_assert_eq!(tile_pipelines.tile, batch.tile);
        Ok(Forward {
            context: &self.context,
            config: &self.config,
            weights: &self.weights,
            row_pipelines: &self.row_pipelines,
            tile_pipelines,
            attention: tile_pipelines.attention(cache.n_positions as usize)?,
            batch,
            cache,
        })
    }

    /// The select stage over a batch's first `n_rows` rows: the distribution over each part of
    /// the vocabulary, then the decision.
    fn select(&self, batch: &Batch, buffers: &SelectBuffers, n_rows: usize) -> [Dispatch; 2] {
        let pipelines = &self.row_pipelines;
        let dispatch = |pipeline: &Pipeline, bound: &[&DeviceBuffer], grid| Dispatch {
            pipeline: pipeline.clone(),
            bind_group: pipeline.bind(&self.context, bound),
            grid,
        };
        let distribution = [
            &batch.rows,
            &buffers.lanes,
            &buffers.phases,
            &batch.states,
            &buffers.logits,
            &buffers.parts,
        ];
        let select = [
            &batch.rows,
            &buffers.lanes,
            &buffers.phases,
            &batch.states,
            &buffers.parts,
            &batch.inputs,
            &buffers.records,
        ];
        let n_rows = n_rows as u32;
        let parts = [pipelines.n_parts, n_rows];
        [
            dispatch(&pipelines.distribution, &distribution, parts),
            dispatch(&pipelines.select, &select, [n_rows, 1]),
        ]
    }

    /// Compiles what keeps `taps` in their blocks, as far as no run before has needed the same.
    async fn compile_taps(&mut self, taps: &[Tap], tile: u32) -> Result<(), GpuError> {
        for (slot, &tap) in taps.iter().enumerate() {
            if self.compiled_tap(slot, tap, tile).is_some() {
                continue;
            }
            let create = || {
                let (context, config) = (&self.context, &self.config);
                tap_pipeline(context, config, &self.weights, (slot, tap), tile)
            };
            if let Some(compiled) = self.context.checked("the kernels", create).await? {
                self.tap_pipelines
                    .push((tap_key(slot, tap, tile), compiled));
            }
        }
        Ok(())
    }

    /// The kernel that keeps what `tap` reads in a block of the hidden states; none for the final
    /// norm, which does so itself.
    fn compiled_tap(&self, slot: usize, tap: Tap, tile: u32) -> Option<&Pipeline> {
        let key = tap_key(slot, tap, tile);
        let mut compiled = self.tap_pipelines.iter();
        compiled.find_map(|(known, pipeline)| (*known == key).then_some(pipeline))
    }

    /// Allocates a run's buffers, prefills its prompts, and sets its lanes' first inputs.
    fn begin_run(
        &self,
        specs: &[LaneSpec],
        prefill_pipelines: &TilePipelines,
        lane_pipelines: &TilePipelines,
    ) -> Result<Run, GpuError> {
        let n_positions = positions_needed(specs);
        for pipelines in [prefill_pipelines, lane_pipelines] {
            pipelines.attention(n_positions)?;
        }
        let cache = KvCache::new(&self.context, &self.config, specs.len(), n_positions)?;
        let prefixes = shared_prefixes(specs);
        self.prefill(specs, &prefixes, prefill_pipelines, &cache)?;
        let rows = lane_rows(specs, &prefixes, cache.n_positions);
        self.lanes_run(specs, rows, lane_pipelines, &cache)
    }

    /// Fills the cache with what the lanes are given but their last inputs, what they share once.
    fn prefill(
        &self,
        specs: &[LaneSpec],
        prefixes: &[SharedPrefix],
        pipelines: &TilePipelines,
        cache: &KvCache,
    ) -> Result<(), GpuError> {
        let prompts = prefill_rows(specs, prefixes, cache.n_positions);
        if prompts.is_empty() {
            return Ok(());
        }
        let (context, n_positions) = (&self.context, cache.n_positions as usize);
        let batch = Batch::new(
            context,
            &self.config,
            prefill_width(&prompts),
            n_positions,
            1,
        )?;
        let forward = self.forward(pipelines, &batch, cache)?;
        let mut dispatches = forward.embed();
        let last = self.config.n_layers - 1;
        dispatches.extend((0..last).flat_map(|index| forward.layer(index)));
        // Nothing reads the last layer's state of a position that no step begins with.
        dispatches.extend(forward.queries_and_keys(last));
        submit_rows(context, &batch, &dispatches, &prompts);
        Ok(())
    }

    /// The run of prefilled lanes, whose `rows` begin with each lane's own, in order.
    fn lanes_run(
        &self,
        specs: &[LaneSpec],
        mut rows: Vec<Row>,
        pipelines: &TilePipelines,
        cache: &KvCache,
    ) -> Result<Run, GpuError> {
        let (context, config) = (&self.context, &self.config);
        let (taps, n_positions) = (taps_of(specs), cache.n_positions as usize);
        let batch = Batch::new(context, config, rows.len(), n_positions, taps.len())?;
        // Kept with the run, which writes rows anew where lanes are moved.
        share_positions(&mut rows, batch.tile);
        let n_parts = self.row_pipelines.n_parts;
        let buffers = SelectBuffers::new(context, config, specs, &taps, batch.n_rows, n_parts)?;
        let fed = |row: &Row| Some((*row, specs[row.lane as usize].inputs.last()?));
        let fed: Vec<(Row, &Input)> = rows.iter().filter_map(fed).collect();
        batch.write_rows(context, &fed);
        let forward = self.forward(pipelines, &batch, cache)?;
        let mut dispatches = forward.embed();
        let compiled = |(slot, &tap)| Some((tap, self.compiled_tap(slot, tap, batch.tile)?));
        let kept: Vec<(Tap, &Pipeline)> = taps.iter().enumerate().filter_map(compiled).collect();
        let mut layer_ends = Vec::new();
        for index in 0..config.n_layers {
            dispatches.extend(forward.layer(index));
            layer_ends.push(dispatches.len());
            dispatches.extend(forward.keep(index, &kept));
        }
        dispatches.push(forward.final_norm());
        dispatches.extend(forward.head(&buffers.logits));
        dispatches.extend(self.select(&batch, &buffers, rows.len()));
        let placed = (batch, cache.clone(), rows);
        let dispatches = (dispatches, layer_ends);
        Ok(Run::new(context, specs, placed, buffers, dispatches))
    }
}

/// A kind of tap in a block of the hidden states, and the tile where that is a matmul.
type TapKey = (usize, Discriminant<Tap>, Option<u32>);

fn tap_key(slot: usize, tap: Tap, tile: u32) -> TapKey {
    let tile = matches!(tap, Tap::Contemplation).then_some(tile);
    (slot, discriminant(&tap), tile)
}

/// Rows of the prefill's batch: whole tiles of the largest kind, whatever the prompts.
fn prefill_width(prompts: &[(Row, &Input)]) -> usize {
    prompts.len().clamp(MAX_TILE as usize, PREFILL_ROWS)
}

impl Engine for GpuEngine {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn description(&self) -> String {
        format!("GPU engine on {}", self.context.adapter_name())
    }

    async fn begin(&mut self, lanes: &[LaneSpec]) -> Result<(), EngineError> {
        check_lanes(lanes, &self.limits(MAX_LANES))?;
        self.run = None;
        let prefill_pipelines = self.tile_pipelines(MAX_TILE).await?;
        let tile = tile_for(lanes.len());
        let lane_pipelines = self.tile_pipelines(tile).await?;
        self.compile_taps(&taps_of(lanes), tile).await?;
        let create = || self.begin_run(lanes, &prefill_pipelines, &lane_pipelines);
        let run = self.context.checked("the run's lanes", create).await?;
        let first = |(lane, spec): (usize, &LaneSpec)| LaneCursor {
            state: LaneState::new(lane as u32, spec),
            input: spec.inputs.last().cloned(),
        };
        let cursors: Vec<LaneCursor> = lanes.iter().enumerate().map(first).collect();
        self.first_step_cost = run.costs(&cursors).into_iter().map(|(_, cost)| cost).sum();
        self.run = Some(run);
        Ok(())
    }

    async fn advance(&mut self, n_steps: usize) -> Result<Vec<StepRecord>, EngineError> {
        // Taken out and put back: after an error, or where the caller drops this future in the
        // middle, the run is gone and says so, instead of going on from an unknown step.
        let mut run = self.run.take().ok_or(EngineError::NotBegun)?;
        let mut records = Vec::new();
        let mut n_left = n_steps;
        while n_left > 0 && run.is_live() {
            let n_chunk = n_left.min(RING_STEPS as usize);
            records.extend(run.advance(&self.context, n_chunk as u32).await?);
            self.steps += n_chunk as u64;
            n_left -= n_chunk;
        }
        self.run = Some(run);
        check_records(records, self.config.vocab_size, || self.description())
    }

    async fn advance_watched(&mut self, patches: &[Patch]) -> Result<WatchedStep, EngineError> {
        let mut run = self.run.take().ok_or(EngineError::NotBegun)?;
        let checked = check_patches(patches, run.lanes().len(), &self.config);
        let step = match checked {
            Ok(()) if run.is_live() => {
                self.steps += 1;
                run.advance_watched(&self.context, patches).await?
            }
            _ => WatchedStep::default(),
        };
        self.run = Some(run);
        checked?;
        let WatchedStep { records, states } = step;
        let records = check_records(records, self.config.vocab_size, || self.description())?;
        Ok(WatchedStep { records, states })
    }

    fn set_cursors(&mut self, cursors: &[LaneCursor]) -> Result<(), EngineError> {
        let run = self.run.as_mut().ok_or(EngineError::NotBegun)?;
        check_cursors(cursors, &run.lanes(), &self.config)?;
        run.set_cursors(&self.context, cursors);
        Ok(())
    }

    async fn cursors(&mut self) -> Result<Vec<LaneCursor>, EngineError> {
        let run = self.run.as_ref().ok_or(EngineError::NotBegun)?;
        Ok(run.cursors(&self.context).await?)
    }

    async fn peek(&mut self, cursors: &[LaneCursor]) -> Result<LayerStates, EngineError> {
        let run = self.run.as_ref().ok_or(EngineError::NotBegun)?;
        let inputs = check_peek(cursors, &run.lanes(), &self.config)?;
        let batches = cursors
            .chunks(SCRATCH_ROWS)
            .zip(inputs.chunks(SCRATCH_ROWS));
        let placed = batches.map(|(cursors, inputs)| {
            let (cache, rows) = run.probe_rows(cursors);
            let rows: Vec<(Row, &Input)> = rows.into_iter().zip(inputs.iter().copied()).collect();
            (cache, rows)
        });
        let placed: Vec<_> = placed.collect();
        let mut states = LayerStates::new(self.config.n_layers);
        for (cache, rows) in placed {
            states.extend(self.states_of(&rows, &cache).await?);
        }
        Ok(states)
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
