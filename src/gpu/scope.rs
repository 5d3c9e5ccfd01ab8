//! wgpu's errors as values: by default they panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Gpu;
use crate::error::Error;

impl Gpu {
    /// Runs `f`, and returns any error that wgpu raised in it.
    pub(super) async fn scoped<R>(&self, f: impl FnOnce() -> R) -> Result<R, Error> {
        self.check_lost()?;
        let (result, caught) = {
            // Scopes belong to the thread, and so does the turn: both end before anything is awaited.
            let _turn = self.turns.take();
            let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
            let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
            let result = f();
            let memory = memory.pop();
            let validation = validation.pop();
            (result, (memory, validation, internal.pop()))
        };
        let (memory, validation, internal) = caught;
        // Running out of memory makes invalid buffers, so that is the error to report.
        if let Some(error) = memory.await {
            return Err(Error::OutOfMemory { reason: format!("the device: {}", with_sources(&error)) });
        }
        let refused = validation.await.or(internal.await);
        match refused {
            None => Ok(result),
            Some(_) if self.is_lost() => Err(self.set_lost("it refuses new buffers")),
            Some(error) => Err(Error::Internal { reason: with_sources(&error) }),
        }
    }

    /// Whether the device is lost. The caller's device has no callback of ours. A lost device creates invalid
    /// buffers without an error; the probe detects this when it maps one.
    pub(super) fn is_lost(&self) -> bool {
        if self.lost.get().is_some() {
            return true;
        }
        let _turn = self.turns.take();
        let _quiet = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let probe = self.buffer("probe", 4, wgpu::BufferUsages::MAP_READ);
        let refused = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&refused);
        probe.map_async(wgpu::MapMode::Read, .., move |result| noted.store(result.is_err(), Relaxed));
        refused.load(Relaxed)
    }

    /// Returns an error if the device is known to be lost.
    pub(super) fn check_lost(&self) -> Result<(), Error> {
        match self.lost.get() {
            Some(reason) => Err(Error::DeviceLost { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Records that the device is lost; the first reason stands.
    pub(super) fn set_lost(&self, reason: &str) -> Error {
        let reason = self.lost.get_or_init(|| reason.to_owned()).clone();
        Error::DeviceLost { reason }
    }
}

/// An error's message with those of its causes.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}
