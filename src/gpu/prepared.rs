//! A program on a device: its buffers and bind groups, allocated once for many runs.

use super::staging::{Mapping, Upload};
use super::{Gpu, Pipelines};
use crate::error::Error;
use crate::program::{BindSet, BufferRef, BufferSpec, Program};

/// The buffers and bind groups of a program; for one run at a time.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The uniforms of one submission after the other.
    pub(super) uniforms: wgpu::Buffer,
    /// Staging for the uniforms. None for one submission: its uniforms are uploaded when it is prepared.
    pub(super) uniforms_upload: Option<Upload>,
    pub(super) buffers: Vec<wgpu::Buffer>,
    pub(super) bind_groups: Vec<wgpu::BindGroup>,
    pub(super) transfers: Transfers,
    /// Those that the call waits for; empty between calls.
    pub(super) mappings: Vec<Mapping>,
}

/// How uploads and downloads pass between the host and the program's buffers.
#[derive(Debug)]
pub(super) enum Transfers {
    /// Through buffers of their own, from and to which a submission copies.
    Staged { upload: Upload, download: wgpu::Buffer },
    /// The host maps the program's buffers themselves, after the last submission that uses them.
    Direct { last: wgpu::SubmissionIndex },
}

impl Prepared {
    /// Bytes of all its buffers, on the device and for the transfers.
    pub fn bytes(&self) -> u64 {
        let buffers: u64 = self.buffers.iter().map(wgpu::Buffer::size).sum();
        let uniforms_upload = self.uniforms_upload.as_ref().map_or(0, Upload::size);
        let staging = match &self.transfers {
            Transfers::Staged { upload, download } => upload.size() + download.size(),
            Transfers::Direct { .. } => 0,
        };
        buffers + self.uniforms.size() + uniforms_upload + staging
    }
}

impl Gpu {
    /// Allocates a program's buffers and bind groups, and compiles the pipelines that are missing.
    pub async fn prepare(
        &self,
        program: &Program,
        pipelines: &Pipelines,
        resident: &[wgpu::Buffer],
    ) -> Result<Prepared, Error> {
        let needs = &program.needs;
        self.compile(pipelines, needs).await?;
        let allocate = || {
            let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_SRC;
            let uniforms = self.buffer("uniforms", needs.uniforms, usage);
            let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            let create = |(index, spec): (usize, &BufferSpec)| {
                let mut usage = storage;
                usage.set(
                    wgpu::BufferUsages::MAP_WRITE,
                    self.maps_directly && needs.uploaded.contains(&index),
                );
                usage.set(
                    wgpu::BufferUsages::MAP_READ,
                    self.maps_directly && needs.downloaded.contains(&index),
                );
                self.buffer(&spec.name, spec.bytes(), usage)
            };
            let buffers: Vec<wgpu::Buffer> = program.buffers.iter().enumerate().map(create).collect();
            (uniforms, buffers)
        };
        let (uniforms, buffers) = self.scoped(allocate).await?;
        self.check_backed(&buffers.iter().chain([&uniforms]).collect::<Vec<_>>()).await?;
        self.scoped(|| {
            let bind = |set: &BindSet| self.bind(set, pipelines, &uniforms, &buffers, resident);
            let bind_groups = program.bind_sets.iter().map(bind).collect();
            let uniforms_upload = match program.submissions.as_slice() {
                [only] => {
                    self.queue.write_buffer(&uniforms, 0, &only.pass.uniforms);
                    None
                }
                _ => Some(self.upload_buffer("uniforms upload", needs.uniforms)),
            };
            let transfers = if self.maps_directly {
                Transfers::Direct { last: self.queue.submit([]) }
            } else {
                let upload = self.upload_buffer("upload", needs.uploads);
                let download = self.buffer("download", needs.downloads, wgpu::BufferUsages::MAP_READ);
                Transfers::Staged { upload, download }
            };
            Prepared { uniforms, uniforms_upload, buffers, bind_groups, transfers, mappings: Vec::new() }
        })
        .await
    }

    fn bind(
        &self,
        set: &BindSet,
        pipelines: &Pipelines,
        uniforms: &wgpu::Buffer,
        buffers: &[wgpu::Buffer],
        resident: &[wgpu::Buffer],
    ) -> wgpu::BindGroup {
        let pipeline = pipelines.get(set.pipeline);
        let uniform = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: uniforms,
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
            layout: &pipeline.kernel.layout,
            entries: &entries,
        })
    }
}
