//! The loops over layers and time that each thread runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{ArrayView3, s};

use super::CpuEngine;
use super::ahead::{Ahead, BLOCK_ROWS_AHEAD};
use super::ends::{Cells, Outputs};
use super::panels::VECTORS;
use super::product::Product;
use super::projector::{BLOCK_ROWS, Projector};
use super::shared::Shared;
use super::team::Member;
use crate::batch::Packing;
use crate::call::{Call, StateViews};
use crate::subnormal::{flush, flush_all};

/// A call's work, as all of its threads share it.
pub(super) struct Work<'a> {
    pub(super) engine: &'a CpuEngine,
    input: ArrayView3<'a, f32>,
    /// h and c before the first step.
    state: Option<StateViews<'a, f32>>,
    /// The batch, dealt into shares; in two directions one thread computes a share in one direction.
    shares: Vec<Packing>,
    /// In one direction, how many of the shares threads have taken.
    taken: AtomicUsize,
    /// Where a second thread may help the only walker.
    pub(super) ahead: Option<Arc<Ahead>>,
    /// Time steps times sequences of a block.
    pub(super) block_rows: usize,
    /// (T, B, D·O): what a layer reads and writes. One direction reads a block of time before it
    /// writes it, so that one is enough; two directions need two, which take turns.
    sequences: Vec<Shared>,
    /// (L·D, B, O).
    h_n: Shared,
    /// (L·D, B, H).
    c_n: Shared,
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
    fn batch(&self) -> usize {
        self.input.dim().1
    }

    /// The output of `layer`: the layer above reads it, and the last one's is the call's output.
    fn sequence_of(&self, layer: usize) -> &Shared {
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

/// Computes a member's share of every layer.
pub(super) fn walk(work: &Work<'_>, member: &Member<'_>) {
    let directions = work.engine.config.num_directions();
    if directions == 1 {
        return walk_shares(work);
    }
    // Every `team_size`th share and direction is this member's.
    let shares = work.shares.iter().flat_map(|share| (0..directions).map(move |d| (share, d)));
    let shares = shares.skip(member.index).step_by(member.team_size());
    let mut walkers: Vec<_> = shares.map(|(share, direction)| Walker::new(work, share, direction)).collect();
    for layer in 0..work.engine.config.num_layers() {
        for walker in &mut walkers {
            walker.walk_layer(layer);
        }
        member.meet(); // the layer above reads both directions
    }
}

/// In one direction shares do not depend on each other: a member that is free takes the next one, since another may
/// start late.
fn walk_shares(work: &Work<'_>) {
    while let Some(share) = work.shares.get(work.taken.fetch_add(1, Ordering::Relaxed)) {
        let _end = work.ahead.as_deref().map(End);
        let mut walker = Walker::new(work, share, 0);
        (0..work.engine.config.num_layers()).for_each(|layer| walker.walk_layer(layer));
    }
}

/// Ends the helper's part when the walker is dropped, also by a panic.
struct End<'a>(&'a Ahead);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Computes a share of the sequences in one direction, a layer at a time.
struct Walker<'w, 'c> {
    work: &'w Work<'c>,
    packing: &'w Packing,
    direction: usize,
    projector: Projector<'w, 'c>,
    /// bias + W_ih·x of a block of time, [rows, panels, VECTORS, lanes].
    gates: Vec<f32>,
    /// f32 in a row of `gates`.
    gates_len: usize,
    /// [B, O].
    h: Vec<f32>,
    /// [B, H padded to panels].
    c: Vec<f32>,
    /// o ∘ tanh(c), [B, H], where there is a projection.
    unprojected: Vec<f32>,
    /// h of the step before, of the rows that run.
    h_before: Vec<f32>,
}

impl<'w, 'c> Walker<'w, 'c> {
    fn new(work: &'w Work<'c>, packing: &'w Packing, direction: usize) -> Self {
        let (engine, batch) = (work.engine, packing.batch());
        let (hidden, projection) = (engine.config.hidden_size(), engine.config.proj_size());
        let projector = Projector::new(work, packing, direction);
        let gates_len = projector.gates_len();
        Self {
            work,
            packing,
            direction,
            projector,
            gates: Vec::new(),
            gates_len,
            h: vec![0.0; batch * engine.config.output_size()],
            c: vec![0.0; batch * gates_len / VECTORS],
            unprojected: vec![0.0; if projection > 0 { batch * hidden } else { 0 }],
            h_before: vec![0.0; batch * engine.config.output_size()],
        }
    }

    fn walk_layer(&mut self, layer: usize) {
        self.start(layer);
        for block in 0..self.projector.blocks() {
            self.projector.project(layer, block, &mut self.gates);
            let times = self.projector.times_of_block(block);
            for step in 0..times.len() {
                let t = if self.direction == 0 { times.start + step } else { times.end - 1 - step };
                self.time_step(layer, t, self.packing.rows(&(times.start..t)));
            }
        }
        self.finish(layer);
    }

    /// One time step; the gates of its rows start at `first_row` of the block.
    fn time_step(&mut self, layer: usize, t: usize, first_row: usize) {
        let (work, engine) = (self.work, self.work.engine);
        let config = &engine.config;
        let parameters = &engine.layers[engine.slot(layer, self.direction)];
        let (running, depth) = (self.packing.running(t), config.output_size());
        // Every row of h is written anew, or those that stopped keep theirs.
        if running == self.packing.batch() {
            std::mem::swap(&mut self.h, &mut self.h_before);
        } else {
            self.h_before[..running * depth].copy_from_slice(&self.h[..running * depth]);
        }
        let rows = &self.h_before[..running * depth];
        // With more rows the weights' way from memory is hidden.
        let backwards = running == 1 && t % 2 == 1;

        let stride = config.num_directions() * depth;
        let first = t * work.batch() * stride + self.direction * depth;
        let above = Some((work.sequence_of(layer), first, stride, self.packing.order()));
        let outputs = Outputs { width: depth, h: &mut self.h, above };
        let (hidden, projects) = (config.hidden_size(), parameters.w_hr.is_some());
        let inner = Outputs { width: hidden, h: &mut self.unprojected, above: None };
        let (now, later) = if projects { (inner, Some(outputs)) } else { (outputs, None) };
        let gates = &self.gates[first_row * self.gates_len..];
        let ends = Cells { gates, row_len: self.gates_len, c: &mut self.c, outputs: now };
        engine.arch.dispatch(Product { weights: &parameters.w_hh, rows, depth, backwards, ends });
        if let (Some(weights), Some(ends)) = (&parameters.w_hr, later) {
            let rows = &self.unprojected[..running * hidden];
            engine.arch.dispatch(Product { weights, rows, depth: hidden, backwards, ends });
        }
    }

    /// Sets h and c to the initial state.
    fn start(&mut self, layer: usize) {
        self.h.fill(0.0);
        self.c.fill(0.0);
        let Some((h, c)) = &self.work.state else { return };
        let slot = self.slot(layer);
        for (array, rows, width) in [
            (h, &mut self.h, self.work.engine.config.output_size()),
            (c, &mut self.c, self.gates_len / VECTORS),
        ] {
            for (&b, row) in self.packing.order().iter().zip(rows.chunks_exact_mut(width)) {
                row.iter_mut().zip(array.slice(s![slot, b, ..])).for_each(|(to, &from)| *to = flush(from));
            }
        }
    }

    /// Writes h and c to the call's results.
    fn finish(&self, layer: usize) {
        let (work, config) = (self.work, &self.work.engine.config);
        let (output, hidden) = (config.output_size(), config.hidden_size());
        for (row, &b) in self.packing.order().iter().enumerate() {
            let slot_row = self.slot(layer) * work.batch() + b;
            work.h_n.write(slot_row * output, &self.h[row * output..][..output]);
            work.c_n.write(slot_row * hidden, &self.c[row * (self.gates_len / VECTORS)..][..hidden]);
        }
    }

    /// The index of this layer and direction in the state.
    fn slot(&self, layer: usize) -> usize {
        self.work.engine.slot(layer, self.direction)
    }
}
