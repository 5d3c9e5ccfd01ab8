//! Products with W_ih that a second thread computes ahead, where a call has one share, which one thread walks.
//!
//! The walker offers the rows of the next blocks of time, and the helper turns them into gates. The walker never waits
//! for a helper that the system has suspended: it computes itself what the helper has not begun, and also what does
//! not arrive in time. A call may end before its helper has started, so the two share nothing but this module's data.

use std::sync::{Arc, Mutex};

use super::ends::Gates;
use super::panels::Parameters;
use super::product::Product;
use super::sync::{AtomicBool, AtomicUsize, Ordering, SPINS, pause};
use crate::lock::lock;

/// Time steps times sequences of a block: two tiles at least, and few, since the walker computes the first block itself.
pub(super) const BLOCK_ROWS_AHEAD: usize = 8;

/// How many blocks the helper may be ahead.
pub(super) const SLOTS: usize = 3;

/// bias + W_ih·x of some rows of x.
pub(super) struct Projection {
    pub(super) arch: pulp::Arch,
    /// Those of every layer and direction.
    pub(super) parameters: Arc<[Parameters]>,
    /// f32 in a row of gates.
    pub(super) gates_len: usize,
}

impl Projection {
    /// `slot` is the index of the layer and direction, `depth` the length of a row of x.
    pub(super) fn compute(&self, slot: usize, depth: usize, rows: &[f32], gates: &mut [f32]) {
        let parameters = &self.parameters[slot];
        let ends = Gates { bias: &parameters.bias, gates, row_len: self.gates_len };
        self.arch.dispatch(Product { weights: &parameters.w_ih, rows, depth, backwards: false, ends });
    }
}

/// The helper's work on a block. The two exchange the same few buffers all the time.
#[derive(Default)]
pub(super) struct Job {
    /// The index of the layer and direction.
    pub(super) slot: usize,
    /// The length of a row of x.
    pub(super) depth: usize,
    pub(super) rows: Vec<f32>,
    /// What the helper computes.
    pub(super) gates: Vec<f32>,
    pub(super) is_done: bool,
}

enum State {
    Free,
    Offered(Job),
    Begun,
    Done(Job),
}

/// A block, by its place in the order in which the walker needs them.
struct Slot {
    number: usize,
    state: State,
}

pub(super) struct Ahead {
    /// Block n is in slot n mod [`SLOTS`].
    slots: [Mutex<Slot>; SLOTS],
    /// The end of the blocks that were offered, and of those that the helper is through with: what the two watch,
    /// so that they rarely lock a slot at the same time.
    offered: AtomicUsize,
    done: AtomicUsize,
    ended: AtomicBool,
}

impl Ahead {
    pub(super) fn new() -> Self {
        let slot = || Mutex::new(Slot { number: 0, state: State::Free });
        let (offered, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { slots: [slot(), slot(), slot()], offered, done, ended: AtomicBool::new(false) }
    }

    /// The walker's: rows of x of a later block. It offers blocks in order, each once, and block n + [`SLOTS`] after it
    /// took block n.
    pub(super) fn offer(&self, number: usize, job: Job) {
        *lock(&self.slots[number % SLOTS]) = Slot { number, state: State::Offered(job) };
        self.offered.store(number + 1, Ordering::Release);
    }

    /// The walker's: the job of a block, if it is done or has not begun. Unless it is done, the walker must compute the
    /// gates itself.
    pub(super) fn take(&self, number: usize) -> Option<Job> {
        let take = || {
            let mut slot = lock(&self.slots[number % SLOTS]);
            if slot.number != number {
                return State::Free;
            }
            match slot.state {
                State::Begun => State::Begun,
                _ => std::mem::replace(&mut slot.state, State::Free),
            }
        };
        let mut state = take();
        if matches!(state, State::Begun) {
            let mut turns = 0;
            while turns < SPINS && self.done.load(Ordering::Acquire) <= number {
                pause(turns);
                turns += 1;
            }
            state = take();
        }
        match state {
            State::Offered(job) | State::Done(job) => Some(job),
            State::Free | State::Begun => None,
        }
    }

    /// The walker's: it needs no more gates.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// The helper's part of a call.
    pub(super) fn help(&self, projection: &Projection) {
        let (mut number, mut turns) = (0, 0);
        while !self.ended.load(Ordering::Acquire) {
            if number == self.offered.load(Ordering::Acquire) {
                pause(turns);
                turns += 1;
                continue;
            }
            turns = 0;
            if let Some(mut job) = self.begin(number) {
                job.gates.resize(job.rows.len() / job.depth * projection.gates_len, 0.0);
                projection.compute(job.slot, job.depth, &job.rows, &mut job.gates);
                let mut slot = lock(&self.slots[number % SLOTS]);
                // Else the walker is past this block, and has offered a later one.
                if slot.number == number && matches!(slot.state, State::Begun) {
                    job.is_done = true;
                    slot.state = State::Done(job);
                }
            }
            number += 1;
            self.done.store(number, Ordering::Release);
        }
    }

    /// None if the walker took the block.
    fn begin(&self, number: usize) -> Option<Job> {
        let mut slot = lock(&self.slots[number % SLOTS]);
        if slot.number != number || !matches!(slot.state, State::Offered(_)) {
            return None;
        }
        match std::mem::replace(&mut slot.state, State::Begun) {
            State::Offered(job) => Some(job),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Ahead, Job, Projection};
    use crate::config::LstmConfig;
    use crate::cpu::CpuEngine;
    use crate::weights::LstmWeights;

    /// One row of two ones.
    fn job() -> Job {
        Job { slot: 0, depth: 2, rows: vec![1.0; 2], gates: Vec::new(), is_done: false }
    }

    fn projection() -> Projection {
        CpuEngine::new(&LstmWeights::constant(&LstmConfig::new(2, 3), 0.5).unwrap()).unwrap().projection()
    }

    #[test]
    fn the_walker_takes_what_the_helper_computed() {
        let ahead = Arc::new(Ahead::new());
        let helper = std::thread::spawn({
            let ahead = Arc::clone(&ahead);
            move || ahead.help(&projection())
        });
        ahead.offer(1, job());
        while ahead.done.load(super::Ordering::Acquire) < 2 {
            std::thread::yield_now();
        }
        let Job { gates, is_done, .. } = ahead.take(1).expect("the helper is through with it");
        ahead.end();
        helper.join().unwrap();
        assert!(is_done && gates.len() == projection().gates_len);
        assert_eq!(gates[0], 2.0, "two biases of 1/2, and 1/2 for each x");
    }

    #[test]
    fn the_walker_waits_for_no_helper_that_did_not_begin() {
        let ahead = Ahead::new();
        ahead.offer(1, job());
        assert!(ahead.take(0).is_none(), "never offered");
        assert!(ahead.take(1).is_some_and(|job| !job.is_done));
        assert!(ahead.begin(1).is_none(), "the walker has taken it");
    }

    #[test]
    fn the_walker_passes_a_helper_that_is_suspended() {
        let ahead = Ahead::new();
        ahead.offer(1, job());
        assert!(ahead.begin(1).is_some());
        assert!(ahead.take(1).is_none(), "begun, and never done");
        ahead.offer(4, job());
        assert!(ahead.begin(1).is_none() && ahead.begin(4).is_some(), "the same slot");
    }
}
