//! What a walker and its helper share where each computes half of the hidden units of every time step.
//!
//! The walker offers a block of time as a job. Once the helper has taken it, each publishes its half of a step and reads
//! the other's. The walker waits for a half no longer than it takes to compute it; then it computes that half
//! itself, to the end of the block, from the c of the last half that came. A helper that is late finds out that its job is
//! void. What it published is never read: the walker reads a half only if its step is the one it waits for, and steps
//! have numbers that never repeat. A call may end before its helper has started, so the two share nothing else.

use std::sync::{Arc, Mutex};

use super::network::{Network, Numbers, Step};
use super::shared::Shared;
use super::sync::{AtomicBool, AtomicUsize, Ordering, fence, pause};
use crate::lock::lock;

/// A block of time of a layer and direction.
#[derive(Clone, Default)]
pub(super) struct Job {
    /// The number of its first step; no other step of the call has it.
    pub(super) first: usize,
    /// Its steps, in the order in which they are computed.
    pub(super) steps: Vec<Step>,
    /// x of its rows in this order, and the length of a row.
    pub(super) x: Vec<f32>,
    pub(super) depth: usize,
    /// h and c before its first step.
    pub(super) h: Vec<f32>,
    pub(super) c: Vec<f32>,
}

/// One thread's halves of the two last steps, on cache lines of their own. Step n is at n mod 2.
#[repr(align(128))]
struct Side {
    /// The step that was published last; steps count from 1.
    published: AtomicUsize,
    /// [2, B, units of the half].
    units: Shared,
    c: Shared,
}

impl Side {
    fn new(batch: usize, width: usize, c_width: usize) -> Self {
        let zeros = |width: usize| Shared::zeros(2 * batch * width);
        Self { published: AtomicUsize::new(0), units: zeros(width), c: zeros(c_width) }
    }
}

pub(super) struct Pair {
    network: Network,
    batch: usize,
    /// The first panel of the helper's half.
    middle: usize,
    walker: Side,
    helper: Side,
    job: Mutex<Option<Arc<Job>>>,
    /// The first step of the job that was offered last. Every other job is void.
    offered: AtomicUsize,
    /// The helper waits for a job.
    is_free: AtomicBool,
    has_ended: AtomicBool,
}

impl Pair {
    pub(super) fn new(network: Network, batch: usize) -> Self {
        let panels = network.panels();
        let middle = panels.div_ceil(2);
        let [width, helper_width] = [0..middle, middle..panels].map(|half| network.units(&half).len());
        let (walker, helper) = (Side::new(batch, width, 0), Side::new(batch, helper_width, helper_width));
        Self {
            network,
            batch,
            middle,
            walker,
            helper,
            job: Mutex::new(None),
            offered: AtomicUsize::new(0),
            is_free: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        }
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// The panels of the walker's half and of the helper's.
    pub(super) fn halves(&self) -> [std::ops::Range<usize>; 2] {
        [0..self.middle, self.middle..self.network.panels()]
    }

    /// The walker's: whether the helper would take a job at once.
    pub(super) fn is_free(&self) -> bool {
        self.is_free.load(Ordering::Relaxed)
    }

    /// The walker's: every job before this one is void.
    pub(super) fn offer(&self, job: &Arc<Job>) {
        *lock(&self.job) = Some(Arc::clone(job));
        self.offered.store(job.first, Ordering::Release);
    }

    /// The walker's: whether the helper has taken the job. If not, it will not get it any more.
    pub(super) fn is_taken(&self) -> bool {
        lock(&self.job).take().is_none()
    }

    /// The walker's: the call needs no more help.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// The walker's half of step `number`.
    pub(super) fn publish(&self, number: usize, running: usize, units: &[f32]) {
        self.write(&self.walker.units, number, running, 0, self.network.hidden, units);
        self.walker.published.store(number, Ordering::Release);
    }

    /// The walker's: waits for the helper's half of step `number` of a job, no longer than about the time of so many
    /// multiply-adds. False if it does not come: then c of the helper's half is that of the step before.
    pub(super) fn receive(&self, number: usize, job: &Job, work: usize, numbers: &mut Numbers) -> bool {
        let step = number - job.first;
        let is_late = !self.helper_has_published(number, TURNS + work / WORK_OF_A_TURN);
        if is_late && step > 0 {
            self.receive_c(number - 1, &mut numbers.c);
            // The helper writes over that c after it has published `number`.
            fence(Ordering::Acquire);
        }
        if is_late && !self.helper_has_published(number, 0) {
            return false;
        }
        let (units, hidden) = (&mut numbers.units, self.network.hidden);
        self.read(&self.helper.units, number, job.steps[step].running, self.half_start(), hidden, units);
        true
    }

    /// Waits so many turns. The helper may be one step further: it reads the walker's half as soon as that is there.
    fn helper_has_published(&self, number: usize, most_turns: usize) -> bool {
        let mut turns = 0;
        while self.helper.published.load(Ordering::Acquire) < number {
            if turns >= most_turns {
                return false;
            }
            pause(0); // never offers the core to others, who may keep it for ms
            turns += 1;
        }
        true
    }

    /// The walker's: c of the helper's half after a step that was received, also of the sequences that ended before.
    pub(super) fn receive_c(&self, number: usize, c: &mut [f32]) {
        self.read(&self.helper.c, number, self.batch, self.half_start(), self.c_len(), c);
    }

    /// The first hidden unit of the helper's half.
    fn half_start(&self) -> usize {
        self.middle * self.network.lanes
    }

    /// f32 in a row of c.
    fn c_len(&self) -> usize {
        self.network.panels() * self.network.lanes
    }

    /// Writes a half, which begins at `start` of each row of `len`.
    fn write(&self, to: &Shared, number: usize, running: usize, start: usize, len: usize, rows: &[f32]) {
        let width = to.len() / (2 * self.batch);
        let first = number % 2 * self.batch * width;
        for row in 0..running {
            to.write(first + row * width, &rows[row * len + start..][..width]);
        }
    }

    fn read(&self, from: &Shared, number: usize, running: usize, start: usize, len: usize, rows: &mut [f32]) {
        let width = from.len() / (2 * self.batch);
        let first = number % 2 * self.batch * width;
        for row in 0..running {
            from.read_to(first + row * width, &mut rows[row * len + start..][..width]);
        }
    }

    /// The helper's part of a call.
    pub(super) fn help(&self) {
        let mut numbers = self.network.numbers(self.batch);
        let (mut seen, mut turns) = (0, 0);
        self.is_free.store(true, Ordering::Relaxed);
        while !self.has_ended.load(Ordering::Acquire) {
            let offered = self.offered.load(Ordering::Acquire);
            if offered == seen {
                pause(turns);
                turns += 1;
                continue;
            }
            (seen, turns) = (offered, 0);
            let Some(job) = lock(&self.job).take() else { continue };
            self.is_free.store(false, Ordering::Relaxed);
            self.help_with(&job, &mut numbers);
            self.is_free.store(true, Ordering::Relaxed);
        }
    }

    fn help_with(&self, job: &Job, numbers: &mut Numbers) {
        let [_, half] = self.halves();
        let network = &self.network;
        numbers.h.copy_from_slice(&job.h);
        numbers.c.copy_from_slice(&job.c);
        let len = job.x.len() / job.depth * network.gates_len();
        numbers.gates.resize(numbers.gates.len().max(len), 0.0);
        let Some(first) = job.steps.first() else { return };
        network.project(first.slot, half.clone(), job.depth, &job.x, &mut numbers.gates[..len]);
        for (k, &step) in job.steps.iter().enumerate() {
            let number = job.first + k;
            network.cells(step, half.clone(), numbers);
            self.write(&self.helper.c, number, self.batch, self.half_start(), self.c_len(), &numbers.c);
            let (units, hidden) = (&numbers.units, network.hidden);
            self.write(&self.helper.units, number, step.running, self.half_start(), hidden, units);
            self.helper.published.store(number, Ordering::Release);
            fence(Ordering::Release);
            if k + 1 == job.steps.len() || !self.walker_has_published(number, job) {
                return;
            }
            self.read(&self.walker.units, number, step.running, 0, hidden, &mut numbers.units);
            network.outputs(step, numbers);
        }
    }

    /// The helper's: waits for the walker's half. False if the job is void.
    fn walker_has_published(&self, number: usize, job: &Job) -> bool {
        let mut turns = 0;
        loop {
            let published = self.walker.published.load(Ordering::Acquire);
            if published >= number {
                // The walker is at most one step further, unless it has gone on alone.
                return published <= number + 1;
            }
            if self.offered.load(Ordering::Relaxed) != job.first || self.has_ended.load(Ordering::Relaxed) {
                return false;
            }
            pause(turns);
            turns += 1;
        }
    }
}

/// Turns of a waiting loop that a half is waited for at least: the way from core to core, and a thread that is a little
/// late.
const TURNS: usize = 64;

/// Multiply-adds that take as long as a turn, some 40 cycles, where the weights come from the L2 cache.
const WORK_OF_A_TURN: usize = 256;

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
