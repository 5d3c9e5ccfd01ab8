//! wgpu's errors as values: by default they panic.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::Gpu;
use crate::error::Error;

impl Gpu {
    /// Runs `f`, and returns any error that wgpu raised in it.
    pub(super) async fn scoped<R>(&self, f: impl FnOnce() -> R) -> Result<R, Error> {
        self.check_lost()?;
        let (result, caught) = {
            // Scopes belong to the thread, and so does the turn: both end before anything is awaited.
            let _turn = self.turns.take();
            // In a browser wgpu 30 panics when it receives an internal error. A pipeline that failed by one is refused as
            // invalid when it is used.
            let internal = (self.info.backend != wgpu::Backend::BrowserWebGpu)
                .then(|| self.device.push_error_scope(wgpu::ErrorFilter::Internal));
            let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
            let result = f();
            let memory = memory.pop();
            let validation = validation.pop();
            (result, (memory, validation, internal.map(wgpu::ErrorScopeGuard::pop)))
        };
        let (memory, validation, internal) = caught;
        // Running out of memory makes invalid buffers, so that is the error to report.
        if let Some(error) = memory.await {
            return Err(Error::OutOfMemory { reason: format!("the device: {}", with_sources(&error)) });
        }
        let mut refused = validation.await;
        if let Some(internal) = internal {
            refused = refused.or(internal.await);
        }
        match refused {
            None => Ok(result),
            Some(error) => Err(self.refusal("it refuses new buffers", with_sources(&error)).await),
        }
    }

    /// Whether the device is lost. The caller's device has no callback of ours, and ours calls back only once its queue
    /// is empty.
    ///
    /// wgpu refuses an empty query set as invalid, and raises no error at all if the device is lost: so nothing is
    /// created in either case. A browser answers later, see [`refusal`](Self::refusal).
    pub(super) fn is_lost(&self) -> bool {
        if self.lost.get().is_some() {
            return true;
        }
        if self.info.backend == wgpu::Backend::BrowserWebGpu {
            return false;
        }
        let errors = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let _refused = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("probe"),
            ty: wgpu::QueryType::Occlusion,
            count: 0,
        });
        let error = pin!(errors.pop()).poll(&mut Context::from_waker(Waker::noop()));
        matches!(error, Poll::Ready(None))
    }

    /// Returns an error if the device is lost, also if nothing has shown this yet.
    pub fn check_there(&self) -> Result<(), Error> {
        if self.is_lost() { Err(self.set_lost("nothing can be made on it")) } else { Ok(()) }
    }

    /// The error for what wgpu refuses: the device is lost, or else this crate has a bug.
    ///
    /// A browser refuses what uses a lost device before it reports the loss. It answers in the order in which it was asked:
    /// so it has reported the loss when it answers a question that is asked now.
    pub(super) async fn refusal(&self, if_lost: &str, reason: String) -> Error {
        if self.info.backend == wgpu::Backend::BrowserWebGpu && !self.is_lost() {
            let question = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
            question.pop().await;
        }
        if self.is_lost() { self.set_lost(if_lost) } else { Error::Internal { reason } }
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
