//! Dispatches that are alike, counted: what costs are computed from.

use super::network::{Layer, Network, Stage};
use crate::batch::Packing;
use crate::kernels::TileShape;

/// Dispatches that are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Phase {
    pub dispatches: f64,
    /// Workgroups, floating-point operations and bytes of weights that they read: all of them together.
    pub workgroups: f64,
    pub operations: f64,
    pub bytes: f64,
    /// Time steps that follow each other within a dispatch, of all of them together, with weights from memory.
    pub barriers: f64,
    /// The same with weights in registers, where a workgroup takes its sequences one after the other: each counts.
    pub turns: f64,
}

impl Phase {
    pub fn and(self, other: Self) -> Self {
        Self {
            dispatches: self.dispatches + other.dispatches,
            workgroups: self.workgroups + other.workgroups,
            operations: self.operations + other.operations,
            bytes: self.bytes + other.bytes,
            barriers: self.barriers + other.barriers,
            turns: self.turns + other.turns,
        }
    }

    pub fn times(self, count: usize) -> Self {
        let count = count as f64;
        Self {
            dispatches: self.dispatches * count,
            workgroups: self.workgroups * count,
            operations: self.operations * count,
            bytes: self.bytes * count,
            barriers: self.barriers * count,
            turns: self.turns * count,
        }
    }
}

/// Time steps that have the same rows in every direction: the first of them, and how many there are.
pub(super) fn stretches(packing: &Packing, directions: usize) -> Vec<(usize, usize)> {
    let mut changes: Vec<usize> = packing.changes().collect();
    if directions > 1 {
        changes.extend(packing.changes().map(|t| packing.steps() - t));
    }
    changes.sort_unstable();
    changes.dedup();
    changes.windows(2).map(|pair| (pair[0], pair[1] - pair[0])).collect()
}

/// One dispatch of a stage.
pub(super) fn product(
    network: &Network,
    stage: &Stage,
    shape: TileShape,
    rows: usize,
    directions: usize,
) -> Phase {
    let [x, y, z] = shape.grid(&stage.tiling, stage.tiling.height_for(rows), rows, directions);
    let matrix = 4 * shape.reduction * shape.columns * 4 * network.words_of_element();
    Phase {
        dispatches: 1.0,
        workgroups: f64::from(x) * f64::from(y) * f64::from(z),
        operations: shape.operations(rows) as f64 * directions as f64,
        bytes: matrix as f64 * f64::from(y) * f64::from(z),
        barriers: 0.0,
        turns: 0.0,
    }
}

/// The rows of a dispatch at time `t`: in two directions the grid has those of the one that has more.
pub(super) fn rows_at(packing: &Packing, t: usize, directions: usize) -> usize {
    let reverse = if directions == 1 { 0 } else { packing.running(packing.steps() - 1 - t) };
    packing.running(t).max(reverse)
}

/// All time steps of a layer, each with its hidden projection where there is one; `x` is the shape of the input's
/// product, where that is in the same dispatch.
pub(super) fn steps_of_layer(
    network: &Network,
    packing: &Packing,
    layer: usize,
    x: Option<TileShape>,
) -> Phase {
    let directions = network.config.num_directions();
    let mut steps = Phase::default();
    for (t, alike) in stretches(packing, directions) {
        let running = rows_at(packing, t, directions);
        steps = steps.and(step_products(network, layer, x, running).times(alike));
    }
    steps
}

/// The products of one time step of a layer for its running sequences, as in [`steps_of_layer`].
fn step_products(network: &Network, layer: usize, x: Option<TileShape>, running: usize) -> Phase {
    let directions = network.config.num_directions();
    let layer = &network.layers[layer];
    let mut step = product(network, &layer.step, layer.step.shape, running, directions);
    if let Some(x) = x {
        let of_x = product(network, &layer.step, x, running, directions);
        step.operations += of_x.operations;
        step.bytes += of_x.bytes;
    }
    match &layer.projection {
        Some(projection) => step.and(product(network, projection, projection.shape, running, directions)),
        None => step,
    }
}

/// The input's products of each layer for the whole call, ahead of its steps.
pub(super) fn input_projections(network: &Network, packing: &Packing) -> Vec<Phase> {
    let rows = packing.first_row(packing.steps());
    let directions = network.config.num_directions();
    let of_layer = |layer: &Layer| product(network, &layer.input, layer.input.shape, rows, directions);
    network.layers.iter().map(of_layer).collect()
}
