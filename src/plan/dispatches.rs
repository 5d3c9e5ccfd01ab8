//! The dispatches of a group of layers: which buffers, rows and weights each is given.

use std::ops::Range;

use super::network::Stage;
use super::schedule::{SUBMISSION, Scheduler};
use crate::kernels::{Block, Moment, RecurrentScan, SCAN_STEPS, SLOTS, Scan, Slot, Step, TileShape};
use crate::spec::{BufferRef, ResidentRef, VEC4};

impl Scheduler<'_> {
    /// x·W_ihᵀ for a whole block.
    pub(super) fn input_projection(&mut self, group: usize, directions: &Range<usize>, block: usize) {
        let layer = &self.network.layers[group];
        let rows = self.packing.rows(&self.blocks[block]);
        let buffers = vec![
            BufferRef::Resident(layer.w_ih),
            self.input_of(group, block),
            BufferRef::Resident(layer.bias),
            self.gates(),
        ];
        // Whole tiles that keep one dispatch within a submission's operations.
        let tile = layer.input.tiling.tallest();
        let row = layer.input.shape.operations(1) * directions.len() as u64;
        let most = usize::try_from(SUBMISSION.operations / row).unwrap_or(usize::MAX);
        let most = (most / tile * tile).max(tile);
        for first in (0..rows).step_by(most) {
            let params = Block {
                direction: directions.start as u32,
                first_row: first as u32,
                rows: rows as u32,
                gates_rows: if self.fused { self.gates_rows as u32 } else { 0 },
            };
            let rows = most.min(rows - first);
            let size = (rows, directions.len());
            self.dispatch(&layer.input, buffers.clone(), &params, size, row * rows as u64);
        }
    }

    /// One time step: `times` is the step's time in each direction.
    pub(super) fn recurrent_step(
        &mut self,
        group: usize,
        directions: &Range<usize>,
        block: usize,
        times: [usize; 2],
    ) {
        let layer = &self.network.layers[group];
        let mut step = Step::default();
        for (slot, d) in step.slots.iter_mut().zip(directions.clone()) {
            let row = self.row(block, times[d]);
            *slot = Slot {
                running: self.packing.running(times[d]) as u32,
                state: (d * self.packing.batch()) as u32,
                gates_row: (self.gates_row(d) + row) as u32,
                output_row: self.output_row(row, d),
                w_hh: matrix(d, layer.step.shape),
                w_hr: layer.projection.as_ref().map_or(0, |stage| matrix(d, stage.shape)),
                ..Slot::default()
            };
        }
        let [h_in, h_out] = self.turns(group, self.done(directions, times));
        let buffers = vec![
            BufferRef::Resident(layer.w_hh),
            h_in,
            self.gates(),
            BufferRef::Program(self.groups[group].c),
            self.unprojected(h_out),
            self.output_of(group, block),
        ];
        let rows = rows_of(&step);
        let operations = layer.step.shape.operations(rows) * directions.len() as u64;
        self.dispatch(&layer.step, buffers, &step, (rows, directions.len()), operations);
        self.hidden_projection(group, block, h_out, &step, directions.len(), layer.w_hr);
    }

    /// Every time step of a block, in as few dispatches as their uniforms allow.
    pub(super) fn recurrent_scan(
        &mut self,
        group: usize,
        directions: &Range<usize>,
        block: usize,
        times: &[[usize; 2]],
    ) {
        let layer = &self.network.layers[group];
        let Some(stage) = &layer.scan else { return };
        let state = &self.groups[group];
        let buffers = vec![
            BufferRef::Resident(layer.w_hh),
            BufferRef::Program(state.h[0]),
            self.gates(),
            BufferRef::Program(state.c),
            self.output_of(group, block),
        ];
        let row = stage.shape.operations(1);
        let most = steps_of_scan(stage, self.packing.batch(), directions.len());
        for some in times.chunks(most) {
            let running = |times: &[usize; 2]| {
                directions.clone().map(|d| self.packing.running(times[d])).max().unwrap_or(0)
            };
            let fullest = some.iter().map(running).max().unwrap_or(0);
            let height = stage.tiling.height_for(fullest);
            let mut scan = Scan {
                batch: self.packing.batch() as u32,
                direction: directions.start as u32,
                count: some.len() as u32,
                rows: stage.tiling.rows_of_workgroup(height, fullest, directions.len()) as u32,
                slabs: RecurrentScan::slabs(stage.shape) as u32,
                unused: [0; 3],
                steps: [[Moment::default(); 2]; SCAN_STEPS],
            };
            let mut operations = 0;
            for (step, times) in scan.steps.iter_mut().zip(some) {
                for d in directions.clone() {
                    let running = self.packing.running(times[d]);
                    let first = self.row(block, times[d]);
                    step[d] = Moment {
                        running: running as u32,
                        gates_row: (self.gates_row(d) + first) as u32,
                        output_row: self.output_row(first, d),
                        unused: 0,
                    };
                    operations += row * running as u64;
                }
            }
            self.dispatch(stage, buffers.clone(), &scan, (fullest, directions.len()), operations);
        }
    }

    /// One time step of a layer without gates_x.
    pub(super) fn fused_step(
        &mut self,
        group: usize,
        directions: &Range<usize>,
        block: usize,
        times: [usize; 2],
    ) {
        let mut slots = Vec::with_capacity(directions.len());
        for d in directions.clone() {
            let row = self.row(block, times[d]);
            slots.push(Slot {
                running: self.packing.running(times[d]) as u32,
                state: (d * self.packing.batch()) as u32,
                output_row: self.output_row(row, d),
                x_row: row as u32,
                x_source: Slot::FROM_SEQUENCE,
                ..self.fused_slot(group, d)
            });
        }
        self.fused_dispatch(group, block, self.done(directions, times), &slots);
    }

    /// One dispatch of a diagonal: layer k of the group (0 the lowest) at time `now` - k, where the block
    /// has it.
    pub(super) fn diagonal_step(&mut self, group: usize, block: usize, now: usize) {
        let batch = self.packing.batch();
        let layers = self.groups[group].layers.clone();
        let mut slots = Vec::with_capacity(layers.len());
        for (k, layer) in layers.clone().enumerate() {
            let Some(t) = now.checked_sub(k).filter(|t| self.blocks[block].contains(t)) else { continue };
            let row = self.row(block, t);
            let (x_row, x_source) = match k {
                0 => (row, Slot::FROM_SEQUENCE),
                _ => ((k - 1) * batch, Slot::FROM_STATE),
            };
            slots.push(Slot {
                running: self.packing.running(t) as u32,
                state: (k * batch) as u32,
                output_row: if layer + 1 == layers.end { self.output_row(row, 0) } else { Slot::NO_OUTPUT },
                x_row: x_row as u32,
                x_source,
                ..self.fused_slot(layer, 0)
            });
        }
        self.fused_dispatch(group, block, now, &slots);
    }

    /// What a layer and direction's slot has at every step.
    fn fused_slot(&self, layer: usize, d: usize) -> Slot {
        let Self { network, .. } = self;
        let words = network.words_of_element();
        let layer_of = &network.layers[layer];
        let begin = |part: ResidentRef, shape| self.element(part, words) + matrix(d, shape);
        Slot {
            w_ih: begin(layer_of.w_ih, layer_of.input.shape),
            w_hh: begin(layer_of.w_hh, layer_of.step.shape),
            w_hr: match (&layer_of.projection, layer_of.w_hr) {
                (Some(stage), Some(w_hr)) => begin(w_hr, stage.shape),
                _ => 0,
            },
            bias: self.element(layer_of.bias, VEC4) + (d * network.config.hidden_size()) as u32,
            x_length: (network.input_row(layer) / VEC4) as u32,
            ..Slot::default()
        }
    }

    fn fused_dispatch(&mut self, group: usize, block: usize, done: usize, slots: &[Slot]) {
        let layer = &self.network.layers[self.groups[group].layers.start];
        let (Some([weights, biases]), Some(stage)) = (self.network.stacked, &layer.fused) else { return };
        let mut step = Step::default();
        step.slots[..slots.len().min(SLOTS)].copy_from_slice(slots);
        let [h_in, h_out] = self.turns(group, done);
        let buffers = vec![
            BufferRef::Resident(weights),
            h_in,
            BufferRef::Resident(biases),
            BufferRef::Program(self.groups[group].c),
            self.unprojected(h_out),
            self.output_of(group, block),
            self.input_of(group, block),
        ];
        let rows = rows_of(&step);
        let operations = |slot: &Slot| {
            let x = TileShape { reduction: slot.x_length as usize, ..stage.shape };
            x.operations(slot.running as usize) + stage.shape.operations(slot.running as usize)
        };
        let operations = slots.iter().map(operations).sum();
        self.dispatch(stage, buffers, &step, (rows, slots.len()), operations);
        self.hidden_projection(group, block, h_out, &step, slots.len(), Some(weights));
    }

    /// What follows a step where there is a projection; `w_hr` is what the slots' `w_hr` index.
    fn hidden_projection(
        &mut self,
        group: usize,
        block: usize,
        h_out: BufferRef,
        step: &Step,
        slots: usize,
        w_hr: Option<ResidentRef>,
    ) {
        let layer = &self.network.layers[self.groups[group].layers.start];
        let (Some(stage), Some(unprojected), Some(w_hr)) = (&layer.projection, self.unprojected, w_hr) else {
            return;
        };
        let buffers = vec![
            BufferRef::Resident(w_hr),
            BufferRef::Program(unprojected),
            h_out,
            self.output_of(group, block),
        ];
        let rows = rows_of(step);
        let operations = stage.shape.operations(rows) * slots as u64;
        self.dispatch(stage, buffers, step, (rows, slots), operations);
    }

    /// Steps done before this one: the same for both directions where they share a dispatch.
    fn done(&self, directions: &Range<usize>, times: [usize; 2]) -> usize {
        match directions.start {
            0 => times[0],
            _ => self.packing.steps() - 1 - times[1],
        }
    }

    /// The buffer of h that is read after `done` steps, and the one that is written.
    fn turns(&self, group: usize, done: usize) -> [BufferRef; 2] {
        let h = &self.groups[group].h;
        [done, done + 1].map(|turn| BufferRef::Program(h[turn % h.len()]))
    }

    /// Where a cell's h goes: to be projected, or straight where it is wanted.
    fn unprojected(&self, h_out: BufferRef) -> BufferRef {
        self.unprojected.map_or(h_out, BufferRef::Program)
    }

    /// The buffer of gates_x, where the schedule has one.
    fn gates(&self) -> BufferRef {
        BufferRef::Program(self.gates_x.unwrap_or_default())
    }

    /// Row of a time step in its block.
    fn row(&self, block: usize, t: usize) -> usize {
        self.packing.first_row(t) - self.packing.first_row(self.blocks[block].start)
    }

    /// Row of a direction's gates.
    fn gates_row(&self, d: usize) -> usize {
        if self.fused { d * self.gates_rows } else { 0 }
    }

    /// A row of the output where the directions' rows alternate.
    fn output_row(&self, row: usize, d: usize) -> u32 {
        (row * self.network.config.num_directions() + d) as u32
    }
}

/// The most time steps of one scan: as many as its uniform tells, within a submission's operations.
pub(super) fn steps_of_scan(stage: &Stage, batch: usize, directions: usize) -> usize {
    let step = stage.shape.operations(1) * (batch * directions) as u64;
    usize::try_from(SUBMISSION.operations / step.max(1)).unwrap_or(usize::MAX).clamp(1, SCAN_STEPS)
}

/// Where the matrix of a direction begins, in elements.
fn matrix(d: usize, shape: TileShape) -> u32 {
    (d * VEC4 * shape.reduction * shape.columns) as u32
}

fn rows_of(step: &Step) -> usize {
    step.slots.iter().map(|slot| slot.running as usize).max().unwrap_or(0)
}
