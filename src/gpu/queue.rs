//! Whether the queue that a caller gave is the device's own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use super::staging::{Mapping, Wait, Waiting};
use super::{Buffer, Gpu};
use crate::error::Error;
use crate::platform;

/// What is written; anything but the zero that a new buffer holds.
const MARK: [u8; 4] = *b"LSTM";

impl Gpu {
    /// Refuses the queue of another device, if the platform can tell at once: a browser can't.
    pub(super) fn check_queue_now(&self) -> Result<(), Error> {
        let probe = || self.write_mark(wgpu::BufferUsages::empty());
        // wgpu panics if the queue comes from another instance.
        let probe = || platform::block_on(self.scoped(probe));
        match catch_unwind(AssertUnwindSafe(probe)) {
            Ok(None) => return Ok(()),
            // The device passed its checks before, so wgpu refuses the queue.
            Ok(Some(Err(Error::Internal { .. }))) | Err(_) => return Err(Error::QueueMismatch),
            Ok(Some(result)) => result?,
        };
        self.queue_checked.store(true, Relaxed);
        Ok(())
    }

    /// Refuses the queue of another device, unless it was checked before.
    ///
    /// A browser reports a wrong queue to the other device's error scopes, and this device computes with zeros. So what the
    /// queue writes is read back.
    pub async fn check_queue(&self) -> Result<(), Error> {
        if self.queue_checked.load(Relaxed) {
            return Ok(());
        }
        let write = || {
            let probe = self.write_mark(wgpu::BufferUsages::MAP_READ);
            (Mapping::new(&probe, wgpu::MapMode::Read, probe.size(), &self.queue.submit([])), probe)
        };
        let (mapping, probe) = self.scoped(write).await?;
        self.mapped(mapping, &Waiting { wait: Wait::Async, holds: None }).await?;
        let read = || probe.get_mapped_range(..).map(|view| *view == MARK);
        let is_written = match self.scoped(read).await? {
            Ok(is_written) => is_written,
            Err(error) => return Err(self.unmappable(error).await),
        };
        if !is_written {
            return Err(Error::QueueMismatch);
        }
        self.queue_checked.store(true, Relaxed);
        Ok(())
    }

    fn write_mark(&self, usage: wgpu::BufferUsages) -> Buffer {
        let probe = self.buffer("probe", MARK.len() as u64, usage);
        self.queue.write_buffer(&probe, 0, &MARK);
        probe
    }
}
