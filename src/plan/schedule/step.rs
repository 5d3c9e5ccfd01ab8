//! `step`: the input's products of a block of time at once, then one dispatch a time step and layer, both directions
//! in it, and a second one where there is a projection.

use std::sync::Arc;

use super::NetworkSchedule;
use crate::batch::Packing;
use crate::error::Error;
use crate::kernels::{RecurrentStep, RecurrentStepBuffers, Slot, TileShape, TimeStep};
use crate::plan::buffers::BufferOptions;
use crate::plan::call::Span;
use crate::plan::dispatcher::{Dispatcher, Work};
use crate::plan::network::{Network, SizedKernel};
use crate::program::BufferRef;
use crate::tuning::Schedule;

#[derive(Debug)]
struct StepSchedule {
    /// One kernel serves every layer.
    kernel: SizedKernel<RecurrentStep>,
}

/// It computes every network.
pub(super) fn plan(network: &mut Network) -> Result<Option<Arc<dyn NetworkSchedule>>, Error> {
    let shape = TileShape::of(&network.layouts.w_hh());
    let tiles = network.tiling.tiles(shape);
    let (directions, projected) = (network.config.num_directions(), network.config.proj_size() > 0);
    let pipelines = RecurrentStep::pipelines(shape, &tiles, directions, projected);
    Ok(Some(Arc::new(StepSchedule { kernel: network.kernel(shape, tiles, pipelines)? })))
}

impl NetworkSchedule for StepSchedule {
    fn schedule(&self) -> Schedule {
        Schedule::Step
    }

    fn admits(&self, _: &Network, _: &Packing) -> bool {
        true
    }

    fn buffers(&self) -> BufferOptions {
        BufferOptions { layers_in_group: 1, hidden_in_place: false, gates: true }
    }

    fn dispatch(&self, dispatcher: &mut Dispatcher<'_>, span: &Span) {
        dispatcher.input_projection(span);
        dispatcher.for_each_chunk(span, (1, 0), |dispatcher, n| {
            self.recurrent_step(dispatcher, span, dispatcher.plan.times(span, n.start));
        });
    }
}

impl StepSchedule {
    /// One time step: `times` is the step's time in each direction.
    fn recurrent_step(&self, dispatcher: &mut Dispatcher<'_>, span: &Span, times: [usize; 2]) {
        let plan = dispatcher.plan;
        let weights = &plan.network.weights[span.group];
        let (w_hh, w_hr) = (plan.network.layouts.w_hh(), plan.network.layouts.w_hr());
        let slot = |d: usize| {
            let (running, row) = plan.rows_at(span, times[d]);
            Slot {
                running: running as u32,
                state: plan.state_row(span.group, d) as u32,
                gates_row: plan.gates_row(row, d) as u32,
                output_row: plan.output_row(row, d) as u32,
                w_hh: w_hh.first(d) as u32,
                w_hr: w_hr.map_or(0, |w_hr| w_hr.first(d)) as u32,
                ..Slot::default()
            }
        };
        let (step, slots) = TimeStep::of(span.directions.clone().map(slot));
        let [h, h_next] = plan.buffers.hidden.read_and_write(plan.done(span, times));
        let buffers = RecurrentStepBuffers {
            weights: BufferRef::Resident(weights.w_hh),
            h,
            gates_x: plan.buffers.gates(),
            c: BufferRef::Program(plan.buffers.cell),
            h_next: plan.buffers.unprojected_or(h_next),
            output: plan.output_of(span),
        };
        let work = Work::product(self.kernel.shape, step.rows(), slots);
        dispatcher.dispatch(&self.kernel, &buffers, &step, work);
        dispatcher.hidden_projection(span, h_next, &step, slots, weights.w_hr);
    }
}
