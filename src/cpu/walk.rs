//! The loops over layers and time that each thread runs.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{ArrayView3, s};

use super::CpuEngine;
use super::ends::{Cells, Gates, Outputs};
use super::panels::VECTORS;
use super::product::Product;
use super::shared::Shared;
use super::team::Member;
use crate::batch::Packing;
use crate::call::{Call, StateViews};
use crate::subnormal::{flush, flush_all};

/// Rows of the input that are multiplied at once: enough to pay for reading the weights from memory, and few enough
/// that the rows stay in the L2 cache.
pub(super) const ROWS_AT_ONCE: usize = 48;

/// Rows of a block of time, if the batch has fewer: its gates stay in the L2 cache.
pub(super) const BLOCK_ROWS: usize = 96;

/// f32 of the rows that a product reads: some of a layer's input, or one step of h.
fn rows_len(engine: &CpuEngine, block_rows: usize, batch: usize) -> usize {
    let width =
        (0..engine.config.num_layers().min(2)).map(|layer| engine.config.layer_input_size(layer)).max();
    (ROWS_AT_ONCE.min(block_rows) * width.unwrap_or(0)).max(batch * engine.config.output_size())
}

/// Time steps of a block.
fn block_steps(steps: usize, batch: usize) -> usize {
    (BLOCK_ROWS / batch).clamp(1, steps)
}

/// A call's work, as all of its threads share it.
pub(super) struct Work<'a> {
    engine: &'a CpuEngine,
    input: ArrayView3<'a, f32>,
    /// h and c before the first step.
    state: Option<StateViews<'a, f32>>,
    /// The batch, dealt into shares; in two directions one thread computes a share in one direction.
    shares: Vec<Packing>,
    /// In one direction, how many of the shares threads have taken.
    taken: AtomicUsize,
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
        lens: [usize; 3],
    ) -> Self {
        let turns = if engine.config.bidirectional() && engine.config.num_layers() > 1 { 2 } else { 1 };
        let sequences = (0..turns).map(|_| Shared::zeros(lens[0])).collect();
        let (h_n, c_n) = (Shared::zeros(lens[1]), Shared::zeros(lens[2]));
        let (input, state) = (call.input(), call.state());
        Self { engine, input, state, shares, taken: AtomicUsize::new(0), sequences, h_n, c_n }
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

    /// Appends the input of `layer` at time `t` in sequence `b`.
    fn read_row(&self, layer: usize, t: usize, b: usize, to: &mut Vec<f32>) {
        if layer > 0 {
            let width = self.engine.config.layer_input_size(layer);
            return self.sequence_of(layer - 1).read((t * self.batch() + b) * width, width, to);
        }
        let row = self.input.slice(s![t, b, ..]);
        match row.as_slice() {
            Some(row) => to.extend_from_slice(row),
            None => to.extend(row),
        }
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
        let mut walker = Walker::new(work, share, 0);
        (0..work.engine.config.num_layers()).for_each(|layer| walker.walk_layer(layer));
    }
}

/// Computes a share of the sequences in one direction, a layer at a time.
struct Walker<'w, 'c> {
    work: &'w Work<'c>,
    packing: &'w Packing,
    direction: usize,
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
    /// The rows of x or h that a product reads.
    rows: Vec<f32>,
}

impl<'w, 'c> Walker<'w, 'c> {
    fn new(work: &'w Work<'c>, packing: &'w Packing, direction: usize) -> Self {
        let (engine, batch) = (work.engine, packing.batch());
        let (hidden, projection) = (engine.config.hidden_size(), engine.config.proj_size());
        let units = hidden.next_multiple_of(engine.lanes);
        let block_rows = block_steps(packing.steps(), batch) * batch;
        Self {
            work,
            packing,
            direction,
            gates: vec![0.0; block_rows * VECTORS * units],
            gates_len: VECTORS * units,
            h: vec![0.0; batch * engine.config.output_size()],
            c: vec![0.0; batch * units],
            unprojected: vec![0.0; if projection > 0 { batch * hidden } else { 0 }],
            rows: Vec::with_capacity(rows_len(engine, block_rows, batch)),
        }
    }

    fn walk_layer(&mut self, layer: usize) {
        self.start(layer);
        let steps = self.packing.steps();
        let block_steps = block_steps(steps, self.packing.batch());
        for start in (0..steps).step_by(block_steps) {
            let end = steps.min(start + block_steps);
            let times = self.times(start..end);
            self.project_input(layer, times.clone());
            for step in start..end {
                let t = self.times(step..step + 1).start;
                self.time_step(layer, t, self.packing.rows(&(times.start..t)));
            }
        }
        self.finish(layer);
    }

    /// The times of some steps: the reverse direction goes from the last time to the first.
    fn times(&self, steps: Range<usize>) -> Range<usize> {
        let all = self.packing.steps();
        if self.direction == 0 { steps } else { all - steps.end..all - steps.start }
    }

    /// gates = bias + W_ih·x for the running rows of some times, in the order of time.
    fn project_input(&mut self, layer: usize, times: Range<usize>) {
        let engine = self.work.engine;
        let parameters = engine.parameters(layer, self.direction);
        let depth = engine.config.layer_input_size(layer);
        let mut rows = self.packing.each_row(&times).peekable();
        let mut gates = &mut self.gates[..];
        while rows.peek().is_some() {
            self.rows.clear();
            for (t, b) in rows.by_ref().take(ROWS_AT_ONCE) {
                self.work.read_row(layer, t, b, &mut self.rows);
            }
            if layer == 0 {
                flush_all(&mut self.rows);
            }
            let (these, others) = gates.split_at_mut(self.rows.len() / depth * self.gates_len);
            gates = others;
            let ends = Gates { bias: &parameters.bias, gates: these, row_len: self.gates_len };
            engine.arch.dispatch(Product { weights: &parameters.w_ih, rows: &self.rows, depth, ends });
        }
    }

    /// One time step; the gates of its rows start at `first_row` of the block.
    fn time_step(&mut self, layer: usize, t: usize, first_row: usize) {
        let (work, engine) = (self.work, self.work.engine);
        let config = &engine.config;
        let parameters = engine.parameters(layer, self.direction);
        let (running, depth) = (self.packing.running(t), config.output_size());
        self.rows.clear();
        self.rows.extend_from_slice(&self.h[..running * depth]);

        let stride = config.num_directions() * depth;
        let first = t * work.batch() * stride + self.direction * depth;
        let above = Some((work.sequence_of(layer), first, stride, self.packing.order()));
        let outputs = Outputs { width: depth, h: &mut self.h, above };
        let (hidden, projects) = (config.hidden_size(), parameters.w_hr.is_some());
        let inner = Outputs { width: hidden, h: &mut self.unprojected, above: None };
        let (now, later) = if projects { (inner, Some(outputs)) } else { (outputs, None) };
        let gates = &self.gates[first_row * self.gates_len..];
        let ends = Cells { gates, row_len: self.gates_len, c: &mut self.c, outputs: now };
        engine.arch.dispatch(Product { weights: &parameters.w_hh, rows: &self.rows, depth, ends });
        if let (Some(weights), Some(ends)) = (&parameters.w_hr, later) {
            let rows = &self.unprojected[..running * hidden];
            engine.arch.dispatch(Product { weights, rows, depth: hidden, ends });
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
        layer * self.work.engine.config.num_directions() + self.direction
    }
}
