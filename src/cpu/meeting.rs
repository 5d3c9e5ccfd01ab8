//! Where the threads of a call wait for each other.

use super::sync::{AtomicBool, AtomicUsize, Ordering, pause};

/// A barrier for a fixed number of threads that also ends when one of them panics.
pub(super) struct Meeting {
    arrived: AtomicUsize,
    /// How many times all have met.
    meetings: AtomicUsize,
    /// A member panicked: the others must not wait for it.
    broken: AtomicBool,
}

impl Meeting {
    pub(super) fn new() -> Self {
        Self { arrived: AtomicUsize::new(0), meetings: AtomicUsize::new(0), broken: AtomicBool::new(false) }
    }

    /// Waits until `size` threads have called this. Each then sees all that the others wrote before.
    pub(super) fn meet(&self, size: usize) {
        let meeting = self.meetings.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == size {
            self.arrived.store(0, Ordering::Relaxed);
            self.meetings.store(meeting.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut turns = 0;
        while self.meetings.load(Ordering::Acquire) == meeting {
            assert!(!self.broken.load(Ordering::Relaxed), "another thread of the team panicked");
            pause(turns);
            turns += 1;
        }
    }

    /// Makes every thread that waits, now or later, panic.
    pub(super) fn break_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}
