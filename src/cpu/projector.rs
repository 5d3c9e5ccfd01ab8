//! The input's part of the gates, a block of time at a time.

use std::ops::Range;

use super::work::{BLOCK_ROWS, Work};
use crate::batch::Packing;

/// Rows of the input that are multiplied at once: enough to pay for reading the weights from memory, and few enough
/// that the rows stay in the L2 cache.
pub(super) const ROWS_AT_ONCE: usize = 48;

/// Computes the input's part of the gates of a share in one direction.
pub(super) struct Projector<'w, 'c> {
    work: &'w Work<'c>,
    packing: &'w Packing,
    direction: usize,
    /// The rows of x that a product reads.
    rows: Vec<f32>,
}

impl<'w, 'c> Projector<'w, 'c> {
    pub(super) fn new(work: &'w Work<'c>, packing: &'w Packing, direction: usize) -> Self {
        let config = &work.engine.config;
        let widest = (0..config.num_layers().min(2)).map(|layer| config.layer_input_size(layer)).max();
        let mut projector = Self { work, packing, direction, rows: Vec::new() };
        let rows = ROWS_AT_ONCE.min(projector.block_steps() * packing.batch());
        projector.rows.reserve_exact(rows * widest.unwrap_or(0));
        projector
    }

    /// Time steps of a block.
    fn block_steps(&self) -> usize {
        (BLOCK_ROWS / self.packing.batch()).clamp(1, self.packing.steps())
    }

    /// Blocks of a layer.
    pub(super) fn blocks(&self) -> usize {
        self.packing.steps().div_ceil(self.block_steps())
    }

    pub(super) fn times_of_block(&self, block: usize) -> Range<usize> {
        let start = block * self.block_steps();
        let steps = start..self.packing.steps().min(start + self.block_steps());
        // The reverse direction goes from the last time to the first.
        let all = self.packing.steps();
        if self.direction == 0 { steps } else { all - steps.end..all - steps.start }
    }

    /// gates = bias + W_ih·x for the running rows of a block, in the order of time.
    pub(super) fn project(&mut self, layer: usize, block: usize, gates: &mut Vec<f32>) {
        let engine = self.work.engine;
        let (network, slot) = (&engine.network, engine.slot(layer, self.direction));
        let depth = engine.config.layer_input_size(layer);
        gates.resize(self.block_steps() * self.packing.batch() * network.gates_len(), 0.0);
        let mut gates = &mut gates[..];
        let times = self.times_of_block(block);
        let mut rows = self.packing.each_row(&times).peekable();
        while rows.peek().is_some() {
            self.work.read_rows(layer, rows.by_ref().take(ROWS_AT_ONCE), &mut self.rows);
            let (these, others) = gates.split_at_mut(self.rows.len() / depth * network.gates_len());
            gates = others;
            network.project(slot, 0..network.panels(), depth, &self.rows, these);
        }
    }
}
