//! Buffers that are freed when nobody holds them.

use std::{borrow::Borrow, ops::Deref, sync::Arc};

/// A buffer of a device; clones are the same one. The memory of the last one goes when it does, once
/// the device is through with it. A browser alone would wait for its garbage collector, which sees a
/// small object and knows nothing of the memory behind it: models that were closed would fill a GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceBuffer(Arc<Owned>);

#[derive(Debug, PartialEq)]
struct Owned(wgpu::Buffer);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

impl From<wgpu::Buffer> for DeviceBuffer {
    // In browsers buffers stay on their thread, and so does everything that holds one.
    #[allow(clippy::arc_with_non_send_sync)]
    fn from(buffer: wgpu::Buffer) -> Self {
        Self(Arc::new(Owned(buffer)))
    }
}

impl Deref for DeviceBuffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0.0
    }
}

impl Borrow<wgpu::Buffer> for DeviceBuffer {
    fn borrow(&self) -> &wgpu::Buffer {
        self
    }
}
