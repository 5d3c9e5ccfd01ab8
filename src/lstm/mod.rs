//! The face: check, plan, run.

mod cache;
mod choice;
mod measured;
mod memory;
mod run;
#[cfg(test)]
mod tests;
mod transfer;

use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};

use self::cache::Cache;
use self::measured::Measured;
pub use self::memory::Memory;
use self::run::Ready;
use crate::check::{check_memory, host_out_of_memory};
use crate::config::LstmConfig;
use crate::cpu;
use crate::device::{Backend, Device, block_on};
use crate::error::Error;
use crate::gpu::{Gpu, Pipelines, Resident, Wait};
use crate::plan::Network;
use crate::state::LstmState;
use crate::tuning::Tuning;
use crate::weights::{LstmWeights, Precision};

/// Memory that one block of time steps may take, on the device and in the host's copies, unless
/// [`with_memory_budget`](Lstm::with_memory_budget) says otherwise: 256 MiB.
pub const DEFAULT_MEMORY_BUDGET: u64 = 256 << 20;

/// An LSTM network on a device: `torch.nn.LSTM` in evaluation mode.
///
/// Making one uploads the weights; shaders are compiled when a call first needs them. Calls take `&self` and
/// may come from any thread.
///
/// Shapes are written with T time steps, B batch, I input size, H hidden size, P projection size,
/// O = P or H, L layers and D directions.
///
/// # Small numbers
///
/// Many processors compute 10 to 100 times slower with subnormal numbers, those below 2⁻¹²⁶ (1.2e-38), than with
/// others. So each one in the input, the weights or a state is taken as zero, on every device, and none is
/// returned. Results stay within the same error of the exact ones.
///
/// # Memory
///
/// [`memory`](Self::memory) tells what a call takes on a GPU. A call of a shape that came lately makes nothing
/// there, not even a staging buffer, if its buffers fit twice the
/// [memory budget](Self::with_memory_budget); and it submits once, unless it runs in blocks of time or parts of
/// the batch.
///
/// On the host a repeated call on a GPU allocates what it returns, and 12·B words to order the sequences and to find
/// the shape; inputs and outputs are copied once, between the caller's arrays and mapped memory. (Batch first,
/// the output is copied again.) Besides, wgpu allocates about 400 bytes a dispatch and 50 KB a call while it records.
///
/// # Examples
///
/// ```
/// use ndarray::Array3;
/// use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights};
///
/// let config = LstmConfig::new(10, 20).with_num_layers(2);
/// let weights = LstmWeights::uniform(&config, 42)?;
/// let lstm = Lstm::new(&Device::best(), &weights)?;
///
/// let input = Array3::ones((5, 3, 10)); // T = 5, B = 3, I = 10
/// let (output, state) = lstm.forward(input.view(), None)?;
/// assert_eq!(output.dim(), (5, 3, 20)); // (T, B, D·O)
/// assert_eq!(state.c.dim(), (2, 3, 20)); // (L·D, B, H)
///
/// // The next chunk of the same sequences carries on from that state.
/// let (output, _) = lstm.forward(input.view(), Some(&state))?;
/// # assert!(output.iter().all(|y| y.is_finite()));
/// # Ok::<(), wgpu_lstm::Error>(())
/// ```
pub struct Lstm {
    config: LstmConfig,
    precision: Precision,
    batch_first: bool,
    memory_budget: u64,
    tuning: Tuning,
    engine: Engine,
}

enum Engine {
    Cpu(cpu::Network),
    Gpu(Box<GpuEngine>),
}

/// What a network keeps on the GPU.
struct GpuEngine {
    gpu: Arc<Gpu>,
    network: Network,
    pipelines: Pipelines,
    weights: Resident,
    cache: Cache<Ready>,
    measured: Measured,
}

impl Lstm {
    /// Puts a network on a device.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] if a weight is larger than the device can bind (as f16 it may fit, see
    /// [`LstmWeights::to_precision`]; the error says so then), or has more columns than a dispatch reaches,
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`]; [`Error::Unsupported`] on a GPU in a browser,
    /// where nothing may block: use [`new_async`](Self::new_async).
    pub fn new(device: &Device, weights: &LstmWeights) -> Result<Self, Error> {
        match device.backend() {
            Backend::Cpu => Self::on_cpu(weights),
            Backend::Gpu(gpu) => {
                block_on("Lstm::new on a GPU", "use Lstm::new_async", Self::on_gpu(gpu, weights))
            }
        }
    }

    /// As [`new`](Self::new), without blocking.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), but never `Unsupported`.
    pub async fn new_async(device: &Device, weights: &LstmWeights) -> Result<Self, Error> {
        match device.backend() {
            Backend::Cpu => Self::on_cpu(weights),
            Backend::Gpu(gpu) => Self::on_gpu(gpu, weights).await,
        }
    }

    fn on_cpu(weights: &LstmWeights) -> Result<Self, Error> {
        let network = cpu::Network::new(weights)?;
        Ok(Self::with_engine(weights, Engine::Cpu(network)))
    }

    async fn on_gpu(gpu: &Arc<Gpu>, weights: &LstmWeights) -> Result<Self, Error> {
        let network = Network::new(weights.config(), gpu.limits(), weights.precision() == Precision::F16)?;
        Self::with_network(gpu, network, weights).await
    }

    async fn with_network(gpu: &Arc<Gpu>, network: Network, weights: &LstmWeights) -> Result<Self, Error> {
        let pipelines = Pipelines::new(network.pipelines.clone());
        check_memory::<u8>(network.packing_bytes()).map_err(host_out_of_memory)?;
        let resident = gpu.upload_resident(&network.resident, &network.parts, weights.pack()).await?;
        let engine = GpuEngine {
            gpu: Arc::clone(gpu),
            network,
            pipelines,
            weights: resident,
            cache: Cache::new(),
            measured: Measured::default(),
        };
        Ok(Self::with_engine(weights, Engine::Gpu(Box::new(engine))))
    }

    fn with_engine(weights: &LstmWeights, engine: Engine) -> Self {
        Self {
            config: weights.config().clone(),
            precision: weights.precision(),
            batch_first: false,
            memory_budget: DEFAULT_MEMORY_BUDGET,
            tuning: Tuning::Model,
            engine,
        }
    }

    /// Whether input and output are (B, T, ·) and not (T, B, ·). States are never batch first.
    #[must_use]
    pub fn with_batch_first(mut self, yes: bool) -> Self {
        self.batch_first = yes;
        self
    }

    /// Bounds the memory, in bytes, that a block of time steps takes: input, gates and outputs on the
    /// device, and the host's copies on their way. A call that needs more runs in several blocks of time,
    /// or in parts of the batch; the results are the same.
    ///
    /// On top of it come the weights; the states; the uniforms of a submission, about 256 bytes for each time step
    /// and layer and at most 16 MiB; and in a bidirectional network the whole sequence of a layer's input and
    /// output. [`memory`](Self::memory) counts all of these.
    ///
    /// The budget is that of a call: calls that run at the same time take as much each.
    ///
    /// Buffers of the last finished calls are kept for the next ones of the same shape, up to twice the budget in
    /// all: a call whose buffers fit allocates none the next time. A call's list of dispatches is kept with them
    /// if it takes no more than an eighth of the budget; else each call makes it again, one submission at a time.
    ///
    /// [`DEFAULT_MEMORY_BUDGET`] unless set. The CPU has no use for it.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// How the schedule of a call on a GPU is chosen: [`Tuning::Model`] unless set. The results are the same
    /// to the bit. The CPU has no use for it.
    #[must_use]
    pub fn with_tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// The network's sizes.
    pub fn config(&self) -> &LstmConfig {
        &self.config
    }

    /// Runs the network over a batch of sequences of equal length.
    ///
    /// | | shape | batch first |
    /// |---|---|---|
    /// | `input` | (T, B, I) | (B, T, I) |
    /// | `state.h`, `state.c` | (L·D, B, O), (L·D, B, H) | the same |
    /// | output | (T, B, D·O) | (B, T, D·O) |
    /// | state out | (L·D, B, O), (L·D, B, H) | the same |
    ///
    /// Without a state the network starts from zeros. The state of the reverse direction is the one
    /// after t = 0. B = 0 gives empty arrays.
    ///
    /// # Errors
    ///
    /// [`Error::InputWidth`], [`Error::NoTimeSteps`], [`Error::StateShape`] for arrays that don't fit;
    /// [`Error::SizeOverflow`], [`Error::LimitExceeded`], [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`], [`Error::Internal`] for what can't be run;
    /// [`Error::Unsupported`] on a GPU in a browser: use [`forward_async`](Self::forward_async).
    ///
    /// # Source
    ///
    /// `torch.nn.LSTM.forward`.
    pub fn forward(
        &self,
        input: ArrayView3<'_, f32>,
        state: Option<&LstmState>,
    ) -> Result<(Array3<f32>, LstmState), Error> {
        let run = self.run(input, None, state, Wait::Block);
        self.blocking("Lstm::forward on a GPU", "use Lstm::forward_async", run)
    }

    /// As [`forward`](Self::forward), without waiting in the calling thread for a GPU. (The CPU device
    /// computes in it all the same.)
    ///
    /// Every call takes memory of its own until it ends, on a GPU as much as [`memory`](Self::memory) says: bound the
    /// number of calls that are in flight at once.
    ///
    /// # Errors
    ///
    /// As for [`forward`](Self::forward), but never `Unsupported`.
    pub async fn forward_async(
        &self,
        input: ArrayView3<'_, f32>,
        state: Option<&LstmState>,
    ) -> Result<(Array3<f32>, LstmState), Error> {
        self.run(input, None, state, Wait::Async).await
    }

    /// Runs the network over one sequence: `input` is (T, I), the output (T, D·O), batch first or not;
    /// states are those of a batch of one.
    ///
    /// # Errors
    ///
    /// As for [`forward`](Self::forward).
    ///
    /// # Source
    ///
    /// `torch.nn.LSTM.forward` with an input of two axes; only the states keep their batch axis here.
    pub fn forward_unbatched(
        &self,
        input: ArrayView2<'_, f32>,
        state: Option<&LstmState>,
    ) -> Result<(Array2<f32>, LstmState), Error> {
        let batch_axis = Axis(usize::from(!self.batch_first));
        let (output, state) = self.forward(input.insert_axis(batch_axis), state)?;
        Ok((output.index_axis_move(batch_axis, 0), state))
    }

    /// Runs the network over sequences of different lengths: sequence b is the first `lengths[b]` steps
    /// of the input. Shapes are those of [`forward`](Self::forward).
    ///
    /// The output is 0 past each length, and the state is each sequence's own last one. What lies past
    /// a length is never read; it may be NaN. Lengths may come in any order, and the work grows with
    /// their sum.
    ///
    /// # Errors
    ///
    /// As for [`forward`](Self::forward), and [`Error::LengthCount`], [`Error::LengthOutOfRange`].
    ///
    /// # Source
    ///
    /// `pack_padded_sequence` → `torch.nn.LSTM` → `pad_packed_sequence`, with `enforce_sorted=False`
    /// and `total_length=T`.
    pub fn forward_padded(
        &self,
        input: ArrayView3<'_, f32>,
        lengths: &[usize],
        state: Option<&LstmState>,
    ) -> Result<(Array3<f32>, LstmState), Error> {
        let run = self.run(input, Some(lengths), state, Wait::Block);
        self.blocking("Lstm::forward_padded on a GPU", "use Lstm::forward_padded_async", run)
    }

    /// As [`forward_padded`](Self::forward_padded), without waiting in the calling thread for a GPU.
    ///
    /// # Errors
    ///
    /// As for [`forward_padded`](Self::forward_padded), but never `Unsupported`.
    pub async fn forward_padded_async(
        &self,
        input: ArrayView3<'_, f32>,
        lengths: &[usize],
        state: Option<&LstmState>,
    ) -> Result<(Array3<f32>, LstmState), Error> {
        self.run(input, Some(lengths), state, Wait::Async).await
    }

    fn blocking<T>(
        &self,
        what: &'static str,
        instead: &'static str,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match self.engine {
            Engine::Cpu(_) => pollster::block_on(future), // nothing in it waits
            Engine::Gpu(_) => block_on(what, instead, future),
        }
    }

    async fn run(
        &self,
        input: ArrayView3<'_, f32>,
        lengths: Option<&[usize]>,
        state: Option<&LstmState>,
        wait: Wait,
    ) -> Result<(Array3<f32>, LstmState), Error> {
        let input = if self.batch_first { input.permuted_axes([1, 0, 2]) } else { input };
        match &self.engine {
            Engine::Cpu(network) => {
                let state = state.map(|state| (state.h.view(), state.c.view()));
                let (output, h, c) = network.forward(input, lengths, state)?;
                Ok((self.in_callers_layout(output)?, LstmState { h, c }))
            }
            Engine::Gpu(engine) => self.run_on_gpu(engine, input, lengths, state, wait).await,
        }
    }

    /// (T, B, D·O) → what the caller asked for.
    fn in_callers_layout(&self, output: Array3<f32>) -> Result<Array3<f32>, Error> {
        if !self.batch_first {
            return Ok(output);
        }
        let output = output.permuted_axes([1, 0, 2]);
        if output.is_standard_layout() {
            return Ok(output);
        }
        check_memory::<f32>(output.len()).map_err(host_out_of_memory)?;
        Ok(output.as_standard_layout().into_owned())
    }
}

impl fmt::Debug for Lstm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = match &self.engine {
            Engine::Cpu(_) => "CPU",
            Engine::Gpu(engine) => &engine.gpu.info().name,
        };
        f.debug_struct("Lstm")
            .field("config", &self.config)
            .field("device", &device)
            .field("precision", &self.precision)
            .field("batch_first", &self.batch_first)
            .field("memory_budget", &self.memory_budget)
            .field("tuning", &self.tuning)
            .finish()
    }
}
