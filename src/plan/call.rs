//! One call on a network: its blocks of time, its buffers, and the rows of each time step in them.

use std::ops::Range;

use super::blocks::Blocks;
use super::buffers::{BufferOptions, Buffers};
use super::network::Network;
use super::request::Request;
use crate::batch::Packing;
use crate::error::Error;
use crate::program::{BufferRef, Owner};

pub(crate) struct CallPlan<'a> {
    pub network: &'a Network,
    pub packing: &'a Packing,
    pub request: Request<'a>,
    pub blocks: Blocks,
    pub buffers: Buffers,
}

/// What is computed at once: a group of layers over one block of time, in one direction or both.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub group: usize,
    pub directions: Range<usize>,
    pub block: usize,
}

impl<'a> CallPlan<'a> {
    /// `add` adds a buffer of so many f32 to the program, and returns its index.
    pub fn new(
        network: &'a Network,
        request: Request<'a>,
        options: BufferOptions,
        add: impl FnMut(Owner, &str, usize) -> usize,
    ) -> Result<Self, Error> {
        let blocks = Blocks::new(network, &request)?;
        let buffers = Buffers::new(network, &request, &blocks, options, add);
        Ok(Self { network, packing: request.packing, request, blocks, buffers })
    }

    /// The time steps of a span.
    pub fn steps(&self, span: &Span) -> Range<usize> {
        self.blocks.steps[span.block].clone()
    }

    /// The time of a span's step number `n` in either direction. The reverse direction takes the block's steps from
    /// its last to its first.
    pub fn times(&self, span: &Span, n: usize) -> [usize; 2] {
        let steps = self.steps(span);
        [steps.start + n, steps.end - 1 - n]
    }

    /// The times of some of a span's steps in one direction, from the first to the last in time.
    pub fn times_of(&self, span: &Span, steps: &Range<usize>, d: usize) -> Range<usize> {
        let block = self.steps(span);
        match d {
            0 => block.start + steps.start..block.start + steps.end,
            _ => block.end - steps.end..block.end - steps.start,
        }
    }

    /// Steps done before this one: the same for both directions where they share a dispatch.
    pub fn done(&self, span: &Span, times: [usize; 2]) -> usize {
        match span.directions.start {
            0 => times[0],
            _ => self.packing.steps() - 1 - times[1],
        }
    }

    /// The sequences that have a time step, and the row of the first of them in its block.
    pub fn rows_at(&self, span: &Span, t: usize) -> (usize, usize) {
        let (running, row) = self.packing.rows_at(t);
        (running, row - self.blocks.first_rows[span.block])
    }

    /// Index of a row of the output, where each direction's is counted.
    pub fn output_row(&self, row: usize, d: usize) -> usize {
        self.network.layouts.output().index(row, d)
    }

    /// Index of a row of the gates. Directions that run apart use the same rows.
    pub fn gates_row(&self, row: usize, d: usize) -> usize {
        let d = if self.blocks.directions_together { d } else { 0 };
        self.buffers.gate_rows.index(d, row)
    }

    /// Row of the first sequence in the states.
    pub fn state_row(&self, layer: usize, d: usize) -> usize {
        self.network.layouts.hidden(self.request.places()).row(layer, d)
    }

    pub fn input_of(&self, span: &Span) -> BufferRef {
        self.buffers.input_of(span.group, span.block)
    }

    pub fn output_of(&self, span: &Span) -> BufferRef {
        self.buffers.output_of(span.group, span.block)
    }

    /// The step numbers, sorted, at which the set of running sequences changes, or on a diagonal that of running layers,
    /// of which the highest is `behind` steps later than the lowest. Between two of them all dispatches have the same
    /// sizes.
    pub fn changes(&self, span: &Span, behind: usize) -> Vec<usize> {
        let steps = self.steps(span);
        let inside = || self.packing.changes(&steps);
        let of_lowest = || {
            let forward = inside().map(|t| t - steps.start).filter(|_| span.directions.contains(&0));
            let reverse = inside().map(|t| steps.end - t).filter(|_| span.directions.contains(&1));
            [0, steps.len()].into_iter().chain(forward).chain(reverse)
        };
        // As many as are needed: of many sequences of different lengths they take memory.
        let mut changes = Vec::with_capacity((behind + 1) * of_lowest().count());
        (0..=behind).for_each(|late| changes.extend(of_lowest().map(|n| n + late)));
        changes.sort_unstable();
        changes.dedup();
        changes
    }
}
