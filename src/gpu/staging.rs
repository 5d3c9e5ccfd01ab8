//! Buffers that the host maps: asked for when submitting, waited for when needed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures_channel::oneshot;

use super::Gpu;
use crate::error::Error;

/// How a call waits for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// In the calling thread.
    Block,
    /// In a thread of its own, so that the caller's executor goes on; in a browser, in its event loop.
    Async,
}

/// A buffer that is being mapped, as soon as a submission is through with it.
#[derive(Debug)]
pub(super) struct Mapping {
    buffer: wgpu::Buffer,
    /// Set when it is mapped, or will not be.
    answered: Arc<AtomicBool>,
    mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
    submission: wgpu::SubmissionIndex,
}

/// A buffer that the host writes, to be copied from.
#[derive(Debug)]
pub(super) struct Upload {
    buffer: wgpu::Buffer,
    /// None while it is mapped.
    mapping: Option<Mapping>,
}

impl Upload {
    pub fn size(&self) -> u64 {
        self.buffer.size()
    }

    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// Lets `write` fill the mapped buffer, and hands it to the device.
    pub fn write(&self, write: impl FnOnce(wgpu::BufferViewMut)) -> Result<(), wgpu::MapRangeError> {
        write(self.buffer.get_mapped_range_mut(..)?);
        self.buffer.unmap();
        Ok(())
    }

    /// Asks for it again, for when the submission that copies from it is done.
    pub fn reclaim(&mut self, submission: &wgpu::SubmissionIndex) {
        self.mapping = Some(Mapping::new(&self.buffer, wgpu::MapMode::Write, self.size(), submission));
    }
}

impl Mapping {
    pub fn new(
        buffer: &wgpu::Buffer,
        mode: wgpu::MapMode,
        bytes: u64,
        submission: &wgpu::SubmissionIndex,
    ) -> Self {
        let (done, mapped) = oneshot::channel();
        let answered = Arc::new(AtomicBool::new(false));
        let answer = Arc::clone(&answered);
        buffer.map_async(mode, ..bytes, move |result| {
            answer.store(true, Relaxed);
            let _ = done.send(result); // nobody waits any more if the call's future was dropped
        });
        Self { buffer: buffer.clone(), answered, mapped, submission: submission.clone() }
    }
}

impl Gpu {
    /// A buffer to write now, and again once it is mapped again.
    pub(super) fn upload_buffer(&self, label: &str, size: u64) -> Upload {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        });
        Upload { buffer, mapping: None }
    }

    /// Waits until it can be written. It rarely has to: whoever read results back has waited already.
    pub(super) async fn writable(&self, upload: &mut Upload, wait: Wait) -> Result<(), Error> {
        match upload.mapping.take() {
            Some(mapping) => self.mapped(mapping, wait).await,
            None => Ok(()),
        }
    }

    pub(super) async fn mapped(&self, mapping: Mapping, wait: Wait) -> Result<(), Error> {
        let Mapping { buffer, answered, mapped, submission } = mapping;
        if !answered.load(Relaxed) {
            self.wait_for(submission, answered, buffer, wait);
        }
        match mapped.await {
            Ok(Ok(())) => Ok(()),
            _ => Err(self.set_lost("its buffers can't be mapped")),
        }
    }

    /// Sees to it that the submission's callbacks are called.
    fn wait_for(
        &self,
        submission: wgpu::SubmissionIndex,
        answered: Arc<AtomicBool>,
        buffer: wgpu::Buffer,
        wait: Wait,
    ) {
        let device = self.device.clone();
        let until = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        let poll = move || {
            // wgpu panics here if the device is lost while it waits, and leaves the callback pending:
            // unmapping calls it, with an error. (If it was called, the buffer may be in another run.)
            let failed = !matches!(catch_unwind(AssertUnwindSafe(|| device.poll(until))), Ok(Ok(_)));
            if failed && !answered.load(Relaxed) {
                let _ = catch_unwind(AssertUnwindSafe(|| buffer.unmap()));
            }
        };
        match wait {
            Wait::Block => poll(),
            #[cfg(not(target_family = "wasm"))]
            Wait::Async => {
                let fallback = poll.clone();
                if std::thread::Builder::new().spawn(poll).is_err() {
                    fallback(); // no thread to be had: better to block than to never wake up
                }
            }
            #[cfg(target_family = "wasm")]
            Wait::Async => drop(poll), // the browser calls back by itself
        }
    }

    /// Lets wgpu see to what is finished, without waiting.
    pub fn poll(&self) {
        // wgpu panics here if the device turns out to be lost, which the next call will tell.
        let _ = catch_unwind(AssertUnwindSafe(|| self.device.poll(wgpu::PollType::Poll)));
    }
}
