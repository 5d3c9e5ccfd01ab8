//! `diagonal`: as `single`, with up to four layers in one dispatch, each a time step behind the layer below. A layer reads
//! what the layer below wrote into h in the dispatch before.

use super::AdmittedSchedule;
use super::fused::{FusedSteps, slot_of};
use crate::batch::Packing;
use crate::kernels::{SLOTS, Slot};
use crate::plan::buffers::BufferOptions;
use crate::plan::call::{CallPlan, Span};
use crate::plan::network::Network;
use crate::plan::passes::Passes;
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

    fn buffers(&self) -> BufferOptions {
        BufferOptions { layers_in_group: SLOTS, hidden_in_place: false, gates: false }
    }

    fn dispatch(&self, passes: &mut Passes<'_>, span: &Span) {
        let behind = passes.plan.buffers.groups[span.group].layers.len() - 1;
        passes.for_each_chunk(span, (1, behind), |passes, n| {
            let now = passes.plan.steps(span).start + n.start;
            let slots = slots_at(passes.plan, span, now);
            self.steps.dispatch(passes, span, now, &slots);
        });
    }
}

/// The layers of a group: layer k of it (0 the lowest) at time `now` - k, where the block has it.
fn slots_at(plan: &CallPlan<'_>, span: &Span, now: usize) -> Vec<Slot> {
    let layers = plan.buffers.groups[span.group].layers.clone();
    let mut slots = Vec::with_capacity(layers.len());
    for (k, layer) in layers.clone().enumerate() {
        let in_block = |t: &usize| plan.steps(span).contains(t);
        let Some(t) = now.checked_sub(k).filter(in_block) else { continue };
        let row = plan.row(span.block, t);
        let (x_row, x_source) = match k.checked_sub(1) {
            None => (row, Slot::FROM_SEQUENCE),
            Some(below) => (plan.state_row(below, 0), Slot::FROM_STATE),
        };
        let is_last = layer + 1 == layers.end;
        slots.push(Slot {
            running: plan.packing.running(t) as u32,
            state: plan.state_row(k, 0) as u32,
            output_row: if is_last { plan.output_row(row, 0) as u32 } else { Slot::NO_OUTPUT },
            x_row: x_row as u32,
            x_source,
            ..slot_of(plan.network, layer, 0)
        });
    }
    slots
}
