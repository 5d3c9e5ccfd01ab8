//! Computes the memory that a call allocates, without running it.

use super::cache::{Bytes, Cache, Key};
use super::run::kept_lists;
use super::{GpuEngine, Options};
use crate::batch::{Packing, SEQUENCE_BYTES};
use crate::call::Sequences;
use crate::error::Error;
use crate::host_memory::{check_memory, host_out_of_memory};
use crate::plan::{Request, list_bytes, schedule};
use crate::program::Program;

/// Bytes that a call takes, as computed by [`Lstm::memory`](crate::Lstm::memory).
///
/// The sizes of buffers are those requested from wgpu. A driver rounds each buffer up to its own alignment, and its
/// allocator takes memory in blocks of some MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Weights, allocated as long as the network lives.
    pub weights: u64,
    /// Input, gates, states, outputs and uniforms.
    pub device: u64,
    /// Mappable buffers: the host writes uploads into them, and reads results from them. On a software adapter it may
    /// map those of `device` instead.
    pub staging: u64,
    /// The host's lists of dispatches and their uniforms. Arrays that the call returns come on top of it.
    pub host: u64,
}

impl Memory {
    /// All that is in buffers of the device: `weights`, `device` and `staging`.
    pub fn total(&self) -> u64 {
        self.weights + self.device + self.staging
    }

    /// The memory of a program that keeps lists of up to `keep` bytes, on a device that stages transfers or not.
    fn of(program: &Program, keep: u64, stages: bool) -> Self {
        let buffers: u64 = program.buffers.iter().map(|buffer| buffer.bytes()).sum();
        let needs = &program.needs;
        // Several submissions write their uniforms one after the other.
        let uniforms_upload = if needs.submissions > 1 { needs.uniforms } else { 0 };
        Self {
            weights: 0,
            device: buffers + needs.uniforms,
            staging: uniforms_upload + if stages { needs.uploads + needs.downloads } else { 0 },
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
        self.of_call(options, self.parts(options, sequences)?)
    }
}

impl GpuEngine {
    /// Refuses a call that the host has no memory for. A call itself does so in two steps: it
    /// [checks its arrays](Self::check_arrays), allocates them, and [checks its lists](Self::check_lists).
    pub(super) fn check_host(&self, options: Options, steps: usize, batch: usize) -> Result<(), Error> {
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
        let config = &self.planner.network.config;
        let layers = config.num_layers() * config.num_directions();
        let output =
            steps.saturating_mul(batch).saturating_mul(config.num_directions() * config.output_size());
        // Batch first it is copied into the caller's layout.
        let output = output.saturating_mul(1 + usize::from(options.batch_first));
        let states = batch.saturating_mul(layers.saturating_mul(config.output_size() + config.hidden_size()));
        let arrays = output.saturating_add(states).saturating_mul(size_of::<f32>());
        arrays.saturating_add(batch.saturating_mul(SEQUENCE_BYTES))
    }

    fn list_bytes(&self, options: Options, steps: usize, batch: usize) -> usize {
        let budget = options.memory_budget;
        list_bytes(&self.planner.network, budget, kept_lists(budget), (steps, batch))
    }

    /// The most that a first call takes at once: it keeps and drops programs as the call does.
    fn of_call(&self, options: Options, parts: impl Iterator<Item = Packing>) -> Result<Memory, Error> {
        let Options { memory_budget: budget, tuning, .. } = options;
        let keep = kept_lists(budget);
        let weights = self.planner.network.resident.iter().map(|buffer| buffer.bytes()).sum();
        let cache = Cache::new();
        let mut most = Memory::default();
        for packing in parts {
            let key = Key::new(&packing, budget, tuning);
            let memory = match cache.take(&key) {
                Some(memory) => memory,
                None => {
                    let admitted = self.chosen(&packing, options);
                    let program =
                        schedule(&self.planner.network, Request::call(&packing, budget), admitted, keep)?;
                    Memory::of(&program, keep, !self.gpu.maps_directly())
                }
            };
            let now = cache.fold(memory, Memory::and);
            most = std::cmp::max_by_key(most, now, Memory::total);
            cache.put(key, memory, budget.saturating_mul(2));
        }
        Ok(Memory { weights, ..most })
    }
}
