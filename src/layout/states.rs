//! States: h and c of the sequences of a batch, and h before its projection.

use ndarray::{ArrayView1, ArrayViewMut1};

use super::rows::{Scratch, put_row, take_row};

/// [L, D, B, stride]; B are the sequences that there is place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct States {
    pub directions: usize,
    pub batch: usize,
    /// f32 from one row to the next.
    pub stride: usize,
}

impl States {
    /// f32 of so many layers.
    pub fn len(&self, layers: usize) -> usize {
        layers * self.directions * self.batch * self.stride
    }

    /// Index of the first sequence's row, of a layer and a direction.
    pub fn row(&self, layer: usize, direction: usize) -> usize {
        (layer * self.directions + direction) * self.batch
    }

    /// Hands a row to `put`, padded. Subnormal numbers become zeros.
    pub fn put(&self, row: ArrayView1<'_, f32>, scratch: &mut Scratch, put: &mut dyn FnMut(&[f32])) {
        put_row(row, self.stride, scratch, put);
    }

    /// Copies a row, without its padding, into the caller's.
    pub fn take(&self, to: ArrayViewMut1<'_, f32>, from: &[f32]) {
        take_row(to, from);
    }
}
