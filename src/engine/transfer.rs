//! Between the caller's arrays and the rows on the device.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, ArrayViewMut3, s};

use crate::batch::Packing;
use crate::call::{Call, Results, StateViews};
use crate::error::Error;
use crate::host_memory::zeros;
use crate::layout::{Rows, States, put_flushed};
use crate::plan::Network;
use crate::program::{Contents, Held, Host};

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
    pub fn of_part<'b>(&'b mut self, packing: &'b Packing, network: &'b Network) -> BatchPart<'b> {
        BatchPart {
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

/// One part of the batch: the host's side of a program.
pub(super) struct BatchPart<'a> {
    network: &'a Network,
    packing: &'a Packing,
    input: ArrayView3<'a, f32>,
    state: Option<StateViews<'a, f32>>,
    output: ArrayViewMut3<'a, f32>,
    h: ArrayViewMut3<'a, f32>,
    c: ArrayViewMut3<'a, f32>,
}

impl Host for BatchPart<'_> {
    fn upload(&self, contents: &Contents, put: &mut dyn FnMut(&[f32])) {
        let (h, c) = self.state.as_ref().map(|(h, c)| (h.view(), c.view())).unzip();
        match contents {
            Contents::Input { steps } => self.put_input(steps, put),
            Contents::Hidden { .. } => self.put_state(h, self.layouts().0, put),
            Contents::Cell => self.put_state(c, self.layouts().1, put),
            // Only ever downloaded, and those of a pool.
            Contents::Output { .. } | Contents::Entries => {}
        }
    }

    fn download(&mut self, contents: &Contents, data: &[f32]) {
        match contents {
            Contents::Output { steps } => self.take_output(steps, data),
            Contents::Hidden { held } => self.take_hidden(*held, data),
            Contents::Cell => {
                let layout = self.layouts().1;
                take_state(self.packing, layout, &mut self.c, data, |_, _, _| true);
            }
            Contents::Input { .. } | Contents::Entries => {} // only ever uploaded
        }
    }
}

impl BatchPart<'_> {
    /// Of h and c.
    fn layouts(&self) -> (States, States) {
        let (layouts, batch) = (&self.network.layouts, self.packing.batch());
        (layouts.hidden(batch), layouts.cell(batch))
    }

    /// Whether the rows on the device have the layout of the caller's array: all sequences are in the caller's order, as
    /// they are of equal lengths, and no row is padded.
    fn has_rows_of(&self, layout: &Rows) -> bool {
        let whole = self.packing.has_equal_lengths() && self.packing.batch() == self.input.dim().1;
        whole && layout.stride() == layout.directions * layout.width
    }

    fn put_input(&self, steps: &Range<usize>, put: &mut dyn FnMut(&[f32])) {
        let layout = self.network.layouts.input(0);
        let mut scratch = [0.0; 1024];
        let block = self.input.slice(s![steps.clone(), .., ..]);
        if let (true, Some(rows)) = (self.has_rows_of(&layout), block.as_slice()) {
            return put_flushed(rows, &mut scratch, put);
        }
        for (t, b) in self.packing.each_row(steps) {
            layout.put(self.input.slice(s![t, b, ..]), &mut scratch, put);
        }
    }

    /// Zeros where no state was given.
    fn put_state(&self, state: Option<ArrayView3<'_, f32>>, layout: States, put: &mut dyn FnMut(&[f32])) {
        let Some(state) = state else { return };
        let mut scratch = [0.0; 1024];
        for slot in state.outer_iter() {
            for (b, _) in self.packing.sequences() {
                layout.put(slot.slice(s![b, ..]), &mut scratch, put);
            }
        }
    }

    fn take_output(&mut self, steps: &Range<usize>, data: &[f32]) {
        let layout = self.network.layouts.output();
        let whole = self.has_rows_of(&layout);
        let mut block = self.output.slice_mut(s![steps.clone(), .., ..]);
        if let (true, Some(rows)) = (whole, block.as_slice_mut()) {
            return rows.copy_from_slice(&data[..rows.len()]);
        }
        for ((t, b), row) in self.packing.each_row(steps).zip(data.chunks_exact(layout.stride())) {
            layout.take(self.output.slice_mut(s![t, b, ..]), row);
        }
    }

    /// Of two buffers that take turns, each has the last state of the sequences that ended at its turn: forwards a
    /// sequence ends after its own length, backwards all end after the longest. A layer on a diagonal is one turn
    /// behind the layer below.
    fn take_hidden(&mut self, held: Held, data: &[f32]) {
        let steps = self.packing.steps();
        let ended_here = |layer: usize, d: usize, length: usize| match held {
            Held::All => true,
            Held::At { turn, turns } => turns.of(layer, if d == 0 { length } else { steps }) == turn,
        };
        let layout = self.layouts().0;
        take_state(self.packing, layout, &mut self.h, data, ended_here);
    }
}

/// Copies the rows for which `counts(layer, direction, length)` is true.
fn take_state(
    packing: &Packing,
    layout: States,
    state: &mut ArrayViewMut3<'_, f32>,
    data: &[f32],
    counts: impl Fn(usize, usize, usize) -> bool,
) {
    let mut rows = data.chunks_exact(layout.stride);
    for (slot, mut state) in state.outer_iter_mut().enumerate() {
        let (layer, d) = (slot / layout.directions, slot % layout.directions);
        for ((b, length), row) in packing.sequences().zip(&mut rows) {
            if counts(layer, d, length) {
                layout.take(state.slice_mut(s![b, ..]), row);
            }
        }
    }
}
