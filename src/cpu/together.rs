//! The walk of a call where a helper may compute half of every step (`pair.rs`).

use std::ops::Range;
use std::sync::Arc;

use super::network::{Numbers, Step};
use super::pair::{Job, Pair};
use super::work::Work;
use crate::batch::Packing;

/// Rows of a block that both compute: enough to pay for the exchange of the job, few enough that both halves' gates
/// stay in the L2 cache.
const ROWS_TOGETHER: usize = 32;

/// Rows of a block if no helper is free: it may come soon, and joins at the next block.
const ROWS_ALONE: usize = 8;

/// Computes every layer and direction of a call.
pub(super) fn walk_together(work: &Work<'_>, pair: &Pair) {
    let _end = End(pair);
    let config = &work.engine.config;
    let packing = &work.shares[0];
    let numbers = pair.network().numbers(packing.batch());
    let mut walker =
        Walker { work, pair, packing, numbers, jobs: Default::default(), number: 1, is_together: false };
    for layer in 0..config.num_layers() {
        (0..config.num_directions()).for_each(|direction| walker.walk_layer(layer, direction));
    }
}

/// The time of a step: the reverse direction goes from the last time to the first.
fn time(packing: &Packing, direction: usize, step: usize) -> usize {
    if direction == 0 { step } else { packing.steps() - 1 - step }
}

/// Ends the helper's part when the walker is through, also by a panic.
struct End<'a>(&'a Pair);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

struct Walker<'w, 'c> {
    work: &'w Work<'c>,
    pair: &'w Pair,
    packing: &'w Packing,
    numbers: Numbers,
    /// Two that take turns: a helper that is late may still read the one before.
    jobs: [Arc<Job>; 2],
    /// Of the next step.
    number: usize,
    /// Whether the helper computed its half of the step before.
    is_together: bool,
}

impl Walker<'_, '_> {
    fn walk_layer(&mut self, layer: usize, direction: usize) {
        let slot = self.work.engine.slot(layer, direction);
        self.work.start(slot, self.packing, &mut self.numbers);
        let (mut step, all) = (0, self.packing.steps());
        while step < all {
            let is_helped = self.is_together || self.pair.is_free();
            let rows = if is_helped { ROWS_TOGETHER } else { ROWS_ALONE };
            let steps = step..all.min(step + (rows / self.packing.batch()).max(1));
            step = steps.end;
            self.walk_block(layer, direction, &steps);
        }
        self.work.finish_layer(slot, self.packing, &self.numbers);
    }

    fn walk_block(&mut self, layer: usize, direction: usize, steps: &Range<usize>) {
        let (pair, network) = (self.pair, self.pair.network());
        let job = self.prepare(layer, direction, steps);
        pair.offer(&job);
        let [mine, others] = pair.halves();
        self.project(&job, mine.clone(), 0);
        self.is_together = pair.is_taken();
        if !self.is_together {
            self.project(&job, others.clone(), 0);
        }
        for (k, &step) in job.steps.iter().enumerate() {
            if self.is_together {
                network.cells(step, mine.clone(), &mut self.numbers);
                self.join(&job, k);
            } else {
                network.cells(step, 0..others.end, &mut self.numbers);
            }
            network.outputs(step, &mut self.numbers);
            let t = time(self.packing, direction, steps.start + k);
            self.work.write_step(layer, direction, t, self.packing, &self.numbers.h);
        }
        self.number += job.steps.len();
        if self.is_together {
            pair.receive_c(self.number - 1, &mut self.numbers.c);
        }
    }

    /// The helper's half of step `k` of a job: the helper's, or computed here if that does not come in time.
    fn join(&mut self, job: &Job, k: usize) {
        let (pair, network, step) = (self.pair, self.pair.network(), job.steps[k]);
        let [_, others] = pair.halves();
        pair.publish(job.first + k, step.running, &self.numbers.units);
        let per_row = network.units(&others).len() * 4;
        // The helper began to project its half when this thread did, and this one is through.
        let projected = if k == 0 { job.x.len() * per_row / 4 } else { 0 };
        let work = step.running * network.output * per_row + projected;
        self.is_together = pair.receive(job.first + k, job, work, &mut self.numbers);
        if !self.is_together {
            self.project(job, others.clone(), step.first_row);
            network.cells(step, others, &mut self.numbers);
        }
    }

    /// A half of the gates of a block, from a row on.
    fn project(&mut self, job: &Job, panels: Range<usize>, first_row: usize) {
        let network = self.pair.network();
        let (slot, row_len) = (job.steps[0].slot, network.gates_len());
        let rows = job.x.len() / job.depth;
        let gates = &mut self.numbers.gates;
        gates.resize(gates.len().max(rows * row_len), 0.0);
        let gates = &mut gates[first_row * row_len..rows * row_len];
        network.project(slot, panels, job.depth, &job.x[first_row * job.depth..], gates);
    }

    /// The job of a block.
    fn prepare(&mut self, layer: usize, direction: usize, steps: &Range<usize>) -> Arc<Job> {
        self.jobs.swap(0, 1);
        let (work, packing) = (self.work, self.packing);
        let slot = work.engine.slot(layer, direction);
        let times = || steps.clone().map(|step| time(packing, direction, step));
        let rows = times().flat_map(|t| packing.order()[..packing.running(t)].iter().map(move |&b| (t, b)));
        let job = Arc::make_mut(&mut self.jobs[0]);
        job.first = self.number;
        job.depth = work.engine.config.layer_input_size(layer);
        work.read_rows(layer, rows, &mut job.x);
        job.steps.clear();
        let mut first_row = 0;
        for t in times() {
            let running = packing.running(t);
            job.steps.push(Step { slot, running, first_row, backwards: running == 1 && t % 2 == 1 });
            first_row += running;
        }
        job.h.clone_from(&self.numbers.h);
        job.c.clone_from(&self.numbers.c);
        Arc::clone(&self.jobs[0])
    }
}
