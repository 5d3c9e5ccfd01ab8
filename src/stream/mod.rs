//! Endless sequences, computed chunk by chunk: one, or many together.

mod pool;

pub use self::pool::LstmStreamPool;

use ndarray::{Array2, ArrayView2};

use crate::chunks::StreamId;
use crate::error::Error;
use crate::lstm::Lstm;
use crate::state::LstmState;

/// One endless sequence, computed chunk by chunk: an [`LstmStreamPool`] of one.
///
/// What it returns are the bits of one [`Lstm::forward`] over the whole sequence, however it is cut. On a GPU the
/// state stays on the device. Where several streams have data at the same time, a pool computes them faster.
///
/// # Examples
///
/// ```
/// use ndarray::Array2;
/// use wgpu_lstm::{Device, Lstm, LstmConfig, LstmStream, LstmWeights};
///
/// let lstm = Lstm::new(&Device::best(), &LstmWeights::uniform(&LstmConfig::new(40, 64), 42)?)?;
/// let mut stream = LstmStream::new(&lstm)?;
/// for steps in [1, 5, 0, 2] {
///     let output = stream.push(Array2::ones((steps, 40)).view())?;
///     assert_eq!(output.dim(), (steps, 64));
/// }
/// # Ok::<(), wgpu_lstm::Error>(())
/// ```
#[derive(Debug)]
pub struct LstmStream {
    pool: LstmStreamPool,
    id: StreamId,
}

impl LstmStream {
    /// A stream that starts from zeros.
    ///
    /// # Errors
    ///
    /// As for [`LstmStreamPool::new`].
    pub fn new(lstm: &Lstm) -> Result<Self, Error> {
        Self::of(LstmStreamPool::new(lstm, 1)?)
    }

    /// As [`new`](Self::new), without blocking.
    ///
    /// # Errors
    ///
    /// As for [`LstmStreamPool::new_async`].
    pub async fn new_async(lstm: &Lstm) -> Result<Self, Error> {
        Self::of(LstmStreamPool::new_async(lstm, 1).await?)
    }

    fn of(mut pool: LstmStreamPool) -> Result<Self, Error> {
        let id = pool.open()?;
        Ok(Self { pool, id })
    }

    /// Computes the next chunk, (T, I) with T ≥ 0, and returns its output, (T, O).
    ///
    /// # Errors
    ///
    /// As for [`LstmStreamPool::push`]: then the state has not moved.
    pub fn push(&mut self, chunk: ArrayView2<'_, f32>) -> Result<Array2<f32>, Error> {
        only(self.pool.push(&[(self.id, chunk)])?)
    }

    /// As [`push`](Self::push), without waiting in the calling thread for a GPU.
    ///
    /// # Errors
    ///
    /// As for [`LstmStreamPool::push_async`].
    pub async fn push_async(&mut self, chunk: ArrayView2<'_, f32>) -> Result<Array2<f32>, Error> {
        only(self.pool.push_async(&[(self.id, chunk)]).await?)
    }

    /// The state: h is (L, 1, O), c is (L, 1, H).
    ///
    /// # Errors
    ///
    /// As for [`LstmStreamPool::state`].
    pub fn state(&self) -> Result<LstmState, Error> {
        self.pool.state(self.id)
    }

    /// As [`state`](Self::state), without waiting in the calling thread for a GPU.
    ///
    /// # Errors
    ///
    /// As for [`LstmStreamPool::state_async`].
    pub async fn state_async(&self) -> Result<LstmState, Error> {
        self.pool.state_async(self.id).await
    }

    /// Sets the state: h is (L, 1, O), c is (L, 1, H).
    ///
    /// # Errors
    ///
    /// As for [`LstmStreamPool::set_state`].
    pub fn set_state(&mut self, state: &LstmState) -> Result<(), Error> {
        self.pool.set_state(self.id, state)
    }

    /// Sets the state to zeros.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.pool.reset(self.id)
    }
}

fn only(mut outputs: Vec<Array2<f32>>) -> Result<Array2<f32>, Error> {
    outputs.pop().ok_or_else(|| Error::Internal { reason: "a push of one chunk has no output".to_owned() })
}
