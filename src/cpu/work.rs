//! A call's work, as all of its threads share it.

use std::sync::atomic::AtomicUsize;

use ndarray::{ArrayView3, s};

use super::CpuEngine;
use super::network::Numbers;
use super::shared::Shared;
use crate::batch::Packing;
use crate::call::{Call, StateViews};
use crate::subnormal::{flush, flush_all};

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
        lens: [usize; 3],
    ) -> Self {
        let config = &engine.config;
        let turns = if config.bidirectional() && config.num_layers() > 1 { 2 } else { 1 };
        let sequences = (0..turns).map(|_| Shared::zeros(lens[0])).collect();
        let (h_n, c_n) = (Shared::zeros(lens[1]), Shared::zeros(lens[2]));
        let (input, state) = (call.input(), call.state());
        let taken = AtomicUsize::new(0);
        Self { engine, input, state, shares, taken, sequences, h_n, c_n }
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

    /// Writes h of a time step, [B, O], to the layer's output.
    pub(super) fn write_step(&self, layer: usize, direction: usize, t: usize, packing: &Packing, h: &[f32]) {
        let config = &self.engine.config;
        let (width, to) = (config.output_size(), self.sequence_of(layer));
        for (&b, row) in packing.order()[..packing.running(t)].iter().zip(h.chunks_exact(width)) {
            to.write(((t * self.batch() + b) * config.num_directions() + direction) * width, row);
        }
    }

    /// h and c before the first step, in the order of the packing.
    pub(super) fn start(&self, slot: usize, packing: &Packing, numbers: &mut Numbers) {
        numbers.h.fill(0.0);
        numbers.c.fill(0.0);
        let Some((h, c)) = &self.state else { return };
        for (array, rows) in [(h, &mut numbers.h), (c, &mut numbers.c)] {
            let width = rows.len() / packing.batch();
            for (&b, row) in packing.order().iter().zip(rows.chunks_exact_mut(width)) {
                row.iter_mut().zip(array.slice(s![slot, b, ..])).for_each(|(to, &from)| *to = flush(from));
            }
        }
    }

    /// Writes h and c to the call's results.
    pub(super) fn finish_layer(&self, slot: usize, packing: &Packing, numbers: &Numbers) {
        let config = &self.engine.config;
        let (output, hidden) = (config.output_size(), config.hidden_size());
        let c_len = numbers.c.len() / packing.batch();
        for (row, &b) in packing.order().iter().enumerate() {
            let slot_row = slot * self.batch() + b;
            self.h_n.write(slot_row * output, &numbers.h[row * output..][..output]);
            self.c_n.write(slot_row * hidden, &numbers.c[row * c_len..][..hidden]);
        }
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
