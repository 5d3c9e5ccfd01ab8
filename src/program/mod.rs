//! Programs for a GPU as plain data: what kernels, plans and the GPU engine agree on.
//!
//! Nothing here knows wgpu or what an LSTM is.

use std::collections::BTreeSet;

mod builder;
mod kernel;
mod limits;

pub(crate) use builder::{ProgramBuilder, SubmissionLimits};
pub(crate) use kernel::{Access, Binding, KernelSpec, PipelineSpec, Text, Variant};
pub(crate) use limits::{DeviceLimits, SubgroupSizes};

/// Lanes of a vec4f. Rows of every matrix on the device are padded to whole vec4f with zeros.
pub(crate) const VEC4: usize = 4;

/// The length of a row of `len` f32 on the device.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(VEC4)
}

/// A buffer that a dispatch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BufferRef {
    /// A part of what was uploaded once and is kept (weights).
    Resident(ResidentRef),
    /// Of the program itself.
    Program(usize),
}

/// A part of a resident buffer; `start` is aligned as bindings have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResidentRef {
    pub buffer: usize,
    /// In words of 32 bits, as is the length.
    pub start: usize,
    pub len: usize,
}

/// A buffer of a program; it holds zeros at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BufferSpec {
    pub label: String,
    /// Length in words of 32 bits.
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
    /// All of them; or none, if their lists take too much memory to be kept.
    pub submissions: Vec<Submission<Tag>>,
    pub needs: Needs,
}

/// What it takes to run a program, summed up over its submissions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    /// Those that a dispatch or a bind set names.
    pub pipelines: BTreeSet<usize>,
    pub submissions: usize,
    /// The most bytes of uniforms that a submission has.
    pub params: u64,
    /// The most bytes that a submission uploads, besides its uniforms.
    pub uploads: u64,
    /// The most bytes that a submission brings back.
    pub downloads: u64,
    /// Bytes that the lists of all submissions take on the host.
    pub lists: u64,
    /// Bytes that those of the largest one take.
    pub largest_list: u64,
}

impl Needs {
    pub fn add<Tag>(&mut self, submission: &Submission<Tag>) {
        self.pipelines.extend(submission.dispatches.iter().map(|dispatch| dispatch.pipeline));
        self.submissions += 1;
        self.params = self.params.max(submission.params.len() as u64);
        self.uploads = self.uploads.max(submission.upload_bytes());
        self.downloads = self.downloads.max(submission.download_bytes());
        self.lists += submission.list_bytes();
        self.largest_list = self.largest_list.max(submission.list_bytes());
    }
}

impl<Tag> Submission<Tag> {
    pub fn upload_bytes(&self) -> u64 {
        self.uploads.iter().map(Transfer::bytes).sum()
    }

    pub fn download_bytes(&self) -> u64 {
        self.downloads.iter().map(Transfer::bytes).sum()
    }

    /// The same, in no more memory than its lists take.
    pub fn shrunk(mut self) -> Self {
        self.uploads.shrink_to_fit();
        self.params.shrink_to_fit();
        self.dispatches.shrink_to_fit();
        self.downloads.shrink_to_fit();
        self
    }

    /// Bytes that it takes on the host.
    fn list_bytes(&self) -> u64 {
        let transfers = self.uploads.len() + self.downloads.len();
        let lists = transfers * size_of::<Transfer<Tag>>() + self.dispatches.len() * size_of::<Dispatch>();
        (lists + self.params.len()) as u64
    }
}

impl<Tag> Transfer<Tag> {
    pub fn bytes(&self) -> u64 {
        4 * self.len as u64
    }
}

impl<Tag> Program<Tag> {
    /// Whether the submissions are all here, and need not be listed again.
    pub fn is_kept(&self) -> bool {
        self.submissions.len() == self.needs.submissions
    }
}

/// The host's side of a program's transfers.
pub(crate) trait Host<Tag> {
    /// Hands what to upload to `put`, piece by piece; what is missing at the end of a transfer is zeros.
    fn upload(&self, tag: &Tag, put: &mut dyn FnMut(&[f32]));
    /// What came back.
    fn download(&mut self, tag: &Tag, data: &[f32]);
}
