//! Walks layers, directions and blocks of time, and lists what the device is to do.

use std::collections::VecDeque;
use std::ops::Range;

use super::limits::BlockRows;
use super::network::{Network, Stage};
use super::packing::Packing;
use crate::error::Error;
use crate::kernels::{SLOTS, TileShape};
use crate::spec::{
    BindSet, BufferRef, Needs, Program, ProgramBuilder, ResidentRef, Submission, SubmissionLimits, VEC4,
    padded,
};
use crate::tuning::Schedule;

/// What a buffer that is uploaded or read back holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostData {
    /// The input of some time steps, [rows, I padded].
    Input { steps: Range<usize> },
    /// The last layer's output of some time steps, [rows, D, O padded].
    Output { steps: Range<usize> },
    /// h of some layers, [layers, D, B, O padded]. Of two buffers that take turns, `turn` is the one that
    /// holds what layer k of them (0 the lowest) has after n steps where n + k is odd or even alike; without
    /// turns it is the only one.
    Hidden { layers: Range<usize>, turn: Option<usize> },
    /// c of some layers, [layers, D, B, H].
    Cell { layers: Range<usize> },
}

/// A desktop resets a GPU that is busy with one submission for about 2 s. The slowest device worth
/// running on, a software adapter on two cores, does some 2·10¹⁰ operations a second, and starts a
/// dispatch in 20 µs: each bound is about one second there.
pub(super) const SUBMISSION: SubmissionLimits = SubmissionLimits {
    operations: 20_000_000_000,
    dispatches: 32_768,
    transfers: 128 << 20,
    params: 16 << 20, // twice what as many steps take, at the usual alignment
};

/// Steps of a block at most: bounds the uniforms, of which each step has one.
const MAX_STEPS: usize = 16_384;

/// Whether a schedule can compute the network on this batch.
pub(crate) fn admits(network: &Network, packing: &Packing, schedule: Schedule) -> bool {
    // What a dispatch computes with every layer in it must not be cut by a submission's bound.
    let fused = |layers: usize| {
        let directions = network.config.num_directions();
        let operations = |layer| {
            let x =
                TileShape { reduction: network.input_row(layer) / VEC4, ..network.layers[layer].step.shape };
            x.operations(packing.batch()) + network.layers[layer].step.shape.operations(packing.batch())
        };
        let most = (0..network.layers.len()).map(operations).max().unwrap_or(0);
        network.stacked.is_some() && most * (layers * directions) as u64 <= SUBMISSION.operations
    };
    let most_workgroups = network.limits.max_workgroups as usize;
    // What one dispatch of a scan takes, whose tiles may be lower than the network's.
    let carries = |stage: &Stage| packing.batch().div_ceil(stage.tiling.tallest()) <= most_workgroups;
    let slots = SLOTS.min(network.layers.len());
    match schedule {
        Schedule::Step => true,
        Schedule::Scan => network.layers.iter().all(|layer| layer.scan.as_ref().is_some_and(carries)),
        Schedule::Single => fused(1),
        Schedule::Diagonal => {
            network.config.num_directions() == 1 && slots <= most_workgroups && fused(SLOTS)
        }
    }
}

/// What one call on the packed sequences does. The program keeps its submissions if their lists take no more
/// than `keep` bytes of the host's memory; else a [`Scheduler`] lists them again, one after the other.
pub(crate) fn schedule(
    network: &Network,
    packing: &Packing,
    budget: u64,
    schedule: Schedule,
    keep: u64,
) -> Result<Program<HostData>, Error> {
    Scheduler::new(network, packing, budget, schedule).map(|scheduler| scheduler.into_program(keep))
}

/// Lists what one call on the packed sequences does, submission by submission: an iterator.
pub(crate) struct Scheduler<'a> {
    pub(super) network: &'a Network,
    pub(super) packing: &'a Packing,
    pub(super) builder: ProgramBuilder<HostData>,
    schedule: Schedule,
    /// What is still to be walked, the next one first.
    tasks: VecDeque<Task>,
    pub(super) blocks: Vec<Range<usize>>,
    /// Whether the directions share dispatches.
    pub(super) fused: bool,
    /// Rows of gates_x for each direction of a dispatch.
    pub(super) gates_rows: usize,
    /// [rows, I padded]: one for every block, or one that all blocks use in turn.
    input: Vec<usize>,
    /// [rows, D, O padded] of even and odd groups, likewise.
    outputs: [Vec<usize>; 2],
    /// Where the input is projected ahead.
    pub(super) gates_x: Option<usize>,
    pub(super) groups: Vec<Group>,
    /// [slots, B, H padded]: what hidden_projection reads, where there is one.
    pub(super) unprojected: Option<usize>,
}

/// Layers whose states lie together, as one dispatch may compute them: one, but for a diagonal.
pub(super) struct Group {
    pub layers: Range<usize>,
    /// [layers, D, B, O padded]: two that take turns, or one.
    pub h: Vec<usize>,
    /// [layers, D, B, H].
    pub c: usize,
}

/// A part of a call that is walked at once: no more than one block of time.
#[derive(Clone, Copy, Debug)]
enum Task {
    UploadStates,
    UploadInput {
        block: usize,
    },
    /// A group of layers over one block, in some directions.
    Compute {
        group: usize,
        directions: [usize; 2],
        block: usize,
    },
    DownloadOutput {
        block: usize,
    },
    DownloadStates,
}

impl Iterator for Scheduler<'_> {
    type Item = Submission<HostData>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(submission) = self.builder.next_closed() {
                return Some(submission);
            }
            match self.tasks.pop_front() {
                Some(task) => self.walk(task),
                None => return self.builder.last(),
            }
        }
    }
}

impl<'a> Scheduler<'a> {
    /// The sequences must be no more than [`most_sequences`](super::most_sequences), and the schedule one that
    /// [`admits`] them.
    pub fn new(
        network: &'a Network,
        packing: &'a Packing,
        budget: u64,
        schedule: Schedule,
    ) -> Result<Self, Error> {
        let config = &network.config;
        let directions = config.num_directions();
        let most = BlockRows::new(network, budget)?;
        let fits = packing.first_row(packing.steps()) <= most.fused && packing.steps() <= MAX_STEPS;
        let fused = directions == 1 || (fits && network.limits.max_workgroups >= 2); // z: directions
        let blocks = packing.blocks(if fused { most.fused } else { most.apart }, MAX_STEPS);
        let rows: Vec<usize> = blocks.iter().map(|block| packing.rows(block)).collect();
        let gates_rows = rows.iter().copied().max().unwrap_or(0);
        let layers = config.num_layers();
        let in_group = if schedule == Schedule::Diagonal { SLOTS.min(layers) } else { 1 };

        let bounds = SubmissionLimits {
            transfers: SUBMISSION.transfers.min(network.limits.max_buffer), // one staging buffer each way
            params: SUBMISSION.params.min(network.limits.max_buffer),
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
        let even = sequence("output of even groups", network.output_row());
        let odd = match layers <= in_group {
            true => Vec::new(),
            false => sequence("output of odd groups", network.output_row()),
        };
        let gate_directions = if fused { directions } else { 1 };
        let gates = 4 * config.hidden_size() * gates_rows * gate_directions;
        let ahead = matches!(schedule, Schedule::Step | Schedule::Scan);
        let gates_x = ahead.then(|| builder.buffer("gates_x", gates));
        let turns = if schedule == Schedule::Scan { 1 } else { 2 };
        let pairs = directions * packing.batch();
        let groups = (0..layers)
            .step_by(in_group)
            .map(|first| {
                let layers = first..layers.min(first + in_group);
                let h = layers.len() * pairs * padded(config.output_size());
                let h = (0..turns).map(|_| builder.buffer("h", h)).collect();
                let c = builder.buffer("c", layers.len() * pairs * config.hidden_size());
                Group { layers, h, c }
            })
            .collect();
        let unprojected = in_group * pairs * padded(config.hidden_size());
        let unprojected = (config.proj_size() > 0).then(|| builder.buffer("o ∘ tanh(c)", unprojected));
        let mut scheduler = Self {
            network,
            packing,
            builder,
            schedule,
            tasks: VecDeque::new(),
            blocks,
            fused,
            gates_rows,
            input,
            outputs: [even, odd],
            gates_x,
            groups,
            unprojected,
        };
        scheduler.tasks = match directions {
            1 => scheduler.block_by_block(),
            _ => scheduler.layer_by_layer(),
        };
        scheduler.tasks.push_front(Task::UploadStates);
        scheduler.tasks.push_back(Task::DownloadStates);
        Ok(scheduler)
    }

    /// All of it, with the submissions if their lists take no more than `keep` bytes.
    fn into_program(mut self, keep: u64) -> Program<HostData> {
        let mut needs = Needs::default();
        let mut submissions = Vec::new();
        for submission in self.by_ref() {
            needs.add(&submission);
            if needs.lists <= keep || needs.submissions == 1 {
                submissions.push(submission.shrunk());
            } else {
                submissions = Vec::new();
            }
        }
        let (buffers, bind_sets) = self.builder.finish();
        needs.pipelines.extend(bind_sets.iter().map(|set| set.pipeline));
        Program { buffers, bind_sets, submissions, needs }
    }

    /// One direction: every layer of a block, then the next block.
    fn block_by_block(&self) -> VecDeque<Task> {
        let mut tasks = VecDeque::new();
        for block in 0..self.blocks.len() {
            tasks.push_back(Task::UploadInput { block });
            let compute = |group| Task::Compute { group, directions: [0, 1], block };
            tasks.extend((0..self.groups.len()).map(compute));
            tasks.push_back(Task::DownloadOutput { block });
        }
        tasks
    }

    /// Two directions: every block of a layer, then the next layer.
    fn layer_by_layer(&self) -> VecDeque<Task> {
        let blocks = 0..self.blocks.len();
        let mut tasks: VecDeque<Task> = blocks.clone().map(|block| Task::UploadInput { block }).collect();
        for group in 0..self.groups.len() {
            if self.fused {
                tasks.push_back(Task::Compute { group, directions: [0, 2], block: 0 });
            } else {
                tasks.extend(blocks.clone().map(|block| Task::Compute { group, directions: [0, 1], block }));
                let reverse = |block| Task::Compute { group, directions: [1, 2], block };
                tasks.extend(blocks.clone().rev().map(reverse));
            }
        }
        tasks.extend(blocks.map(|block| Task::DownloadOutput { block }));
        tasks
    }

    fn walk(&mut self, task: Task) {
        match task {
            Task::UploadStates => self.upload_states(),
            Task::UploadInput { block } => self.upload_input(block),
            Task::Compute { group, directions: [start, end], block } => self.block(group, start..end, block),
            Task::DownloadOutput { block } => self.download_output(block),
            Task::DownloadStates => self.download_states(),
        }
    }

    /// A group of layers over one block, in some directions.
    fn block(&mut self, group: usize, directions: Range<usize>, block: usize) {
        let steps = self.blocks[block].clone();
        // The reverse direction takes the block's steps from its last to its first.
        let times = steps.clone().map(|t| [t, steps.start + steps.end - 1 - t]);
        match self.schedule {
            Schedule::Step => {
                self.input_projection(group, &directions, block);
                times.for_each(|times| self.recurrent_step(group, &directions, block, times));
            }
            Schedule::Scan => {
                self.input_projection(group, &directions, block);
                self.recurrent_scan(group, &directions, block, &times.collect::<Vec<_>>());
            }
            Schedule::Single => {
                times.for_each(|times| self.fused_step(group, &directions, block, times));
            }
            Schedule::Diagonal => {
                let behind = self.groups[group].layers.len() - 1;
                (steps.start..steps.end + behind).for_each(|now| self.diagonal_step(group, block, now));
            }
        }
    }

    /// Dispatches a stage for `rows` rows in each of `depth` slots.
    pub(super) fn dispatch<P: bytemuck::Pod>(
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

    /// Where a resident part begins, in elements of four numbers.
    pub(super) fn element(&self, part: ResidentRef, words: usize) -> u32 {
        (part.start / words) as u32 // bindings that shaders index in 32 bits
    }

    /// What enters a group, in some block.
    pub(super) fn input_of(&self, group: usize, block: usize) -> BufferRef {
        let buffers = if group == 0 { &self.input } else { &self.outputs[(group - 1) % 2] };
        BufferRef::Program(Self::of_block(buffers, block))
    }

    /// What leaves it.
    pub(super) fn output_of(&self, group: usize, block: usize) -> BufferRef {
        BufferRef::Program(Self::of_block(&self.outputs[group % 2], block))
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
        let last = self.groups.len() - 1;
        let buffer = Self::of_block(&self.outputs[last % 2], block);
        self.builder.download(buffer, len, HostData::Output { steps });
    }

    fn upload_states(&mut self) {
        for group in 0..self.groups.len() {
            let Group { layers, h, c } = &self.groups[group];
            // A shorter sequence's reverse direction starts late, maybe at an odd step, and the upper of
            // two layers on a diagonal one step after the lower.
            let late = self.network.config.bidirectional() && !self.packing.is_uniform();
            let turns = if late || layers.len() > 1 { h.len() } else { 1 };
            let (layers, h, c) = (layers.clone(), h.clone(), *c);
            for (turn, &buffer) in h.iter().enumerate().take(turns) {
                let turn = (h.len() > 1).then_some(turn);
                self.upload(buffer, HostData::Hidden { layers: layers.clone(), turn });
            }
            self.upload(c, HostData::Cell { layers });
        }
    }

    fn download_states(&mut self) {
        let last_turn = self.packing.steps() % 2;
        for group in 0..self.groups.len() {
            let Group { layers, h, c } = &self.groups[group];
            // A shorter sequence's forward direction ends early, maybe after the other turn.
            let both = !self.packing.is_uniform() || layers.len() > 1;
            let (layers, h, c) = (layers.clone(), h.clone(), *c);
            for (turn, &buffer) in h.iter().enumerate() {
                if h.len() == 1 || both || turn == last_turn {
                    let turn = (h.len() > 1).then_some(turn);
                    self.download(buffer, HostData::Hidden { layers: layers.clone(), turn });
                }
            }
            self.download(c, HostData::Cell { layers });
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
