//! Rows: the input, what each layer leaves, and the gates. A row is one time step of one sequence.

use ndarray::{ArrayView1, ArrayViewMut1};

use crate::program::{VEC4, padded};
use crate::subnormal::{flush, flush_all};

/// [rows, directions, width padded]: the input counts as one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub directions: usize,
    pub width: usize,
}

/// [D, rows, H] of the gates (i, f, g, o), before their activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GateRows {
    pub rows: usize,
    pub hidden: usize,
}

/// Where numbers are flushed before they are uploaded; allocated once for many rows.
pub(crate) type Scratch = [f32; 1024];

impl Rows {
    /// f32 from one row to the next.
    pub fn stride(&self) -> usize {
        self.directions * padded(self.width)
    }

    /// f32 of so many rows.
    pub fn len(&self, rows: usize) -> usize {
        rows * self.stride()
    }

    /// Index of a direction of a row, where those of all rows are counted.
    pub fn index(&self, row: usize, direction: usize) -> usize {
        row * self.directions + direction
    }

    /// Hands a row of one direction to `put`, padded. Subnormal numbers become zeros.
    pub fn put(&self, row: ArrayView1<'_, f32>, scratch: &mut Scratch, put: &mut dyn FnMut(&[f32])) {
        put_row(row, self.stride(), scratch, put);
    }

    /// Copies a row, without the padding of its directions, into the caller's.
    pub fn take(&self, mut to: ArrayViewMut1<'_, f32>, from: &[f32]) {
        let directions = to.exact_chunks_mut(self.width);
        for (to, from) in directions.into_iter().zip(from.chunks_exact(padded(self.width))) {
            take_row(to, from);
        }
    }
}

impl GateRows {
    /// f32 for so many directions.
    pub fn len(&self, directions: usize) -> usize {
        VEC4 * self.hidden * self.rows * directions
    }

    /// Index of a row of a direction.
    pub fn index(&self, direction: usize, row: usize) -> usize {
        direction * self.rows + row
    }
}

/// Hands numbers that follow each other to `put`; subnormal ones become zeros.
pub(crate) fn put_flushed(numbers: &[f32], scratch: &mut Scratch, put: &mut dyn FnMut(&[f32])) {
    for chunk in numbers.chunks(scratch.len()) {
        let flushed = &mut scratch[..chunk.len()];
        flushed.copy_from_slice(chunk);
        flush_all(flushed);
        put(flushed);
    }
}

/// Hands a row to `put`, with zeros up to `stride`: less than a vec4f of them. Subnormal numbers become zeros.
pub(super) fn put_row(
    row: ArrayView1<'_, f32>,
    stride: usize,
    scratch: &mut Scratch,
    put: &mut dyn FnMut(&[f32]),
) {
    match row.as_slice() {
        Some(row) => put_flushed(row, scratch, put),
        None => row.iter().for_each(|&x| put(&[flush(x)])),
    }
    put(&[0.0; VEC4][..stride - row.len()]);
}

/// Copies as many numbers as the caller's row has.
pub(super) fn take_row(mut to: ArrayViewMut1<'_, f32>, from: &[f32]) {
    let from = &from[..to.len()];
    match to.as_slice_mut() {
        Some(to) => to.copy_from_slice(from),
        None => to.iter_mut().zip(from).for_each(|(to, &from)| *to = from),
    }
}
