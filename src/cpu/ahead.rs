//! Products with W_ih that another thread computes ahead, where a call has one share and so one thread walks time.
//!
//! A job is a block of time of a layer; jobs are numbered in the order in which the walker needs them. Whoever is free
//! claims the next one. The walker does not depend on the other thread: it computes a job itself that nobody has
//! claimed, and also one that does not arrive in time, since the system may have suspended the thread that claimed it.

use std::sync::Mutex;

use super::sync::{AtomicUsize, Ordering, SPINS, pause};
use crate::lock::lock;

/// Time steps times sequences of a job: two or four tiles, so that the walker starts early.
pub(super) const JOB_ROWS: usize = 16;

/// Jobs that wait for the walker at most.
const SLOTS: usize = 3;

/// A finished job's number and its gates.
type Slot = Mutex<Option<(usize, Vec<f32>)>>;

pub(super) struct Ahead {
    /// Jobs of a layer.
    blocks: usize,
    jobs: usize,
    /// The next job to claim.
    next: AtomicUsize,
    /// Jobs whose time steps the walker has computed, so that the layer above may read them.
    walked: AtomicUsize,
    slots: [Slot; SLOTS],
}

impl Ahead {
    pub(super) fn new(layers: usize, blocks: usize) -> Self {
        let (next, walked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { blocks, jobs: layers * blocks, next, walked, slots: Default::default() }
    }

    fn claim(&self, job: usize) -> bool {
        self.next.compare_exchange(job, job + 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn job(&self, layer: usize, block: usize) -> usize {
        layer * self.blocks + block
    }

    /// The walker's: exchanges `gates` for those of a block if another thread computes them; else the caller must.
    pub(super) fn take(&self, layer: usize, block: usize, gates: &mut Vec<f32>) -> bool {
        let job = self.job(layer, block);
        if self.claim(job) {
            return false;
        }
        for turns in 0..SPINS {
            let mut slot = lock(&self.slots[job % SLOTS]);
            if let Some((_, theirs)) = slot.as_mut().filter(|(number, _)| *number == job) {
                std::mem::swap(gates, theirs);
                return true;
            }
            drop(slot);
            pause(turns);
        }
        false
    }

    /// The walker's: the time steps of a block are computed.
    pub(super) fn walked(&self, layer: usize, block: usize) {
        self.walked.store(self.job(layer, block) + 1, Ordering::Release);
    }

    /// The walker's, also when it panics: nothing is left to compute.
    pub(super) fn end(&self) {
        self.walked.store(self.jobs, Ordering::Release);
    }

    /// Computes jobs, each a layer and a block, until the walker has no more.
    pub(super) fn help(&self, mut compute: impl FnMut(usize, usize, &mut Vec<f32>)) {
        let (mut gates, mut turns) = (Vec::new(), 0);
        loop {
            let (job, walked) = (self.next.load(Ordering::Acquire), self.walked.load(Ordering::Acquire));
            if job >= self.jobs || walked >= self.jobs {
                return;
            }
            let is_ready = job < walked + self.blocks && job <= walked + SLOTS;
            if !is_ready || !self.claim(job) {
                pause(turns);
                turns += 1;
                continue;
            }
            turns = 0;
            compute(job / self.blocks, job % self.blocks, &mut gates);
            let mut slot = lock(&self.slots[job % SLOTS]);
            // The walker may be past this job, and a later one have arrived.
            if slot.as_ref().is_none_or(|(number, _)| *number < job) {
                let theirs = slot.replace((job, std::mem::take(&mut gates)));
                gates = theirs.map_or_else(Vec::new, |(_, gates)| gates);
            }
        }
    }
}
