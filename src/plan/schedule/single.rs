//! `single`: one dispatch a time step and layer, both directions in it, with the input's part in the same reduction: for
//! calls of one time step.

use std::sync::Arc;

use super::NetworkSchedule;
use super::fused::{FusedSteps, slot_of};
use crate::batch::Packing;
use crate::error::Error;
use crate::kernels::{Slot, TimeStep};
use crate::plan::buffers::BufferOptions;
use crate::plan::call::{CallPlan, Span};
use crate::plan::dispatcher::Dispatcher;
use crate::plan::network::Network;
use crate::tuning::Schedule;

#[derive(Debug)]
struct SingleSchedule {
    steps: FusedSteps,
}

pub(super) fn plan(network: &mut Network) -> Result<Option<Arc<dyn NetworkSchedule>>, Error> {
    Ok(FusedSteps::plan(network)?.map(|steps| Arc::new(SingleSchedule { steps }) as Arc<_>))
}

impl NetworkSchedule for SingleSchedule {
    fn schedule(&self) -> Schedule {
        Schedule::Single
    }

    fn admits(&self, network: &Network, packing: &Packing) -> bool {
        self.steps.admits(network, packing, 1)
    }

    fn buffers(&self) -> BufferOptions {
        BufferOptions { layers_in_group: 1, hidden_in_place: false, gates: false }
    }

    fn dispatch(&self, dispatcher: &mut Dispatcher<'_>, span: &Span) {
        dispatcher.for_each_chunk(span, (1, 0), |dispatcher, n| {
            let plan = dispatcher.plan;
            let times = plan.times(span, n.start);
            let slots = span.directions.clone().map(|d| slot_at(plan, span, d, times[d]));
            self.steps.dispatch(dispatcher, span, plan.done(span, times), TimeStep::of(slots));
        });
    }
}

/// A direction of a layer at time `t`.
fn slot_at(plan: &CallPlan<'_>, span: &Span, d: usize, t: usize) -> Slot {
    let (running, row) = plan.rows_at(span, t);
    Slot {
        running: running as u32,
        state: plan.state_row(span.group, d) as u32,
        output_row: plan.output_row(row, d) as u32,
        x_row: row as u32,
        x_source: Slot::FROM_SEQUENCE,
        ..slot_of(plan.network, span.group, d)
    }
}
