//! Time by kernel: a run's steps with a pass and two timestamps for every dispatch. Only here; a
//! run that is not profiled is one pass a submit.

use std::collections::BTreeMap;

use latent_model::engine::{Engine, EngineError};

use crate::{
    buffer::DeviceBuffer,
    context::{GpuContext, GpuError},
    engine::GpuEngine,
    forward::Dispatch,
    kernels::cost::Cost,
    readback,
};

/// What one kernel took and did, all its dispatches together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KernelTime {
    /// Dispatches.
    pub n_dispatches: u64,
    /// Time between the timestamps before and after each.
    pub seconds: f64,
    /// Declared work.
    pub cost: Cost,
}

/// Two timestamps for each dispatch of a step.
struct Timestamps {
    queries: wgpu::QuerySet,
    resolved: DeviceBuffer,
    staging: DeviceBuffer,
    n_bytes: u64,
}

impl Timestamps {
    fn new(context: &GpuContext, n_dispatches: usize) -> Result<Self, GpuError> {
        let count = 2 * n_dispatches as u32;
        let n_bytes = u64::from(count) * size_of::<u64>() as u64;
        let queries = context
            .device()
            .create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
        Ok(Self {
            queries,
            resolved: context.resolving("timestamps", n_bytes)?,
            staging: context.staging(n_bytes),
            n_bytes,
        })
    }

    /// Records every dispatch as a pass of its own, with a timestamp on either side.
    fn record(
        &self,
        context: &GpuContext,
        encoder: &mut wgpu::CommandEncoder,
        dispatches: &[Dispatch],
    ) {
        for (first, dispatch) in (0..).step_by(2).zip(dispatches) {
            let writes = wgpu::ComputePassTimestampWrites {
                query_set: &self.queries,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(first + 1),
            };
            context.record_timed(encoder, std::slice::from_ref(dispatch), 1, Some(writes));
        }
        let all = 0..2 * dispatches.len() as u32;
        encoder.resolve_query_set(&self.queries, all, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, self.n_bytes);
    }

    /// Seconds of each dispatch.
    async fn read(&self, context: &GpuContext) -> Result<Vec<f64>, GpuError> {
        let bytes = readback::read(context, &self.staging, self.n_bytes).await?;
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
        let period = f64::from(context.queue().get_timestamp_period());
        let pairs = ticks.as_chunks::<2>().0.iter();
        // A device may write what it likes where a pass was empty.
        let seconds = |&[start, end]: &[u64; 2]| end.saturating_sub(start) as f64 * period * 1e-9;
        Ok(pairs.map(seconds).collect())
    }
}

impl GpuEngine {
    /// Runs at most `n_steps` steps like [`Engine::advance`], whose records are dropped, and tells
    /// what each kernel took. Asks the device for a submit and a readback a step; `None` where the
    /// context was not made [for profiling](GpuContext::request_profiling) or the device has no
    /// timestamps.
    pub async fn profile(
        &mut self,
        n_steps: usize,
    ) -> Result<Option<BTreeMap<&'static str, KernelTime>>, EngineError> {
        if !self.context.has_timestamps() {
            return Ok(None);
        }
        let mut times: BTreeMap<&str, KernelTime> = BTreeMap::new();
        for _ in 0..n_steps {
            let cursors = self.cursors().await?;
            if cursors.iter().all(|cursor| cursor.input.is_none()) {
                break;
            }
            let costs = self.step_costs(&cursors);
            let mut run = self.run.take().ok_or(EngineError::NotBegun)?;
            let create = || Timestamps::new(&self.context, costs.len());
            let timestamps = self.context.checked("timestamps", create).await?;
            let record = |encoder: &mut wgpu::CommandEncoder, dispatches: &[Dispatch]| {
                timestamps.record(&self.context, encoder, dispatches);
            };
            run.advance_recorded(&self.context, 1, &record).await?;
            self.run = Some(run);
            let seconds = timestamps.read(&self.context).await?;
            for ((kernel, cost), seconds) in costs.into_iter().zip(seconds) {
                let time = times.entry(kernel).or_default();
                time.n_dispatches += 1;
                time.seconds += seconds;
                time.cost = time.cost + cost;
            }
        }
        Ok(Some(times))
    }
}
