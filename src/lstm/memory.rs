//! What a call takes on the device, told before it runs.

use super::cache::{Bytes, Cache, Key};
use super::{Engine, Lstm};
use crate::check::{check_input, check_memory, host_out_of_memory};
use crate::config::LstmConfig;
use crate::error::Error;
use crate::plan::{HostData, Network, Packing, schedule};
use crate::spec::Program;
use crate::tuning::{Schedule, Tuning};

/// Bytes that a call takes in buffers of the device, as [`Lstm::memory`](crate::Lstm::memory) tells.
///
/// These are the sizes that are asked of wgpu. A driver rounds each buffer up to its own alignment, and its
/// allocator takes memory in blocks of some MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Packed weights: there as long as the network is.
    pub weights: u64,
    /// Input, gates, states, outputs and uniforms.
    pub device: u64,
    /// What the host writes the upload into and reads the results from, in memory that it can map.
    pub staging: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.device + self.staging
    }

    fn of(program: &Program<HostData>) -> Self {
        let buffers: u64 = program.buffers.iter().map(|buffer| buffer.bytes()).sum();
        let params = program.params_bytes() as u64;
        // Several submissions write their uniforms one after the other.
        let params_upload = if program.submissions.len() > 1 { params } else { 0 };
        Self {
            weights: 0,
            device: buffers + params,
            staging: params_upload + program.upload_bytes() + program.download_bytes(),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            device: self.device + other.device,
            staging: self.staging + other.staging,
        }
    }
}

impl Bytes for Memory {
    fn bytes(&self) -> u64 {
        self.total()
    }
}

impl Lstm {
    /// Bytes of device memory that the first call of [`forward`](Self::forward) with T = `steps` and
    /// B = `batch` takes at most at a time; computed without touching the device. All are 0 on the CPU, and
    /// with B = 0 there are only the weights.
    ///
    /// After calls of other shapes up to twice the memory budget of their buffers is there besides.
    ///
    /// # Errors
    ///
    /// [`Error::NoTimeSteps`], [`Error::SizeOverflow`], [`Error::LimitExceeded`]; [`Error::OutOfMemory`] if
    /// the host has not the memory for the call's output, or for the list of its dispatches.
    ///
    /// # Examples
    ///
    /// ```
    /// use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights};
    ///
    /// let weights = LstmWeights::uniform(&LstmConfig::new(40, 256), 42)?;
    /// let memory = Lstm::new(&Device::best(), &weights)?.memory(160, 8)?;
    /// println!("{} MiB, {} of them weights", memory.total() >> 20, memory.weights >> 20);
    /// # Ok::<(), wgpu_lstm::Error>(())
    /// ```
    pub fn memory(&self, steps: usize, batch: usize) -> Result<Memory, Error> {
        self.memory_of(steps, batch, None)
    }

    /// As [`memory`](Self::memory), for [`forward_padded`](Self::forward_padded) with these lengths.
    ///
    /// # Errors
    ///
    /// As for [`memory`](Self::memory), and [`Error::LengthOutOfRange`].
    pub fn memory_padded(&self, lengths: &[usize]) -> Result<Memory, Error> {
        let steps = lengths.iter().copied().max().unwrap_or(1); // padding takes no memory on the device
        self.memory_of(steps.max(1), lengths.len(), Some(lengths))
    }

    fn memory_of(&self, steps: usize, batch: usize, lengths: Option<&[usize]>) -> Result<Memory, Error> {
        check_input(&self.config, (steps, batch, self.config.input_size()), lengths)?;
        match &self.engine {
            Engine::Cpu(_) => Ok(Memory::default()),
            Engine::Gpu(engine) => {
                let network = &engine.network;
                check_host(&self.config, steps, batch)?;
                let parts = self.parts(network, steps, batch, lengths)?;
                of_call(network, &parts, self.memory_budget, self.tuning, |packing| {
                    self.chosen(engine, packing, self.tuning)
                })
            }
        }
    }
}

/// A dispatch with its uniform, or a sequence with its place: some 64 bytes in the program, and up to 256 bytes
/// in the uniforms, which are aligned to that.
const LISTED_BYTES: usize = 64 + 256;

/// Refuses a call whose output, or whose list of dispatches and sequences, the host has no memory for.
fn check_host(config: &LstmConfig, steps: usize, batch: usize) -> Result<(), Error> {
    let width = config.num_directions() * config.output_size();
    check_memory::<f32>(steps.saturating_mul(batch).saturating_mul(width)).map_err(host_out_of_memory)?;
    // A step of a layer is a dispatch or two for each direction.
    let dispatches = steps.saturating_mul(2 * config.num_layers() * config.num_directions());
    check_memory::<[u8; LISTED_BYTES]>(dispatches.saturating_add(batch)).map_err(host_out_of_memory)
}

/// The most that a first call takes at once: it keeps and drops programs as the call does.
fn of_call(
    network: &Network,
    parts: &[Packing],
    budget: u64,
    tuning: Tuning,
    choose: impl Fn(&Packing) -> Schedule,
) -> Result<Memory, Error> {
    let weights = network.resident.iter().map(|buffer| buffer.bytes()).sum();
    let cache = Cache::new();
    let mut most = Memory::default();
    for packing in parts {
        let key = Key::new(packing, budget, tuning);
        let memory = match cache.take(&key) {
            Some(memory) => memory,
            None => Memory::of(&schedule(network, packing, budget, choose(packing))?),
        };
        let now = cache.fold(memory, Memory::and);
        most = std::cmp::max_by_key(most, now, Memory::total);
        cache.put(key, memory, budget.saturating_mul(2));
    }
    Ok(Memory { weights, ..most })
}
