//! The chunks of a push: the next time steps of some streams.

use ndarray::ArrayView2;

/// A stream of a pool: never another stream's, even after it is closed, nor one of another pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StreamId {
    /// Its place in the pool, below the capacity.
    pub(crate) slot: usize,
    /// Unique in the process.
    pub(crate) serial: u64,
}

/// (T_i, I) with T_i ≥ 0, each of another stream.
pub(crate) type Chunks<'a> = &'a [(StreamId, ArrayView2<'a, f32>)];
