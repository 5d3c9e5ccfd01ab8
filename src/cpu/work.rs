//! A call's work, as all of its threads share it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use ndarray::{ArrayView3, s};

use super::CpuEngine;
use super::ahead::{Ahead, BLOCK_ROWS_AHEAD};
use super::shared::Shared;
use crate::batch::Packing;
use crate::call::{Call, StateViews};
use crate::subnormal::flush_all;

/// Rows of a block of time, if the batch has fewer: its gates stay in the L2 cache.
pub(super) const BLOCK_ROWS: usize = 96;

pub(super) struct Work<'a> {
    pub(super) engine: &'a CpuEngine,
    pub(super) input: ArrayView3<'a, f32>,
    /// h and c before the first step.
    pub(super) state: Option<StateViews<'a, f32>>,
    /// The batch, dealt into shares; in two directions one thread computes a share in one direction.
    pub(super) shares: Vec<Packing>,
    /// In one direction, how many of the shares threads have taken.
    pub(super) taken: AtomicUsize,
    /// Where a second thread may help the only walker.
    pub(super) ahead: Option<Arc<Ahead>>,
    /// Time steps times sequences of a block.
    pub(super) block_rows: usize,
    /// (T, B, D·O): what a layer reads and writes. One direction reads a block of time before it
    /// writes it, so that one is enough; two directions need two, which take turns.
    sequences: Vec<Shared>,
    /// (L·D, B, O).
    pub(super) h_n: Shared,
    /// (L·D, B, H).
    pub(super) c_n: Shared,
}

impl<'a> Work<'a> {
    /// `lens` are those of the output, h_n and c_n.
    pub(super) fn new(
        engine: &'a CpuEngine,
        call: &'a Call<'_, f32>,
        shares: Vec<Packing>,
        ahead: Option<Arc<Ahead>>,
        lens: [usize; 3],
    ) -> Self {
        let config = &engine.config;
        let block_rows = if ahead.is_some() { BLOCK_ROWS_AHEAD } else { BLOCK_ROWS };
        let turns = if config.bidirectional() && config.num_layers() > 1 { 2 } else { 1 };
        let sequences = (0..turns).map(|_| Shared::zeros(lens[0])).collect();
        let (h_n, c_n) = (Shared::zeros(lens[1]), Shared::zeros(lens[2]));
        let (input, state) = (call.input(), call.state());
        let taken = AtomicUsize::new(0);
        Self { engine, input, state, shares, taken, ahead, block_rows, sequences, h_n, c_n }
    }

    /// The output, h_n and c_n.
    pub(super) fn finish(mut self) -> [Shared; 3] {
        [self.sequences.swap_remove(0), self.h_n, self.c_n]
    }

    /// B.
    pub(super) fn batch(&self) -> usize {
        self.input.dim().1
    }

    /// The output of `layer`: the layer above reads it, and the last one's is the call's output.
    pub(super) fn sequence_of(&self, layer: usize) -> &Shared {
        &self.sequences[(self.engine.config.num_layers() - 1 - layer) % self.sequences.len()]
    }

    /// The input of `layer` in some rows, each a time and a sequence.
    pub(super) fn read_rows(
        &self,
        layer: usize,
        rows: impl Iterator<Item = (usize, usize)>,
        to: &mut Vec<f32>,
    ) {
        to.clear();
        for (t, b) in rows {
            self.read_row(layer, t, b, to);
        }
        if layer == 0 {
            flush_all(to);
        }
    }

    /// Appends the input of `layer` at time `t` in sequence `b`.
    fn read_row(&self, layer: usize, t: usize, b: usize, to: &mut Vec<f32>) {
        if layer > 0 {
            let width = self.engine.config.layer_input_size(layer);
            return self.sequence_of(layer - 1).read((t * self.batch() + b) * width, width, to);
        }
        if let Some(all) = self.input.as_slice() {
            let width = self.input.dim().2;
            return to.extend_from_slice(&all[(t * self.batch() + b) * width..][..width]);
        }
        to.extend(self.input.slice(s![t, b, ..]));
    }
}
