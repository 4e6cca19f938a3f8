//! What is asked of the device, counted where it is asked: buffers, writes, passes and submits.

use std::ops::Sub;

use crate::{
    buffer::DeviceBuffer,
    context::{GpuContext, GpuError},
    forward::Dispatch,
};

/// Calls of the device and bytes that cross to and from it, since they have been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounts {
    /// Dispatches recorded.
    pub dispatches: u64,
    /// Compute passes.
    pub passes: u64,
    /// Command buffers submitted.
    pub submits: u64,
    /// Buffers mapped, which is what the host waits for.
    pub maps: u64,
    /// Buffers made.
    pub buffers: u64,
    /// Their bytes, together.
    pub buffer_bytes: u64,
    /// Bind groups made.
    pub bind_groups: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
    /// Bytes written from the host.
    pub bytes_written: u64,
    /// Bytes read back.
    pub bytes_read_back: u64,
}

/// What was counted after another count.
impl Sub for DeviceCounts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            dispatches: self.dispatches - before.dispatches,
            passes: self.passes - before.passes,
            submits: self.submits - before.submits,
            maps: self.maps - before.maps,
            buffers: self.buffers - before.buffers,
            buffer_bytes: self.buffer_bytes - before.buffer_bytes,
            bind_groups: self.bind_groups - before.bind_groups,
            pipelines: self.pipelines - before.pipelines,
            bytes_written: self.bytes_written - before.bytes_written,
            bytes_read_back: self.bytes_read_back - before.bytes_read_back,
        }
    }
}

impl GpuContext {
    /// A storage buffer of `bytes` bytes, zeroed, within the device's limits.
    pub(crate) fn storage(&self, what: &str, bytes: u64) -> Result<DeviceBuffer, GpuError> {
        self.check_size(what, bytes)?;
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        Ok(self.buffer(what, bytes, usage))
    }

    /// A storage buffer that holds `contents`.
    pub(crate) fn storage_of<T: bytemuck::NoUninit>(
        &self,
        what: &str,
        contents: &[T],
    ) -> Result<DeviceBuffer, GpuError> {
        let bytes: &[u8] = bytemuck::cast_slice(contents);
        let buffer = self.storage(what, bytes.len() as u64)?;
        self.write(&buffer, 0, bytes);
        Ok(buffer)
    }

    /// A buffer that the host can map.
    pub(crate) fn staging(&self, bytes: u64) -> DeviceBuffer {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        self.buffer("staging", bytes, usage)
    }

    /// A buffer that queries are resolved into.
    pub(crate) fn resolving(&self, what: &str, bytes: u64) -> Result<DeviceBuffer, GpuError> {
        self.check_size(what, bytes)?;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        Ok(self.buffer(what, bytes, usage))
    }

    fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> DeviceBuffer {
        // A failure that nobody asks about ends the device for all engines on it.
        debug_assert!(
            self.is_checked(),
            "{label} is made outside of a checked scope"
        );
        self.count(|counts| {
            counts.buffers += 1;
            counts.buffer_bytes += size;
        });
        let descriptor = wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        };
        self.device().create_buffer(&descriptor).into()
    }

    /// Writes to a buffer before the next submit.
    pub(crate) fn write(&self, buffer: &DeviceBuffer, offset: u64, bytes: &[u8]) {
        self.count(|counts| counts.bytes_written += bytes.len() as u64);
        self.queue().write_buffer(buffer, offset, bytes);
    }

    /// Records dispatches, all of them `n_times` in a row, as one pass.
    pub(crate) fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        dispatches: &[Dispatch],
        n_times: u32,
    ) {
        self.record_timed(encoder, dispatches, n_times, None);
    }

    /// [`GpuContext::record`] with timestamps at the pass's ends.
    pub(crate) fn record_timed(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        dispatches: &[Dispatch],
        n_times: u32,
        timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) {
        self.count(|counts| {
            counts.passes += 1;
            counts.dispatches += u64::from(n_times) * dispatches.len() as u64;
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes,
        });
        for dispatch in (0..n_times).flat_map(|_| dispatches) {
            pass.set_pipeline(dispatch.pipeline.compiled());
            pass.set_bind_group(0, &dispatch.bind_group, &[]);
            pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
        }
    }

    /// Hands recorded commands to the device.
    pub(crate) fn submit(&self, encoder: wgpu::CommandEncoder) {
        self.count(|counts| counts.submits += 1);
        self.queue().submit([encoder.finish()]);
    }

    /// Hands what was written to the device, so that it does not wait in memory for more.
    pub(crate) fn flush(&self) {
        self.queue().submit([]);
        // It only frees what is done; a lost device is told by whatever uses it next.
        let _ = self.device().poll(wgpu::PollType::Poll);
    }
}
