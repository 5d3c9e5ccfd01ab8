//! The input's part of the gates, a block of time at a time.

use std::ops::Range;

use super::ahead::{Ahead, Job, Projection, SLOTS};
use super::work::Work;
use crate::batch::Packing;

/// Rows of the input that are multiplied at once: enough to pay for reading the weights from memory, and few enough
/// that the rows stay in the L2 cache.
pub(super) const ROWS_AT_ONCE: usize = 48;

/// Time steps of a block.
fn block_steps(rows: usize, packing: &Packing) -> usize {
    (rows / packing.batch()).clamp(1, packing.steps())
}

/// Computes the input's part of the gates of a share in one direction.
pub(super) struct Projector<'w, 'c> {
    work: &'w Work<'c>,
    packing: &'w Packing,
    direction: usize,
    projection: Projection,
    /// The rows of x that a product reads.
    rows: Vec<f32>,
    /// The next block to offer to the helper, and buffers for it.
    next: usize,
    spare: Job,
}

impl<'w, 'c> Projector<'w, 'c> {
    pub(super) fn new(work: &'w Work<'c>, packing: &'w Packing, direction: usize) -> Self {
        let engine = work.engine;
        let widest =
            (0..engine.config.num_layers().min(2)).map(|layer| engine.config.layer_input_size(layer)).max();
        let rows = ROWS_AT_ONCE.min(block_steps(work.block_rows, packing) * packing.batch());
        let rows = Vec::with_capacity(rows * widest.unwrap_or(0));
        Self {
            work,
            packing,
            direction,
            projection: engine.projection(),
            rows,
            next: 1,
            spare: Job::default(),
        }
    }

    /// f32 in a row of gates.
    pub(super) fn gates_len(&self) -> usize {
        self.projection.gates_len
    }

    /// Time steps of a block.
    fn block_steps(&self) -> usize {
        block_steps(self.work.block_rows, self.packing)
    }

    /// Blocks of a layer.
    pub(super) fn blocks(&self) -> usize {
        self.packing.steps().div_ceil(self.block_steps())
    }

    pub(super) fn times_of_block(&self, block: usize) -> Range<usize> {
        let start = block * self.block_steps();
        self.times(start..self.packing.steps().min(start + self.block_steps()))
    }

    /// The times of some steps: the reverse direction goes from the last time to the first.
    fn times(&self, steps: Range<usize>) -> Range<usize> {
        let all = self.packing.steps();
        if self.direction == 0 { steps } else { all - steps.end..all - steps.start }
    }

    /// gates = bias + W_ih·x for the running rows of a block, in the order of time. The helper may have computed them.
    pub(super) fn project(&mut self, layer: usize, block: usize, gates: &mut Vec<f32>) {
        let number = layer * self.blocks() + block;
        if let Some(ahead) = &self.work.ahead {
            let mut job = ahead.take(number).unwrap_or_default();
            let is_done = job.is_done;
            if is_done {
                std::mem::swap(gates, &mut job.gates);
            }
            self.spare = job;
            self.offer(ahead, number);
            if is_done {
                return;
            }
        }
        let engine = self.work.engine;
        let depth = engine.config.layer_input_size(layer);
        gates.resize(self.block_steps() * self.packing.batch() * self.projection.gates_len, 0.0);
        let mut gates = &mut gates[..];
        let times = self.times_of_block(block);
        let mut rows = self.packing.each_row(&times).peekable();
        while rows.peek().is_some() {
            self.work.read_rows(layer, rows.by_ref().take(ROWS_AT_ONCE), &mut self.rows);
            let len = self.rows.len() / depth * self.projection.gates_len;
            let (these, others) = gates.split_at_mut(len);
            gates = others;
            self.projection.compute(engine.slot(layer, self.direction), depth, &self.rows, these);
        }
    }

    /// Offers the blocks after `number` whose x is known: in a layer above the first, what the walker has passed.
    fn offer(&mut self, ahead: &Ahead, number: usize) {
        let (config, blocks) = (&self.work.engine.config, self.blocks());
        let end = (number + SLOTS + 1).min(number + blocks).min(config.num_layers() * blocks);
        for next in self.next.max(number + 1)..end {
            let (layer, mut job) = (next / blocks, std::mem::take(&mut self.spare));
            let times = self.times_of_block(next % blocks);
            job.depth = config.layer_input_size(layer);
            job.rows.clear();
            job.rows.reserve(self.packing.rows(&times) * job.depth);
            self.work.read_rows(layer, self.packing.each_row(&times), &mut job.rows);
            job.slot = self.work.engine.slot(layer, self.direction);
            job.is_done = false;
            ahead.offer(next, job);
        }
        self.next = self.next.max(end);
    }
}
