//! Programs that are ready to run again: a call of a shape that came before makes nothing on the device.

use std::sync::Mutex;

use crate::gpu::Prepared;
use crate::plan::HostData;

/// Programs that are kept at most: each is a shape of calls, and a ragged batch is rarely met twice.
const MOST_PROGRAMS: usize = 8;

/// Idle programs, the least recently used first.
pub(super) struct Cache {
    idle: Mutex<Vec<(Key, Prepared<HostData>)>>,
}

/// What a program depends on, besides the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Of the sequences, falling.
    pub lengths: Vec<usize>,
    pub memory_budget: u64,
}

impl Cache {
    pub fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }

    /// Takes a program out, so that nobody else runs it.
    pub fn take(&self, key: &Key) -> Option<Prepared<HostData>> {
        let mut idle = self.lock();
        let last = idle.iter().rposition(|(other, _)| other == key)?;
        Some(idle.remove(last).1)
    }

    /// Puts a program back unless it takes more than `bytes`, and drops the oldest ones while all of them
    /// do, or are too many.
    pub fn put(&self, key: Key, prepared: Prepared<HostData>, bytes: u64) {
        if prepared.bytes() > bytes {
            return;
        }
        let mut idle = self.lock();
        idle.push((key, prepared));
        let all = |idle: &[(Key, Prepared<HostData>)]| -> u64 {
            idle.iter().map(|(_, prepared)| prepared.bytes()).sum()
        };
        while idle.len() > MOST_PROGRAMS || all(&idle) > bytes {
            idle.remove(0);
        }
    }

    /// Drops every idle program; whether there was one.
    pub fn clear(&self) -> bool {
        !std::mem::take(&mut *self.lock()).is_empty()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Key, Prepared<HostData>)>> {
        // A panic while it was held can have left nothing half done.
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
