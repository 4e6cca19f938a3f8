//! The one way back from the device: a staging buffer, mapped once.

use std::time::Duration;

use futures_channel::oneshot;

use crate::{
    buffer::DeviceBuffer,
    context::{GpuContext, GpuError},
};

/// Longer than any chunk of steps takes, even of a real model on a CPU adapter that five other
/// programs keep busy (forty positions of 135 M parameters took more than two minutes there). A GPU
/// that hangs is reset by its driver long before.
const PATIENCE: Duration = Duration::from_secs(600);

/// The first `bytes` bytes of `staging`, once all submitted work is done.
pub(crate) async fn read(
    context: &GpuContext,
    staging: &DeviceBuffer,
    bytes: u64,
) -> Result<Vec<u8>, GpuError> {
    context.count(|counts| {
        counts.maps += 1;
        counts.bytes_read_back += bytes;
    });
    let (sender, receiver) = oneshot::channel();
    staging.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
        // The receiver is gone only where the caller gave up; then nobody wants the bytes.
        let _ = sender.send(result);
    });
    // Natively this blocks until the callback has run. In a browser it does nothing, and the
    // callback comes from the event loop while the future below waits.
    let waiting = wgpu::PollType::Wait {
        submission_index: None,
        timeout: Some(PATIENCE),
    };
    if let Err(error) = context.device().poll(waiting) {
        return Err(context.lost(format!("no answer within {PATIENCE:?}: {error}")));
    }
    match context.answer(receiver).await? {
        Ok(Ok(())) => context.check()?,
        Ok(Err(error)) => return Err(context.lost(error.to_string())),
        Err(oneshot::Canceled) => {
            return Err(context.lost("the device dropped a readback".into()));
        }
    }
    let copied = staging
        .get_mapped_range(0..bytes)
        .map(|view| view.to_vec())
        .map_err(|error| GpuError::Refused {
            what: "a readback".into(),
            reason: error.to_string(),
        });
    staging.unmap();
    copied
}

/// The contents of whole buffers, once all submitted work is done, in one readback.
pub(crate) async fn read_all(
    context: &GpuContext,
    buffers: &[&DeviceBuffer],
) -> Result<Vec<Vec<u8>>, GpuError> {
    let n_bytes = buffers.iter().map(|buffer| buffer.size()).sum();
    let create = || Ok(context.staging(n_bytes));
    let staging = context.checked("a readback", create).await?;
    let mut encoder = context.device().create_command_encoder(&Default::default());
    let mut copied = 0;
    for buffer in buffers {
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, copied, buffer.size());
        copied += buffer.size();
    }
    context.submit(encoder);
    let bytes = read(context, &staging, n_bytes).await?;
    let mut rest = &bytes[..];
    let part = |buffer: &&DeviceBuffer| {
        let (part, after) = rest.split_at(buffer.size() as usize);
        rest = after;
        part.to_vec()
    };
    Ok(buffers.iter().map(part).collect())
}
