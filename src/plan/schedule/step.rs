//! `step`: the input's products of a block of time at once, then one dispatch a time step and layer, both directions
//! in it, and a second one where there is a projection.

use super::AdmittedSchedule;
use super::slots::matrix;
use crate::batch::Packing;
use crate::kernels::{Slot, Step};
use crate::plan::buffers::Layout;
use crate::plan::network::Network;
use crate::plan::passes::{Part, Passes, rows_of};
use crate::plan::phase::{self, Phase};
use crate::program::BufferRef;
use crate::tuning::Schedule;

/// It computes every network on every batch.
#[derive(Debug)]
pub(super) struct StepSchedule;

impl AdmittedSchedule for StepSchedule {
    fn schedule(&self) -> Schedule {
        Schedule::Step
    }

    fn layout(&self) -> Layout {
        Layout { layers_in_group: 1, hidden_in_place: false, gates: true }
    }

    fn dispatch(&self, passes: &mut Passes<'_>, part: &Part) {
        passes.input_projection(part);
        passes.times(part).for_each(|times| recurrent_step(passes, part, times));
    }

    fn phases(&self, network: &Network, packing: &Packing) -> Vec<Phase> {
        let mut phases = phase::input_projections(network, packing);
        let mut steps = Phase::default();
        for layer in 0..network.layers.len() {
            steps = steps.and(phase::steps_of_layer(network, packing, layer, None));
        }
        phases.push(steps);
        phases
    }
}

/// One time step: `times` is the step's time in each direction.
fn recurrent_step(passes: &mut Passes<'_>, part: &Part, times: [usize; 2]) {
    let network = passes.network;
    let layer = &network.layers[part.group];
    let mut step = Step::default();
    for (slot, d) in step.slots.iter_mut().zip(part.directions.clone()) {
        let row = passes.row(part.block, times[d]);
        *slot = Slot {
            running: passes.packing.running(times[d]) as u32,
            state: (d * passes.packing.batch()) as u32,
            gates_row: (passes.gates_row(d) + row) as u32,
            output_row: passes.output_row(row, d),
            w_hh: matrix(d, layer.step.shape),
            w_hr: layer.projection.as_ref().map_or(0, |stage| matrix(d, stage.shape)),
            ..Slot::default()
        };
    }
    let group = &passes.buffers.groups[part.group];
    let [h_in, h_out] = group.hidden.read_and_write(passes.done(part, times));
    let buffers = vec![
        BufferRef::Resident(layer.w_hh),
        h_in,
        passes.buffers.gates(),
        BufferRef::Program(group.cell),
        passes.buffers.unprojected_or(h_out),
        passes.output_of(part),
    ];
    let (rows, directions) = (rows_of(&step), part.directions.len());
    let operations = layer.step.shape.operations(rows) * directions as u64;
    passes.dispatch(&layer.step, buffers, &step, (rows, directions), operations);
    passes.hidden_projection(part, h_out, &step, directions, layer.w_hr);
}
