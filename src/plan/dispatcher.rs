//! The functions by which a schedule dispatches. A [`Sink`] takes the dispatches: [`ProgramBuilder`] lists them,
//! `cost::Counter` counts them.

use std::ops::Range;

use bytemuck::bytes_of;

use super::call::{CallPlan, Span};
use super::limits::SUBMISSION;
use super::network::SizedKernel;
use crate::kernels::{
    Block, HiddenProjection, HiddenProjectionBuffers, InputProjection, InputProjectionBuffers, Tile,
    TileShape, TimeStep,
};
use crate::program::{BindSet, BufferRef, KernelTypes, Named, ProgramBuilder, ResidentRef};

/// Where dispatches go.
pub(crate) trait Sink {
    /// Whether a run of equal dispatches comes as one call, with their number. Else every dispatch is a call.
    fn counts(&self) -> bool;
    fn dispatch(&mut self, dispatch: &Planned<'_>, alike: usize);
}

/// A dispatch.
pub(crate) struct Planned<'a> {
    pub pipeline: usize,
    /// Without buffers where dispatches are counted.
    pub bind_set: &'a BindSet,
    pub uniform: &'a [u8],
    pub grid: [u32; 3],
    pub tile: Tile,
    pub work: Work,
}

/// What a dispatch computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Rows of the slot that has most: sequences, or time steps of sequences.
    pub rows: usize,
    /// Layers or directions that are computed side by side.
    pub slots: usize,
    /// Floating-point operations, a multiply-add counted as two.
    pub operations: u64,
    /// Elements of weights, four numbers each, that the workgroups of one row of the grid, in all slots, read.
    pub elements: u64,
    /// vec4f of the reduction axis of each product that follows the other in an invocation.
    pub reductions: [usize; 2],
    pub steps: Steps,
}

/// Time steps within a dispatch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Steps {
    One,
    /// None: a product over the rows of many time steps, computed before any of them.
    Ahead,
    /// So many one after the other, with weights from memory.
    Carried(usize),
    /// The same with weights in registers, where a workgroup takes its sequences one after the other: each counts.
    Persistent(usize),
}

pub(crate) struct Dispatcher<'a> {
    pub plan: &'a CallPlan<'a>,
    sink: &'a mut dyn Sink,
    /// How many equal dispatches the next one stands for.
    alike: usize,
    /// That of the last dispatch: allocated once.
    bind_set: BindSet,
}

impl<'a> Dispatcher<'a> {
    pub fn new(plan: &'a CallPlan<'a>, sink: &'a mut dyn Sink) -> Self {
        Self { plan, sink, alike: 1, bind_set: BindSet { pipeline: 0, buffers: Vec::new() } }
    }

    /// Whether dispatches are counted, and not listed.
    pub fn counts(&self) -> bool {
        self.sink.counts()
    }

    /// Cuts a span's steps, numbered from 0, into chunks of at most `most`, and calls `dispatch` for each. On a diagonal
    /// the highest layer is `behind` steps later than the lowest, so that there are `behind` steps more. A sink that
    /// counts gets only the first of equal chunks.
    pub fn for_each_chunk(
        &mut self,
        span: &Span,
        (most, behind): (usize, usize),
        mut dispatch: impl FnMut(&mut Self, Range<usize>),
    ) {
        let end = self.plan.steps(span).len() + behind;
        let changes = if self.sink.counts() { self.plan.changes(span, behind) } else { Vec::new() };
        let mut start = 0;
        while start < end {
            let len = most.min(end - start);
            let change = changes.get(changes.partition_point(|&change| change <= start));
            let alike = change.map_or(1, |change| (change - start) / most).max(1);
            self.alike = alike;
            dispatch(self, start..start + len);
            self.alike = 1;
            start += (alike - 1) * most + len;
        }
    }

    /// Dispatches a kernel for the rows and slots of its work.
    pub fn dispatch<K: KernelTypes>(
        &mut self,
        kernel: &SizedKernel<K>,
        buffers: &K::Buffers,
        uniform: &K::Uniform,
        work: Work,
    ) {
        let (tile, in_workgroup) = kernel.choose(work.rows, work.slots);
        let bind_set = &mut self.bind_set;
        bind_set.pipeline = kernel.pipelines[0];
        bind_set.buffers.clear();
        if !self.sink.counts() {
            buffers.named(&mut |_, buffer| bind_set.buffers.push(buffer));
        }
        let planned = Planned {
            pipeline: kernel.pipelines[tile],
            bind_set,
            uniform: bytes_of(uniform),
            tile: kernel.tiles.list[tile],
            grid: kernel.grid(tile, work.rows.div_ceil(in_workgroup), work.slots),
            work,
        };
        self.sink.dispatch(&planned, self.alike);
    }

    /// x·W_ihᵀ for a whole block, for schedules that project the input ahead.
    pub fn input_projection(&mut self, span: &Span) {
        let plan = self.plan;
        let kernel = &plan.network.inputs[span.group];
        let weights = &plan.network.weights[span.group];
        let buffers = InputProjectionBuffers {
            weights: BufferRef::Resident(weights.w_ih),
            x: plan.input_of(span),
            bias: BufferRef::Resident(weights.bias),
            gates_x: plan.buffers.gates(),
        };
        let rows = plan.packing.rows(&plan.steps(span));
        // Whole tiles that keep one dispatch within a submission's operations.
        let tile = kernel.tiles.tallest();
        let row = kernel.shape.operations(1) * span.directions.len() as u64;
        let most = usize::try_from(SUBMISSION.operations / row).unwrap_or(usize::MAX);
        let most = (most / tile * tile).max(tile);
        for first in (0..rows).step_by(most) {
            let block = Block {
                direction: span.directions.start as u32,
                first_row: first as u32,
                rows: rows as u32,
                gates_rows: plan.gates_row(0, 1) as u32,
            };
            let product = Work::product(kernel.shape, most.min(rows - first), span.directions.len());
            let work = Work { steps: Steps::Ahead, ..product };
            self.dispatch::<InputProjection>(kernel, &buffers, &block, work);
        }
    }

    /// What follows a step where there is a projection; without one h is in `h_next` already. The slots' `w_hr` index
    /// the elements of `w_hr`.
    pub fn hidden_projection(
        &mut self,
        span: &Span,
        h_next: BufferRef,
        step: &TimeStep,
        slots: usize,
        w_hr: Option<ResidentRef>,
    ) {
        let plan = self.plan;
        let Some(kernel) = &plan.network.projection else { return };
        let buffers = HiddenProjectionBuffers {
            weights: BufferRef::Resident(w_hr.expect("a network that projects has w_hr")),
            unprojected: BufferRef::Program(
                plan.buffers.unprojected.expect("a network that projects has it"),
            ),
            h_next,
            output: plan.output_of(span),
        };
        let work = Work::product(kernel.shape, step.rows(), slots);
        self.dispatch::<HiddenProjection>(kernel, &buffers, step, work);
    }
}

impl Work {
    /// One product of `rows` rows in each slot.
    pub fn product(shape: TileShape, rows: usize, slots: usize) -> Self {
        Self {
            rows,
            slots,
            operations: shape.operations(rows) * slots as u64,
            elements: shape.elements() * slots as u64,
            reductions: [shape.reduction, 0],
            steps: Steps::One,
        }
    }
}

impl Sink for ProgramBuilder {
    fn counts(&self) -> bool {
        false
    }

    fn dispatch(&mut self, dispatch: &Planned<'_>, _: usize) {
        let Planned { pipeline, bind_set, uniform, grid, work, .. } = dispatch;
        self.dispatch(*pipeline, bind_set, uniform, *grid, work.operations);
    }
}
