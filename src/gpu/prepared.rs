//! A program on a device: the buffers and bind groups that running it takes, made once and run often.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Gpu, Pipelines};
use crate::error::Error;
use crate::spec::{BindSet, BufferRef, BufferSpec, Program};

/// A program with everything that it runs in. One run at a time.
#[derive(Debug)]
pub(crate) struct Prepared<Tag> {
    pub(super) program: Program<Tag>,
    /// The uniforms of one submission after the other.
    pub(super) params: wgpu::Buffer,
    pub(super) buffers: Vec<wgpu::Buffer>,
    pub(super) bind_groups: Vec<wgpu::BindGroup>,
    /// What the first submission uploads is written here; mapped between the runs.
    pub(super) upload: wgpu::Buffer,
    pub(super) upload_is_mapped: Arc<AtomicBool>,
    /// What a submission leaves is copied here, and read.
    pub(super) download: wgpu::Buffer,
    /// Whether `params` holds what the only submission needs.
    pub(super) params_are_there: bool,
}

impl<Tag> Prepared<Tag> {
    /// Bytes of all its buffers, on the device and for the transfers.
    pub fn bytes(&self) -> u64 {
        let buffers: u64 = self.buffers.iter().map(wgpu::Buffer::size).sum();
        buffers + self.params.size() + self.upload.size() + self.download.size()
    }
}

impl Gpu {
    /// Makes what a program takes on this device, and compiles what of its pipelines is new.
    pub async fn prepare<Tag>(
        &self,
        program: Program<Tag>,
        pipelines: &Pipelines,
        resident: &[wgpu::Buffer],
    ) -> Result<Prepared<Tag>, Error> {
        self.compile(pipelines, &program).await?;
        self.scoped(move || {
            let params_bytes = program.params_bytes() as u64;
            let params = self.buffer("params", params_bytes, wgpu::BufferUsages::UNIFORM);
            let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            let create = |spec: &BufferSpec| self.buffer(&spec.label, spec.bytes(), storage);
            let buffers: Vec<wgpu::Buffer> = program.buffers.iter().map(create).collect();
            let bind = |set: &BindSet| self.bind(set, pipelines, &params, &buffers, resident);
            let bind_groups = program.bind_sets.iter().map(bind).collect();
            let upload = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("upload"),
                size: program.upload_bytes(),
                usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: true,
            });
            let download = self.buffer("download", program.download_bytes(), wgpu::BufferUsages::MAP_READ);
            Prepared {
                program,
                params,
                buffers,
                bind_groups,
                upload,
                upload_is_mapped: Arc::new(AtomicBool::new(true)),
                download,
                params_are_there: false,
            }
        })
        .await
    }

    fn bind(
        &self,
        set: &BindSet,
        pipelines: &Pipelines,
        params: &wgpu::Buffer,
        buffers: &[wgpu::Buffer],
        resident: &[wgpu::Buffer],
    ) -> wgpu::BindGroup {
        let pipeline = pipelines.get(set.pipeline);
        let uniform = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: params,
            offset: 0,
            size: wgpu::BufferSize::new(u64::from(pipeline.uniform_bytes)),
        });
        let storage = set.buffers.iter().map(|&buffer| match buffer {
            BufferRef::Resident(part) => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &resident[part.buffer],
                offset: 4 * part.start as u64,
                size: wgpu::BufferSize::new(4 * part.len as u64),
            }),
            BufferRef::Program(index) => buffers[index].as_entire_binding(),
        });
        let entries: Vec<_> = (0..)
            .zip(std::iter::once(uniform).chain(storage))
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        })
    }

    /// Has the upload buffer mapped again for the next run, now that nothing uses it. Where that fails, the
    /// next run does without.
    pub(super) async fn map_upload<Tag>(&self, prepared: &Prepared<Tag>) {
        if prepared.upload_is_mapped.load(Relaxed) {
            return;
        }
        let mapped = Arc::clone(&prepared.upload_is_mapped);
        let map = || {
            prepared.upload.map_async(wgpu::MapMode::Write, .., move |result| {
                if result.is_ok() {
                    mapped.store(true, Relaxed);
                }
            });
        };
        let _ = self.scoped(map).await;
        self.poll(); // maps it here and now; in a browser that happens some time later
    }

    /// Lets wgpu see to what is finished, without waiting.
    pub fn poll(&self) {
        // wgpu panics here if the device turns out to be lost, which the next call will tell.
        let _ = catch_unwind(AssertUnwindSafe(|| self.device.poll(wgpu::PollType::Poll)));
    }
}
