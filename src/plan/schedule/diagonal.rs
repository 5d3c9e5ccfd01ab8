//! `diagonal`: as `single`, with up to four layers in one dispatch, each a time step behind the layer below. A layer reads
//! what the layer below wrote into h in the dispatch before.

use std::sync::Arc;

use super::NetworkSchedule;
use super::fused::{FusedSteps, slot_of};
use crate::batch::Packing;
use crate::error::Error;
use crate::kernels::{SLOTS, Slot, TimeStep};
use crate::plan::buffers::BufferOptions;
use crate::plan::call::{CallPlan, Span};
use crate::plan::dispatcher::Dispatcher;
use crate::plan::network::Network;
use crate::tuning::Schedule;

#[derive(Debug)]
struct DiagonalSchedule {
    steps: FusedSteps,
}

/// In one direction, where a dispatch takes as many slots as there are layers, or four.
pub(super) fn plan(network: &mut Network) -> Result<Option<Arc<dyn NetworkSchedule>>, Error> {
    let slots = SLOTS.min(network.config.num_layers());
    if network.config.num_directions() > 1 || slots > network.limits.max_workgroups as usize {
        return Ok(None);
    }
    Ok(FusedSteps::plan(network)?.map(|steps| Arc::new(DiagonalSchedule { steps }) as Arc<_>))
}

impl NetworkSchedule for DiagonalSchedule {
    fn schedule(&self) -> Schedule {
        Schedule::Diagonal
    }

    fn admits(&self, network: &Network, packing: &Packing) -> bool {
        self.steps.admits(network, packing, SLOTS)
    }

    fn buffers(&self) -> BufferOptions {
        BufferOptions { layers_in_group: SLOTS, hidden_in_place: false, gates: false }
    }

    fn dispatch(&self, dispatcher: &mut Dispatcher<'_>, span: &Span) {
        let behind = dispatcher.plan.buffers.groups[span.group].len() - 1;
        dispatcher.for_each_chunk(span, (1, behind), |dispatcher, n| {
            let now = dispatcher.plan.steps(span).start + n.start;
            let plan = dispatcher.plan;
            let layers = plan.buffers.groups[span.group].len();
            let slots = (0..layers).filter_map(|k| slot_at(plan, span, k, now));
            self.steps.dispatch(dispatcher, span, now, TimeStep::of(slots));
        });
    }
}

/// Layer `k` of a group (0 the lowest) at time `now` - k, if the block has it.
fn slot_at(plan: &CallPlan<'_>, span: &Span, k: usize, now: usize) -> Option<Slot> {
    let layers = &plan.buffers.groups[span.group];
    let t = now.checked_sub(k).filter(|t| plan.steps(span).contains(t))?;
    let (running, row) = plan.rows_at(span, t);
    let (x_row, x_source) = match k.checked_sub(1) {
        None => (row, Slot::FROM_SEQUENCE),
        Some(below) => (plan.state_row(layers.start + below, 0), Slot::FROM_STATE),
    };
    let is_last = k + 1 == layers.len();
    Some(Slot {
        running: running as u32,
        state: plan.state_row(layers.start + k, 0) as u32,
        output_row: if is_last { plan.output_row(row, 0) as u32 } else { Slot::NO_OUTPUT },
        x_row: x_row as u32,
        x_source,
        ..slot_of(plan.network, layers.start + k, 0)
    })
}
