//! Streams on the CPU: their states stay in arrays of the pool, and a tick computes a ragged batch of chunks.

use std::cmp::Reverse;
use std::sync::Arc;

use ndarray::{Array2, Array3, Axis, s};

use super::CpuEngine;
use super::work::Input;
use crate::chunks::Chunks;
use crate::error::Error;
use crate::host_memory::zeros;
use crate::state::LstmState;
use crate::subnormal::flush;

/// The streams of a pool, by their slots. Its methods have the contract of [`GpuPool`](crate::engine::GpuPool)'s.
pub(crate) struct CpuPool {
    engine: Arc<CpuEngine>,
    /// Of each slot.
    states: LstmState,
    /// Of a push: the chunks by falling length, and the first row of each. Allocated once for many pushes.
    sequences: Vec<(usize, usize)>,
    first_rows: Vec<usize>,
}

impl CpuPool {
    pub fn new(engine: &Arc<CpuEngine>, capacity: usize) -> Result<Self, Error> {
        let [h, c] = LstmState::shapes(&engine.config, capacity);
        let states = LstmState { h: zeros(h)?, c: zeros(c)? };
        Ok(Self { engine: Arc::clone(engine), states, sequences: Vec::new(), first_rows: Vec::new() })
    }

    /// Sets the state of the stream in a slot to zeros.
    pub fn reset(&mut self, slot: usize) {
        let LstmState { h, c } = &mut self.states;
        [h, c].into_iter().for_each(|array| array.index_axis_mut(Axis(1), slot).fill(0.0));
    }

    /// Sets it to a state of a batch of one.
    pub fn set_state(&mut self, slot: usize, state: &LstmState) {
        let LstmState { h, c } = &mut self.states;
        for (array, from) in [(h, &state.h), (c, &state.c)] {
            let from = from.index_axis(Axis(1), 0);
            array.index_axis_mut(Axis(1), slot).zip_mut_with(&from, |to, &from| *to = flush(from));
        }
    }

    /// That of a batch of one.
    pub fn state(&self, slot: usize) -> Result<LstmState, Error> {
        let of = |array: &Array3<f32>| {
            let part = array.slice(s![.., slot..=slot, ..]);
            let mut state = zeros(part.dim().into())?;
            state.assign(&part);
            Ok::<_, Error>(state)
        };
        Ok(LstmState { h: of(&self.states.h)?, c: of(&self.states.c)? })
    }

    /// As [`GpuPool::tick`](crate::engine::GpuPool::tick).
    pub fn tick(&mut self, chunks: Chunks<'_>, outputs: &mut [Array2<f32>]) -> Result<(), Error> {
        let Self { engine, states, sequences, first_rows } = self;
        let config = &engine.config;
        let (mut rows, layers, batch) = (0, config.num_layers(), chunks.len());
        first_rows.clear();
        first_rows.extend(chunks.iter().map(|(_, chunk)| {
            rows += chunk.nrows();
            rows - chunk.nrows()
        }));
        sequences.clear();
        sequences
            .extend(chunks.iter().map(|(_, chunk)| chunk.nrows()).enumerate().filter(|&(_, len)| len > 0));
        sequences.sort_by_key(|&(_, length)| Reverse(length));
        if sequences.is_empty() {
            return Ok(());
        }
        let (output, hidden) = (config.output_size(), config.hidden_size());
        let lens = [rows * output, layers * batch * output, layers * batch * hidden];
        let state = Some((states.h.view(), states.c.view()));
        let input = Input::Chunks(chunks, first_rows);
        let [y, h, c] = engine.run(input, state, (sequences, rows), lens)?;
        for &(k, _) in sequences.iter() {
            let to = outputs[k].as_slice_mut().expect("it was allocated in this order");
            y.read_to(first_rows[k] * output, to);
            for (array, last, width) in [(&mut states.h, &h, output), (&mut states.c, &c, hidden)] {
                for layer in 0..layers {
                    let mut to = array.slice_mut(s![layer, chunks[k].0.slot, ..]);
                    let to = to.as_slice_mut().expect("it was allocated in this order");
                    last.read_to((layer * batch + k) * width, to);
                }
            }
        }
        Ok(())
    }
}
