//! The loops over layers and time that each thread runs.

use std::sync::atomic::Ordering;

use super::network::{Numbers, Step};
use super::projector::Projector;
use super::team::Member;
use super::work::Work;
use crate::batch::Packing;

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
    projector: Projector<'w, 'c>,
    numbers: Numbers,
}

impl<'w, 'c> Walker<'w, 'c> {
    fn new(work: &'w Work<'c>, packing: &'w Packing, direction: usize) -> Self {
        let projector = Projector::new(work, packing, direction);
        let numbers = work.engine.network.numbers(packing.batch());
        Self { work, packing, direction, projector, numbers }
    }

    fn walk_layer(&mut self, layer: usize) {
        let slot = self.work.engine.slot(layer, self.direction);
        self.work.start(slot, self.packing, &mut self.numbers);
        for block in 0..self.projector.blocks() {
            self.projector.project(layer, block, &mut self.numbers.gates);
            let times = self.projector.times_of_block(block);
            for step in 0..times.len() {
                let t = if self.direction == 0 { times.start + step } else { times.end - 1 - step };
                self.time_step(layer, t, self.packing.rows(&(times.start..t)));
            }
        }
        self.work.finish_layer(slot, self.packing, &self.numbers);
    }

    /// One time step; the gates of its rows start at `first_row` of the block.
    fn time_step(&mut self, layer: usize, t: usize, first_row: usize) {
        let (network, running) = (&self.work.engine.network, self.packing.running(t));
        let step = Step {
            slot: self.work.engine.slot(layer, self.direction),
            running,
            first_row,
            // With more rows the weights' way from memory is hidden.
            backwards: running == 1 && t % 2 == 1,
        };
        network.cells(step, 0..network.panels(), &mut self.numbers);
        network.outputs(step, &mut self.numbers);
        self.work.write_step(layer, self.direction, t, self.packing, &self.numbers.h);
    }
}
