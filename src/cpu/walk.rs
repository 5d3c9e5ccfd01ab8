//! The loops over layers and time that each thread runs.

use std::sync::atomic::Ordering;

use ndarray::s;

use super::ahead::Ahead;
use super::ends::{Cells, Outputs};
use super::panels::VECTORS;
use super::product::Product;
use super::projector::Projector;
use super::team::Member;
use super::work::Work;
use crate::batch::Packing;
use crate::subnormal::flush;

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
