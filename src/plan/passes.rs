//! What a schedule dispatches with: the call, its buffers, and the program that grows.

use std::ops::Range;

use super::blocks::Blocks;
use super::buffers::Buffers;
use super::limits::SUBMISSION;
use super::network::{Network, Stage};
use super::scheduler::HostData;
use crate::batch::Packing;
use crate::kernels::{Block, Step};
use crate::program::{BindSet, BufferRef, ProgramBuilder, ResidentRef};

pub(crate) struct Passes<'a> {
    pub network: &'a Network,
    pub packing: &'a Packing,
    pub blocks: Blocks,
    pub buffers: Buffers,
    pub builder: ProgramBuilder<HostData>,
}

/// What is computed at once: a group of layers over one block of time, in some directions.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub group: usize,
    pub directions: Range<usize>,
    pub block: usize,
}

impl Passes<'_> {
    /// The times of a part's steps, in order; of each step the time in either direction. The reverse direction
    /// takes the block's steps from its last to its first.
    pub fn times(&self, part: &Part) -> impl Iterator<Item = [usize; 2]> + use<> {
        let steps = self.blocks.steps[part.block].clone();
        let (start, end) = (steps.start, steps.end);
        steps.map(move |t| [t, start + end - 1 - t])
    }

    /// Steps done before this one: the same for both directions where they share a dispatch.
    pub fn done(&self, part: &Part, times: [usize; 2]) -> usize {
        match part.directions.start {
            0 => times[0],
            _ => self.packing.steps() - 1 - times[1],
        }
    }

    /// Row of a time step in its block.
    pub fn row(&self, block: usize, t: usize) -> usize {
        self.packing.rows(&(self.blocks.steps[block].start..t))
    }

    /// A row of the output, where the directions' rows alternate.
    pub fn output_row(&self, row: usize, d: usize) -> u32 {
        (row * self.network.config.num_directions() + d) as u32
    }

    /// Row of a direction's gates.
    pub fn gates_row(&self, d: usize) -> usize {
        if self.blocks.directions_together { d * self.buffers.gates_rows } else { 0 }
    }

    pub fn input_of(&self, part: &Part) -> BufferRef {
        BufferRef::Program(self.buffers.input_of(part.group, part.block))
    }

    pub fn output_of(&self, part: &Part) -> BufferRef {
        BufferRef::Program(self.buffers.output_of(part.group, part.block))
    }

    /// Dispatches a stage for `rows` rows in each of `depth` slots.
    pub fn dispatch<P: bytemuck::Pod>(
        &mut self,
        stage: &Stage,
        buffers: Vec<BufferRef>,
        params: &P,
        (rows, depth): (usize, usize),
        operations: u64,
    ) {
        let height = stage.tiling.height_for(rows);
        let grid = stage.shape.grid(&stage.tiling, height, rows, depth);
        let bind_set = BindSet { pipeline: stage.pipelines[0], buffers };
        self.builder.dispatch(stage.pipelines[height], bind_set, params, grid, operations);
    }

    /// x·W_ihᵀ for a whole block, for schedules that project the input ahead.
    pub fn input_projection(&mut self, part: &Part) {
        let layer = &self.network.layers[part.group];
        let rows = self.packing.rows(&self.blocks.steps[part.block]);
        let directions = part.directions.len();
        let buffers = vec![
            BufferRef::Resident(layer.w_ih),
            self.input_of(part),
            BufferRef::Resident(layer.bias),
            self.buffers.gates(),
        ];
        // Whole tiles that keep one dispatch within a submission's operations.
        let tile = layer.input.tiling.tallest();
        let row = layer.input.shape.operations(1) * directions as u64;
        let most = usize::try_from(SUBMISSION.operations / row).unwrap_or(usize::MAX);
        let most = (most / tile * tile).max(tile);
        for first in (0..rows).step_by(most) {
            let params = Block {
                direction: part.directions.start as u32,
                first_row: first as u32,
                rows: rows as u32,
                gates_rows: self.gates_row(1) as u32,
            };
            let rows = most.min(rows - first);
            self.dispatch(&layer.input, buffers.clone(), &params, (rows, directions), row * rows as u64);
        }
    }

    /// What follows a step where there is a projection; `w_hr` is what the slots' `w_hr` index.
    pub fn hidden_projection(
        &mut self,
        part: &Part,
        h_out: BufferRef,
        step: &Step,
        slots: usize,
        w_hr: Option<ResidentRef>,
    ) {
        let layer = &self.network.layers[self.buffers.groups[part.group].layers.start];
        let (Some(stage), Some(unprojected), Some(w_hr)) =
            (&layer.projection, self.buffers.unprojected, w_hr)
        else {
            return; // h is h_out
        };
        let buffers =
            vec![BufferRef::Resident(w_hr), BufferRef::Program(unprojected), h_out, self.output_of(part)];
        let rows = rows_of(step);
        let operations = stage.shape.operations(rows) * slots as u64;
        self.dispatch(stage, buffers, step, (rows, slots), operations);
    }
}

/// The rows of the slot that has most.
pub(super) fn rows_of(step: &Step) -> usize {
    step.slots.iter().map(|slot| slot.running as usize).max().unwrap_or(0)
}
