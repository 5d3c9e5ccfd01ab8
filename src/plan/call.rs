//! One call on a network: its blocks of time, its buffers, and the rows of each time step in them.

use std::ops::Range;

use super::blocks::Blocks;
use super::buffers::{Buffers, Layout};
use super::network::Network;
use crate::batch::Packing;
use crate::error::Error;
use crate::program::{BufferRef, Owner};

pub(crate) struct CallPlan<'a> {
    pub network: &'a Network,
    pub packing: &'a Packing,
    pub blocks: Blocks,
    pub buffers: Buffers,
}

/// What is computed at once: a group of layers over one block of time, in some directions.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub group: usize,
    pub directions: Range<usize>,
    pub block: usize,
}

impl<'a> CallPlan<'a> {
    /// `add` adds a buffer of so many f32 to the program, and returns its index.
    pub fn new(
        network: &'a Network,
        packing: &'a Packing,
        budget: u64,
        layout: Layout,
        add: impl FnMut(Owner, &str, usize) -> usize,
    ) -> Result<Self, Error> {
        let blocks = Blocks::new(network, packing, budget)?;
        let buffers = Buffers::new(network, packing, &blocks, layout, add);
        Ok(Self { network, packing, blocks, buffers })
    }

    /// The time steps of a part.
    pub fn steps(&self, part: &Part) -> Range<usize> {
        self.blocks.steps[part.block].clone()
    }

    /// The time of a part's step number `n` in either direction. The reverse direction takes the block's steps from
    /// its last to its first.
    pub fn times(&self, part: &Part, n: usize) -> [usize; 2] {
        let steps = self.steps(part);
        [steps.start + n, steps.end - 1 - n]
    }

    /// Steps done before this one: the same for both directions where they share a dispatch.
    pub fn done(&self, part: &Part, times: [usize; 2]) -> usize {
        match part.directions.start {
            0 => times[0],
            _ => self.packing.steps() - 1 - times[1],
        }
    }

    /// Row of a time step in its block.
    pub fn row(&self, block: usize, t: usize) -> usize {
        self.packing.rows(&(self.blocks.steps[block].start..t))
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

    /// Row of the first sequence in the states of a group, of layer `k` of it (0 the lowest).
    pub fn state_row(&self, k: usize, d: usize) -> usize {
        self.network.layouts.hidden(self.packing.batch()).row(k, d)
    }

    pub fn input_of(&self, part: &Part) -> BufferRef {
        self.buffers.input_of(part.group, part.block)
    }

    pub fn output_of(&self, part: &Part) -> BufferRef {
        self.buffers.output_of(part.group, part.block)
    }

    /// Where a part's dispatches, one a step, change: the steps from one of these numbers to the next have the same
    /// sequences, in every direction. With several layers, each `behind` the lower, also from where one begins or ends.
    pub fn changes(&self, part: &Part, behind: usize) -> Vec<usize> {
        let steps = self.steps(part);
        let inside = || self.packing.changes().filter(|&t| steps.start < t && t < steps.end);
        let of_lowest = || {
            let forward = inside().map(|t| t - steps.start).filter(|_| part.directions.contains(&0));
            let reverse = inside().map(|t| steps.end - t).filter(|_| part.directions.contains(&1));
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
