//! Walks layers, directions and blocks of time, and lists what the device is to do.

use std::ops::Range;

use super::limits::BlockRows;
use super::network::{Layer, Network, Stage};
use super::packing::Packing;
use crate::error::Error;
use crate::kernels::{Block, Step};
use crate::spec::{BindSet, BufferRef, Program, ProgramBuilder, SubmissionLimits, padded};

/// What a buffer that is uploaded or read back holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostData {
    /// The input of some time steps, [rows, I padded].
    Input { steps: Range<usize> },
    /// The last layer's output of some time steps, [rows, D, O padded].
    Output { steps: Range<usize> },
    /// h of a layer, [D, B, O padded]. Of two buffers that take turns, `turn` is the one that step
    /// `turn` reads: 0 holds the state after an even number of steps, 1 after an odd number.
    Hidden { layer: usize, turn: usize },
    /// c of a layer, [D, B, H].
    Cell { layer: usize },
}

/// A desktop resets a GPU that is busy with one submission for about 2 s. The slowest device worth
/// running on, a software adapter on two cores, does some 2·10¹⁰ operations a second, and starts a
/// dispatch in 20 µs: each bound is about one second there.
pub(super) const SUBMISSION: SubmissionLimits =
    SubmissionLimits { operations: 20_000_000_000, dispatches: 32_768, transfers: 128 << 20 };

/// Steps of a block at most: bounds the uniforms, of which each step has one.
const MAX_STEPS: usize = 16_384;

/// Lists everything that one call on the packed sequences does. They must be no more than
/// [`most_sequences`](super::most_sequences).
pub(crate) fn schedule(
    network: &Network,
    packing: &Packing,
    budget: u64,
) -> Result<Program<HostData>, Error> {
    let mut scheduler = Scheduler::new(network, packing, budget)?;
    scheduler.upload_states();
    if network.config.num_directions() == 1 {
        scheduler.walk_blocks();
    } else {
        scheduler.walk_layers();
    }
    scheduler.download_states();
    Ok(scheduler.builder.finish())
}

struct Scheduler<'a> {
    network: &'a Network,
    packing: &'a Packing,
    builder: ProgramBuilder<HostData>,
    blocks: Vec<Range<usize>>,
    /// Whether the directions share dispatches.
    fused: bool,
    /// Rows of gates_x for each direction of a dispatch.
    gates_rows: usize,
    /// [rows, I padded]: one for every block, or one that all blocks use in turn.
    input: Vec<usize>,
    /// [rows, D, O padded] of even and odd layers, likewise.
    outputs: [Vec<usize>; 2],
    gates_x: usize,
    /// Per layer, the two buffers of h that take turns, and c.
    states: Vec<([usize; 2], usize)>,
    /// [D, B, H padded]: what hidden_projection reads, where there is one.
    unprojected: Option<usize>,
}

impl<'a> Scheduler<'a> {
    fn new(network: &'a Network, packing: &'a Packing, budget: u64) -> Result<Self, Error> {
        let config = &network.config;
        let directions = config.num_directions();
        let most = BlockRows::new(network, budget)?;
        let fits = packing.first_row(packing.steps()) <= most.fused && packing.steps() <= MAX_STEPS;
        let fused = directions == 1 || fits;
        let blocks = packing.blocks(if fused { most.fused } else { most.apart }, MAX_STEPS);
        let rows: Vec<usize> = blocks.iter().map(|block| packing.rows(block)).collect();
        let gates_rows = rows.iter().copied().max().unwrap_or(0);

        let bounds = SubmissionLimits {
            transfers: SUBMISSION.transfers.min(network.limits.max_buffer), // one staging buffer each way
            ..SUBMISSION
        };
        let mut builder = ProgramBuilder::new(network.limits.uniform_alignment, bounds);
        // One direction walks through time once, layer by layer within a block: the next block can use
        // the same buffers. Two directions need the whole sequence of the layer below.
        let kept = if directions == 1 { vec![gates_rows] } else { rows };
        let mut sequence = |label: &str, row: usize| -> Vec<usize> {
            kept.iter().map(|rows| builder.buffer(label, rows * row)).collect()
        };
        let input = sequence("input", network.input_row(0));
        let even = sequence("output of even layers", network.output_row());
        let odd = match config.num_layers() {
            1 => Vec::new(),
            _ => sequence("output of odd layers", network.output_row()),
        };
        let gate_directions = if fused { directions } else { 1 };
        let gates = 4 * config.hidden_size() * gates_rows * gate_directions;
        let gates_x = builder.buffer("gates_x", gates);
        let pairs = directions * packing.batch();
        let states = (0..config.num_layers())
            .map(|_| {
                let h = pairs * padded(config.output_size());
                let h = [builder.buffer("h", h), builder.buffer("h", h)];
                (h, builder.buffer("c", pairs * config.hidden_size()))
            })
            .collect();
        let unprojected = (config.proj_size() > 0)
            .then(|| builder.buffer("o ∘ tanh(c)", pairs * padded(config.hidden_size())));
        Ok(Self {
            network,
            packing,
            builder,
            blocks,
            fused,
            gates_rows,
            input,
            outputs: [even, odd],
            gates_x,
            states,
            unprojected,
        })
    }

    /// One direction: every layer of a block, then the next block.
    fn walk_blocks(&mut self) {
        for block in 0..self.blocks.len() {
            self.upload_input(block);
            for layer in 0..self.network.layers.len() {
                self.block(layer, 0..1, block);
            }
            self.download_output(block);
        }
    }

    /// Two directions: every block of a layer, then the next layer.
    fn walk_layers(&mut self) {
        let blocks = self.blocks.len();
        (0..blocks).for_each(|block| self.upload_input(block));
        for layer in 0..self.network.layers.len() {
            if self.fused {
                self.block(layer, 0..2, 0);
            } else {
                (0..blocks).for_each(|block| self.block(layer, 0..1, block));
                (0..blocks).rev().for_each(|block| self.block(layer, 1..2, block));
            }
        }
        (0..blocks).for_each(|block| self.download_output(block));
    }

    /// One layer over one block, in some directions.
    fn block(&mut self, layer: usize, directions: Range<usize>, block: usize) {
        let network = self.network;
        let steps = self.blocks[block].clone();
        self.input_projection(&network.layers[layer], layer, &directions, block);
        for k in 0..steps.len() {
            // The reverse direction takes the block's steps from its last to its first.
            let times = [steps.start + k, steps.end - 1 - k];
            self.time_step(&network.layers[layer], layer, &directions, block, times);
        }
    }

    fn input_projection(&mut self, layer: &Layer, number: usize, directions: &Range<usize>, block: usize) {
        let rows = self.packing.rows(&self.blocks[block]);
        let operand = match number {
            0 => Self::of_block(&self.input, block),
            _ => Self::of_block(&self.outputs[(number - 1) % 2], block),
        };
        let buffers = vec![
            BufferRef::Resident(layer.w_ih),
            BufferRef::Program(operand),
            BufferRef::Resident(layer.bias),
            BufferRef::Program(self.gates_x),
        ];
        let most = self.rows_of_a_dispatch(&layer.input, directions.len());
        for first in (0..rows).step_by(most) {
            let params = Block {
                direction: directions.start as u32,
                first_row: first as u32,
                rows: rows as u32,
                gates_rows: if self.fused { self.gates_rows as u32 } else { 0 },
            };
            let rows = most.min(rows - first);
            self.dispatch(&layer.input, buffers.clone(), &params, rows, directions.len());
        }
    }

    /// Rows that keep one dispatch within a submission's operations: whole tiles.
    fn rows_of_a_dispatch(&self, stage: &Stage, directions: usize) -> usize {
        let tile = self.network.tiling.tallest();
        let row = stage.shape.operations(1) * directions as u64;
        let rows = usize::try_from(SUBMISSION.operations / row).unwrap_or(usize::MAX);
        (rows / tile * tile).max(tile)
    }

    /// One time step: `times` is the step's time in each direction.
    fn time_step(
        &mut self,
        layer: &Layer,
        number: usize,
        directions: &Range<usize>,
        block: usize,
        times: [usize; 2],
    ) {
        let packing = self.packing;
        let start = packing.first_row(self.blocks[block].start);
        let mut step = Step {
            batch: packing.batch() as u32,
            direction: directions.start as u32,
            running: [0; 2],
            gates_row: [0; 2],
            output_row: [0; 2],
        };
        let mut rows = 0;
        for d in directions.clone() {
            let row = packing.first_row(times[d]) - start;
            let gates = if self.fused { d * self.gates_rows } else { 0 };
            step.running[d] = packing.running(times[d]) as u32;
            step.gates_row[d] = (gates + row) as u32;
            step.output_row[d] = row as u32;
            rows = rows.max(packing.running(times[d]));
        }
        // Steps done before this one: the same for both directions where they share a dispatch.
        let done = match directions.start {
            0 => times[0],
            _ => packing.steps() - 1 - times[1],
        };
        let (h, c) = self.states[number];
        let (h_in, h_out) = (h[done % 2], h[(done + 1) % 2]);
        let output = Self::of_block(&self.outputs[number % 2], block);
        let buffers = vec![
            BufferRef::Resident(layer.w_hh),
            BufferRef::Program(h_in),
            BufferRef::Program(self.gates_x),
            BufferRef::Program(c),
            BufferRef::Program(self.unprojected.unwrap_or(h_out)),
            BufferRef::Program(output),
        ];
        self.dispatch(&layer.step, buffers, &step, rows, directions.len());
        if let (Some((projection, w_hr)), Some(unprojected)) = (&layer.projection, self.unprojected) {
            let buffers = vec![
                BufferRef::Resident(*w_hr),
                BufferRef::Program(unprojected),
                BufferRef::Program(h_out),
                BufferRef::Program(output),
            ];
            self.dispatch(projection, buffers, &step, rows, directions.len());
        }
    }

    fn dispatch<P: bytemuck::Pod>(
        &mut self,
        stage: &Stage,
        buffers: Vec<BufferRef>,
        params: &P,
        rows: usize,
        directions: usize,
    ) {
        let tiling = &self.network.tiling;
        let height = tiling.height_for(rows);
        let grid = stage.shape.grid(tiling, height, rows, directions);
        let operations = stage.shape.operations(rows) * directions as u64;
        let bind_set = BindSet { pipeline: stage.pipelines[0], buffers };
        let pipeline = stage.pipelines[height];
        self.builder.dispatch(pipeline, bind_set, params, grid, operations);
    }

    /// The buffer of a block: its own, or the one that all share.
    fn of_block(buffers: &[usize], block: usize) -> usize {
        buffers[block % buffers.len()]
    }

    fn upload_input(&mut self, block: usize) {
        let steps = self.blocks[block].clone();
        let len = self.packing.rows(&steps) * self.network.input_row(0);
        let buffer = Self::of_block(&self.input, block);
        self.builder.upload(buffer, len, HostData::Input { steps });
    }

    fn download_output(&mut self, block: usize) {
        let steps = self.blocks[block].clone();
        let len = self.packing.rows(&steps) * self.network.output_row();
        let last = self.network.layers.len() - 1;
        let buffer = Self::of_block(&self.outputs[last % 2], block);
        self.builder.download(buffer, len, HostData::Output { steps });
    }

    fn upload_states(&mut self) {
        // A shorter sequence's reverse direction starts late, maybe at an odd step.
        let late = self.network.config.bidirectional() && !self.packing.is_uniform();
        for layer in 0..self.states.len() {
            let ([even, odd], c) = self.states[layer];
            self.upload(even, HostData::Hidden { layer, turn: 0 });
            if late {
                self.upload(odd, HostData::Hidden { layer, turn: 1 });
            }
            self.upload(c, HostData::Cell { layer });
        }
    }

    fn download_states(&mut self) {
        let last_turn = self.packing.steps() % 2;
        // A shorter sequence's forward direction ends early, maybe after the other turn.
        let both = !self.packing.is_uniform();
        for layer in 0..self.states.len() {
            let (h, c) = self.states[layer];
            for (turn, h) in h.into_iter().enumerate() {
                if both || turn == last_turn {
                    self.download(h, HostData::Hidden { layer, turn });
                }
            }
            self.download(c, HostData::Cell { layer });
        }
    }

    /// A whole buffer.
    fn upload(&mut self, buffer: usize, tag: HostData) {
        let len = self.builder.buffer_len(buffer);
        self.builder.upload(buffer, len, tag);
    }

    /// A whole buffer.
    fn download(&mut self, buffer: usize, tag: HostData) {
        let len = self.builder.buffer_len(buffer);
        self.builder.download(buffer, len, tag);
    }
}
