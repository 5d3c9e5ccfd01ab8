//! The recurrent state that goes into and comes out of a call.

use ndarray::Array3;

use crate::config::LstmConfig;
use crate::host_memory::zeros;

/// Hidden and cell state of every layer and direction, at index layer · D + direction.
///
/// What [`Lstm::forward`](crate::Lstm::forward) returns can be passed to the next call, which then continues the same
/// sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct LstmState {
    /// h, (L·D, B, O).
    pub h: Array3<f32>,
    /// c, (L·D, B, H).
    pub c: Array3<f32>,
}

impl LstmState {
    /// The state that a network starts from when none is given: zeros for `batch` sequences.
    ///
    /// # Panics
    ///
    /// If the host can't allocate the state.
    pub fn zeros(config: &LstmConfig, batch: usize) -> Self {
        let [h, c] = Self::shapes(config, batch).map(|shape| match zeros(shape) {
            Ok(zeros) => zeros,
            Err(error) => panic!("a state of shape {shape:?}: {error}"),
        });
        Self { h, c }
    }

    /// The shapes of h and c for `batch` sequences.
    pub(crate) fn shapes(config: &LstmConfig, batch: usize) -> [[usize; 3]; 2] {
        let states = config.num_layers().saturating_mul(config.num_directions());
        [[states, batch, config.output_size()], [states, batch, config.hidden_size()]]
    }
}
