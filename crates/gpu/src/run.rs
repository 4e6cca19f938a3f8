//! One run of lanes on the device: prefill, then chunks of steps.

use latent_model::{
    config::ModelConfig,
    engine::{LaneCursor, LaneSpec, Patch, SharedPrefix, WatchedStep, owners_first},
    input::{Input, Tap},
    record::{StepRecord, flag},
    select::LaneState,
};

use crate::{
    batch::{Batch, KvCache, SCRATCH_ROWS},
    buffer::DeviceBuffer,
    context::{GpuContext, GpuError},
    forward::Dispatch,
    kernels::{
        RING_STEPS,
        cost::{Cost, RowWork},
    },
    layout::{Lane, Part, Row, RowInput, phase_table},
    readback,
};

const RECORD_BYTES: u64 = size_of::<StepRecord>() as u64;

/// The buffers of a run, and the dispatches of one step.
#[derive(Debug)]
pub(crate) struct Run {
    /// The lanes, as they were begun.
    specs: Vec<LaneSpec>,
    /// Per lane: whether its last record is still to come.
    live: Vec<bool>,
    /// Per lane: the position of its next input.
    positions: Vec<u32>,
    /// Steps of the run so far: the place in the ring of records.
    tick: u32,
    batch: Batch,
    cache: KvCache,
    /// The batch's rows as they were begun; a lane's is the one that commits.
    rows: Vec<Row>,
    select: SelectBuffers,
    /// As large as the ring of records.
    staging: DeviceBuffer,
    /// One step of all lanes.
    dispatches: Vec<Dispatch>,
    /// Per layer: how many of these have run when its residual stream is whole.
    layer_ends: Vec<usize>,
}

/// What the select stage reads and writes beside the batch.
#[derive(Debug)]
pub(crate) struct SelectBuffers {
    /// (lanes) of [`Lane`]
    pub lanes: DeviceBuffer,
    /// (lanes, PHASE_ROWS) of [`crate::layout::Phase`]
    pub phases: DeviceBuffer,
    /// (rows, V rounded up to 4)
    pub logits: DeviceBuffer,
    /// (rows, parts of the vocabulary) of [`Part`]
    pub parts: DeviceBuffer,
    /// (RING_STEPS, lanes) of [`StepRecord`]
    pub records: DeviceBuffer,
}

impl SelectBuffers {
    pub fn new(
        context: &GpuContext,
        config: &ModelConfig,
        specs: &[LaneSpec],
        taps: &[Tap],
        n_rows: u32,
        n_parts: u32,
    ) -> Result<Self, GpuError> {
        let lane = |(lane, spec): (usize, &LaneSpec)| {
            Lane::new(spec, &LaneState::new(lane as u32, spec), 0)
        };
        let lanes: Vec<Lane> = specs.iter().enumerate().map(lane).collect();
        let phases: Vec<_> = specs
            .iter()
            .flat_map(|spec| phase_table(&spec.program, taps))
            .collect();
        let n_logits = n_rows as usize * config.vocab_size.next_multiple_of(4);
        let n_parts = n_rows as usize * n_parts as usize;
        let n_records = RING_STEPS as usize * specs.len();
        Ok(Self {
            lanes: context.storage_of("lanes", &lanes)?,
            phases: context.storage_of("phases", &phases)?,
            logits: context.storage("logits", (n_logits * size_of::<f32>()) as u64)?,
            parts: context.storage("distributions", (n_parts * size_of::<Part>()) as u64)?,
            records: context.storage("records", n_records as u64 * RECORD_BYTES)?,
        })
    }
}

/// The states that a run's lanes feed back, each once; the final norm's is always block 0.
pub(crate) fn taps_of(specs: &[LaneSpec]) -> Vec<Tap> {
    let mut taps = vec![Tap::FinalNorm];
    let fed = specs.iter().flat_map(|spec| spec.program.taps());
    for (_, tap) in fed {
        if !taps.contains(&tap) {
            taps.push(tap);
        }
    }
    taps
}

/// What lanes are given but their last inputs, which are fed at their first steps.
///
/// What lanes have in common is there once and is read through `prefix_base`; copying its keys and
/// values would cost a pass over the cache for nothing but a simpler index. The lanes that own what
/// others read come first: what a row reads is computed in its batch or before it.
pub(crate) fn prefill_rows<'a>(
    specs: &'a [LaneSpec],
    prefixes: &[SharedPrefix],
    n_positions: u32,
) -> Vec<(Row, &'a Input)> {
    let mut rows = Vec::new();
    for lane in owners_first(prefixes) {
        let row = prefilled_row(lane, prefixes[lane], n_positions);
        let first = prefixes[lane].first_own(lane);
        for (position, input) in (first as u32..).zip(&specs[lane].prefilled()[first..]) {
            let row = Row {
                position,
                write_row: row.base + position,
                live: 1,
                ..row
            };
            rows.push((row, input));
        }
    }
    rows
}

/// Every lane at its first step, where its last given input is fed.
pub(crate) fn lane_rows(
    specs: &[LaneSpec],
    prefixes: &[SharedPrefix],
    n_positions: u32,
) -> Vec<Row> {
    let row = |(lane, spec): (usize, &LaneSpec)| {
        let row = Row {
            commits: 1,
            ..prefilled_row(lane, prefixes[lane], n_positions)
        };
        row_at(row, spec, &LaneState::new(lane as u32, spec))
    };
    specs.iter().enumerate().map(row).collect()
}

/// Where a lane's keys and values are.
fn prefilled_row(lane: usize, prefix: SharedPrefix, n_positions: u32) -> Row {
    Row {
        lane: lane as u32,
        base: lane as u32 * n_positions,
        prefix_base: prefix.owner as u32 * n_positions,
        n_prefix: prefix.n as u32,
        ..Row::default()
    }
}

/// A lane's row where `state` says that it is.
fn row_at(row: Row, spec: &LaneSpec, state: &LaneState) -> Row {
    let wants_logits = state.wants_logits(&spec.program, spec.decode_thoughts);
    Row {
        position: state.position,
        write_row: row.base + state.position,
        live: u32::from(!state.done),
        wants_logits: u32::from(!state.done && wants_logits),
        adapter: state.adapter as u32,
        ..row
    }
}

impl Run {
    pub fn new(
        context: &GpuContext,
        specs: &[LaneSpec],
        (batch, cache, rows): (Batch, KvCache, Vec<Row>),
        select: SelectBuffers,
        (dispatches, layer_ends): (Vec<Dispatch>, Vec<usize>),
    ) -> Self {
        Self {
            specs: specs.to_vec(),
            live: vec![true; specs.len()],
            positions: specs
                .iter()
                .map(|spec| spec.inputs.len() as u32 - 1)
                .collect(),
            tick: 0,
            batch,
            cache,
            rows,
            staging: context.staging(select.records.size()),
            select,
            dispatches,
            layer_ends,
        }
    }

    /// Every lane with the position of its next input.
    pub fn lanes(&self) -> Vec<(&LaneSpec, u32)> {
        let positions = self.positions.iter().copied();
        self.specs.iter().zip(positions).collect()
    }

    /// Puts lanes where `cursors`, which have been checked, say.
    pub fn set_cursors(&mut self, context: &GpuContext, cursors: &[LaneCursor]) {
        for LaneCursor { state, input } in cursors {
            let lane = state.lane as usize;
            let spec = &self.specs[lane];
            let index = self.own_row(lane);
            let row = row_at(self.rows[index], spec, state);
            // A lane that is done is fed nothing, and its row is dead.
            let input = input.as_ref().unwrap_or(&Input::Token(0));
            self.batch.write_row(context, index, &row, input);
            let entry = Lane::new(spec, state, self.tick);
            let offset = (lane * size_of::<Lane>()) as u64;
            let lanes = &self.select.lanes;
            context.write(lanes, offset, bytemuck::bytes_of(&entry));
            self.live[lane] = !state.done;
            self.positions[lane] = state.position;
        }
    }

    /// Where in the batch a lane's own row is.
    fn own_row(&self, lane: usize) -> usize {
        let is_its = |row: &Row| row.lane as usize == lane && row.commits == 1;
        let found = self.rows.iter().position(is_its);
        found.expect("every lane has a row that commits")
    }

    /// Where every lane is, read back.
    pub async fn cursors(&self, context: &GpuContext) -> Result<Vec<LaneCursor>, GpuError> {
        let Batch {
            rows,
            inputs,
            hidden,
            ..
        } = &self.batch;
        let buffers = [rows, inputs, hidden, &self.select.lanes];
        let read = readback::read_all(context, &buffers).await?;
        let rows: Vec<Row> = bytemuck::pod_collect_to_vec(&read[0]);
        let inputs: Vec<RowInput> = bytemuck::pod_collect_to_vec(&read[1]);
        let hidden: Vec<f32> = bytemuck::pod_collect_to_vec(&read[2]);
        let lanes: Vec<Lane> = bytemuck::pod_collect_to_vec(&read[3]);
        let n_rows = self.batch.n_rows as usize;
        let width = hidden.len() / taps_of(&self.specs).len() / n_rows;
        let cursor = |(lane, entry): (usize, &Lane)| {
            let index = self.own_row(lane);
            let state = entry.state(&rows[index]);
            let vector = |tap: u32| {
                let place = (tap as usize * n_rows + index) * width;
                hidden[place..place + width].to_vec()
            };
            let input = inputs[index].input(vector).filter(|_| !state.done);
            LaneCursor { state, input }
        };
        Ok(lanes.iter().enumerate().map(cursor).collect())
    }

    /// The cache, and rows at cursors' places that write behind the lanes' parts of it: at most
    /// [`SCRATCH_ROWS`] of them.
    pub fn probe_rows(&self, cursors: &[LaneCursor]) -> (KvCache, Vec<Row>) {
        debug_assert!(cursors.len() <= SCRATCH_ROWS);
        let row = |(place, LaneCursor { state, .. }): (u32, &LaneCursor)| {
            let lane = state.lane as usize;
            Row {
                commits: 0,
                live: 1,
                wants_logits: 1,
                write_row: self.cache.scratch + place,
                ..row_at(self.rows[self.own_row(lane)], &self.specs[lane], state)
            }
        };
        let rows = (0..).zip(cursors).map(row).collect();
        (self.cache.clone(), rows)
    }

    /// Whether any lane goes on.
    pub fn is_live(&self) -> bool {
        self.live.contains(&true)
    }

    /// Dispatches of one step.
    pub fn n_dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// Declared work of one step by kernel, of lanes that stand where `cursors` say; those that
    /// are not named are done.
    pub fn costs(&self, cursors: &[LaneCursor]) -> Vec<(&'static str, Cost)> {
        let mut work = vec![RowWork::default(); self.batch.n_rows as usize];
        for LaneCursor { state, input } in cursors {
            let index = self.own_row(state.lane as usize);
            let row = row_at(self.rows[index], &self.specs[state.lane as usize], state);
            if let Some(input) = input {
                work[index] = RowWork::new(&row, input);
            }
        }
        let cost = |dispatch: &Dispatch| (dispatch.pipeline.name(), dispatch.pipeline.cost(&work));
        self.dispatches.iter().map(cost).collect()
    }

    /// Runs `n_steps` steps, at most [`RING_STEPS`], as one submit, and reads the records of
    /// the lanes that were live.
    pub async fn advance(
        &mut self,
        context: &GpuContext,
        n_steps: u32,
    ) -> Result<Vec<StepRecord>, GpuError> {
        let record = |encoder: &mut wgpu::CommandEncoder, dispatches: &[Dispatch]| {
            context.record(encoder, dispatches, n_steps);
        };
        self.advance_recorded(context, n_steps, &record).await
    }

    /// Runs one step that stops after every layer: `patches`, which have been checked, are copied
    /// into the residual stream, and that is copied out.
    pub async fn advance_watched(
        &mut self,
        context: &GpuContext,
        patches: &[Patch],
    ) -> Result<WatchedStep, GpuError> {
        let residual = self.batch.residual.clone();
        let ends = self.layer_ends.clone();
        let (n_bytes, n_rows) = (residual.size(), u64::from(self.batch.n_rows));
        let row_bytes = n_bytes / n_rows;
        let states: Vec<f32> = patches.iter().flat_map(|p| &p.state).copied().collect();
        let create = || {
            let states = match patches {
                [] => None,
                _ => Some(context.storage_of("patches", &states)?),
            };
            Ok((context.staging(n_bytes * ends.len() as u64), states))
        };
        let (staging, states) = context.checked("the layers' states", create).await?;
        let own_rows: Vec<usize> = (0..self.specs.len()).map(|l| self.own_row(l)).collect();
        let record = |encoder: &mut wgpu::CommandEncoder, dispatches: &[Dispatch]| {
            let mut first = 0;
            for (layer, &end) in ends.iter().enumerate() {
                context.record(encoder, &dispatches[first..end], 1);
                first = end;
                for (place, patch) in (0..).zip(patches) {
                    if let Some(states) = states.as_ref().filter(|_| patch.layer == layer) {
                        let row = own_rows[patch.lane] as u64 * row_bytes;
                        let from = place * row_bytes;
                        encoder.copy_buffer_to_buffer(states, from, &residual, row, row_bytes);
                    }
                }
                let to = layer as u64 * n_bytes;
                encoder.copy_buffer_to_buffer(&residual, 0, &staging, to, n_bytes);
            }
            context.record(encoder, &dispatches[first..], 1);
        };
        let records = self.advance_recorded(context, 1, &record).await?;
        let bytes = readback::read(context, &staging, staging.size()).await?;
        let of_record = |record: &StepRecord| {
            let row = own_rows[record.lane as usize] * row_bytes as usize;
            let layers = bytes.chunks_exact(n_bytes as usize);
            let layers = layers.map(|layer| &layer[row..row + row_bytes as usize]);
            layers.map(bytemuck::pod_collect_to_vec).collect()
        };
        let states = records.iter().map(of_record).collect();
        Ok(WatchedStep { records, states })
    }

    /// [`Run::advance`] whose dispatches `record` puts into the submit, all `n_steps` times.
    pub async fn advance_recorded(
        &mut self,
        context: &GpuContext,
        n_steps: u32,
        record: &dyn Fn(&mut wgpu::CommandEncoder, &[Dispatch]),
    ) -> Result<Vec<StepRecord>, GpuError> {
        context.check()?;
        let mut encoder = context.device().create_command_encoder(&Default::default());
        record(&mut encoder, &self.dispatches);
        let row_bytes = self.live.len() as u64 * RECORD_BYTES;
        let mut copied = 0;
        for (first_row, n_rows) in ring_rows(self.tick, n_steps) {
            let (source, bytes) = (first_row * row_bytes, n_rows * row_bytes);
            encoder.copy_buffer_to_buffer(
                &self.select.records,
                source,
                &self.staging,
                copied,
                bytes,
            );
            copied += bytes;
        }
        context.submit(encoder);
        let bytes = readback::read(context, &self.staging, copied).await?;
        self.tick += n_steps;
        Ok(self.take_live(&bytes))
    }

    /// Records in the order of the ring's rows, without what lanes left there after their end.
    fn take_live(&mut self, bytes: &[u8]) -> Vec<StepRecord> {
        let mut records = Vec::new();
        for (index, bytes) in bytes.chunks_exact(RECORD_BYTES as usize).enumerate() {
            let lane = index % self.live.len();
            if self.live[lane] {
                let record: StepRecord = bytemuck::pod_read_unaligned(bytes);
                self.live[lane] = !record.has(flag::DONE);
                self.positions[lane] = record.position + 1;
                records.push(record);
            }
        }
        records
    }
}

/// The ring's rows of `n_steps` steps from `tick` on, as (first row, number of rows): one
/// stretch, or two where the ring wraps.
fn ring_rows(tick: u32, n_steps: u32) -> impl Iterator<Item = (u64, u64)> {
    let first = tick % RING_STEPS;
    let n_before_wrap = n_steps.min(RING_STEPS - first);
    [(first, n_before_wrap), (0, n_steps - n_before_wrap)]
        .into_iter()
        .filter(|&(_, n_rows)| n_rows > 0)
        .map(|(first, n_rows)| (u64::from(first), u64::from(n_rows)))
}

/// Runs rows through `dispatches`, a batch at a time.
pub(crate) fn submit_rows(
    context: &GpuContext,
    batch: &Batch,
    dispatches: &[Dispatch],
    rows: &[(Row, &Input)],
) {
    for chunk in rows.chunks(batch.n_rows as usize) {
        batch.write_rows(context, chunk);
        let device = context.device();
        let mut encoder = device.create_command_encoder(&Default::default());
        context.record(&mut encoder, dispatches, 1);
        // One submit per chunk: a write to `rows` takes effect before the next submit.
        context.submit(encoder);
    }
}

/// Positions of the cache that a run can need.
pub(crate) fn positions_needed(specs: &[LaneSpec]) -> usize {
    let needed = |spec: &LaneSpec| spec.inputs.len() + spec.program.max_positions();
    specs.iter().map(needed).max().unwrap_or(1)
}
