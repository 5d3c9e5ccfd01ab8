//! Many endless sequences, computed together.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ndarray::{Array2, ArrayView2};

use crate::call::{Sequences, check_state};
use crate::chunks::{Chunks, StreamId};
use crate::config::LstmConfig;
use crate::cpu::CpuPool;
use crate::device::block_on;
use crate::engine::GpuPool;
use crate::error::Error;
use crate::gpu::Wait;
use crate::host_memory::{check_memory, host_out_of_memory, zeros};
use crate::lstm::{Engine, Lstm};
use crate::state::LstmState;

/// Many streams on one device, computed together; their states stay on the device.
///
/// A stream is an endless sequence: each [`push`](Self::push) takes the next time steps of some of the streams, of each as
/// many as there are, and returns their outputs. The outputs of a stream are the bits of one [`Lstm::forward`] over its
/// whole sequence, however it is cut into chunks, whatever other streams do, and whichever slot of the pool it has.
///
/// # Time
///
/// The streams of a push are one ragged batch, so that its cost grows far slower than their number: push for all
/// streams that have data, not for each. If the streams are those of the push before, in any order, and all have equally
/// many steps, the network's dispatches are all that the device does. Else two more dispatches copy states within the
/// device. On a GPU a push of sizes that were pushed recently allocates nothing but the outputs (and what wgpu allocates
/// to record it). `benches/streams.rs` measures pushes.
///
/// Pipelines are compiled when a push first needs them, and larger batches need others: that can take a GPU's driver
/// some hundred milliseconds. Before the first deadline push zeros for one stream and for many, and
/// [`reset`](Self::reset) these, as `examples/live.rs` does.
///
/// # Memory
///
/// A pool allocates the states of all its streams when it is created: on a GPU 4·L·C·(3·O + 2·H) bytes for a capacity of
/// C, with O padded to a multiple of four. The buffers of a push grow with the largest push there was, to at most
/// twice what it takes; a push is computed within the [memory budget](Lstm::with_memory_budget) of the network that the
/// pool was made from.
///
/// # Errors
///
/// A push that returns an error has moved no state, and the next right push succeeds. After [`Error::DeviceLost`] the
/// states are lost with the device.
///
/// # Examples
///
/// ```
/// use ndarray::Array2;
/// use wgpu_lstm::{Device, Lstm, LstmConfig, LstmStreamPool, LstmWeights};
///
/// let lstm = Lstm::new(&Device::best(), &LstmWeights::uniform(&LstmConfig::new(40, 64), 42)?)?;
/// let mut pool = LstmStreamPool::new(&lstm, 100)?;
/// let [anna, ben] = [pool.open()?, pool.open()?];
/// let (long, short) = (Array2::ones((3, 40)), Array2::ones((1, 40)));
/// let outputs = pool.push(&[(anna, long.view()), (ben, short.view())])?;
/// assert_eq!((outputs[0].dim(), outputs[1].dim()), ((3, 64), (1, 64)));
/// pool.close(ben)?;
/// # Ok::<(), wgpu_lstm::Error>(())
/// ```
pub struct LstmStreamPool {
    config: LstmConfig,
    pool: Pool,
    /// The serial number of the stream in each slot, if there is one.
    slots: Vec<Option<u64>>,
    /// Slots without a stream.
    free: Vec<usize>,
    /// Of each slot, whether a push has a chunk for it; all false between pushes.
    taken: Vec<bool>,
}

/// The streams of a pool on its device.
enum Pool {
    Cpu(Box<CpuPool>),
    Gpu(Box<GpuPool>),
}

/// Of the next stream of the process.
static NEXT_SERIAL: AtomicU64 = AtomicU64::new(0);

impl LstmStreamPool {
    /// Allocates a pool for up to `capacity` streams at a time, without any.
    ///
    /// # Errors
    ///
    /// [`Error::Bidirectional`] for a network that needs the future; [`Error::ZeroSize`] for no capacity;
    /// [`Error::LimitExceeded`] if one time step of all streams exceeds the memory budget or a limit of the device;
    /// [`Error::SizeOverflow`], [`Error::OutOfMemory`], [`Error::DeviceLost`]; [`Error::Unsupported`] on a GPU in a browser:
    /// use [`new_async`](Self::new_async).
    pub fn new(lstm: &Lstm, capacity: usize) -> Result<Self, Error> {
        let pool = Self::new_async(lstm, capacity);
        match lstm.engine() {
            (Engine::Cpu(_), _) => pollster::block_on(pool), // nothing in it waits
            (Engine::Gpu(_), _) => block_on("LstmStreamPool::new on a GPU", "use new_async", pool),
        }
    }

    /// As [`new`](Self::new), without blocking.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), but never `Unsupported`.
    pub async fn new_async(lstm: &Lstm, capacity: usize) -> Result<Self, Error> {
        let config = lstm.config().clone();
        if config.bidirectional() {
            return Err(Error::Bidirectional);
        }
        if capacity == 0 {
            return Err(Error::ZeroSize { what: "the capacity of a pool" });
        }
        Sequences::new(&config, 1, capacity, None)?;
        let pool = match lstm.engine() {
            (Engine::Cpu(engine), _) => Pool::Cpu(Box::new(CpuPool::new(engine, capacity)?)),
            (Engine::Gpu(engine), options) => {
                Pool::Gpu(Box::new(GpuPool::new(engine, options, capacity).await?))
            }
        };
        // The first streams get the first slots.
        let free = (0..capacity).rev().collect();
        Ok(Self { config, pool, slots: vec![None; capacity], free, taken: vec![false; capacity] })
    }

    /// Opens a stream, whose state is zeros.
    ///
    /// # Errors
    ///
    /// [`Error::PoolFull`] if there are as many streams as the capacity.
    pub fn open(&mut self) -> Result<StreamId, Error> {
        let slot = self.free.pop().ok_or(Error::PoolFull { capacity: self.capacity() })?;
        self.reset_slot(slot);
        let serial = NEXT_SERIAL.fetch_add(1, Relaxed);
        self.slots[slot] = Some(serial);
        Ok(StreamId { slot, serial })
    }

    /// Opens a stream with a state, of a batch of one.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open) and [`set_state`](Self::set_state); then no stream is opened.
    pub fn open_with(&mut self, state: &LstmState) -> Result<StreamId, Error> {
        let id = self.open()?;
        match self.set_state(id, state) {
            Ok(()) => Ok(id),
            Err(error) => {
                self.close(id)?;
                Err(error)
            }
        }
    }

    /// Closes a stream, so that another one can be opened.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownStream`] for a stream that was closed, or one of another pool.
    pub fn close(&mut self, id: StreamId) -> Result<(), Error> {
        let slot = self.slot_of(id)?;
        self.slots[slot] = None;
        self.free.push(slot);
        Ok(())
    }

    /// Sets a stream's state to zeros.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownStream`].
    pub fn reset(&mut self, id: StreamId) -> Result<(), Error> {
        let slot = self.slot_of(id)?;
        self.reset_slot(slot);
        Ok(())
    }

    /// A stream's state: h is (L, 1, O), c is (L, 1, H). On a GPU this waits for the device.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownStream`], [`Error::OutOfMemory`], [`Error::DeviceLost`]; [`Error::Unsupported`] on a GPU in a browser:
    /// use [`state_async`](Self::state_async).
    pub fn state(&self, id: StreamId) -> Result<LstmState, Error> {
        let slot = self.slot_of(id)?;
        match &self.pool {
            Pool::Cpu(pool) => pool.state(slot),
            Pool::Gpu(pool) => {
                let what = "LstmStreamPool::state on a GPU";
                block_on(what, "use state_async", pool.state(slot, Wait::Block))
            }
        }
    }

    /// As [`state`](Self::state), without waiting in the calling thread.
    ///
    /// # Errors
    ///
    /// As for [`state`](Self::state), but never `Unsupported`.
    pub async fn state_async(&self, id: StreamId) -> Result<LstmState, Error> {
        let slot = self.slot_of(id)?;
        match &self.pool {
            Pool::Cpu(pool) => pool.state(slot),
            Pool::Gpu(pool) => pool.state(slot, Wait::Async).await,
        }
    }

    /// Sets a stream's state: h is (L, 1, O), c is (L, 1, H).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownStream`], [`Error::StateShape`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn set_state(&mut self, id: StreamId, state: &LstmState) -> Result<(), Error> {
        let slot = self.slot_of(id)?;
        check_state(&self.config, 1, [state.h.dim().into(), state.c.dim().into()])?;
        match &mut self.pool {
            Pool::Cpu(pool) => pool.set_state(slot, state),
            Pool::Gpu(pool) => pool.set_state(slot, state)?,
        }
        Ok(())
    }

    /// Computes the next chunk of any of the streams, in any order: (T_i, I), T_i ≥ 0. The outputs are (T_i, O), in the
    /// same order.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownStream`], [`Error::RepeatedStream`], [`Error::InputWidth`], [`Error::SizeOverflow`],
    /// [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`], [`Error::Internal`]: then no state has
    /// moved. [`Error::Unsupported`] on a GPU in a browser: use [`push_async`](Self::push_async).
    pub fn push(&mut self, chunks: &[(StreamId, ArrayView2<'_, f32>)]) -> Result<Vec<Array2<f32>>, Error> {
        match self.pool {
            Pool::Cpu(_) => pollster::block_on(self.push_and(chunks, Wait::Block)), // nothing in it waits
            Pool::Gpu(_) => {
                let what = "LstmStreamPool::push on a GPU";
                block_on(what, "use push_async", self.push_and(chunks, Wait::Block))
            }
        }
    }

    /// As [`push`](Self::push), without waiting in the calling thread for a GPU. (On the CPU it computes in the calling
    /// thread.)
    ///
    /// If the future is dropped before it returns, either no state has moved, or that of every stream in `chunks` has; the
    /// outputs are lost. [`set_state`](Self::set_state) restores a state that was saved before.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push), but never `Unsupported`.
    pub async fn push_async(
        &mut self,
        chunks: &[(StreamId, ArrayView2<'_, f32>)],
    ) -> Result<Vec<Array2<f32>>, Error> {
        self.push_and(chunks, Wait::Async).await
    }

    async fn push_and(&mut self, chunks: Chunks<'_>, wait: Wait) -> Result<Vec<Array2<f32>>, Error> {
        self.check(chunks)?;
        let width = self.config.output_size();
        check_memory::<Array2<f32>>(chunks.len()).map_err(host_out_of_memory)?;
        let mut outputs = Vec::with_capacity(chunks.len());
        for (_, chunk) in chunks {
            outputs.push(zeros([chunk.nrows(), width])?);
        }
        match &mut self.pool {
            Pool::Cpu(pool) => pool.tick(chunks, &mut outputs)?,
            Pool::Gpu(pool) => pool.tick(chunks, &mut outputs, wait).await?,
        }
        Ok(outputs)
    }

    /// Refuses chunks that can't be computed together.
    fn check(&mut self, chunks: Chunks<'_>) -> Result<(), Error> {
        for (id, chunk) in chunks {
            self.slot_of(*id)?;
            if chunk.ncols() != self.config.input_size() {
                let (expected, actual) = (self.config.input_size(), chunk.ncols());
                return Err(Error::InputWidth { expected, actual });
            }
        }
        let taken = &mut self.taken;
        let repeated = chunks.iter().position(|(id, _)| std::mem::replace(&mut taken[id.slot], true));
        chunks.iter().for_each(|(id, _)| taken[id.slot] = false);
        if let Some(index) = repeated {
            return Err(Error::RepeatedStream { index });
        }
        let steps = chunks.iter().map(|(_, chunk)| chunk.nrows()).max().unwrap_or(0);
        if steps > 0 {
            Sequences::new(&self.config, steps, chunks.len(), None)?;
        }
        Ok(())
    }

    /// Streams that are open.
    pub fn len(&self) -> usize {
        self.capacity() - self.free.len()
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams that can be open at a time.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The network's sizes.
    pub fn config(&self) -> &LstmConfig {
        &self.config
    }

    fn reset_slot(&mut self, slot: usize) {
        match &mut self.pool {
            Pool::Cpu(pool) => pool.reset(slot),
            Pool::Gpu(pool) => pool.reset(slot),
        }
    }

    fn slot_of(&self, id: StreamId) -> Result<usize, Error> {
        match self.slots.get(id.slot) {
            Some(&Some(serial)) if serial == id.serial => Ok(id.slot),
            _ => Err(Error::UnknownStream),
        }
    }
}

impl fmt::Debug for LstmStreamPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LstmStreamPool")
            .field("config", &self.config)
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}
