//! One run of lanes on the device: prefill, then chunks of steps.

use latent_model::{
    config::ModelConfig,
    engine::LaneSpec,
    record::{StepRecord, flag},
    select::LaneState,
};

use crate::{
    batch::Batch,
    context::{GpuContext, GpuError},
    engine::EngineStats,
    forward::{self, Cost, Dispatch},
    kernels::RING_STEPS,
    layout::{Column, Lane, phase_table},
    readback,
};

const RECORD_BYTES: u64 = size_of::<StepRecord>() as u64;

/// The buffers of a run, and the dispatches of one step.
#[derive(Debug)]
pub(crate) struct Run {
    /// Per lane: whether its last record is still to come.
    live: Vec<bool>,
    /// Steps that every live lane has taken.
    step: u32,
    /// (RING_STEPS, lanes) of [`StepRecord`]
    records: wgpu::Buffer,
    /// As large as `records`.
    staging: wgpu::Buffer,
    /// One step of all lanes.
    dispatches: Vec<Dispatch>,
}

/// What the select stage reads and writes beside the batch.
#[derive(Debug)]
pub(crate) struct SelectBuffers {
    /// (lanes) of [`Lane`]
    pub lanes: wgpu::Buffer,
    /// (lanes, MAX_PHASES) of [`crate::layout::Phase`]
    pub phases: wgpu::Buffer,
    /// (columns, V rounded up to 4)
    pub logits: wgpu::Buffer,
    /// (RING_STEPS, lanes) of [`StepRecord`]
    pub records: wgpu::Buffer,
}

impl SelectBuffers {
    pub fn new(
        context: &GpuContext,
        config: &ModelConfig,
        specs: &[LaneSpec],
        n_columns: u32,
    ) -> Result<Self, GpuError> {
        let lanes: Vec<Lane> = specs.iter().map(Lane::new).collect();
        let phases: Vec<_> = specs
            .iter()
            .flat_map(|spec| phase_table(&spec.program))
            .collect();
        let n_logits = n_columns as usize * config.vocab_size.next_multiple_of(4);
        let n_records = RING_STEPS as usize * specs.len();
        Ok(Self {
            lanes: context.storage_of("lanes", &lanes)?,
            phases: context.storage_of("phases", &phases)?,
            logits: context.storage("logits", (n_logits * size_of::<f32>()) as u64)?,
            records: context.storage("records", n_records as u64 * RECORD_BYTES)?,
        })
    }
}

/// Which lane's part of the cache holds each lane's prompt: the first lane with that prompt.
fn prompt_owners(specs: &[LaneSpec]) -> Vec<usize> {
    let owner = |spec: &LaneSpec| specs.iter().position(|other| other.prompt == spec.prompt);
    specs
        .iter()
        .enumerate()
        .map(|(lane, spec)| owner(spec).unwrap_or(lane))
        .collect()
}

/// Every distinct prompt's positions but the last, which is its lanes' first input.
///
/// Lanes with one prompt read one copy of its keys and values, through `prefix_base`; copying
/// them would cost a pass over the cache for nothing but a simpler index.
pub(crate) fn prefill_columns(specs: &[LaneSpec], n_positions: u32) -> Vec<Column> {
    let mut columns = Vec::new();
    for (lane, owner) in prompt_owners(specs).into_iter().enumerate() {
        if lane != owner {
            continue;
        }
        let prompt = &specs[lane].prompt;
        for (position, &token) in prompt[..prompt.len() - 1].iter().enumerate() {
            columns.push(Column {
                base: lane as u32 * n_positions,
                position: position as u32,
                live: 1,
                token,
                ..Column::default()
            });
        }
    }
    columns
}

/// Every lane at its first step: the prompt's last token is fed.
pub(crate) fn lane_columns(specs: &[LaneSpec], n_positions: u32) -> Vec<Column> {
    let owners = prompt_owners(specs);
    let column = |(lane, spec): (usize, &LaneSpec)| {
        let n_prefix = spec.prompt.len() as u32 - 1;
        let wants_logits =
            LaneState::new(lane as u32, spec).wants_logits(&spec.program, spec.decode_thoughts);
        Column {
            base: lane as u32 * n_positions,
            prefix_base: owners[lane] as u32 * n_positions,
            n_prefix,
            position: n_prefix,
            live: 1,
            wants_logits: u32::from(wants_logits),
            token: spec.prompt[n_prefix as usize],
        }
    };
    specs.iter().enumerate().map(column).collect()
}

impl Run {
    pub fn new(
        context: &GpuContext,
        n_lanes: usize,
        records: wgpu::Buffer,
        dispatches: Vec<Dispatch>,
    ) -> Self {
        Self {
            live: vec![true; n_lanes],
            step: 0,
            staging: readback::staging(context, records.size()),
            records,
            dispatches,
        }
    }

    /// Whether any lane goes on.
    pub fn is_live(&self) -> bool {
        self.live.contains(&true)
    }

    /// Dispatches of one step.
    pub fn n_dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// Declared work of one step.
    pub fn cost(&self) -> Cost {
        self.dispatches
            .iter()
            .fold(Cost::default(), |sum, dispatch| Cost {
                weight_bytes: sum.weight_bytes + dispatch.cost.weight_bytes,
                flops: sum.flops + dispatch.cost.flops,
            })
    }

    /// Runs `n_steps` steps, at most [`RING_STEPS`], as one submit, and reads the records of
    /// the lanes that were live.
    pub async fn advance(
        &mut self,
        context: &GpuContext,
        n_steps: u32,
        stats: &mut EngineStats,
    ) -> Result<Vec<StepRecord>, GpuError> {
        context.check()?;
        let mut encoder = context.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in 0..n_steps {
                forward::record(&self.dispatches, &mut pass);
            }
        }
        let row_bytes = self.live.len() as u64 * RECORD_BYTES;
        let mut copied = 0;
        for (first_row, n_rows) in ring_rows(self.step, n_steps) {
            let (source, bytes) = (first_row * row_bytes, n_rows * row_bytes);
            encoder.copy_buffer_to_buffer(&self.records, source, &self.staging, copied, bytes);
            copied += bytes;
        }
        context.queue.submit([encoder.finish()]);
        let bytes = readback::read(context, &self.staging, copied).await?;
        stats.steps += u64::from(n_steps);
        stats.submits += 1;
        stats.maps += 1;
        stats.bytes_read_back += copied;
        self.step += n_steps;
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
                records.push(record);
            }
        }
        records
    }
}

/// The ring's rows of `n_steps` steps from `step` on, as (first row, number of rows): one
/// stretch, or two where the ring wraps.
fn ring_rows(step: u32, n_steps: u32) -> impl Iterator<Item = (u64, u64)> {
    let first = step % RING_STEPS;
    let n_before_wrap = n_steps.min(RING_STEPS - first);
    [(first, n_before_wrap), (0, n_steps - n_before_wrap)]
        .into_iter()
        .filter(|&(_, n_rows)| n_rows > 0)
        .map(|(first, n_rows)| (u64::from(first), u64::from(n_rows)))
}

/// Runs columns through `dispatches`, a batch at a time; returns the number of submits.
pub(crate) fn submit_columns(
    context: &GpuContext,
    batch: &Batch,
    dispatches: &[Dispatch],
    columns: &[Column],
) -> u64 {
    let chunks = columns.chunks(batch.n_columns as usize);
    let n_submits = chunks.len() as u64;
    for chunk in chunks {
        batch.write_columns(context, chunk);
        let mut encoder = context.device.create_command_encoder(&Default::default());
        forward::record(
            dispatches,
            &mut encoder.begin_compute_pass(&Default::default()),
        );
        // One submit per chunk: a write to `columns` takes effect before the next submit.
        context.queue.submit([encoder.finish()]);
    }
    n_submits
}

/// Positions of the cache that a run can need.
pub(crate) fn positions_needed(specs: &[LaneSpec]) -> usize {
    let needed = |spec: &LaneSpec| spec.prompt.len() + spec.program.max_positions();
    specs.iter().map(needed).max().unwrap_or(1)
}
