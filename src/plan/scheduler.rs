//! Walks layers, directions and blocks of time: the order of uploads, passes and downloads. Lists submissions one after
//! the other.

use super::call::{CallPlan, Span};
use super::dispatcher::Dispatcher;
use super::limits::SUBMISSION;
use super::network::Network;
use super::request::{Keeper, Request};
use super::schedule::Admitted;
use crate::error::Error;
use crate::program::{Needs, Owner, Program, ProgramBuilder, Submission, SubmissionLimits};

/// What one call on the packed sequences does. The program keeps its submissions if their lists take no more
/// than `keep` bytes of the host's memory; else a [`Scheduler`] lists them again, one after the other.
pub(crate) fn schedule(
    network: &Network,
    request: Request<'_>,
    admitted: Admitted,
    keep: u64,
) -> Result<Program, Error> {
    Scheduler::new(network, request, admitted).map(|scheduler| scheduler.into_program(keep))
}

/// Lists what one call on the packed sequences does, submission by submission: an iterator. The same arguments
/// give the same list.
pub(crate) struct Scheduler<'a> {
    plan: CallPlan<'a>,
    builder: ProgramBuilder,
    admitted: Admitted,
    /// Tasks that were walked.
    walked: usize,
}

/// What is walked at once: no more than one block of time.
#[derive(Clone, Debug)]
enum Task {
    Begin,
    UploadInput { block: usize },
    Compute(Span),
    DownloadOutput { block: usize },
    End,
}

impl Iterator for Scheduler<'_> {
    type Item = Submission;

    fn next(&mut self) -> Option<Submission> {
        loop {
            if let Some(submission) = self.builder.next_closed() {
                return Some(submission);
            }
            match task(&self.plan, self.walked) {
                Some(task) => self.walk(task),
                None => return self.builder.last(),
            }
            self.walked += 1;
        }
    }
}

impl<'a> Scheduler<'a> {
    /// The sequences must be no more than [`most_sequences`](super::most_sequences), and the schedule one that was
    /// admitted for them.
    pub fn new(network: &'a Network, request: Request<'a>, admitted: Admitted) -> Result<Self, Error> {
        let bounds = match request.keeper {
            // The caller submits it, whatever it takes.
            Keeper::Pass => SubmissionLimits {
                operations: u64::MAX,
                dispatches: usize::MAX,
                transfers: u64::MAX,
                uniforms: network.limits.max_buffer.min(u64::from(u32::MAX)),
            },
            Keeper::Caller | Keeper::Pool { .. } => SubmissionLimits {
                transfers: SUBMISSION.transfers.min(network.limits.max_buffer), // one staging buffer each way
                uniforms: SUBMISSION.uniforms.min(network.limits.max_buffer),
                ..SUBMISSION
            },
        };
        let mut builder = ProgramBuilder::new(network.limits.uniform_alignment, bounds, request.bind_sets);
        let add = |owner: Owner, name: &str, len: usize| builder.buffer(owner, name, len);
        let plan = CallPlan::new(network, request, admitted.buffers(), add)?;
        Ok(Self { plan, builder, admitted, walked: 0 })
    }

    /// All of it, with the submissions if their lists take no more than `keep` bytes.
    fn into_program(mut self, keep: u64) -> Program {
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

    fn walk(&mut self, task: Task) {
        let (plan, builder) = (&self.plan, &mut self.builder);
        match task {
            Task::Begin => plan.begin(builder),
            Task::UploadInput { block } => plan.upload_input(block, builder),
            Task::Compute(span) => self.admitted.dispatch(&mut Dispatcher::new(plan, builder), &span),
            Task::DownloadOutput { block } => plan.download_output(block, builder),
            Task::End => plan.end(builder),
        }
    }
}

/// The spans of a call that are computed, in order.
pub(super) fn compute(plan: &CallPlan<'_>) -> impl Iterator<Item = Span> {
    let tasks = (0..).map_while(|number| task(plan, number));
    tasks.filter_map(|task| if let Task::Compute(span) = task { Some(span) } else { None })
}

/// Task number `number` of a call: the states, then the blocks, then the states again.
fn task(plan: &CallPlan<'_>, number: usize) -> Option<Task> {
    let Some(number) = number.checked_sub(1) else { return Some(Task::Begin) };
    let (blocks, groups) = (plan.blocks.steps.len(), plan.buffers.groups.len());
    let (tasks, task): (usize, fn(&CallPlan<'_>, usize) -> Task) = match plan.network.config.num_directions()
    {
        1 => (blocks * (groups + 2), block_by_block),
        _ => (2 * blocks + groups * spans_of_group(plan), layer_by_layer),
    };
    match number {
        number if number < tasks => Some(task(plan, number)),
        number if number == tasks => Some(Task::End),
        _ => None,
    }
}

/// One direction: every group of a block, then the next block.
fn block_by_block(plan: &CallPlan<'_>, number: usize) -> Task {
    let groups = plan.buffers.groups.len();
    let (block, number) = (number / (groups + 2), number % (groups + 2));
    match number {
        0 => Task::UploadInput { block },
        number if number <= groups => Task::Compute(Span { group: number - 1, directions: 0..1, block }),
        _ => Task::DownloadOutput { block },
    }
}

/// Two directions: every block of a group, then the next group.
fn layer_by_layer(plan: &CallPlan<'_>, number: usize) -> Task {
    let (blocks, spans) = (plan.blocks.steps.len(), spans_of_group(plan));
    let Some(of_groups) = number.checked_sub(blocks) else { return Task::UploadInput { block: number } };
    let (group, span) = (of_groups / spans, of_groups % spans);
    match group.checked_sub(plan.buffers.groups.len()) {
        Some(_) => Task::DownloadOutput { block: of_groups - plan.buffers.groups.len() * spans },
        None if plan.blocks.directions_together => Task::Compute(Span { group, directions: 0..2, block: 0 }),
        None if span < blocks => Task::Compute(Span { group, directions: 0..1, block: span }),
        None => Task::Compute(Span { group, directions: 1..2, block: 2 * blocks - 1 - span }),
    }
}

/// Spans of a group in two directions: both at once, or forward through the blocks and back.
fn spans_of_group(plan: &CallPlan<'_>) -> usize {
    if plan.blocks.directions_together { 1 } else { 2 * plan.blocks.steps.len() }
}
