//! Buffers that the crate allocates.

use std::ops::Deref;
use std::sync::Arc;

use super::Gpu;

/// A buffer of the crate's own. Clones are the same buffer; with the last one its memory is freed.
///
/// Natively wgpu does that, once the device has executed what was submitted. In a browser wgpu's handle is an object of
/// JavaScript: its memory stays until garbage is collected, and the collector does not know how much it is. So there the
/// last clone destroys the buffer. What was submitted before is executed all the same, and a mapping that is still
/// pending fails.
#[derive(Clone, Debug)]
pub(crate) struct Buffer(Arc<Allocated>);

#[derive(Debug)]
struct Allocated {
    buffer: wgpu::Buffer,
    /// Whether dropping wgpu's handle leaves the memory allocated.
    outlives_its_handle: bool,
}

impl Drop for Allocated {
    fn drop(&mut self) {
        if self.outlives_its_handle {
            self.buffer.destroy();
        }
    }
}

impl Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0.buffer
    }
}

impl Gpu {
    /// A buffer for `usage` that can be written.
    pub(super) fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Buffer {
        self.allocate_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    pub(super) fn allocate_buffer(&self, descriptor: &wgpu::BufferDescriptor<'_>) -> Buffer {
        let outlives_its_handle = self.info.backend == wgpu::Backend::BrowserWebGpu;
        Buffer(Arc::new(Allocated { buffer: self.device.create_buffer(descriptor), outlives_its_handle }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Allocated, Buffer};
    use crate::common::noop;

    /// What a browser does; natively a handle frees the memory by itself, and destroying is left to wgpu.
    #[test]
    fn the_last_clone_destroys_a_buffer_that_outlives_its_handle() {
        let (device, queue) = noop::open(wgpu::Limits::default(), wgpu::DeviceType::DiscreteGpu);
        for outlives_its_handle in [false, true] {
            let usage = wgpu::BufferUsages::COPY_DST;
            let descriptor =
                wgpu::BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false };
            let handle = device.create_buffer(&descriptor);
            let is_destroyed = || {
                let errors = device.push_error_scope(wgpu::ErrorFilter::Validation);
                let mut encoder = device.create_command_encoder(&Default::default());
                encoder.clear_buffer(&handle, 0, None);
                queue.submit([encoder.finish()]);
                pollster::block_on(errors.pop()).is_some_and(|error| error.to_string().contains("destroyed"))
            };
            let buffer = Buffer(Arc::new(Allocated { buffer: handle.clone(), outlives_its_handle }));
            let clone = buffer.clone();
            drop(buffer);
            assert!(!is_destroyed());
            drop(clone);
            assert_eq!(is_destroyed(), outlives_its_handle);
        }
    }
}
