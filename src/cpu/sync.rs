//! The atomics and the pause of the barrier: std's here, a model checker's in `tests/meeting.rs`.

pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// Turns of a waiting loop, some 40 µs, before the core is offered to others: a time step is shorter.
pub(super) const SPINS: usize = 1000;

/// Pauses in a waiting loop that has taken so many `turns`.
pub(super) fn pause(turns: usize) {
    if turns < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}
