//! Buffers that the host maps: mapping is requested at a submission, and awaited when the host needs the buffer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_channel::oneshot;

use super::{Buffer, Gpu};
use crate::error::Error;
use crate::platform;

/// A poll that times out after less has failed: wgpu ends no wait before 2^31 ns.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);

/// How a call waits for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// In the calling thread.
    Block,
    /// In a thread of its own, so that the caller's executor goes on; in a browser, in its event loop.
    Async,
}

/// How a call waits, and what it holds until the device has done its work, also if the call's future is dropped before.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub wait: Wait,
    pub holds: Option<Arc<dyn Any + Send + Sync>>,
}

/// A buffer that is being mapped: it is mapped once a submission no longer uses it.
#[derive(Debug)]
pub(super) struct Mapping {
    buffer: wgpu::Buffer,
    /// Set once mapping has succeeded or failed.
    answered: Arc<AtomicBool>,
    mapped: oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>,
    submission: wgpu::SubmissionIndex,
}

/// A buffer that the host writes, to be copied from.
#[derive(Debug)]
pub(super) struct Upload {
    buffer: Buffer,
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

    /// Lets `write` fill the mapped buffer, then unmaps it so that the device can copy from it.
    pub fn write(&self, write: impl FnOnce(wgpu::BufferViewMut)) -> Result<(), wgpu::MapRangeError> {
        write(self.buffer.get_mapped_range_mut(..)?);
        self.buffer.unmap();
        Ok(())
    }

    /// Requests to map it again, once the submission that copies from it is done.
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
            let _ = done.send(result); // nobody receives it if the call's future was dropped
        });
        Self { buffer: buffer.clone(), answered, mapped, submission: submission.clone() }
    }
}

impl Gpu {
    /// Allocates a mapped buffer to write; it can be written again after [`Upload::reclaim`].
    pub(super) fn upload_buffer(&self, label: &str, size: u64) -> Upload {
        let buffer = self.allocate_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        });
        Upload { buffer, mapping: None }
    }

    /// Waits until the buffer is mapped. It usually is: a call that read its results back has waited already.
    pub(super) async fn writable(&self, upload: &mut Upload, wait: &Waiting) -> Result<(), Error> {
        match upload.mapping.take() {
            Some(mapping) => self.mapped(mapping, wait).await,
            None => Ok(()),
        }
    }

    pub(super) async fn mapped(&self, mapping: Mapping, wait: &Waiting) -> Result<(), Error> {
        let Mapping { buffer, answered, mapped, submission } = mapping;
        if !answered.load(Relaxed) {
            let polled = self.poll_until(submission, wait).await.unwrap_or_else(|panic| resume_unwind(panic));
            match polled {
                _ if answered.load(Relaxed) => {}
                // The buffer is mapped. Another thread's poll has our callback, and first runs one of the application's,
                // which may wait for this call to end.
                Polled::Done => return Ok(()),
                Polled::Failed => {
                    // wgpu leaves the callback pending if the device is lost while it waits. Unmapping calls it.
                    let _turn = self.turns.take();
                    let _ = catch_unwind(AssertUnwindSafe(|| buffer.unmap()));
                    return Err(self.set_lost("it was lost in a call"));
                }
                Polled::Elsewhere => {}
            }
        }
        match mapped.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.refusal("its buffers can't be mapped", error.to_string()).await),
            // A callback of the application panicked in another thread's poll, so that ours was dropped. The buffer
            // is mapped all the same.
            Err(oneshot::Canceled) => Ok(()),
        }
    }

    /// Polls until the submission is done, in this thread or in a new one, which runs the callbacks of all users of
    /// the device. The error is a panic of one of these callbacks.
    async fn poll_until(
        &self,
        submission: wgpu::SubmissionIndex,
        waiting: &Waiting,
    ) -> Result<Polled, Panic> {
        let (device, turns) = (self.device.clone(), self.turns.clone());
        let Waiting { wait, holds } = waiting.clone();
        let until = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        let poll = move || {
            let _held = &holds; // by the thread, until the work is done
            let _turn = turns.take();
            poll(&device, &until)
        };
        match wait {
            Wait::Block => poll(),
            Wait::Async => platform::apart(poll).await.unwrap_or(Ok(Polled::Elsewhere)),
        }
    }

    /// Lets wgpu free the resources of finished submissions, without waiting.
    pub fn poll(&self) {
        let _turn = self.turns.take();
        // If the device is lost, the next call returns that error.
        poll(&self.device, &wgpu::PollType::Poll).map_or_else(|panic| resume_unwind(panic), drop);
    }
}

type Panic = Box<dyn Any + Send>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polled {
    Done,
    /// The device failed.
    Failed,
    /// A browser calls back by itself.
    Elsewhere,
}

/// Polls the device. The error is a panic of a callback that it ran.
fn poll(device: &wgpu::Device, how: &wgpu::PollType) -> Result<Polled, Panic> {
    let now = platform::clock();
    match catch_unwind(AssertUnwindSafe(|| patiently(now, || device.poll(how.clone())))) {
        Ok(polled) => Ok(polled),
        // wgpu 30's panic if the device is lost.
        Err(panic) if message_of(&*panic).starts_with("Error in Device::poll") => Ok(Polled::Failed),
        Err(panic) => Err(panic),
    }
}

/// Repeats a poll without a timeout that reports one. On OpenGL wgpu ends a wait after 2 s, if the submission takes
/// longer; at once, if the wait itself failed.
fn patiently(
    now: impl Fn() -> Duration,
    mut poll: impl FnMut() -> Result<wgpu::PollStatus, wgpu::PollError>,
) -> Polled {
    loop {
        let start = now();
        match poll() {
            Ok(_) => return Polled::Done,
            Err(wgpu::PollError::Timeout) if now() - start >= SHORTEST_TIMEOUT => {}
            Err(_) => return Polled::Failed,
        }
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<String>().map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};
    use std::thread;
    use std::time::Duration;

    use futures_channel::oneshot;
    use wgpu::{PollError, PollStatus};

    use super::{Gpu, Mapping, Polled, Wait, Waiting, patiently};
    use crate::common::noop;

    #[test]
    fn a_buffer_is_mapped_after_the_poll_even_if_another_thread_is_yet_to_call_back() {
        let (device, queue) = noop::open(wgpu::Limits::default(), wgpu::DeviceType::DiscreteGpu);
        let gpu = Gpu::from_wgpu(device, queue.clone()).unwrap();
        let buffer = gpu.buffer("download", 4, wgpu::BufferUsages::MAP_READ);
        let (_later, mapped) = oneshot::channel();
        buffer.map_async(wgpu::MapMode::Read, .., |_| ()); // the other thread would send
        let answered = Arc::new(AtomicBool::new(false));
        let mapping =
            Mapping { buffer: wgpu::Buffer::clone(&buffer), answered, mapped, submission: queue.submit([]) };
        let waiting = Waiting { wait: Wait::Block, holds: None };
        let polled = pin!(gpu.mapped(mapping, &waiting)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?}");
        assert_eq!(buffer.get_mapped_range(..).unwrap().len(), 4);
    }

    /// A dropped call's memory is freed when the device has done its work.
    #[test]
    fn the_thread_that_waits_holds_what_the_call_held_if_the_call_is_dropped() {
        let (device, queue) = noop::open(wgpu::Limits::default(), wgpu::DeviceType::DiscreteGpu);
        let gpu = Gpu::from_wgpu(device, queue.clone()).unwrap();
        let buffer = gpu.buffer("download", 4, wgpu::BufferUsages::MAP_READ);
        let submission = queue.submit([]);
        // A callback of the application's that keeps the thread in its poll.
        let ((here, in_poll), (go, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        queue.on_submitted_work_done(move || {
            here.send(()).unwrap();
            wait.recv().unwrap();
        });
        let held = Arc::new(());
        {
            let mapping = Mapping::new(&buffer, wgpu::MapMode::Read, 4, &submission);
            let waiting = Waiting { wait: Wait::Async, holds: Some(held.clone()) };
            let mut call = pin!(gpu.mapped(mapping, &waiting));
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            in_poll.recv().unwrap();
        }
        assert_eq!(Arc::strong_count(&held), 2, "the thread's");
        go.send(()).unwrap();
        while Arc::strong_count(&held) > 1 {
            thread::yield_now(); // until the thread ends
        }
    }

    #[test]
    fn a_wait_that_ends_after_two_seconds_goes_on_and_one_that_fails_at_once_does_not() {
        let time = Cell::new(Duration::ZERO);
        let polls = |results: Vec<(u64, Result<PollStatus, PollError>)>| {
            let mut results = results.into_iter();
            let polled = patiently(
                || time.get(),
                || {
                    let (milliseconds, result) = results.next().expect("a poll too many");
                    time.set(time.get() + Duration::from_millis(milliseconds));
                    result
                },
            );
            (polled, results.len())
        };
        let late = || (2_147, Err(PollError::Timeout));
        let done = || (0, Ok(PollStatus::QueueEmpty));
        let at_once = (0, Err(PollError::Timeout));
        assert_eq!(polls(vec![late(), late(), done()]), (Polled::Done, 0));
        assert_eq!(polls(vec![late(), at_once, done()]), (Polled::Failed, 1));
        assert_eq!(
            polls(vec![(5_000, Err(PollError::WrongSubmissionIndex(2, 1))), done()]),
            (Polled::Failed, 1)
        );
    }
}
