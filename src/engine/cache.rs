//! Programs that are ready to run again: a call of a shape that came before makes nothing on the device.

use std::sync::Mutex;

use crate::batch::Packing;
use crate::lock::lock;
use crate::tuning::Tuning;

/// Programs that are kept at most: each is a shape of calls, and a ragged batch is rarely met twice.
const MOST_PROGRAMS: usize = 8;

/// What is kept, and counts against the bound.
pub(super) trait Bytes {
    fn bytes(&self) -> u64;
}

/// Idle programs, the least recently used first.
pub(super) struct Cache<P> {
    idle: Mutex<Vec<(Key, P)>>,
}

/// What a program depends on, besides the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Of the sequences, falling.
    pub lengths: Vec<usize>,
    pub memory_budget: u64,
    /// Not the schedule: choosing it is left to whoever finds nothing here.
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

    /// Takes a program out, so that nobody else runs it.
    pub fn take(&self, key: &Key) -> Option<P> {
        let mut idle = lock(&self.idle);
        let last = idle.iter().rposition(|(other, _)| other == key)?;
        Some(idle.remove(last).1)
    }

    /// Puts a program back unless it takes more than `bytes`, and drops the oldest ones while all of them
    /// do, or are too many.
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

    /// Drops every idle program; whether there was one.
    pub fn clear(&self) -> bool {
        !std::mem::take(&mut *lock(&self.idle)).is_empty()
    }

    /// Adds what is idle to `start`, one after the other.
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
