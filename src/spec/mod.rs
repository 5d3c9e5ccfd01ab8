//! Programs for a GPU as plain data: what kernels, plans and the GPU engine agree on.
//!
//! Nothing here knows wgpu or what an LSTM is.

use std::collections::BTreeSet;

mod builder;

pub(crate) use builder::{ProgramBuilder, SubmissionLimits};

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
    pub text: &'static [Text],
    /// Binding k of group 0.
    pub bindings: &'static [Binding],
}

/// A part of a kernel's text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text {
    /// A file, whatever the variant.
    Of(&'static str),
    /// One of two twins, which declare the same functions.
    Twins {
        /// Whether the second is used.
        choose: fn(Variant) -> bool,
        twins: [&'static str; 2],
    },
}

/// Which twins a kernel is put together from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    /// Operands are shared by subgroup broadcasts and not through workgroup memory.
    pub subgroups: bool,
    /// Weights are f16 and not f32.
    pub half_weights: bool,
}

impl KernelSpec {
    /// The whole text.
    pub fn source(&self, variant: Variant) -> String {
        let part = |text: &Text| match text {
            Text::Of(text) => *text,
            Text::Twins { choose, twins } => twins[usize::from(choose(variant))],
        };
        self.text.iter().map(part).collect()
    }
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
    pub variant: Variant,
    pub constants: Vec<(&'static str, f64)>,
}

impl PartialEq for PipelineSpec {
    fn eq(&self, other: &Self) -> bool {
        self.kernel.name == other.kernel.name
            && self.variant == other.variant
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
    /// Alignment in bytes of a storage binding's offset.
    pub storage_alignment: u32,
    /// Invocations of a workgroup.
    pub max_invocations: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_bytes: u32,
    /// Sizes of subgroups, where shaders may use them.
    pub subgroups: Option<SubgroupSizes>,
    /// Whether the adapter is a processor that emulates a GPU.
    pub software: bool,
    /// Workgroups that run side by side, as far as can be known.
    pub units: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubgroupSizes {
    pub min: u32,
    pub max: u32,
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

    /// Bytes that the lists of submissions take on the host while the program runs.
    pub fn list_bytes(&self) -> u64 {
        if self.is_kept() { self.needs.lists } else { self.needs.largest_list }
    }
}

/// The host's side of a program's transfers.
pub(crate) trait Host<Tag> {
    /// Hands what to upload to `put`, piece by piece; what is missing at the end of a transfer is zeros.
    fn upload(&self, tag: &Tag, put: &mut dyn FnMut(&[f32]));
    /// What came back.
    fn download(&mut self, tag: &Tag, data: &[f32]);
}
