//! Walks layers, directions and blocks of time, and lists submissions one after the other.

use std::collections::VecDeque;
use std::ops::Range;

use super::blocks::Blocks;
use super::buffers::{Buffers, Group, Hidden};
use super::limits::SUBMISSION;
use super::network::Network;
use super::passes::{Part, Passes};
use super::schedule::Admitted;
use crate::batch::Packing;
use crate::error::Error;
use crate::program::{Needs, Program, ProgramBuilder, Submission, SubmissionLimits};

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

/// What one call on the packed sequences does. The program keeps its submissions if their lists take no more
/// than `keep` bytes of the host's memory; else a [`Scheduler`] lists them again, one after the other.
pub(crate) fn schedule(
    network: &Network,
    packing: &Packing,
    budget: u64,
    admitted: Admitted,
    keep: u64,
) -> Result<Program<HostData>, Error> {
    Scheduler::new(network, packing, budget, admitted).map(|scheduler| scheduler.into_program(keep))
}

/// Lists what one call on the packed sequences does, submission by submission: an iterator. The same arguments
/// give the same list.
pub(crate) struct Scheduler<'a> {
    passes: Passes<'a>,
    admitted: Admitted,
    /// What is still to be walked, the next one first.
    tasks: VecDeque<Task>,
}

/// A part of a call that is walked at once: no more than one block of time.
#[derive(Clone, Debug)]
enum Task {
    UploadStates,
    UploadInput { block: usize },
    Compute(Part),
    DownloadOutput { block: usize },
    DownloadStates,
}

impl Iterator for Scheduler<'_> {
    type Item = Submission<HostData>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(submission) = self.passes.builder.next_closed() {
                return Some(submission);
            }
            match self.tasks.pop_front() {
                Some(task) => self.walk(task),
                None => return self.passes.builder.last(),
            }
        }
    }
}

impl<'a> Scheduler<'a> {
    /// The sequences must be no more than [`most_sequences`](super::most_sequences), and the schedule one that was
    /// admitted for them.
    pub fn new(
        network: &'a Network,
        packing: &'a Packing,
        budget: u64,
        admitted: Admitted,
    ) -> Result<Self, Error> {
        let bounds = SubmissionLimits {
            transfers: SUBMISSION.transfers.min(network.limits.max_buffer), // one staging buffer each way
            params: SUBMISSION.params.min(network.limits.max_buffer),
            ..SUBMISSION
        };
        let mut builder = ProgramBuilder::new(network.limits.uniform_alignment, bounds);
        let blocks = Blocks::new(network, packing, budget)?;
        let add = |label: &str, len: usize| builder.buffer(label, len);
        let buffers = Buffers::new(network, packing, &blocks, admitted.layout(), add);
        let passes = Passes { network, packing, blocks, buffers, builder };
        let mut tasks = match network.config.num_directions() {
            1 => block_by_block(&passes),
            _ => layer_by_layer(&passes),
        };
        tasks.push_front(Task::UploadStates);
        tasks.push_back(Task::DownloadStates);
        Ok(Self { passes, admitted, tasks })
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
        let (buffers, bind_sets) = self.passes.builder.finish();
        needs.pipelines.extend(bind_sets.iter().map(|set| set.pipeline));
        Program { buffers, bind_sets, submissions, needs }
    }

    fn walk(&mut self, task: Task) {
        match task {
            Task::UploadStates => self.upload_states(),
            Task::UploadInput { block } => self.upload_input(block),
            Task::Compute(part) => self.admitted.dispatch(&mut self.passes, &part),
            Task::DownloadOutput { block } => self.download_output(block),
            Task::DownloadStates => self.download_states(),
        }
    }

    fn upload_input(&mut self, block: usize) {
        let Passes { network, packing, blocks, buffers, builder } = &mut self.passes;
        let steps = blocks.steps[block].clone();
        let len = packing.rows(&steps) * network.input_row(0);
        builder.upload(buffers.input_of(0, block), len, HostData::Input { steps });
    }

    fn download_output(&mut self, block: usize) {
        let Passes { network, packing, blocks, buffers, builder } = &mut self.passes;
        let steps = blocks.steps[block].clone();
        let len = packing.rows(&steps) * network.output_row();
        let last = buffers.groups.len() - 1;
        builder.download(buffers.output_of(last, block), len, HostData::Output { steps });
    }

    fn upload_states(&mut self) {
        let Passes { network, packing, buffers, builder, .. } = &mut self.passes;
        let mut upload = |buffer, tag| builder.upload(buffer, builder.buffer_len(buffer), tag);
        for Group { layers, hidden, cell } in &buffers.groups {
            // A shorter sequence's reverse direction starts late, maybe at an odd step, and the upper of
            // two layers on a diagonal one step after the lower.
            let late = network.config.bidirectional() && !packing.is_uniform();
            let turns = if late || layers.len() > 1 { 2 } else { 1 };
            for (buffer, tag) in hidden_data(*hidden, layers).take(turns) {
                upload(buffer, tag);
            }
            upload(*cell, HostData::Cell { layers: layers.clone() });
        }
    }

    fn download_states(&mut self) {
        let Passes { packing, buffers, builder, .. } = &mut self.passes;
        let mut download = |buffer, tag| builder.download(buffer, builder.buffer_len(buffer), tag);
        let last_turn = packing.steps() % 2;
        for Group { layers, hidden, cell } in &buffers.groups {
            // A shorter sequence's forward direction ends early, maybe after the other turn.
            let both = !packing.is_uniform() || layers.len() > 1;
            for (buffer, tag) in hidden_data(*hidden, layers) {
                let HostData::Hidden { turn, .. } = &tag else { continue };
                if both || turn.is_none_or(|turn| turn == last_turn) {
                    download(buffer, tag);
                }
            }
            download(*cell, HostData::Cell { layers: layers.clone() });
        }
    }
}

/// The buffers of h, and what each holds.
fn hidden_data(hidden: Hidden, layers: &Range<usize>) -> impl Iterator<Item = (usize, HostData)> {
    let buffers = match hidden {
        Hidden::InPlace(buffer) => vec![(buffer, None)],
        Hidden::InTurns([first, second]) => vec![(first, Some(0)), (second, Some(1))],
    };
    let layers = layers.clone();
    let data = move |(buffer, turn)| (buffer, HostData::Hidden { layers: layers.clone(), turn });
    buffers.into_iter().map(data)
}

/// One direction: every layer of a block, then the next block.
fn block_by_block(passes: &Passes<'_>) -> VecDeque<Task> {
    let mut tasks = VecDeque::new();
    for block in 0..passes.blocks.steps.len() {
        tasks.push_back(Task::UploadInput { block });
        let part = |group| Task::Compute(Part { group, directions: 0..1, block });
        tasks.extend((0..passes.buffers.groups.len()).map(part));
        tasks.push_back(Task::DownloadOutput { block });
    }
    tasks
}

/// Two directions: every block of a layer, then the next layer.
fn layer_by_layer(passes: &Passes<'_>) -> VecDeque<Task> {
    let blocks = 0..passes.blocks.steps.len();
    let mut tasks: VecDeque<Task> = blocks.clone().map(|block| Task::UploadInput { block }).collect();
    for group in 0..passes.buffers.groups.len() {
        let part = |directions: Range<usize>| {
            move |block| Task::Compute(Part { group, directions: directions.clone(), block })
        };
        if passes.blocks.directions_together {
            tasks.push_back(part(0..2)(0));
        } else {
            tasks.extend(blocks.clone().map(part(0..1)));
            tasks.extend(blocks.clone().rev().map(part(1..2)));
        }
    }
    tasks.extend(blocks.map(|block| Task::DownloadOutput { block }));
    tasks
}
