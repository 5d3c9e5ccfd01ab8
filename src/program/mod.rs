//! Programs for a GPU as plain data: what kernels, plans and the GPU engine agree on.
//!
//! A program is a list of submissions. Each has a [`Pass`], dispatches over named buffers, and its edges: the buffers that
//! are uploaded before it and downloaded after it. Nothing here knows wgpu.

use std::collections::BTreeSet;

mod buffer;
mod builder;
mod kernel;
mod limits;
mod pass;
mod transfer;

pub(crate) use buffer::{BufferRef, BufferSpec, Owner, ResidentRef, State};
pub(crate) use builder::{ProgramBuilder, SubmissionLimits};
pub(crate) use kernel::{
    Access, Binding, Element, KernelSpec, KernelTypes, Named, PipelineSpec, Text, Variant,
};
pub(crate) use limits::{DeviceLimits, SubgroupSizes};
pub(crate) use pass::{BindSet, Dispatch, Pass, StateCopy};
pub(crate) use transfer::{Contents, Held, Host, Transfer, Turn, Turns};

/// Lanes of a vec4f. Rows of every matrix on the device are padded to whole vec4f with zeros.
pub(crate) const VEC4: usize = 4;

/// The length of a row of `len` f32 on the device.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(VEC4)
}

/// What is submitted at once: uploads, then a pass, then downloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Submission {
    pub uploads: Vec<Transfer>,
    pub pass: Pass,
    pub downloads: Vec<Transfer>,
}

/// Buffers, and what to do with them in order.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub buffers: Vec<BufferSpec>,
    pub bind_sets: Vec<BindSet>,
    /// All of them; or none, if their lists take too much memory to be kept.
    pub submissions: Vec<Submission>,
    pub needs: Needs,
}

/// What it takes to run a program, summed up over its submissions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    /// Those that a dispatch or a bind set names.
    pub pipelines: BTreeSet<usize>,
    pub submissions: usize,
    /// Buffers that a submission uploads, and those that one downloads.
    pub uploaded: BTreeSet<usize>,
    pub downloaded: BTreeSet<usize>,
    /// The most bytes of uniforms that a submission has.
    pub uniforms: u64,
    /// The most bytes that a submission uploads, besides its uniforms.
    pub uploads: u64,
    /// The most bytes that a submission downloads.
    pub downloads: u64,
    /// Bytes that the lists of all submissions take on the host.
    pub lists: u64,
    /// Bytes that those of the largest one take.
    pub largest_list: u64,
}

impl Needs {
    pub fn add(&mut self, submission: &Submission) {
        let pass = &submission.pass;
        self.pipelines.extend(pass.dispatches.iter().map(|dispatch| dispatch.pipeline));
        self.uploaded.extend(submission.uploads.iter().map(|transfer| transfer.buffer));
        self.downloaded.extend(submission.downloads.iter().map(|transfer| transfer.buffer));
        self.submissions += 1;
        self.uniforms = self.uniforms.max(pass.uniforms.len() as u64);
        self.uploads = self.uploads.max(submission.upload_bytes());
        self.downloads = self.downloads.max(submission.download_bytes());
        self.lists += submission.list_bytes();
        self.largest_list = self.largest_list.max(submission.list_bytes());
    }
}

impl Submission {
    pub fn upload_bytes(&self) -> u64 {
        self.uploads.iter().map(Transfer::bytes).sum()
    }

    pub fn download_bytes(&self) -> u64 {
        self.downloads.iter().map(Transfer::bytes).sum()
    }

    /// The same, in no more memory than its lists take.
    pub fn shrunk(mut self) -> Self {
        self.uploads.shrink_to_fit();
        self.pass.uniforms.shrink_to_fit();
        self.pass.dispatches.shrink_to_fit();
        self.downloads.shrink_to_fit();
        self
    }

    /// Bytes that it takes on the host.
    fn list_bytes(&self) -> u64 {
        let transfers = self.uploads.len() + self.downloads.len();
        let dispatches = self.pass.dispatches.len();
        let lists = transfers * size_of::<Transfer>() + dispatches * size_of::<Dispatch>();
        (lists + self.pass.uniforms.len()) as u64
    }
}

impl Program {
    /// Whether the submissions are all here, and need not be listed again.
    pub fn is_kept(&self) -> bool {
        self.submissions.len() == self.needs.submissions
    }
}
