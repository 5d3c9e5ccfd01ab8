//! Programs that are ready to run again: a call of a shape that came before makes nothing on the device.

use std::sync::Mutex;

use crate::gpu::Prepared;
use crate::plan::HostData;

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

    /// Puts a program back, and drops the oldest ones while all of them take more than `bytes`.
    pub fn put(&self, key: Key, prepared: Prepared<HostData>, bytes: u64) {
        let mut idle = self.lock();
        idle.push((key, prepared));
        while idle.iter().map(|(_, prepared)| prepared.bytes()).sum::<u64>() > bytes {
            idle.remove(0);
        }
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
