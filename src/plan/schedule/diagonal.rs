//! `diagonal`: as `single`, with up to four layers in one dispatch, each a time step behind the layer below. What enters
//! a layer is what the layer below left in the h that both read, one dispatch ago.

use super::AdmittedSchedule;
use super::slots::{FusedSteps, input_shape, slot_of};
use crate::batch::Packing;
use crate::kernels::{SLOTS, Slot};
use crate::plan::buffers::Layout;
use crate::plan::network::Network;
use crate::plan::passes::{Part, Passes};
use crate::plan::phase::{self, Phase};
use crate::tuning::Schedule;

#[derive(Debug)]
pub(super) struct DiagonalSchedule {
    steps: FusedSteps,
}

impl DiagonalSchedule {
    /// In one direction, where a dispatch takes as many slots as there are layers, or four.
    pub fn admit(network: &Network, packing: &Packing) -> Option<Self> {
        let slots = SLOTS.min(network.layers.len());
        if network.config.num_directions() > 1 || slots > network.limits.max_workgroups as usize {
            return None;
        }
        FusedSteps::admit(network, packing, SLOTS).map(|steps| Self { steps })
    }
}

impl AdmittedSchedule for DiagonalSchedule {
    fn schedule(&self) -> Schedule {
        Schedule::Diagonal
    }

    fn layout(&self) -> Layout {
        Layout { layers_in_group: SLOTS, hidden_in_place: false, gates: false }
    }

    fn dispatch(&self, passes: &mut Passes<'_>, part: &Part) {
        let steps = passes.blocks.steps[part.block].clone();
        let behind = passes.buffers.groups[part.group].layers.len() - 1;
        for now in steps.start..steps.end + behind {
            let slots = slots_at(passes, part, now);
            self.steps.dispatch(passes, part, now, &slots);
        }
    }

    fn phases(&self, network: &Network, packing: &Packing) -> Vec<Phase> {
        let mut steps = Phase::default();
        for layer in 0..network.layers.len() {
            let x = input_shape(network, layer);
            steps = steps.and(phase::steps_of_layer(network, packing, layer, Some(x)));
            if layer % SLOTS > 0 {
                // Runs along with the layers below it, but for its last step.
                let passes = 1 + usize::from(network.layers[layer].projection.is_some());
                steps.dispatches -= ((packing.steps() - 1) * passes) as f64;
            }
        }
        vec![steps]
    }
}

/// The layers of a group: layer k of it (0 the lowest) at time `now` - k, where the block has it.
fn slots_at(passes: &Passes<'_>, part: &Part, now: usize) -> Vec<Slot> {
    let batch = passes.packing.batch();
    let layers = passes.buffers.groups[part.group].layers.clone();
    let mut slots = Vec::with_capacity(layers.len());
    for (k, layer) in layers.clone().enumerate() {
        let in_block = |t: &usize| passes.blocks.steps[part.block].contains(t);
        let Some(t) = now.checked_sub(k).filter(in_block) else { continue };
        let row = passes.row(part.block, t);
        let (x_row, x_source) = match k {
            0 => (row, Slot::FROM_SEQUENCE),
            _ => ((k - 1) * batch, Slot::FROM_STATE),
        };
        let is_last = layer + 1 == layers.end;
        slots.push(Slot {
            running: passes.packing.running(t) as u32,
            state: (k * batch) as u32,
            output_row: if is_last { passes.output_row(row, 0) } else { Slot::NO_OUTPUT },
            x_row: x_row as u32,
            x_source,
            ..slot_of(passes.network, layer, 0)
        });
    }
    slots
}
