//! The buffers of a program: which there are, whose they are, and how long.

use std::ops::Range;

use super::blocks::Blocks;
use super::network::Network;
use super::request::{Keeper, Request};
use crate::layout::GateRows;
use crate::program::{BufferRef, Owner, State, Turn, Turns, VEC4};

/// Which buffers a schedule needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BufferOptions {
    /// Layers of a group at most: those that one dispatch may compute.
    pub layers_in_group: usize,
    /// Whether h is updated in place; else two buffers take turns.
    pub hidden_in_place: bool,
    /// Whether the input is projected ahead, into `gates_x`.
    pub gates: bool,
}

/// A program's buffers, as indices.
pub(crate) struct Buffers {
    /// Of the caller: the input of each block.
    input: PerBlock,
    /// Of the caller: what leaves the last group, and every second one below it.
    output: PerBlock,
    /// Scratch: what leaves the other groups.
    between: Option<PerBlock>,
    /// Scratch: `gates_x`, where the input is projected ahead.
    gates: Option<usize>,
    /// The layout of `gates_x`.
    pub gate_rows: GateRows,
    /// The layers that one dispatch may compute, of each group.
    pub groups: Vec<Range<usize>>,
    /// h of every layer.
    pub hidden: Hidden,
    /// c of every layer.
    pub cell: usize,
    /// Scratch: o ∘ tanh(c), where there is a projection.
    pub unprojected: Option<usize>,
    /// Of a pass: the output with its directions side by side, where they are not in `output`.
    pub joined: Option<usize>,
    /// Of a pool.
    pub stored: Option<Stored>,
}

/// The buffers from which and to which a pool exchanges states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub entries: usize,
    /// h of the batch at both turns.
    pub turns: [usize; 2],
    pub hidden: usize,
    pub cell: usize,
}

/// A buffer for each block of time, or one that all blocks use in turn.
struct PerBlock(Vec<usize>);

impl PerBlock {
    fn of(&self, block: usize) -> BufferRef {
        BufferRef::Program(self.index(block))
    }

    fn index(&self, block: usize) -> usize {
        self.0[block % self.0.len()]
    }
}

/// The buffers of h.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hidden {
    /// One, which a dispatch reads and writes.
    InPlace(usize),
    /// Two: a step reads one and writes the other.
    InTurns { first: usize, second: usize, turns: Turns },
}

impl Hidden {
    /// Which buffer holds each layer's state.
    pub fn turns(self, start: Turn) -> Turns {
        match self {
            Self::InPlace(_) => Turns { start, layers_in_group: 1 },
            Self::InTurns { turns, .. } => turns,
        }
    }

    /// The buffer of a schedule that updates h in place.
    pub fn in_place(self) -> BufferRef {
        match self {
            Self::InPlace(buffer) => BufferRef::Program(buffer),
            Self::InTurns { .. } => panic!("the schedule asked for h in place"),
        }
    }

    /// The buffer that a step reads after `done` others of the group's lowest layer, and the one that it writes.
    pub fn read_and_write(self, done: usize) -> [BufferRef; 2] {
        let [read, write] = match self {
            Self::InPlace(buffer) => [buffer, buffer],
            Self::InTurns { first, second, turns } => match turns.start.after(done) {
                Turn::First => [first, second],
                Turn::Second => [second, first],
            },
        };
        [BufferRef::Program(read), BufferRef::Program(write)]
    }
}

impl Buffers {
    /// `add` adds a buffer of so many f32 to the program, and returns its index.
    pub fn new(
        network: &Network,
        request: &Request<'_>,
        blocks: &Blocks,
        options: BufferOptions,
        mut add: impl FnMut(Owner, &str, usize) -> usize,
    ) -> Self {
        let (config, layouts) = (&network.config, &network.layouts);
        let (directions, layers) = (config.num_directions(), config.num_layers());
        let (packing, places) = (request.packing, request.places());
        let in_group = options.layers_in_group.min(layers);
        let rows: Vec<usize> = blocks.steps.iter().map(|block| packing.rows(block)).collect();
        let most_rows = rows.iter().copied().max().unwrap_or(0);
        // One direction walks through time once, layer by layer within a block: the next block can use
        // the same buffers. Two directions need the whole sequence of the layer below.
        let kept = if directions == 1 { vec![most_rows] } else { rows };
        let mut sequence = |owner, name: &str, row: usize| {
            PerBlock(kept.iter().map(|rows| add(owner, name, rows * row)).collect())
        };
        let input = sequence(Owner::Caller, "input", layouts.input(0).stride());
        let output = sequence(Owner::Caller, "output", layouts.output().stride());
        let between = (layers > in_group)
            .then(|| sequence(Owner::Scratch, "between layers", layouts.output().stride()));
        let gate_rows = layouts.gates(most_rows);
        let gate_directions = if blocks.directions_together { directions } else { 1 };
        let gates = options.gates.then(|| add(Owner::Scratch, "gates_x", gate_rows.len(gate_directions)));
        let groups = (0..layers).step_by(in_group).map(|first| first..layers.min(first + in_group)).collect();
        let len = layouts.hidden(places).len(layers);
        let is_pool = matches!(request.keeper, Keeper::Pool { .. });
        let mut h = |turn| add(Owner::State(State::Hidden(turn)), "h", len);
        let first = h(Turn::First);
        let second = (is_pool || !options.hidden_in_place).then(|| h(Turn::Second));
        let hidden = match (second, options.hidden_in_place) {
            (Some(second), true) if request.start() == Turn::Second => Hidden::InPlace(second),
            (Some(second), false) => {
                let turns = Turns { start: request.start(), layers_in_group: in_group };
                Hidden::InTurns { first, second, turns }
            }
            (_, _) => Hidden::InPlace(first),
        };
        let cell = add(Owner::State(State::Cell), "c", layouts.cell(places).len(layers));
        let unprojected = layouts.unprojected(places).len(layers);
        let unprojected = (config.proj_size() > 0).then(|| add(Owner::Scratch, "o ∘ tanh(c)", unprojected));
        let is_pass = request.keeper == Keeper::Pass;
        let joined = (is_pass && layouts.joined_output().stride() != layouts.output().stride())
            .then(|| add(Owner::Caller, "joined output", layouts.joined_output().len(most_rows)));
        let store = |second| Stored {
            entries: add(Owner::Caller, "entries", VEC4 * places),
            turns: [first, second],
            hidden: add(Owner::State(State::StoredHidden), "stored h", len),
            cell: add(Owner::State(State::StoredCell), "stored c", layouts.cell(places).len(layers)),
        };
        let stored = second.filter(|_| is_pool).map(store);
        Self { input, output, between, gates, gate_rows, groups, hidden, cell, unprojected, joined, stored }
    }

    /// The buffer that a group reads its input from in a block.
    pub fn input_of(&self, group: usize, block: usize) -> BufferRef {
        match group.checked_sub(1) {
            Some(below) => self.output_of(below, block),
            None => self.input.of(block),
        }
    }

    /// The buffer that a group writes its output to in a block.
    pub fn output_of(&self, group: usize, block: usize) -> BufferRef {
        let above = self.groups.len() - 1 - group;
        match &self.between {
            Some(between) if !above.is_multiple_of(2) => between.of(block),
            _ => self.output.of(block),
        }
    }

    /// Index of the caller's input, of some block.
    pub fn input(&self, block: usize) -> usize {
        self.input.index(block)
    }

    /// Index of the caller's output, of some block.
    pub fn output(&self, block: usize) -> usize {
        self.output.index(block)
    }

    /// `gates_x`, of a schedule that has it.
    pub fn gates(&self) -> BufferRef {
        BufferRef::Program(self.gates.expect("the schedule has gates"))
    }

    /// Where a cell's h goes: to be projected, or to `h_next`, where the next step reads it.
    pub fn unprojected_or(&self, h_next: BufferRef) -> BufferRef {
        self.unprojected.map_or(h_next, BufferRef::Program)
    }
}
