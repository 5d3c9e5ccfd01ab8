//! The only user of wgpu: adapter, buffers, pipelines, recording, reading back. It executes programs, which are plain
//! data, and has no code for an LSTM.

mod adapter;
mod backed;
mod buffer;
mod pipelines;
mod prepared;
mod queue;
mod run;
mod scope;
mod staging;
mod states;
#[cfg(test)]
mod tests;
mod turns;
mod wishes;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use crate::error::Error;
use crate::program::{BufferSpec, DeviceLimits, ResidentRef};

pub(crate) use buffer::Buffer;
use pipelines::Kernels;
pub(crate) use pipelines::Pipelines;
pub(crate) use prepared::{Given, Prepared};
pub(crate) use run::{record, record_zeros};
pub(crate) use staging::{Wait, Waiting};
pub(crate) use states::StateBuffers;
use turns::Turns;
pub(crate) use turns::in_a_callback;

/// An open device.
#[derive(Debug)]
pub(crate) struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    limits: DeviceLimits,
    /// Why the device is lost; set once, when that happens.
    lost: Arc<OnceLock<String>>,
    /// Whether the queue is known to be the device's.
    queue_checked: AtomicBool,
    kernels: Kernels,
    turns: Turns,
    /// Whether the host maps the buffers that kernels use: where they are in its own memory, and the device allows it.
    maps_directly: bool,
}

/// Buffers that are uploaded once and kept (weights).
pub(crate) type Resident = Vec<Buffer>;

impl Gpu {
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.info
    }

    pub fn wgpu(&self) -> (&wgpu::Device, &wgpu::Queue) {
        (&self.device, &self.queue)
    }

    pub fn limits(&self) -> &DeviceLimits {
        &self.limits
    }

    /// Whether calls transfer without staging buffers.
    pub fn maps_directly(&self) -> bool {
        self.maps_directly
    }

    /// Allocates the buffers that stay on the device, one for each spec, and uploads their parts. It is what a network
    /// does first, and so what refuses a queue that was not checked before.
    pub async fn upload_resident(
        &self,
        specs: &[BufferSpec],
        parts: &[ResidentRef],
        data: impl IntoIterator<Item = Vec<u32>>,
    ) -> Result<Resident, Error> {
        self.check_queue().await?;
        let mut buffers = Vec::with_capacity(specs.len());
        for spec in specs {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            let buffer = self.scoped(|| self.buffer(&spec.name, spec.bytes(), usage)).await?;
            self.check_backed(&[&buffer]).await?;
            buffers.push(buffer);
        }
        for (part, data) in parts.iter().zip(data) {
            debug_assert_eq!(part.len, data.len(), "{}", specs[part.buffer].name);
            let offset = 4 * part.start as u64;
            let fill = || {
                self.queue.write_buffer(&buffers[part.buffer], offset, bytemuck::cast_slice(&data));
                self.queue.submit([]); // starts the copy, frees its staging
            };
            self.scoped(fill).await?;
        }
        Ok(buffers)
    }
}
