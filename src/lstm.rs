//! The public type: options, and methods of a few lines.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};

use crate::call::{Call, Sequences};
use crate::config::LstmConfig;
use crate::cpu::CpuEngine;
use crate::device::{Backend, Device, block_on};
use crate::engine::{GpuEngine, Memory, Options, read_record, write_record};
use crate::error::Error;
use crate::gpu::{Gpu, Wait};
use crate::host_memory::{check_memory, host_out_of_memory};
use crate::state::LstmState;
use crate::tuning::{Cost, DEFAULT_CALLS_IN_FLIGHT, DEFAULT_MEMORY_BUDGET, Tuning};
use crate::weights::{LstmWeights, Precision};

/// An LSTM network on a device: `torch.nn.LSTM` in evaluation mode.
///
/// Making one uploads the weights; shaders are compiled when a call first needs them. Calls take `&self` and
/// may come from any thread.
///
/// A clone is the same network with options of its own (`with_…`): it shares the weights, the pipelines, the buffers that
/// are kept for later calls and the measured schedules, and cloning allocates nothing on the device. Which buffers are
/// kept is decided when a call ends, by the memory budget of its clone.
///
/// Shapes are written with T time steps, B batch, I input size, H hidden size, P projection size,
/// O = P or H, L layers and D directions.
///
/// # Small numbers
///
/// Many processors compute 10 to 100 times slower with subnormal numbers, those below 2⁻¹²⁶ (1.2e-38), than with
/// others. So every device treats a subnormal number in the input, the weights or a state as zero, and returns none.
/// Results stay within the same error of the exact ones. Products of larger numbers can still be subnormal where a
/// processor has no fused multiply-add, and on software adapters, which round a product before they add it.
///
/// # Memory
///
/// [`memory`](Self::memory) computes what a call takes on a GPU. A call of a recently used shape allocates nothing
/// there, not even a staging buffer, if its buffers are within twice the [memory budget](Self::with_memory_budget).
/// It submits once, unless it runs in blocks of time or parts of the batch.
///
/// Calls that run at the same time take as much each. So only a few run at once, of all clones together; the others
/// wait for their turn, and take nothing meanwhile: see [`with_calls_in_flight`](Self::with_calls_in_flight).
///
/// On the host a repeated call on a GPU allocates what it returns, and 12·B words to order the sequences and to find
/// the shape; inputs and outputs are copied once, between the caller's arrays and mapped memory. (Batch first,
/// the output is copied again.) It first checks that the host has the memory for all of this, by one allocation that
/// it frees. While a call is recorded, wgpu allocates about 400 bytes a dispatch and 50 KB a call.
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
#[derive(Clone)]
pub struct Lstm {
    config: LstmConfig,
    precision: Precision,
    options: Options,
    engine: Engine,
}

/// The network on its device.
#[derive(Clone)]
pub(crate) enum Engine {
    Cpu(Arc<CpuEngine>),
    Gpu(Arc<GpuEngine>),
}

impl Lstm {
    /// Creates a network on a device, and uploads its weights.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] if a weight is larger than the device can bind (as f16 it may fit, see
    /// [`LstmWeights::to_precision`]; the error says so then), or has more columns than a dispatch can cover,
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`]; [`Error::Unsupported`] on a GPU in a browser, where nothing may
    /// block: use [`new_async`](Self::new_async).
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
        Ok(Self::with(weights, Engine::Cpu(Arc::new(CpuEngine::new(weights)?))))
    }

    async fn on_gpu(gpu: &Arc<Gpu>, weights: &LstmWeights) -> Result<Self, Error> {
        Ok(Self::with(weights, Engine::Gpu(Arc::new(GpuEngine::new(gpu, weights).await?))))
    }

    fn with(weights: &LstmWeights, engine: Engine) -> Self {
        let options = Options {
            batch_first: false,
            memory_budget: DEFAULT_MEMORY_BUDGET,
            tuning: Tuning::Model,
            calls_in_flight: DEFAULT_CALLS_IN_FLIGHT,
        };
        Self { config: weights.config().clone(), precision: weights.precision(), options, engine }
    }

    /// Whether input and output are (B, T, ·) and not (T, B, ·). States are never batch first.
    #[must_use]
    pub fn with_batch_first(mut self, yes: bool) -> Self {
        self.options.batch_first = yes;
        self
    }

    /// Bounds the memory, in bytes, that a block of time steps takes: input, gates and outputs on the
    /// device, and the host's copies on their way. A call that needs more runs in several blocks of time,
    /// or in parts of the batch; the results are the same.
    ///
    /// The budget does not include the weights; the states; the uniforms of a submission, about 256 bytes for each
    /// time step and layer and at most 16 MiB; and in a bidirectional network the whole sequence of a layer's input
    /// and output. [`memory`](Self::memory) counts all of these.
    ///
    /// Each call has this budget: calls that run at the same time take as much each. How many do is bounded by
    /// [`with_calls_in_flight`](Self::with_calls_in_flight).
    ///
    /// The buffers of recent calls are kept for calls of the same shape, up to twice the budget in all: if a call's
    /// buffers fit, the next call of its shape allocates none. A call's list of dispatches is kept with them if it
    /// takes no more than an eighth of the budget; else each call lists its dispatches again, one submission at a
    /// time.
    ///
    /// [`DEFAULT_MEMORY_BUDGET`] unless set. It has no effect on the CPU.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: u64) -> Self {
        self.options.memory_budget = bytes;
        self
    }

    /// How the schedule of a call on a GPU is chosen: [`Tuning::Model`] unless set. The results are the same to the
    /// bit. It has no effect on the CPU.
    #[must_use]
    pub fn with_tuning(mut self, tuning: Tuning) -> Self {
        self.options.tuning = tuning;
        self
    }

    /// What computes the network, and how.
    pub(crate) fn engine(&self) -> (&Engine, Options) {
        (&self.engine, self.options)
    }

    /// Bounds how many calls of the network run at once on a GPU: `calls` of those that block their thread, such as
    /// [`forward`](Self::forward), and `calls` of those that do not, such as [`forward_async`](Self::forward_async). 0
    /// counts as 1.
    ///
    /// Further calls wait, and start in the order in which they came. A call that waits has allocated nothing on the
    /// device, nor the arrays that it returns. The calls of all clones count; each waits until fewer run than its own
    /// clone allows. So calls in flight take at most `calls` times what [`memory`](Self::memory) returns for the largest
    /// of them, and twice that if there are calls of both kinds.
    ///
    /// An async call runs from the poll that starts it until its future returns or is dropped, and the device has done
    /// what was submitted. A future that has started and is not polled any more keeps its turn, so that other async
    /// calls may wait for it: poll all of them, or drop them. Calls that block never wait for async ones.
    ///
    /// A call in a callback that wgpu runs while another call polls starts at once, and does not count: the call
    /// that polls could not end before it.
    ///
    /// [`DEFAULT_CALLS_IN_FLIGHT`] unless set. It has no effect on the CPU, which computes in the calling thread.
    #[must_use]
    pub fn with_calls_in_flight(mut self, calls: usize) -> Self {
        self.options.calls_in_flight = calls;
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

    /// As [`forward`](Self::forward), without waiting in the calling thread for a GPU. (The CPU device computes in
    /// the calling thread.)
    ///
    /// On a GPU a few calls run at once, and the others wait for their turn without blocking a thread: see
    /// [`with_calls_in_flight`](Self::with_calls_in_flight). Dropping the future ends the call, or gives its turn on.
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
        let run = self.run_unbatched(input, state, Wait::Block);
        self.blocking("Lstm::forward_unbatched on a GPU", "use Lstm::forward_unbatched_async", run)
    }

    /// As [`forward_unbatched`](Self::forward_unbatched), without waiting in the calling thread for a GPU.
    ///
    /// # Errors
    ///
    /// As for [`forward_unbatched`](Self::forward_unbatched), but never `Unsupported`.
    pub async fn forward_unbatched_async(
        &self,
        input: ArrayView2<'_, f32>,
        state: Option<&LstmState>,
    ) -> Result<(Array2<f32>, LstmState), Error> {
        self.run_unbatched(input, state, Wait::Async).await
    }

    /// Runs the network over sequences of different lengths: sequence b is the first `lengths[b]` steps
    /// of the input. Shapes are those of [`forward`](Self::forward).
    ///
    /// The output is 0 past each length, and the state is each sequence's own last one. Steps past a length are never
    /// read, and may be NaN. Lengths may come in any order, and the work grows with their sum.
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

    /// Bytes that the first call of [`forward`](Self::forward) with T = `steps` and B = `batch` takes at most
    /// at a time; computed without touching the device. All are 0 on the CPU, and with B = 0 there are only
    /// the weights.
    ///
    /// This does not include the buffers that are kept for calls of other shapes, up to twice the memory budget, nor
    /// what other calls take that run at the same time: see [`with_calls_in_flight`](Self::with_calls_in_flight).
    ///
    /// # Errors
    ///
    /// Those with which [`forward`](Self::forward) refuses such a call before it computes anything:
    /// [`Error::NoTimeSteps`], [`Error::SizeOverflow`], [`Error::LimitExceeded`]; [`Error::OutOfMemory`] if
    /// the host has not the memory for the arrays that the call returns and for the lists of its dispatches.
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
        let sequences = Sequences::new(&self.config, steps, batch, lengths)?;
        match &self.engine {
            Engine::Cpu(_) => Ok(Memory::default()),
            Engine::Gpu(engine) => engine.memory(self.options, sequences),
        }
    }

    /// What each schedule that can compute it costs a call of [`forward`](Self::forward) with T = `steps` and
    /// B = `batch`, by the model that [`Tuning::Model`] chooses by: the first is the cheapest. Counted are the
    /// dispatches that the call makes, in as many blocks of time and parts of the batch as it takes. On the CPU there
    /// are no schedules.
    ///
    /// # Errors
    ///
    /// [`Error::NoTimeSteps`], [`Error::SizeOverflow`]; [`Error::OutOfMemory`] for more than the host can run;
    /// [`Error::LimitExceeded`] if one time step of one sequence takes more than the memory budget.
    pub fn costs(&self, steps: usize, batch: usize) -> Result<Vec<Cost>, Error> {
        let sequences = Sequences::new(&self.config, steps, batch, None)?;
        match &self.engine {
            Engine::Cpu(_) => Ok(Vec::new()),
            Engine::Gpu(engine) => engine.costs(self.options, sequences),
        }
    }

    /// The schedules that [`Tuning::Measure`] has chosen so far, as JSON, to be loaded by
    /// [`load_tuning`](Self::load_tuning) the next time: for each shape that was measured the time steps,
    /// sequences and the sum of their lengths, the oldest first. On the CPU there are none.
    pub fn tuning_record(&self) -> String {
        let choices = match &self.engine {
            Engine::Cpu(_) => Vec::new(),
            Engine::Gpu(engine) => engine.measured(),
        };
        write_record(&self.made_for(), &choices)
    }

    /// Loads a [`tuning_record`](Self::tuning_record), so that [`Tuning::Measure`] does not time its shapes again,
    /// nor similar ones. At most 1,024 shapes are kept: of a longer record, the last 1,024.
    ///
    /// # Errors
    ///
    /// [`Error::TuningRecord`] for text that is not a tuning record, or a record of another network, adapter or
    /// driver; then nothing is loaded. A browser hides the driver, and of the adapter tells as much as it wants, such as
    /// vendor and architecture: there a record counts for every adapter of which it tells the same.
    pub fn load_tuning(&self, record: &str) -> Result<(), Error> {
        let choices = read_record(record, &self.made_for())?;
        if let Engine::Gpu(engine) = &self.engine {
            engine.take_over(choices);
        }
        Ok(())
    }

    /// The network and device for which a measurement is valid.
    fn made_for(&self) -> String {
        let device = match &self.engine {
            Engine::Cpu(_) => "CPU".to_owned(),
            Engine::Gpu(engine) => engine.made_for(),
        };
        format!("{:?} on {device}", self.config)
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
        let input = if self.options.batch_first { input.permuted_axes([1, 0, 2]) } else { input };
        let state = state.map(|state| (state.h.view(), state.c.view()));
        let call = Call::new(&self.config, input, lengths, state)?;
        let (output, h, c) = match &self.engine {
            Engine::Cpu(engine) => engine.forward(&call)?,
            Engine::Gpu(engine) => engine.forward(self.options, &call, wait).await?,
        };
        Ok((self.in_callers_layout(output)?, LstmState { h, c }))
    }

    async fn run_unbatched(
        &self,
        input: ArrayView2<'_, f32>,
        state: Option<&LstmState>,
        wait: Wait,
    ) -> Result<(Array2<f32>, LstmState), Error> {
        let batch_axis = Axis(usize::from(!self.options.batch_first));
        let (output, state) = self.run(input.insert_axis(batch_axis), None, state, wait).await?;
        Ok((output.index_axis_move(batch_axis, 0), state))
    }

    /// (T, B, D·O) → the layout that the caller asked for.
    fn in_callers_layout(&self, output: Array3<f32>) -> Result<Array3<f32>, Error> {
        if !self.options.batch_first {
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
            Engine::Gpu(engine) => engine.adapter(),
        };
        f.debug_struct("Lstm")
            .field("config", &self.config)
            .field("device", &device)
            .field("precision", &self.precision)
            .field("batch_first", &self.options.batch_first)
            .field("memory_budget", &self.options.memory_budget)
            .field("tuning", &self.options.tuning)
            .field("calls_in_flight", &self.options.calls_in_flight)
            .finish()
    }
}
