//! Puts programs together.

use std::collections::{HashMap, VecDeque};

use super::{BindSet, BufferSpec, Contents, Dispatch, Owner, StateCopy, Submission, Transfer};

/// Puts a program together: interns what repeats, and cuts it into submissions.
pub(crate) struct ProgramBuilder {
    buffers: Vec<BufferSpec>,
    bind_sets: Vec<BindSet>,
    known_bind_sets: HashMap<BindSet, usize>,
    /// The last two that were bound.
    recent: [usize; 2],
    /// Those that were not taken yet; the last one is being filled.
    submissions: VecDeque<Submission>,
    /// Uniforms of the last one.
    uniforms: HashMap<Vec<u8>, u32>,
    alignment: usize,
    operations: u64,
    limits: SubmissionLimits,
}

/// Bounds of one submission. A transfer, or a dispatch, that is larger than a bound has a submission of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubmissionLimits {
    pub operations: u64,
    pub dispatches: usize,
    /// Bytes of uploads, and bytes of downloads.
    pub transfers: u64,
    /// Bytes of uniforms. The largest alone must fit.
    pub uniforms: u64,
}

impl ProgramBuilder {
    /// The list of bind sets begins with `bind_sets`.
    pub fn new(uniform_alignment: u32, limits: SubmissionLimits, bind_sets: &[BindSet]) -> Self {
        Self {
            buffers: Vec::new(),
            bind_sets: bind_sets.to_vec(),
            known_bind_sets: bind_sets.iter().cloned().zip(0..).collect(),
            recent: [0; 2],
            submissions: VecDeque::new(),
            uniforms: HashMap::new(),
            alignment: uniform_alignment as usize,
            operations: 0,
            limits,
        }
    }

    pub fn buffer(&mut self, owner: Owner, name: &str, len: usize) -> usize {
        self.buffers.push(BufferSpec { owner, name: name.to_owned(), len });
        self.buffers.len() - 1
    }

    pub fn buffer_len(&self, buffer: usize) -> usize {
        self.buffers[buffer].len
    }

    pub fn upload(&mut self, buffer: usize, len: usize, contents: Contents) {
        let upload = Transfer { buffer, len, contents };
        let uploaded = self.open().upload_bytes();
        let full = self.is_full(uploaded, &upload);
        // An upload comes before every dispatch of its submission: after some, a new one begins.
        if full || !self.open().pass.dispatches.is_empty() || !self.open().downloads.is_empty() {
            self.close();
        }
        self.open().uploads.push(upload);
    }

    pub fn dispatch(
        &mut self,
        pipeline: usize,
        bind_set: &BindSet,
        uniform: &[u8],
        grid: [u32; 3],
        operations: u64,
    ) {
        let limits = self.limits;
        let full = self.operations.saturating_add(operations) > limits.operations
            || self.open().pass.dispatches.len() >= limits.dispatches
            || self.uniforms_end(uniform) > limits.uniforms;
        if !self.open().downloads.is_empty() || (full && !self.open().pass.dispatches.is_empty()) {
            self.close();
        }
        let bind_set = self.intern_bind_set(bind_set);
        let uniform = self.intern_uniform(uniform);
        self.operations += operations;
        self.open().pass.dispatches.push(Dispatch { pipeline, bind_set, uniform, grid, operations });
    }

    /// Copies before the dispatches of the submission that is being filled.
    pub fn copy_before(&mut self, copy: StateCopy) {
        self.open().pass.copies_before.push(copy);
    }

    /// Copies after its dispatches.
    pub fn copy_after(&mut self, copy: StateCopy) {
        self.open().pass.copies_after.push(copy);
    }

    pub fn download(&mut self, buffer: usize, len: usize, contents: Contents) {
        let download = Transfer { buffer, len, contents };
        let downloaded = self.open().download_bytes();
        if self.is_full(downloaded, &download) {
            self.close();
        }
        self.open().downloads.push(download);
    }

    /// Whether one more transfer would pass the bound, after others.
    fn is_full(&self, bytes: u64, more: &Transfer) -> bool {
        bytes > 0 && bytes + more.bytes() > self.limits.transfers
    }

    /// Takes the first submission that is closed.
    pub fn next_closed(&mut self) -> Option<Submission> {
        if self.submissions.len() > 1 { self.submissions.pop_front() } else { None }
    }

    /// Takes the first submission: the last one, closed or not, if no other is left.
    pub fn last(&mut self) -> Option<Submission> {
        self.submissions.pop_front()
    }

    /// The buffers and bind sets.
    pub fn finish(self) -> (Vec<BufferSpec>, Vec<BindSet>) {
        (self.buffers, self.bind_sets)
    }

    /// The submission that is being filled.
    fn open(&mut self) -> &mut Submission {
        if self.submissions.is_empty() {
            self.close();
        }
        let last = self.submissions.len() - 1;
        &mut self.submissions[last]
    }

    fn close(&mut self) {
        self.operations = 0;
        self.uniforms.clear();
        self.submissions.push_back(Submission::default());
    }

    fn intern_bind_set(&mut self, set: &BindSet) -> usize {
        // Steps alternate between two.
        if let Some(&known) = self.recent.iter().find(|&&known| self.bind_sets.get(known) == Some(set)) {
            return known;
        }
        let index = match self.known_bind_sets.get(set) {
            Some(&known) => known,
            None => {
                self.bind_sets.push(set.clone());
                self.known_bind_sets.insert(set.clone(), self.bind_sets.len() - 1);
                self.bind_sets.len() - 1
            }
        };
        self.recent = [self.recent[1], index];
        index
    }

    /// Bytes of the open submission's uniforms with these besides.
    fn uniforms_end(&mut self, bytes: &[u8]) -> u64 {
        if self.uniforms.contains_key(bytes) {
            return self.open().pass.uniforms.len() as u64;
        }
        let alignment = self.alignment;
        (self.open().pass.uniforms.len().next_multiple_of(alignment) + bytes.len()) as u64
    }

    fn intern_uniform(&mut self, bytes: &[u8]) -> u32 {
        if let Some(&known) = self.uniforms.get(bytes) {
            return known;
        }
        let alignment = self.alignment;
        let uniforms = &mut self.open().pass.uniforms;
        let offset = uniforms.len().next_multiple_of(alignment);
        uniforms.resize(offset, 0);
        uniforms.extend_from_slice(bytes);
        let offset = offset as u32; // a submission's uniforms are bounded far below 2^32 bytes
        self.uniforms.insert(bytes.to_vec(), offset);
        offset
    }
}
