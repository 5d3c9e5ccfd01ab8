//! Puts programs together.

use std::collections::{HashMap, VecDeque};

use super::{BindSet, BufferSpec, Dispatch, Submission, Transfer};

/// Puts a program together: interns what repeats, and cuts it into submissions.
pub(crate) struct ProgramBuilder<Tag> {
    buffers: Vec<BufferSpec>,
    bind_sets: Vec<BindSet>,
    known_bind_sets: HashMap<BindSet, usize>,
    /// Those that nobody has taken yet; the last one is being filled.
    submissions: VecDeque<Submission<Tag>>,
    /// Uniforms of the last one.
    params: HashMap<Vec<u8>, u32>,
    alignment: usize,
    operations: u64,
    limits: SubmissionLimits,
}

/// Bounds of one submission. A single transfer may pass its bound alone; dispatches keep to theirs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubmissionLimits {
    pub operations: u64,
    pub dispatches: usize,
    /// Bytes that go there, and bytes that come back.
    pub transfers: u64,
    /// Bytes of uniforms. The largest alone must fit.
    pub params: u64,
}

impl<Tag> ProgramBuilder<Tag> {
    pub fn new(uniform_alignment: u32, limits: SubmissionLimits) -> Self {
        Self {
            buffers: Vec::new(),
            bind_sets: Vec::new(),
            known_bind_sets: HashMap::new(),
            submissions: VecDeque::new(),
            params: HashMap::new(),
            alignment: uniform_alignment as usize,
            operations: 0,
            limits,
        }
    }

    pub fn buffer(&mut self, label: impl Into<String>, len: usize) -> usize {
        let label = label.into();
        self.buffers.push(BufferSpec { label, len });
        self.buffers.len() - 1
    }

    pub fn buffer_len(&self, buffer: usize) -> usize {
        self.buffers[buffer].len
    }

    pub fn upload(&mut self, buffer: usize, len: usize, tag: Tag) {
        let upload = Transfer { buffer, len, tag };
        let uploaded = self.open().upload_bytes();
        let full = self.is_full(uploaded, &upload);
        // An upload comes before every dispatch of its submission: after some, a new one begins.
        if full || !self.open().dispatches.is_empty() || !self.open().downloads.is_empty() {
            self.close();
        }
        self.open().uploads.push(upload);
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
        let params = bytemuck::bytes_of(params);
        let full = self.operations.saturating_add(operations) > limits.operations
            || self.open().dispatches.len() >= limits.dispatches
            || self.params_end(params) > limits.params;
        if !self.open().downloads.is_empty() || (full && !self.open().dispatches.is_empty()) {
            self.close();
        }
        let bind_set = self.intern_bind_set(bind_set);
        let params = self.intern_params(params);
        self.operations += operations;
        self.open().dispatches.push(Dispatch { pipeline, bind_set, params, grid, operations });
    }

    pub fn download(&mut self, buffer: usize, len: usize, tag: Tag) {
        let download = Transfer { buffer, len, tag };
        let downloaded = self.open().download_bytes();
        if self.is_full(downloaded, &download) {
            self.close();
        }
        self.open().downloads.push(download);
    }

    /// Whether one more transfer would pass the bound, after others.
    fn is_full(&self, bytes: u64, more: &Transfer<Tag>) -> bool {
        bytes > 0 && bytes + more.bytes() > self.limits.transfers
    }

    /// Takes the first submission that is closed.
    pub fn next_closed(&mut self) -> Option<Submission<Tag>> {
        if self.submissions.len() > 1 { self.submissions.pop_front() } else { None }
    }

    /// Takes the first submission: the last one, closed or not, if no other is left.
    pub fn last(&mut self) -> Option<Submission<Tag>> {
        self.submissions.pop_front()
    }

    /// The buffers and bind sets.
    pub fn finish(self) -> (Vec<BufferSpec>, Vec<BindSet>) {
        (self.buffers, self.bind_sets)
    }

    /// The submission that is being filled.
    fn open(&mut self) -> &mut Submission<Tag> {
        if self.submissions.is_empty() {
            self.close();
        }
        let last = self.submissions.len() - 1;
        &mut self.submissions[last]
    }

    fn close(&mut self) {
        self.operations = 0;
        self.params.clear();
        self.submissions.push_back(Submission {
            uploads: Vec::new(),
            params: Vec::new(),
            dispatches: Vec::new(),
            downloads: Vec::new(),
        });
    }

    fn intern_bind_set(&mut self, set: BindSet) -> usize {
        if let Some(&known) = self.known_bind_sets.get(&set) {
            return known;
        }
        let index = self.bind_sets.len();
        self.bind_sets.push(set.clone());
        self.known_bind_sets.insert(set, index);
        index
    }

    /// Bytes of the open submission's uniforms with these besides.
    fn params_end(&mut self, bytes: &[u8]) -> u64 {
        if self.params.contains_key(bytes) {
            return self.open().params.len() as u64;
        }
        let alignment = self.alignment;
        (self.open().params.len().next_multiple_of(alignment) + bytes.len()) as u64
    }

    fn intern_params(&mut self, bytes: &[u8]) -> u32 {
        if let Some(&known) = self.params.get(bytes) {
            return known;
        }
        let alignment = self.alignment;
        let params = &mut self.open().params;
        let offset = params.len().next_multiple_of(alignment);
        params.resize(offset, 0);
        params.extend_from_slice(bytes);
        let offset = offset as u32; // a submission's uniforms are bounded far below 2^32 bytes
        self.params.insert(bytes.to_vec(), offset);
        offset
    }
}
