//! Between the caller's arrays and the packed rows on the device.

use std::ops::Range;

use ndarray::{Array3, ArrayView1, ArrayView3, ArrayViewMut1, ArrayViewMut3, s};

use crate::batch::Packing;
use crate::call::{Call, Results, StateViews};
use crate::error::Error;
use crate::host_memory::zeros;
use crate::plan::{HostData, Network};
use crate::program::{Host, VEC4, padded};
use crate::subnormal::{flush, flush_all};

/// The arrays that a call was given, and those that it returns.
pub(super) struct Arrays<'a> {
    input: ArrayView3<'a, f32>,
    state: Option<StateViews<'a, f32>>,
    output: Array3<f32>,
    h: Array3<f32>,
    c: Array3<f32>,
}

impl<'a> Arrays<'a> {
    /// The results are all zeros at first.
    pub fn new(call: &'a Call<'_, f32>) -> Result<Self, Error> {
        let [h, c] = call.state_shapes();
        let (input, state) = (call.input(), call.state());
        Ok(Self { input, state, output: zeros(call.output_shape())?, h: zeros(h)?, c: zeros(c)? })
    }

    /// The arrays as seen from the program of one part of the batch.
    pub fn of_part<'b>(&'b mut self, packing: &'b Packing, network: &'b Network) -> Part<'b> {
        Part {
            network,
            packing,
            input: self.input.view(),
            state: self.state.as_ref().map(|(h, c)| (h.view(), c.view())),
            output: self.output.view_mut(),
            h: self.h.view_mut(),
            c: self.c.view_mut(),
        }
    }

    pub fn finish(self) -> Results<f32> {
        (self.output, self.h, self.c)
    }
}

/// A buffer to flush numbers in, allocated once for many rows.
type Scratch = [f32; 1024];

/// Puts contiguous numbers; subnormal ones become zeros.
fn put_flushed(numbers: &[f32], scratch: &mut Scratch, put: &mut dyn FnMut(&[f32])) {
    for chunk in numbers.chunks(scratch.len()) {
        let flushed = &mut scratch[..chunk.len()];
        flushed.copy_from_slice(chunk);
        flush_all(flushed);
        put(flushed);
    }
}

/// Puts a row, padded with zeros to `width`: to whole vec4f, or not at all. Subnormal numbers become zeros.
fn put_row(row: ArrayView1<'_, f32>, width: usize, scratch: &mut Scratch, put: &mut dyn FnMut(&[f32])) {
    match row.as_slice() {
        Some(row) => put_flushed(row, scratch, put),
        None => row.iter().for_each(|&x| put(&[flush(x)])),
    }
    put(&[0.0; VEC4][..width - row.len()]);
}

/// Copies a row to the caller's array, without its padding.
fn take_row(mut to: ArrayViewMut1<'_, f32>, from: &[f32]) {
    let from = &from[..to.len()];
    match to.as_slice_mut() {
        Some(to) => to.copy_from_slice(from),
        None => to.iter_mut().zip(from).for_each(|(to, &from)| *to = from),
    }
}

/// One part of the batch: the host's side of a program.
pub(super) struct Part<'a> {
    network: &'a Network,
    packing: &'a Packing,
    input: ArrayView3<'a, f32>,
    state: Option<StateViews<'a, f32>>,
    output: ArrayViewMut3<'a, f32>,
    h: ArrayViewMut3<'a, f32>,
    c: ArrayViewMut3<'a, f32>,
}

impl Host<HostData> for Part<'_> {
    fn upload(&self, tag: &HostData, put: &mut dyn FnMut(&[f32])) {
        match tag {
            HostData::Input { steps } => self.pack_input(steps, put),
            HostData::Hidden { layers, .. } => {
                self.pack_state(self.state.as_ref().map(|(h, _)| h), layers, padded(self.h.dim().2), put);
            }
            HostData::Cell { layers } => {
                self.pack_state(self.state.as_ref().map(|(_, c)| c), layers, self.c.dim().2, put);
            }
            HostData::Output { .. } => {} // only ever read back
        }
    }

    fn download(&mut self, tag: &HostData, data: &[f32]) {
        match tag {
            HostData::Output { steps } => self.unpack_output(steps, data),
            HostData::Hidden { layers, turn } => self.unpack_hidden(layers, *turn, data),
            HostData::Cell { layers } => self.unpack_cell(layers, data),
            HostData::Input { .. } => {} // only ever uploaded
        }
    }
}

impl Part<'_> {
    fn pack_input(&self, steps: &Range<usize>, put: &mut dyn FnMut(&[f32])) {
        let width = padded(self.input.dim().2);
        let mut scratch = [0.0; 1024];
        // Of equal lengths, all sequences are in the caller's order: without padding the rows are the caller's own.
        let whole = self.packing.has_equal_lengths() && self.packing.batch() == self.input.dim().1;
        let block = self.input.slice(s![steps.clone(), .., ..]);
        if let (true, Some(rows)) = (whole && width == self.input.dim().2, block.as_slice()) {
            return put_flushed(rows, &mut scratch, put);
        }
        for (t, b) in self.packing.each_row(steps) {
            put_row(self.input.slice(s![t, b, ..]), width, &mut scratch, put);
        }
    }

    /// [layers, D, B, width]; zeros where no state was given.
    fn pack_state(
        &self,
        state: Option<&ArrayView3<'_, f32>>,
        layers: &Range<usize>,
        width: usize,
        put: &mut dyn FnMut(&[f32]),
    ) {
        let Some(state) = state else { return };
        let mut scratch = [0.0; 1024];
        let directions = self.network.config.num_directions();
        for slot in layers.start * directions..layers.end * directions {
            for (b, _) in self.packing.sequences() {
                put_row(state.slice(s![slot, b, ..]), width, &mut scratch, put);
            }
        }
    }

    fn unpack_output(&mut self, steps: &Range<usize>, data: &[f32]) {
        let output = self.network.config.output_size();
        let rows = data.chunks_exact(self.network.output_row());
        for ((t, b), row) in self.packing.each_row(steps).zip(rows) {
            let mut to = self.output.slice_mut(s![t, b, ..]);
            for (to, from) in to.exact_chunks_mut(output).into_iter().zip(row.chunks(padded(output))) {
                take_row(to, from);
            }
        }
    }

    /// The buffer of turn `turn` holds the last state of the sequences that ended there: forwards a
    /// sequence ends after its own length, backwards all end after the longest. A layer on a diagonal is
    /// one turn behind the layer below.
    fn unpack_hidden(&mut self, layers: &Range<usize>, turn: Option<usize>, data: &[f32]) {
        let steps = self.packing.steps();
        let first = layers.start;
        let ended_here = |layer: usize, d: usize, length: usize| {
            let done = if d == 0 { length } else { steps };
            turn.is_none_or(|turn| (done + layer - first) % 2 == turn)
        };
        let width = padded(self.h.dim().2);
        Self::unpack_state(
            self.packing,
            self.network,
            &mut self.h,
            layers,
            data.chunks_exact(width),
            ended_here,
        );
    }

    fn unpack_cell(&mut self, layers: &Range<usize>, data: &[f32]) {
        let width = self.c.dim().2;
        Self::unpack_state(
            self.packing,
            self.network,
            &mut self.c,
            layers,
            data.chunks_exact(width),
            |_, _, _| true,
        );
    }

    /// Copies those of `rows`, [layers, D, B, width], for which `counts(layer, direction, length)` is true.
    fn unpack_state<'r>(
        packing: &Packing,
        network: &Network,
        state: &mut ArrayViewMut3<'_, f32>,
        layers: &Range<usize>,
        mut rows: impl Iterator<Item = &'r [f32]>,
        counts: impl Fn(usize, usize, usize) -> bool,
    ) {
        let directions = network.config.num_directions();
        for slot in layers.start * directions..layers.end * directions {
            for ((b, length), row) in packing.sequences().zip(&mut rows) {
                if counts(slot / directions, slot % directions, length) {
                    let to = state.slice_mut(s![slot, b, ..]);
                    take_row(to, row);
                }
            }
        }
    }
}
