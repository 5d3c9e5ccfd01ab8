//! Computes the memory that a call allocates, without running it.

use super::cache::{Bytes, Cache, Key};
use super::run::kept_lists;
use super::{GpuEngine, Options};
use crate::batch::Packing;
use crate::call::Sequences;
use crate::error::Error;
use crate::host_memory::{check_memory, host_out_of_memory};
use crate::plan::{Admitted, Network, most_blocks, schedule};
use crate::program::Program;

/// Bytes that a call takes, as computed by [`Lstm::memory`](crate::Lstm::memory).
///
/// The sizes of buffers are those requested from wgpu. A driver rounds each buffer up to its own alignment, and its
/// allocator takes memory in blocks of some MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Packed weights, allocated as long as the network lives.
    pub weights: u64,
    /// Input, gates, states, outputs and uniforms.
    pub device: u64,
    /// Mappable buffers: the host writes uploads into them, and reads results from them.
    pub staging: u64,
    /// The host's lists of dispatches and their uniforms. Arrays that the call returns come on top of it.
    pub host: u64,
}

impl Memory {
    /// All that is in buffers of the device: `weights`, `device` and `staging`.
    pub fn total(&self) -> u64 {
        self.weights + self.device + self.staging
    }

    /// The memory of a program that keeps lists of up to `keep` bytes.
    fn of(program: &Program, keep: u64) -> Self {
        let buffers: u64 = program.buffers.iter().map(|buffer| buffer.bytes()).sum();
        let needs = &program.needs;
        // Several submissions write their uniforms one after the other.
        let uniforms_upload = if needs.submissions > 1 { needs.uniforms } else { 0 };
        Self {
            weights: 0,
            device: buffers + needs.uniforms,
            staging: uniforms_upload + needs.uploads + needs.downloads,
            // Lists are allocated until they turn out too long to be kept.
            host: needs.lists.min(keep.saturating_add(needs.largest_list)),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            device: self.device + other.device,
            staging: self.staging + other.staging,
            host: self.host + other.host,
        }
    }
}

impl Bytes for Memory {
    fn bytes(&self) -> u64 {
        self.total()
    }
}

impl GpuEngine {
    /// The most that the first call of these sizes takes at a time.
    pub fn memory(&self, options: Options, sequences: Sequences<'_>) -> Result<Memory, Error> {
        self.check_host(options, sequences.steps(), sequences.batch())?;
        let parts = self.parts(options, sequences)?;
        of_call(&self.network, &parts, options, |packing| self.chosen(packing, options))
    }
}

/// Bytes that a dispatch takes on the host while it is listed and recorded: 40 in the program, up to 256 for its
/// uniform, as much again to find equal uniforms, and about 400 of wgpu's.
const DISPATCH_BYTES: usize = 1 << 10;

/// Bytes that a submission's dispatches take at most; see `plan::limits::SUBMISSION`.
const SUBMISSION_BYTES: usize = 48 << 20;

/// Bytes that a sequence takes: its index and length, sorted, packed, in the key of the program, and where dispatches
/// change while they are counted.
const SEQUENCE_BYTES: usize = 128;

impl GpuEngine {
    /// Refuses a call that the host has no memory for. A call itself does so in two steps: it
    /// [checks its arrays](Self::check_arrays), allocates them, and [checks its lists](Self::check_lists).
    fn check_host(&self, options: Options, steps: usize, batch: usize) -> Result<(), Error> {
        let lists = self.list_bytes(options, steps, batch);
        let bytes = self.array_bytes(options, steps, batch).saturating_add(lists);
        check_memory::<u8>(bytes).map_err(host_out_of_memory)
    }

    /// Refuses a call if the host has no memory for what it returns, and for the order of its sequences.
    pub(super) fn check_arrays(&self, options: Options, steps: usize, batch: usize) -> Result<(), Error> {
        check_memory::<u8>(self.array_bytes(options, steps, batch)).map_err(host_out_of_memory)
    }

    /// Refuses a call if the host has no memory for the lists of its dispatches.
    pub(super) fn check_lists(&self, options: Options, packing: &Packing) -> Result<(), Error> {
        let bytes = self.list_bytes(options, packing.steps(), packing.batch());
        check_memory::<u8>(bytes).map_err(host_out_of_memory)
    }

    fn array_bytes(&self, options: Options, steps: usize, batch: usize) -> usize {
        let config = &self.network.config;
        let slots = config.num_layers() * config.num_directions();
        let output =
            steps.saturating_mul(batch).saturating_mul(config.num_directions() * config.output_size());
        // Batch first it is copied into the caller's layout.
        let output = output.saturating_mul(1 + usize::from(options.batch_first));
        let states = batch.saturating_mul(slots.saturating_mul(config.output_size() + config.hidden_size()));
        let arrays = output.saturating_add(states).saturating_mul(size_of::<f32>());
        arrays.saturating_add(batch.saturating_mul(SEQUENCE_BYTES))
    }

    /// Bytes that the lists of blocks and dispatches take at most at a time.
    fn list_bytes(&self, options: Options, steps: usize, batch: usize) -> usize {
        let config = &self.network.config;
        // A step of a layer is a dispatch or two for each direction.
        let dispatches = 2 * config.num_layers() * config.num_directions();
        let kept = usize::try_from(kept_lists(options.memory_budget)).unwrap_or(usize::MAX);
        let lists = steps.saturating_mul(dispatches).saturating_mul(DISPATCH_BYTES);
        let lists = lists.min(SUBMISSION_BYTES.saturating_add(kept));
        // In two directions each block has buffers of its own.
        let block = if config.bidirectional() { 1024 } else { 64 };
        let blocks = most_blocks(&self.network, options.memory_budget, steps, batch);
        lists.saturating_add(blocks.saturating_mul(block))
    }
}

/// The most that a first call takes at once: it keeps and drops programs as the call does.
fn of_call(
    network: &Network,
    parts: &[Packing],
    options: Options,
    choose: impl Fn(&Packing) -> Admitted,
) -> Result<Memory, Error> {
    let Options { memory_budget: budget, tuning, .. } = options;
    let keep = kept_lists(budget);
    let weights = network.resident.iter().map(|buffer| buffer.bytes()).sum();
    let cache = Cache::new();
    let mut most = Memory::default();
    for packing in parts {
        let key = Key::new(packing, budget, tuning);
        let memory = match cache.take(&key) {
            Some(memory) => memory,
            None => Memory::of(&schedule(network, packing, budget, choose(packing), keep)?, keep),
        };
        let now = cache.fold(memory, Memory::and);
        most = std::cmp::max_by_key(most, now, Memory::total);
        cache.put(key, memory, budget.saturating_mul(2));
    }
    Ok(Memory { weights, ..most })
}
