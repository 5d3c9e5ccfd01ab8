//! Programs that are kept: repeating a recent shape reuses its program and buffers, and allocates nothing on the
//! device.

use std::sync::Mutex;

use crate::batch::Packing;
use crate::lock::lock;
use crate::tuning::Tuning;

/// The most programs that are kept: each serves one shape, and the lengths of a ragged batch rarely repeat.
const MOST_PROGRAMS: usize = 8;

/// The size by which a program counts against the cache's bound.
pub(super) trait Bytes {
    fn bytes(&self) -> u64;
}

/// Programs that no call is running, the least recently used first.
pub(super) struct Cache<P> {
    idle: Mutex<Vec<(Key, P)>>,
}

/// What a program depends on, besides the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The sequences' lengths, in falling order.
    pub lengths: Vec<usize>,
    pub memory_budget: u64,
    /// The schedule is not part of the key: it is chosen only if no program is found.
    pub tuning: Tuning,
}

impl Key {
    pub fn new(packing: &Packing, memory_budget: u64, tuning: Tuning) -> Self {
        let lengths = packing.sequences().map(|(_, length)| length).collect();
        Self { lengths, memory_budget, tuning }
    }
}

impl<P: Bytes> Cache<P> {
    pub fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }

    /// Removes and returns a program, so that no other call runs it.
    pub fn take(&self, key: &Key) -> Option<P> {
        let mut idle = lock(&self.idle);
        let last = idle.iter().rposition(|(other, _)| other == key)?;
        Some(idle.remove(last).1)
    }

    /// Adds a program unless it alone takes more than `bytes`; then drops the least recently used ones while all
    /// together take more, or are too many.
    pub fn put(&self, key: Key, prepared: P, bytes: u64) {
        if prepared.bytes() > bytes {
            return;
        }
        let mut idle = lock(&self.idle);
        idle.push((key, prepared));
        let all = |idle: &[(Key, P)]| -> u64 { idle.iter().map(|(_, prepared)| prepared.bytes()).sum() };
        while idle.len() > MOST_PROGRAMS || all(&idle) > bytes {
            idle.remove(0);
        }
    }

    /// Drops every idle program, and returns whether there was one.
    pub fn clear(&self) -> bool {
        !std::mem::take(&mut *lock(&self.idle)).is_empty()
    }

    /// Adds the idle programs to `start`, one after the other.
    pub fn fold(&self, start: P, add: impl Fn(P, P) -> P) -> P
    where
        P: Copy,
    {
        lock(&self.idle).iter().fold(start, |sum, &(_, idle)| add(sum, idle))
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        lock(&self.idle).len()
    }
}
