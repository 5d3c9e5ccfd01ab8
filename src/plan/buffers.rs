//! The buffers of a program: which there are, how long, and whose turn it is.

use std::ops::Range;

use super::blocks::Blocks;
use super::network::Network;
use crate::batch::Packing;
use crate::program::{BufferRef, padded};

/// What a schedule needs of the buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Layers of a group at most: those that one dispatch may compute.
    pub layers_in_group: usize,
    /// Whether h is updated in place; else two buffers take turns.
    pub hidden_in_place: bool,
    /// Whether the input is projected ahead, into `gates_x`.
    pub gates: bool,
}

/// Indices of a program's buffers.
pub(crate) struct Buffers {
    /// [rows, I padded]: one for every block, or one that all blocks use in turn.
    input: Vec<usize>,
    /// [rows, D, O padded] of even and odd groups, likewise.
    outputs: [Vec<usize>; 2],
    /// Where the input is projected ahead: [D, rows, H] of (i, f, g, o).
    gates: Option<usize>,
    /// Rows of `gates` for each direction of a dispatch.
    pub gates_rows: usize,
    pub groups: Vec<Group>,
    /// Where there is a projection: [slots, B, H padded], o ∘ tanh(c) before it.
    pub unprojected: Option<usize>,
}

/// Layers whose states are in the same buffers.
pub(crate) struct Group {
    pub layers: Range<usize>,
    pub hidden: Hidden,
    /// [layers, D, B, H].
    pub cell: usize,
}

/// The buffers of h, [layers, D, B, O padded].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hidden {
    /// One, which a dispatch reads and writes.
    InPlace(usize),
    /// Two: a step reads one and writes the other. Before the first step h is in the first of them.
    InTurns([usize; 2]),
}

impl Hidden {
    /// What is read by the step after `done` others, and what it writes.
    pub fn read_and_write(self, done: usize) -> [BufferRef; 2] {
        let [read, write] = match self {
            Self::InPlace(buffer) => [buffer, buffer],
            Self::InTurns([first, second]) if done.is_multiple_of(2) => [first, second],
            Self::InTurns([first, second]) => [second, first],
        };
        [BufferRef::Program(read), BufferRef::Program(write)]
    }
}

impl Buffers {
    /// `add` adds a buffer of so many f32 to the program.
    pub fn new(
        network: &Network,
        packing: &Packing,
        blocks: &Blocks,
        layout: Layout,
        mut add: impl FnMut(&str, usize) -> usize,
    ) -> Self {
        let config = &network.config;
        let (directions, layers) = (config.num_directions(), config.num_layers());
        let in_group = layout.layers_in_group.min(layers);
        let rows: Vec<usize> = blocks.steps.iter().map(|block| packing.rows(block)).collect();
        let gates_rows = rows.iter().copied().max().unwrap_or(0);
        // One direction walks through time once, layer by layer within a block: the next block can use
        // the same buffers. Two directions need the whole sequence of the layer below.
        let kept = if directions == 1 { vec![gates_rows] } else { rows };
        let mut sequence = |label: &str, row: usize| -> Vec<usize> {
            kept.iter().map(|rows| add(label, rows * row)).collect()
        };
        let input = sequence("input", network.input_row(0));
        let even = sequence("output of even groups", network.output_row());
        let odd = match layers <= in_group {
            true => Vec::new(),
            false => sequence("output of odd groups", network.output_row()),
        };
        let gate_directions = if blocks.directions_together { directions } else { 1 };
        let gates = 4 * config.hidden_size() * gates_rows * gate_directions;
        let gates = layout.gates.then(|| add("gates_x", gates));
        let pairs = directions * packing.batch();
        let mut group = |first: usize| {
            let layers = first..layers.min(first + in_group);
            let len = layers.len() * pairs * padded(config.output_size());
            let hidden = match layout.hidden_in_place {
                true => Hidden::InPlace(add("h", len)),
                false => Hidden::InTurns([add("h", len), add("h", len)]),
            };
            let cell = add("c", layers.len() * pairs * config.hidden_size());
            Group { layers, hidden, cell }
        };
        let groups = (0..layers).step_by(in_group).map(&mut group).collect();
        let unprojected = in_group * pairs * padded(config.hidden_size());
        let unprojected = (config.proj_size() > 0).then(|| add("o ∘ tanh(c)", unprojected));
        Self { input, outputs: [even, odd], gates, gates_rows, groups, unprojected }
    }

    /// What enters a group, in some block.
    pub fn input_of(&self, group: usize, block: usize) -> usize {
        let buffers = if group == 0 { &self.input } else { &self.outputs[(group - 1) % 2] };
        Self::of_block(buffers, block)
    }

    /// What leaves it.
    pub fn output_of(&self, group: usize, block: usize) -> usize {
        Self::of_block(&self.outputs[group % 2], block)
    }

    /// `gates_x`, of a schedule whose layout has it.
    pub fn gates(&self) -> BufferRef {
        BufferRef::Program(self.gates.expect("the schedule's layout has gates"))
    }

    /// Where a cell's h goes: to be projected, or to `h_out`, where the next step reads it.
    pub fn unprojected_or(&self, h_out: BufferRef) -> BufferRef {
        self.unprojected.map_or(h_out, BufferRef::Program)
    }

    /// The buffer of a block: its own, or the one that all share.
    fn of_block(buffers: &[usize], block: usize) -> usize {
        buffers[block % buffers.len()]
    }
}
