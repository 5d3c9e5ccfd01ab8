//! `single`: one dispatch a time step and layer, both directions in it, with the input's part in the same reduction: for
//! calls of one time step.

use super::AdmittedSchedule;
use super::slots::{FusedSteps, input_shape, slot_of};
use crate::batch::Packing;
use crate::kernels::Slot;
use crate::plan::buffers::Layout;
use crate::plan::network::Network;
use crate::plan::passes::{Part, Passes};
use crate::plan::phase::{self, Phase};
use crate::tuning::Schedule;

#[derive(Debug)]
pub(super) struct SingleSchedule {
    steps: FusedSteps,
}

impl SingleSchedule {
    pub fn admit(network: &Network, packing: &Packing) -> Option<Self> {
        FusedSteps::admit(network, packing, 1).map(|steps| Self { steps })
    }
}

impl AdmittedSchedule for SingleSchedule {
    fn schedule(&self) -> Schedule {
        Schedule::Single
    }

    fn layout(&self) -> Layout {
        Layout { layers_in_group: 1, hidden_in_place: false, gates: false }
    }

    fn dispatch(&self, passes: &mut Passes<'_>, part: &Part) {
        for times in passes.times(part) {
            let slots: Vec<Slot> =
                part.directions.clone().map(|d| slot_at(passes, part, d, times[d])).collect();
            self.steps.dispatch(passes, part, passes.done(part, times), &slots);
        }
    }

    fn phases(&self, network: &Network, packing: &Packing) -> Vec<Phase> {
        let mut steps = Phase::default();
        for layer in 0..network.layers.len() {
            let x = input_shape(network, layer);
            steps = steps.and(phase::steps_of_layer(network, packing, layer, Some(x)));
        }
        vec![steps]
    }
}

/// A direction of a layer at time `t`.
fn slot_at(passes: &Passes<'_>, part: &Part, d: usize, t: usize) -> Slot {
    let row = passes.row(part.block, t);
    Slot {
        running: passes.packing.running(t) as u32,
        state: (d * passes.packing.batch()) as u32,
        output_row: passes.output_row(row, d),
        x_row: row as u32,
        x_source: Slot::FROM_SEQUENCE,
        ..slot_of(passes.network, part.group, d)
    }
}
