//! Streams on the CPU: their states stay in arrays of the pool, and a tick computes a ragged batch of chunks.

use std::sync::Arc;

use ndarray::{Array2, Array3, Axis, s};

use super::CpuEngine;
use crate::call::Call;
use crate::chunks::Chunks;
use crate::error::Error;
use crate::host_memory::zeros;
use crate::state::LstmState;

/// The streams of a pool, by their slots. Its methods have the contract of [`GpuPool`](crate::engine::GpuPool)'s.
pub(crate) struct CpuPool {
    engine: Arc<CpuEngine>,
    /// Of each slot.
    states: LstmState,
}

impl CpuPool {
    pub fn new(engine: &Arc<CpuEngine>, capacity: usize) -> Result<Self, Error> {
        let [h, c] = LstmState::shapes(&engine.config, capacity);
        Ok(Self { engine: Arc::clone(engine), states: LstmState { h: zeros(h)?, c: zeros(c)? } })
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
            array.index_axis_mut(Axis(1), slot).assign(&from.index_axis(Axis(1), 0));
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
        let config = &self.engine.config;
        let some: Vec<usize> = (0..chunks.len()).filter(|&k| chunks[k].1.nrows() > 0).collect();
        let lengths: Vec<usize> = some.iter().map(|&k| chunks[k].1.nrows()).collect();
        let Some(&steps) = lengths.iter().max() else { return Ok(()) };
        let slots: Vec<usize> = some.iter().map(|&k| chunks[k].0.slot).collect();
        let mut input = zeros([steps, some.len(), config.input_size()])?;
        for (b, &k) in some.iter().enumerate() {
            input.slice_mut(s![..lengths[b], b, ..]).assign(&chunks[k].1);
        }
        let state = [&self.states.h, &self.states.c].map(|array| array.select(Axis(1), &slots));
        let state = Some((state[0].view(), state[1].view()));
        let call = Call::new(config, input.view(), Some(&lengths), state)?;
        let (output, h, c) = self.engine.forward(&call)?;
        for (b, &k) in some.iter().enumerate() {
            outputs[k].assign(&output.slice(s![..lengths[b], b, ..]));
        }
        for (array, from) in [(&mut self.states.h, h), (&mut self.states.c, c)] {
            for (b, &slot) in slots.iter().enumerate() {
                array.index_axis_mut(Axis(1), slot).assign(&from.index_axis(Axis(1), b));
            }
        }
        Ok(())
    }
}
