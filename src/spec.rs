//! Programs for a GPU as plain data: what kernels, plans and the GPU engine agree on.
//!
//! Nothing here knows wgpu or what an LSTM is.

use std::collections::HashMap;

/// Lanes of a vec4f. Rows of every matrix on the device are padded to whole vec4f with zeros.
pub(crate) const VEC4: usize = 4;

/// The length of a row of `len` f32 on the device.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(VEC4)
}

/// A compute shader: its text and what it binds, in the order of the binding numbers.
#[derive(Debug)]
pub(crate) struct KernelSpec {
    /// File stem, entry point and label.
    pub name: &'static str,
    /// WGSL that needs no optional feature.
    pub portable: &'static str,
    /// The twin that shares operands by subgroup broadcasts.
    pub subgroup: &'static str,
    /// Binding k of group 0.
    pub bindings: &'static [Binding],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The variable's name in the shader.
    pub name: &'static str,
    pub access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// A uniform of this many bytes, at an offset that each dispatch gives.
    Uniform(u32),
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer that is read and written, or only written.
    ReadWrite,
}

impl Binding {
    pub const fn uniform<T>(name: &'static str) -> Self {
        let access = Access::Uniform(size_of::<T>() as u32);
        Self { name, access }
    }

    pub const fn read(name: &'static str) -> Self {
        let access = Access::Read;
        Self { name, access }
    }

    pub const fn read_write(name: &'static str) -> Self {
        let access = Access::ReadWrite;
        Self { name, access }
    }
}

/// A kernel with its `override` constants: what one pipeline is made of.
#[derive(Clone, Debug)]
pub(crate) struct PipelineSpec {
    pub kernel: &'static KernelSpec,
    /// Whether the kernel's subgroup twin is used.
    pub subgroups: bool,
    pub constants: Vec<(&'static str, f64)>,
}

impl PartialEq for PipelineSpec {
    fn eq(&self, other: &Self) -> bool {
        self.kernel.name == other.kernel.name
            && self.subgroups == other.subgroups
            && self.constants == other.constants
    }
}

/// What a device allows, as far as programs need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceLimits {
    /// Bytes of one storage binding.
    pub max_binding: u64,
    /// Bytes of one buffer.
    pub max_buffer: u64,
    /// Workgroups in one dimension of a dispatch.
    pub max_workgroups: u32,
    /// Alignment in bytes of a uniform's offset.
    pub uniform_alignment: u32,
    /// Sizes of subgroups, where shaders may use them.
    pub subgroups: Option<SubgroupSizes>,
    /// Whether the adapter is a processor that emulates a GPU.
    pub software: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubgroupSizes {
    pub min: u32,
    pub max: u32,
}

/// A buffer that a dispatch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BufferRef {
    /// Uploaded once and kept (weights).
    Resident(usize),
    /// Of the program itself.
    Program(usize),
}

/// A buffer of a program; it holds zeros at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BufferSpec {
    pub label: String,
    /// Length in f32.
    pub len: usize,
}

impl BufferSpec {
    pub fn bytes(&self) -> u64 {
        4 * self.len as u64
    }
}

/// The buffers of one bind group, in the order of the bindings after the uniform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BindSet {
    /// Index of any pipeline of the kernel: its pipelines share one layout.
    pub pipeline: usize,
    pub buffers: Vec<BufferRef>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dispatch {
    pub pipeline: usize,
    pub bind_set: usize,
    /// Offset in bytes of the uniform in the submission's `params`.
    pub params: u32,
    /// Workgroups in x, y, z.
    pub grid: [u32; 3],
    /// Floating-point operations, a multiply-add counted as two.
    pub operations: u64,
}

/// A whole buffer that goes to the device or comes back; `tag` says what the host makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer<Tag> {
    pub buffer: usize,
    /// f32 from the buffer's start.
    pub len: usize,
    pub tag: Tag,
}

/// What is submitted at once: uploads, then dispatches in order, then downloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submission<Tag> {
    pub uploads: Vec<Transfer<Tag>>,
    /// The dispatches' uniforms, each at a multiple of the device's alignment.
    pub params: Vec<u8>,
    pub dispatches: Vec<Dispatch>,
    pub downloads: Vec<Transfer<Tag>>,
}

/// Buffers, and what to do with them in order.
#[derive(Clone, Debug)]
pub(crate) struct Program<Tag> {
    pub buffers: Vec<BufferSpec>,
    pub bind_sets: Vec<BindSet>,
    pub submissions: Vec<Submission<Tag>>,
}

impl<Tag> Submission<Tag> {
    pub fn upload_bytes(&self) -> u64 {
        self.uploads.iter().map(Transfer::bytes).sum()
    }

    pub fn download_bytes(&self) -> u64 {
        self.downloads.iter().map(Transfer::bytes).sum()
    }
}

impl<Tag> Transfer<Tag> {
    pub fn bytes(&self) -> u64 {
        4 * self.len as u64
    }
}

impl<Tag> Program<Tag> {
    /// The most bytes of uniforms of any submission.
    pub fn params_bytes(&self) -> usize {
        self.submissions.iter().map(|submission| submission.params.len()).max().unwrap_or(0)
    }
}

/// The host's side of a program's transfers.
pub(crate) trait Host<Tag> {
    /// What to upload: exactly `len` f32.
    fn upload(&self, tag: &Tag, len: usize) -> Vec<f32>;
    /// What came back.
    fn download(&mut self, tag: &Tag, data: &[f32]);
}

/// Puts a program together: interns what repeats, and cuts it into submissions.
pub(crate) struct ProgramBuilder<Tag> {
    program: Program<Tag>,
    bind_sets: HashMap<BindSet, usize>,
    params: HashMap<Vec<u8>, u32>,
    alignment: usize,
    operations: u64,
    uploaded: u64,
    downloaded: u64,
    limits: SubmissionLimits,
}

/// Bounds of one submission. A single transfer may pass its bound alone; dispatches keep to theirs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubmissionLimits {
    pub operations: u64,
    pub dispatches: usize,
    /// Bytes that go there, and bytes that come back.
    pub transfers: u64,
}

impl<Tag> ProgramBuilder<Tag> {
    pub fn new(uniform_alignment: u32, limits: SubmissionLimits) -> Self {
        Self {
            program: Program { buffers: Vec::new(), bind_sets: Vec::new(), submissions: Vec::new() },
            bind_sets: HashMap::new(),
            params: HashMap::new(),
            alignment: uniform_alignment as usize,
            operations: 0,
            uploaded: 0,
            downloaded: 0,
            limits,
        }
    }

    pub fn buffer(&mut self, label: impl Into<String>, len: usize) -> usize {
        let label = label.into();
        self.program.buffers.push(BufferSpec { label, len });
        self.program.buffers.len() - 1
    }

    pub fn buffer_len(&self, buffer: usize) -> usize {
        self.program.buffers[buffer].len
    }

    pub fn upload(&mut self, buffer: usize, len: usize, tag: Tag) {
        let bytes = 4 * len as u64;
        let full = self.uploaded > 0 && self.uploaded + bytes > self.limits.transfers;
        // An upload comes before every dispatch of its submission: after some, a new one begins.
        if full || !self.open().dispatches.is_empty() || !self.open().downloads.is_empty() {
            self.close();
        }
        self.uploaded += bytes;
        self.open().uploads.push(Transfer { buffer, len, tag });
    }

    pub fn dispatch<P: bytemuck::Pod>(
        &mut self,
        pipeline: usize,
        bind_set: BindSet,
        params: &P,
        grid: [u32; 3],
        operations: u64,
    ) {
        let limits = self.limits;
        let full = self.operations.saturating_add(operations) > limits.operations
            || self.open().dispatches.len() >= limits.dispatches;
        if !self.open().downloads.is_empty() || (full && !self.open().dispatches.is_empty()) {
            self.close();
        }
        let bind_set = self.intern_bind_set(bind_set);
        let params = self.intern_params(bytemuck::bytes_of(params));
        self.operations += operations;
        self.open().dispatches.push(Dispatch { pipeline, bind_set, params, grid, operations });
    }

    pub fn download(&mut self, buffer: usize, len: usize, tag: Tag) {
        let bytes = 4 * len as u64;
        if self.downloaded > 0 && self.downloaded + bytes > self.limits.transfers {
            self.close();
        }
        self.downloaded += bytes;
        self.open().downloads.push(Transfer { buffer, len, tag });
    }

    pub fn finish(self) -> Program<Tag> {
        self.program
    }

    /// The submission that is being filled.
    fn open(&mut self) -> &mut Submission<Tag> {
        if self.program.submissions.is_empty() {
            self.close();
        }
        let last = self.program.submissions.len() - 1;
        &mut self.program.submissions[last]
    }

    fn close(&mut self) {
        self.operations = 0;
        self.uploaded = 0;
        self.downloaded = 0;
        self.params.clear();
        self.program.submissions.push(Submission {
            uploads: Vec::new(),
            params: Vec::new(),
            dispatches: Vec::new(),
            downloads: Vec::new(),
        });
    }

    fn intern_bind_set(&mut self, set: BindSet) -> usize {
        if let Some(&known) = self.bind_sets.get(&set) {
            return known;
        }
        let index = self.program.bind_sets.len();
        self.program.bind_sets.push(set.clone());
        self.bind_sets.insert(set, index);
        index
    }

    fn intern_params(&mut self, bytes: &[u8]) -> u32 {
        if let Some(&known) = self.params.get(bytes) {
            return known;
        }
        let alignment = self.alignment;
        let params = &mut self.open().params;
        let offset = params.len() as u32; // a submission's dispatches are far below 2^32 / 256
        params.extend_from_slice(bytes);
        params.resize(params.len().next_multiple_of(alignment), 0);
        self.params.insert(bytes.to_vec(), offset);
        offset
    }
}
