//! Between the caller's arrays and the packed rows on the device.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, ArrayViewMut3, s};

use crate::config::LstmConfig;
use crate::error::Error;
use crate::plan::{HostData, Network, Packing};
use crate::spec::{Host, padded};
use crate::state::LstmState;

/// The arrays of one call.
pub(super) struct Call<'a> {
    input: ArrayView3<'a, f32>,
    state: Option<&'a LstmState>,
    output: Array3<f32>,
    h: Array3<f32>,
    c: Array3<f32>,
}

impl<'a> Call<'a> {
    /// `input` is (T, B, I); the results are all zeros at first.
    pub fn new(
        config: &LstmConfig,
        input: ArrayView3<'a, f32>,
        state: Option<&'a LstmState>,
    ) -> Result<Self, Error> {
        let (steps, batch, _) = input.dim();
        let [h, c] = LstmState::shapes(config, batch);
        let width = config.num_directions() * config.output_size();
        Ok(Self { input, state, output: zeros([steps, batch, width])?, h: zeros(h)?, c: zeros(c)? })
    }

    /// The arrays as seen from the program of one part of the batch.
    pub fn of_part<'b>(&'b mut self, packing: &'b Packing, network: &'b Network) -> Part<'b> {
        Part {
            network,
            packing,
            input: self.input.view(),
            state: self.state,
            output: self.output.view_mut(),
            h: self.h.view_mut(),
            c: self.c.view_mut(),
        }
    }

    pub fn finish(self) -> (Array3<f32>, LstmState) {
        let state = LstmState { h: self.h, c: self.c };
        (self.output, state)
    }
}

fn zeros(shape: [usize; 3]) -> Result<Array3<f32>, Error> {
    let too_large = |reason: String| Error::OutOfMemory { reason };
    let mut data = Vec::new();
    let len = shape.iter().product(); // checked not to overflow before any array is made
    data.try_reserve_exact(len).map_err(|error| too_large(format!("the host: {error}")))?;
    data.resize(len, 0.0);
    Array3::from_shape_vec(shape, data).map_err(|error| too_large(error.to_string()))
}

/// One part of the batch: the host's side of a program.
pub(super) struct Part<'a> {
    network: &'a Network,
    packing: &'a Packing,
    input: ArrayView3<'a, f32>,
    state: Option<&'a LstmState>,
    output: ArrayViewMut3<'a, f32>,
    h: ArrayViewMut3<'a, f32>,
    c: ArrayViewMut3<'a, f32>,
}

impl Host<HostData> for Part<'_> {
    fn upload(&self, tag: &HostData, len: usize) -> Vec<f32> {
        let mut data = Vec::with_capacity(len);
        match tag {
            HostData::Input { steps } => self.pack_input(steps, &mut data),
            HostData::Hidden { layer, .. } => {
                self.pack_state(self.state.map(|state| &state.h), *layer, padded(self.h.dim().2), &mut data);
            }
            HostData::Cell { layer } => {
                self.pack_state(self.state.map(|state| &state.c), *layer, self.c.dim().2, &mut data);
            }
            HostData::Output { .. } => {} // only ever read back
        }
        data.resize(len, 0.0);
        data
    }

    fn download(&mut self, tag: &HostData, data: &[f32]) {
        match tag {
            HostData::Output { steps } => self.unpack_output(steps, data),
            HostData::Hidden { layer, turn } => self.unpack_hidden(*layer, *turn, data),
            HostData::Cell { layer } => self.unpack_cell(*layer, data),
            HostData::Input { .. } => {} // only ever uploaded
        }
    }
}

impl Part<'_> {
    /// The caller's index, length and step of every row of some time steps, in packed order.
    fn rows(packing: &Packing, steps: &Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        let order: Vec<usize> = packing.sequences().map(|(b, _)| b).collect();
        let running: Vec<usize> = steps.clone().map(|t| packing.running(t)).collect();
        steps
            .clone()
            .zip(running)
            .flat_map(move |(t, running)| order[..running].iter().map(move |&b| (t, b)).collect::<Vec<_>>())
    }

    fn pack_input(&self, steps: &Range<usize>, data: &mut Vec<f32>) {
        let width = padded(self.input.dim().2);
        let mut end = 0;
        for (t, b) in Self::rows(self.packing, steps) {
            let row = self.input.slice(s![t, b, ..]);
            match row.as_slice() {
                Some(row) => data.extend_from_slice(row),
                None => data.extend(row.iter()),
            }
            end += width;
            data.resize(end, 0.0);
        }
    }

    /// [D, B, width]; zeros where no state was given.
    fn pack_state(&self, state: Option<&Array3<f32>>, layer: usize, width: usize, data: &mut Vec<f32>) {
        let Some(state) = state else { return };
        let directions = self.network.config.num_directions();
        let mut end = 0;
        for d in 0..directions {
            for (b, _) in self.packing.sequences() {
                data.extend(state.slice(s![layer * directions + d, b, ..]).iter());
                end += width;
                data.resize(end, 0.0);
            }
        }
    }

    fn unpack_output(&mut self, steps: &Range<usize>, data: &[f32]) {
        let output = self.network.config.output_size();
        let rows = data.chunks_exact(self.network.output_row());
        for ((t, b), row) in Self::rows(self.packing, steps).zip(rows) {
            let mut to = self.output.slice_mut(s![t, b, ..]);
            for (to, from) in to.exact_chunks_mut(output).into_iter().zip(row.chunks(padded(output))) {
                to.into_iter().zip(from).for_each(|(to, &from)| *to = from);
            }
        }
    }

    /// The buffer of turn `turn` holds the last state of the sequences that ended there: forwards a
    /// sequence ends after its own length, backwards all end after the longest.
    fn unpack_hidden(&mut self, layer: usize, turn: usize, data: &[f32]) {
        let directions = self.network.config.num_directions();
        let steps = self.packing.steps();
        let mut rows = data.chunks_exact(padded(self.h.dim().2));
        for d in 0..directions {
            for ((b, length), row) in self.packing.sequences().zip(&mut rows) {
                let done = if d == 0 { length } else { steps };
                if done % 2 == turn {
                    let to = self.h.slice_mut(s![layer * directions + d, b, ..]);
                    to.into_iter().zip(row).for_each(|(to, &from)| *to = from);
                }
            }
        }
    }

    fn unpack_cell(&mut self, layer: usize, data: &[f32]) {
        let directions = self.network.config.num_directions();
        let mut rows = data.chunks_exact(self.c.dim().2);
        for d in 0..directions {
            for ((b, _), row) in self.packing.sequences().zip(&mut rows) {
                let to = self.c.slice_mut(s![layer * directions + d, b, ..]);
                to.into_iter().zip(row).for_each(|(to, &from)| *to = from);
            }
        }
    }
}
