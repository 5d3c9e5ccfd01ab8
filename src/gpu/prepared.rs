//! A program on a device: its buffers and bind groups, allocated once for many runs.

use super::staging::{Mapping, Upload};
use super::states::StateBuffers;
use super::{Buffer, Gpu, Pipelines};
use crate::error::Error;
use crate::program::{BindSet, BufferRef, BufferSpec, Owner, Program};

/// The buffers and bind groups of a program; for one run at a time.
#[derive(Debug)]
pub(crate) struct Prepared {
    sizes: Sizes,
    /// The uniforms of one submission after the other.
    pub(super) uniforms: Buffer,
    /// What was uploaded there, of a program of one submission.
    written: Vec<u8>,
    /// Staging for the uniforms. None for one submission: its uniforms are uploaded when it is prepared.
    pub(super) uniforms_upload: Option<Upload>,
    pub(super) buffers: Vec<Buffer>,
    pub(super) bind_groups: Vec<wgpu::BindGroup>,
    pub(super) transfers: Transfers,
    /// Those that the call waits for; empty between calls.
    pub(super) mappings: Vec<Mapping>,
}

/// How uploads and downloads pass between the host and the program's buffers.
#[derive(Debug)]
pub(super) enum Transfers {
    /// Through buffers of their own, from and to which a submission copies.
    Staged { upload: Upload, download: Buffer },
    /// The host maps the program's buffers themselves, after the last submission that uses them.
    Direct { last: wgpu::SubmissionIndex },
}

impl Prepared {
    /// A buffer of the program.
    pub fn buffer(&self, index: usize) -> &wgpu::Buffer {
        &self.buffers[index]
    }

    /// Whether nothing must be uploaded before the program runs, or each of its submissions uploads its uniforms.
    fn has_uniforms_of(&self, program: &Program) -> bool {
        match program.submissions.as_slice() {
            [only] => self.uniforms_upload.is_none() && self.written == only.pass.uniforms,
            _ => self.uniforms_upload.is_some(),
        }
    }

    /// Bytes of all its buffers, on the device and for the transfers.
    pub fn bytes(&self) -> u64 {
        let buffers: u64 = self.buffers.iter().map(|buffer| buffer.size()).sum();
        let uniforms_upload = self.uniforms_upload.as_ref().map_or(0, Upload::size);
        let staging = match &self.transfers {
            Transfers::Staged { upload, download } => upload.size() + download.size(),
            Transfers::Direct { .. } => 0,
        };
        buffers + self.uniforms.size() + uniforms_upload + staging
    }
}

/// Buffers that a program binds and does not own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// The network's weights.
    pub resident: &'a [Buffer],
    /// States that are kept from one program to the next; else a program has its own.
    pub states: Option<&'a StateBuffers>,
}

/// How large the buffers of a program are, and how they are used.
#[derive(Clone, Debug)]
struct Sizes {
    /// Bytes of each buffer.
    buffers: Vec<(u64, wgpu::BufferUsages)>,
    uniforms: u64,
    uploads: u64,
    downloads: u64,
}

impl Sizes {
    /// Those that a program needs. Where the host maps them, the buffers of the transfers are mappable.
    fn of(program: &Program, maps_directly: bool) -> Self {
        let needs = &program.needs;
        Self {
            buffers: Self::of_buffers(program, maps_directly).collect(),
            uniforms: needs.uniforms,
            uploads: needs.uploads,
            downloads: needs.downloads,
        }
    }

    fn of_buffers(program: &Program, maps_directly: bool) -> impl Iterator<Item = (u64, wgpu::BufferUsages)> {
        let needs = &program.needs;
        let usage = move |index| {
            let mut usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            usage.set(wgpu::BufferUsages::MAP_WRITE, maps_directly && needs.uploaded.contains(&index));
            usage.set(wgpu::BufferUsages::MAP_READ, maps_directly && needs.downloaded.contains(&index));
            usage
        };
        let buffers = program.buffers.iter().map(BufferSpec::bytes).enumerate();
        buffers.map(move |(index, bytes)| (bytes, usage(index)))
    }

    /// Whether buffers of these sizes serve a program. It allocates nothing.
    fn serve(&self, program: &Program, maps_directly: bool) -> bool {
        let needed = &program.needs;
        let mut buffers = self.buffers.iter().zip(Self::of_buffers(program, maps_directly));
        self.buffers.len() == program.buffers.len()
            && buffers.all(|(has, needs)| has.0 >= needs.0 && has.1.contains(needs.1))
            && self.uniforms >= needed.uniforms
            && self.uploads >= needed.uploads
            && self.downloads >= needed.downloads
    }

    /// What serves both; what is too small is at least doubled, up to `most` bytes, so that it rarely grows.
    fn grown(&self, needed: &Self, most: u64) -> Self {
        let grow = |has: u64, needs: u64| {
            if has >= needs { has } else { needs.max(has.saturating_mul(2).min(most)) }
        };
        let buffers = self.buffers.iter().zip(&needed.buffers);
        Self {
            buffers: buffers.map(|(has, needs)| (grow(has.0, needs.0), has.1 | needs.1)).collect(),
            uniforms: grow(self.uniforms, needed.uniforms),
            uploads: grow(self.uploads, needed.uploads),
            downloads: grow(self.downloads, needed.downloads),
        }
    }
}

impl Gpu {
    /// Allocates a program's buffers and bind groups, and compiles the pipelines that are missing.
    pub async fn prepare(
        &self,
        program: &Program,
        pipelines: &Pipelines,
        given: Given<'_>,
    ) -> Result<Prepared, Error> {
        self.compile(pipelines, &program.needs).await?;
        let sizes = Sizes::of(program, self.maps_directly);
        let mut prepared = self.allocate(sizes, program, given).await?;
        self.scoped(|| self.set_up(&mut prepared, program, pipelines, given)).await?;
        Ok(prepared)
    }

    /// As [`prepare`](Self::prepare), with the buffers and bind groups of other programs that have the same list of
    /// buffers, and whose bind sets this one's begin with. What they lack is allocated.
    pub async fn prepare_in(
        &self,
        prepared: Option<Prepared>,
        program: &Program,
        pipelines: &Pipelines,
        given: Given<'_>,
    ) -> Result<Prepared, Error> {
        let mut prepared = match prepared {
            Some(prepared) if prepared.sizes.serve(program, self.maps_directly) => prepared,
            other => {
                let needed = Sizes::of(program, self.maps_directly);
                let most = self.limits.max_binding.min(self.limits.max_buffer) / 4 * 4;
                let sizes = other.map_or(needed.clone(), |prepared| prepared.sizes.grown(&needed, most));
                self.allocate(sizes, program, given).await?
            }
        };
        let is_bound = prepared.bind_groups.len() >= program.bind_sets.len();
        if !is_bound || !prepared.has_uniforms_of(program) {
            self.compile(pipelines, &program.needs).await?;
            self.scoped(|| self.set_up(&mut prepared, program, pipelines, given)).await?;
        }
        Ok(prepared)
    }

    /// Allocates buffers, and binds none.
    async fn allocate(&self, sizes: Sizes, program: &Program, given: Given<'_>) -> Result<Prepared, Error> {
        let create = || {
            let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_SRC;
            let uniforms = self.buffer("uniforms", sizes.uniforms, usage);
            let create = |(spec, &(bytes, usage)): (&BufferSpec, _)| match (spec.owner, given.states) {
                (Owner::State(state), Some(states)) => states.get(state).clone(),
                _ => self.buffer(&spec.name, bytes, usage),
            };
            let buffers: Vec<_> = program.buffers.iter().zip(&sizes.buffers).map(create).collect();
            (uniforms, buffers)
        };
        let (uniforms, buffers) = self.scoped(create).await?;
        // The check overwrites a word: those that are given keep theirs.
        let is_new = |spec: &BufferSpec| given.states.is_none() || !matches!(spec.owner, Owner::State(_));
        let new = program.buffers.iter().zip(&buffers).filter(|(spec, _)| is_new(spec));
        let new: Vec<_> = new.map(|(_, buffer)| buffer).chain([&uniforms]).collect();
        self.check_backed(&new).await?;
        let transfers = || {
            if self.maps_directly || sizes.uploads + sizes.downloads == 0 {
                return Transfers::Direct { last: self.queue.submit([]) };
            }
            let upload = self.upload_buffer("upload", sizes.uploads);
            let download = self.buffer("download", sizes.downloads, wgpu::BufferUsages::MAP_READ);
            Transfers::Staged { upload, download }
        };
        let transfers = self.scoped(transfers).await?;
        Ok(Prepared {
            sizes,
            uniforms,
            written: Vec::new(),
            uniforms_upload: None,
            buffers,
            bind_groups: Vec::new(),
            transfers,
            mappings: Vec::new(),
        })
    }

    /// Makes the bind groups that are missing, and uploads the uniforms of a program of one submission.
    fn set_up(&self, prepared: &mut Prepared, program: &Program, pipelines: &Pipelines, given: Given<'_>) {
        let known = prepared.bind_groups.len();
        for set in program.bind_sets.iter().skip(known) {
            let group = self.bind(set, pipelines, &prepared.uniforms, &prepared.buffers, given.resident);
            prepared.bind_groups.push(group);
        }
        match program.submissions.as_slice() {
            [only] => {
                prepared.uniforms_upload = None;
                if prepared.written != only.pass.uniforms {
                    self.queue.write_buffer(&prepared.uniforms, 0, &only.pass.uniforms);
                    prepared.written.clone_from(&only.pass.uniforms);
                }
            }
            _ => {
                prepared.written.clear();
                let upload = || self.upload_buffer("uniforms upload", prepared.sizes.uniforms);
                prepared.uniforms_upload.get_or_insert_with(upload);
            }
        }
    }

    fn bind(
        &self,
        set: &BindSet,
        pipelines: &Pipelines,
        uniforms: &wgpu::Buffer,
        buffers: &[Buffer],
        resident: &[Buffer],
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
