//! A call's work, as all of its threads share it.

use std::sync::atomic::AtomicUsize;

use ndarray::{ArrayView3, ArrayViewMut1, s};

use super::CpuEngine;
use super::network::Numbers;
use super::shared::Shared;
use crate::batch::Packing;
use crate::call::StateViews;
use crate::chunks::Chunks;
use crate::subnormal::{flush, flush_all};

/// Rows of a block of time, if the batch has fewer: its gates stay in the L2 cache.
pub(super) const BLOCK_ROWS: usize = 96;

/// The input, which says where the rows of a sequence are in everything that layers read and write.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// (T, B, I): row t·B + b.
    Array(ArrayView3<'a, f32>),
    /// The chunks of a push, each with its first row: those of a sequence follow each other. Its state is in its slot.
    Chunks(Chunks<'a>, &'a [usize]),
}

impl Input<'_> {
    /// B.
    fn batch(&self) -> usize {
        match self {
            Self::Array(input) => input.dim().1,
            Self::Chunks(chunks, _) => chunks.len(),
        }
    }

    /// The row of time step `t` of sequence `b`.
    fn row(&self, t: usize, b: usize) -> usize {
        match self {
            Self::Array(input) => t * input.dim().1 + b,
            Self::Chunks(_, first_rows) => first_rows[b] + t,
        }
    }

    /// Where a sequence is in the state that is given.
    fn place(&self, b: usize) -> usize {
        match self {
            Self::Array(_) => b,
            Self::Chunks(chunks, _) => chunks[b].0.slot,
        }
    }

    /// Appends a row of the input.
    fn read(&self, t: usize, b: usize, to: &mut Vec<f32>) {
        match self {
            Self::Array(input) => match input.as_slice() {
                Some(all) => {
                    let width = input.dim().2;
                    to.extend_from_slice(&all[(t * input.dim().1 + b) * width..][..width]);
                }
                None => to.extend(input.slice(s![t, b, ..])),
            },
            Self::Chunks(chunks, _) => match chunks[b].1.row(t).as_slice() {
                Some(row) => to.extend_from_slice(row),
                None => to.extend(chunks[b].1.row(t)),
            },
        }
    }
}

pub(super) struct Work<'a> {
    pub(super) engine: &'a CpuEngine,
    input: Input<'a>,
    /// h and c before the first step.
    state: Option<StateViews<'a, f32>>,
    /// The batch, dealt into shares; in two directions one thread computes a share in one direction.
    pub(super) shares: Vec<Packing>,
    /// In one direction, how many of the shares threads have taken.
    pub(super) taken: AtomicUsize,
    /// (rows, D·O): what a layer reads and writes. One direction reads a block of time before it
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
        (input, state): (Input<'a>, Option<StateViews<'a, f32>>),
        shares: Vec<Packing>,
        lens: [usize; 3],
    ) -> Self {
        let config = &engine.config;
        let turns = if config.bidirectional() && config.num_layers() > 1 { 2 } else { 1 };
        let sequences = (0..turns).map(|_| Shared::zeros(lens[0])).collect();
        let (h_n, c_n) = (Shared::zeros(lens[1]), Shared::zeros(lens[2]));
        let taken = AtomicUsize::new(0);
        Self { engine, input, state, shares, taken, sequences, h_n, c_n }
    }

    /// The output, h_n and c_n.
    pub(super) fn finish(mut self) -> [Shared; 3] {
        [self.sequences.swap_remove(0), self.h_n, self.c_n]
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
            to.write((self.input.row(t, b) * config.num_directions() + direction) * width, row);
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
                let from = array.slice(s![slot, self.input.place(b), ..]);
                let mut row = ArrayViewMut1::from(&mut row[..from.len()]);
                row.zip_mut_with(&from, |to, &from| *to = flush(from));
            }
        }
    }

    /// Writes h and c to the call's results.
    pub(super) fn finish_layer(&self, slot: usize, packing: &Packing, numbers: &Numbers) {
        let config = &self.engine.config;
        let (output, hidden) = (config.output_size(), config.hidden_size());
        let c_len = numbers.c.len() / packing.batch();
        for (row, &b) in packing.order().iter().enumerate() {
            let slot_row = slot * self.input.batch() + b;
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
        if layer == 0 {
            return self.input.read(t, b, to);
        }
        let width = self.engine.config.layer_input_size(layer);
        self.sequence_of(layer - 1).read(self.input.row(t, b) * width, width, to);
    }
}
