//! `scan`: as `step`, with many time steps in one dispatch. A workgroup carries some sequences through them, and keeps
//! the weights in registers where they fit.

use std::ops::Range;
use std::sync::Arc;

use super::NetworkSchedule;
use crate::batch::Packing;
use crate::error::Error;
use crate::kernels::{Carrying, Moment, SCAN_STEPS, Scan, ScanBuffers, ScanKernel, TileShape};
use crate::plan::buffers::BufferOptions;
use crate::plan::call::{CallPlan, Span};
use crate::plan::dispatcher::{Dispatcher, Steps, Work};
use crate::plan::limits::SUBMISSION;
use crate::plan::network::{Network, SizedKernel};
use crate::program::BufferRef;
use crate::tuning::Schedule;

#[derive(Debug)]
struct ScanSchedule {
    /// One kernel serves every layer.
    kernel: SizedKernel<ScanKernel>,
    /// Whether a workgroup keeps weights through a dispatch: all of them, or half.
    persists: bool,
    /// Whether it keeps half of them, and reads the other half in every step.
    streams: bool,
}

/// Where a workgroup has an invocation for every hidden unit, and there is no projection.
pub(super) fn plan(network: &mut Network) -> Result<Option<Arc<dyn NetworkSchedule>>, Error> {
    let (shape, directions) = (TileShape::of(&network.layouts.w_hh()), network.config.num_directions());
    let carrying = Carrying::of(&network.tiling, shape, &network.limits);
    let Some(carrying) = carrying.filter(|_| network.config.proj_size() == 0) else { return Ok(None) };
    let (persists, streams) = (carrying.persists(), carrying.streams());
    let pipelines = carrying.pipelines(shape, directions);
    let kernel = network.kernel(shape, carrying.tiles, pipelines)?;
    Ok(Some(Arc::new(ScanSchedule { kernel, persists, streams })))
}

impl NetworkSchedule for ScanSchedule {
    fn schedule(&self) -> Schedule {
        Schedule::Scan
    }

    /// A dispatch takes the whole batch, in tiles that may be lower than the network's.
    fn admits(&self, network: &Network, packing: &Packing) -> bool {
        let tiles = packing.batch().div_ceil(self.kernel.tiles.tallest());
        tiles <= network.limits.max_workgroups as usize
    }

    fn buffers(&self) -> BufferOptions {
        BufferOptions { layers_in_group: 1, hidden_in_place: true, gates: true }
    }

    fn dispatch(&self, dispatcher: &mut Dispatcher<'_>, span: &Span) {
        dispatcher.input_projection(span);
        let most = steps_of_scan(&self.kernel, dispatcher.plan.packing.batch(), span.directions.len());
        dispatcher.for_each_chunk(span, (most, 0), |dispatcher, steps| self.scan(dispatcher, span, steps));
    }
}

impl ScanSchedule {
    /// Some time steps of a layer in one dispatch.
    fn scan(&self, dispatcher: &mut Dispatcher<'_>, span: &Span, steps: Range<usize>) {
        let plan = dispatcher.plan;
        let buffers = ScanBuffers {
            weights: BufferRef::Resident(plan.network.weights[span.group].w_hh),
            h: plan.buffers.hidden.in_place(),
            gates_x: plan.buffers.gates(),
            c: BufferRef::Program(plan.buffers.cell),
            output: plan.output_of(span),
        };
        let (work, in_workgroup) = self.work(plan, span, &steps);
        let mut uniform = Scan {
            batch: plan.packing.batch() as u32,
            direction: span.directions.start as u32,
            count: steps.len() as u32,
            rows: in_workgroup as u32,
            slabs: self.kernel.shape.blocks() as u32,
            state: plan.state_row(span.group, 0) as u32,
            places: plan.request.places() as u32,
            unused: 0,
            steps: [[Moment::default(); 2]; SCAN_STEPS],
        };
        // What is counted does not depend on them.
        let listed = if dispatcher.counts() { 0..0 } else { steps };
        for (moments, n) in uniform.steps.iter_mut().zip(listed) {
            let times = plan.times(span, n);
            for d in span.directions.clone() {
                let (running, row) = plan.rows_at(span, times[d]);
                moments[d] = Moment {
                    running: running as u32,
                    gates_row: plan.gates_row(row, d) as u32,
                    output_row: plan.output_row(row, d) as u32,
                    unused: 0,
                };
            }
        }
        dispatcher.dispatch(&self.kernel, &buffers, &uniform, work);
    }

    /// What a dispatch computes, and the sequences of a workgroup.
    fn work(&self, plan: &CallPlan<'_>, span: &Span, steps: &Range<usize>) -> (Work, usize) {
        let (mut rows, mut fullest) = (0, 0);
        for d in span.directions.clone() {
            let times = plan.times_of(span, steps, d);
            rows += plan.packing.rows(&times);
            fullest = fullest.max(plan.packing.running(times.start)); // no later step has more
        }
        let (shape, directions) = (self.kernel.shape, span.directions.len());
        let (_, in_workgroup) = self.kernel.choose(fullest, directions);
        let product = Work::product(shape, fullest, directions);
        let (elements, within) = if self.persists {
            let within = steps.len() * in_workgroup;
            let streamed = if self.streams { (within as u64 - 1) * product.elements / 2 } else { 0 };
            (product.elements + streamed, Steps::Persistent(within))
        } else {
            (product.elements * steps.len() as u64, Steps::Carried(steps.len()))
        };
        let work = Work { operations: shape.operations(rows), elements, steps: within, ..product };
        (work, in_workgroup)
    }
}

/// The most time steps of one dispatch: as many as its uniform has place for, within a submission's operations.
fn steps_of_scan(kernel: &SizedKernel<ScanKernel>, batch: usize, directions: usize) -> usize {
    let step = kernel.shape.operations(1) * (batch * directions) as u64;
    usize::try_from(SUBMISSION.operations / step.max(1)).unwrap_or(usize::MAX).clamp(1, SCAN_STEPS)
}
