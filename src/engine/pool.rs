//! Streams on a GPU: their states stay in buffers of the pool, and a tick computes a ragged batch of chunks.
//!
//! A stream has a slot. The states of the streams that the last tick computed are at the places of its batch, all others
//! in the slots. If the next tick has the same streams in the same order, it goes on where they are; else two dispatches
//! at its beginning copy states to the slots and from them.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, s};

use super::company::Company;
use super::sorted::Sorted;
use super::tick::Tick;
use super::ticks::Ticks;
use super::{GpuEngine, Options};
use crate::chunks::Chunks;
use crate::error::Error;
use crate::gpu::{StateBuffers, Wait, Waiting};
use crate::layout::States;
use crate::plan::{Scheduler, check_places};
use crate::program::{State, Turn};
use crate::state::LstmState;

/// The streams of a pool, by their slots.
pub(crate) struct GpuPool {
    engine: Arc<GpuEngine>,
    options: Options,
    states: StateBuffers,
    company: Company,
    sorted: Sorted,
    ticks: Ticks,
}

impl GpuPool {
    pub async fn new(engine: &Arc<GpuEngine>, options: Options, capacity: usize) -> Result<Self, Error> {
        let network = &engine.planner.network;
        check_places(network, options.memory_budget, capacity)?;
        let (layers, layouts) = (network.config.num_layers(), &network.layouts);
        let lens = [layouts.hidden(capacity).len(layers), layouts.cell(capacity).len(layers)];
        let states = engine.gpu.state_buffers(lens[0], lens[1]).await?;
        Ok(Self {
            engine: Arc::clone(engine),
            options,
            states,
            company: Company::new(capacity),
            sorted: Sorted::default(),
            ticks: Ticks::default(),
        })
    }

    /// Sets the state of the stream in a slot to zeros.
    pub fn reset(&mut self, slot: usize) {
        self.company.begin(slot);
    }

    /// Uploads a state, of a batch of one, to a slot.
    pub fn set_state(&mut self, slot: usize, state: &LstmState) -> Result<(), Error> {
        let parts = self.parts_of(slot, |_| None);
        let (arrays, layouts) = ([&state.h, &state.c], self.layouts());
        let mut writes = Vec::with_capacity(parts.len());
        for (part, (buffer, f32s)) in parts.into_iter().enumerate() {
            let (layer, array) = (part / 2, arrays[part % 2]);
            let mut row = Vec::with_capacity(f32s.len());
            let given = array.slice(s![layer, 0, ..]);
            layouts[part % 2].put(given, &mut [0.0; 1024], &mut |numbers| row.extend_from_slice(numbers));
            writes.push((buffer, f32s.start, row));
        }
        self.engine.gpu.write_states(&self.states, &writes)?;
        self.company.is_stored(slot);
        Ok(())
    }

    /// Downloads the state of the stream in a slot.
    pub async fn state(&self, slot: usize, wait: Wait) -> Result<LstmState, Error> {
        let config = &self.engine.planner.network.config;
        let mut state = LstmState::zeros(config, 1);
        if self.company.begins(slot) {
            return Ok(state);
        }
        let parts = self.parts_of(slot, |layer| self.company.place_of(slot, layer));
        let numbers = self.engine.gpu.read_states(&self.states, &parts, wait).await?;
        let (mut rest, layouts) = (&numbers[..], self.layouts());
        for (part, (_, f32s)) in parts.iter().enumerate() {
            let (row, after) = rest.split_at(f32s.len());
            let array = if part % 2 == 0 { &mut state.h } else { &mut state.c };
            layouts[part % 2].take(array.slice_mut(s![part / 2, 0, ..]), row);
            rest = after;
        }
        Ok(state)
    }

    /// Of h and c.
    fn layouts(&self) -> [States; 2] {
        let (layouts, capacity) = (&self.engine.planner.network.layouts, self.company.capacity());
        [layouts.hidden(capacity), layouts.cell(capacity)]
    }

    /// The rows of h and c of each layer, of a stream: at the place and turn that `at` says, else in its slot.
    fn parts_of(
        &self,
        slot: usize,
        at: impl Fn(usize) -> Option<(usize, Turn)>,
    ) -> Vec<(State, Range<usize>)> {
        let [hidden, cell] = self.layouts();
        let rows = |layer| {
            let (place, h, c) = match at(layer) {
                Some((place, turn)) => (place, State::Hidden(turn), State::Cell),
                None => (slot, State::StoredHidden, State::StoredCell),
            };
            let f32s = |stride: usize, row: usize| row * stride..(row + 1) * stride;
            let h = (h, f32s(hidden.stride, hidden.row(layer, 0) + place));
            [h, (c, f32s(cell.stride, cell.row(layer, 0) + place))]
        };
        (0..self.engine.planner.network.config.num_layers()).flat_map(rows).collect()
    }

    /// Computes the next chunk of some streams; `outputs` are (T_i, O). If it fails, or its future is dropped before the work is submitted, no state has moved.
    pub async fn tick(
        &mut self,
        chunks: Chunks<'_>,
        outputs: &mut [Array2<f32>],
        wait: Wait,
    ) -> Result<(), Error> {
        let Self { engine, options, states, company, sorted, ticks } = self;
        sorted.sort(chunks);
        if sorted.packing.batch() == 0 {
            return Ok(());
        }
        ticks.plan(engine, *options, company, sorted)?;
        let mut prepared = ticks.prepare(engine, states).await?;
        let (network, program, admitted) = (&engine.planner.network, ticks.program(), ticks.admitted());
        let request = ticks.request(sorted, *options, company.capacity());
        let turns = (ticks.turns(engine), admitted.buffers().hidden_in_place);
        let mut host = Tick::new(network, program, turns, company, sorted, (chunks, outputs));
        let GpuEngine { gpu, pipelines, .. } = engine.as_ref();
        let wait = &Waiting { wait, holds: None }; // a pool has buffers of its own, for one tick at a time
        if program.is_kept() {
            gpu.run(&mut prepared, program.submissions.iter(), pipelines, &mut host, wait).await?;
        } else {
            let submissions = Scheduler::new(network, request, admitted.clone())?;
            gpu.run(&mut prepared, submissions, pipelines, &mut host, wait).await?;
        }
        ticks.put_back(prepared);
        Ok(())
    }
}
