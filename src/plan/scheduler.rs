//! Walks layers, directions and blocks of time, and lists submissions one after the other.

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
    /// Tasks that were walked.
    walked: usize,
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
            match task(&self.passes, self.walked) {
                Some(task) => self.walk(task),
                None => return self.passes.builder.last(),
            }
            self.walked += 1;
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
        Ok(Self { passes: Passes { network, packing, blocks, buffers, builder }, admitted, walked: 0 })
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
            let late = network.config.bidirectional() && !packing.has_equal_lengths();
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
            let both = !packing.has_equal_lengths() || layers.len() > 1;
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

/// Task number `number` of a call: the states, then the blocks, then the states again.
fn task(passes: &Passes<'_>, number: usize) -> Option<Task> {
    let Some(number) = number.checked_sub(1) else { return Some(Task::UploadStates) };
    let (tasks, task): (usize, fn(&Passes<'_>, usize) -> Task) = match passes.network.config.num_directions()
    {
        1 => (passes.blocks.steps.len() * (passes.buffers.groups.len() + 2), block_by_block),
        _ => (2 * passes.blocks.steps.len() + passes.buffers.groups.len() * parts(passes), layer_by_layer),
    };
    match number {
        number if number < tasks => Some(task(passes, number)),
        number if number == tasks => Some(Task::DownloadStates),
        _ => None,
    }
}

/// One direction: every group of a block, then the next block.
fn block_by_block(passes: &Passes<'_>, number: usize) -> Task {
    let groups = passes.buffers.groups.len();
    let (block, number) = (number / (groups + 2), number % (groups + 2));
    match number {
        0 => Task::UploadInput { block },
        number if number <= groups => Task::Compute(Part { group: number - 1, directions: 0..1, block }),
        _ => Task::DownloadOutput { block },
    }
}

/// Two directions: every block of a group, then the next group.
fn layer_by_layer(passes: &Passes<'_>, number: usize) -> Task {
    let (blocks, parts) = (passes.blocks.steps.len(), parts(passes));
    let Some(of_groups) = number.checked_sub(blocks) else { return Task::UploadInput { block: number } };
    let (group, part) = (of_groups / parts, of_groups % parts);
    match group.checked_sub(passes.buffers.groups.len()) {
        Some(_) => Task::DownloadOutput { block: of_groups - passes.buffers.groups.len() * parts },
        None if passes.blocks.directions_together => {
            Task::Compute(Part { group, directions: 0..2, block: 0 })
        }
        None if part < blocks => Task::Compute(Part { group, directions: 0..1, block: part }),
        None => Task::Compute(Part { group, directions: 1..2, block: 2 * blocks - 1 - part }),
    }
}

/// Parts of a group in two directions: both at once, or forward through the blocks and back.
fn parts(passes: &Passes<'_>) -> usize {
    if passes.blocks.directions_together { 1 } else { 2 * passes.blocks.steps.len() }
}
