//! What differs in a browser: threads, clocks, waiting. Every `cfg` of WebAssembly is in this file.
//!
//! A browser's main thread must not block, WebAssembly starts no threads, and std's clock panics there. The rest of
//! the crate asks the functions below, whose results say what the platform can't do.

use std::time::Duration;

pub(crate) use self::here::{apart, block_on, clock};

/// Threads that run at the same time, at least 1: in a browser 1.
pub(crate) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(not(target_family = "wasm"))]
mod here {
    use std::time::Instant;

    use futures_channel::oneshot;

    use super::Duration;

    /// Waits for a future in the calling thread. `None` in a browser, where nothing may block: the future is dropped
    /// unpolled.
    pub(crate) fn block_on<R>(future: impl Future<Output = R>) -> Option<R> {
        Some(pollster::block_on(future))
    }

    /// Runs `wait`, which blocks, in a new thread, so that the caller's executor goes on; in the calling thread if no
    /// thread can be started. `None` in a browser, where `wait` does not run: what it waits for arrives through the event
    /// loop.
    pub(crate) async fn apart<R: Send + 'static>(wait: impl Fn() -> R + Clone + Send + 'static) -> Option<R> {
        let (done, result) = oneshot::channel();
        let work = wait.clone();
        let thread = move || {
            let result = work();
            drop(work); // and what it holds, before the caller goes on
            let _ = done.send(result); // nobody receives it if the call's future was dropped
        };
        match std::thread::Builder::new().spawn(thread) {
            Ok(_) => result.await.ok(),
            Err(_) => Some(wait()), // to block is better than to never wake up
        }
    }

    /// A function that returns the time since this call. `None` in a browser, whose clock is not std's.
    pub(crate) fn clock() -> Option<impl Fn() -> Duration> {
        let start = Instant::now();
        Some(move || start.elapsed())
    }
}

#[cfg(target_family = "wasm")]
mod here {
    use super::Duration;

    pub(crate) fn block_on<R>(_: impl Future<Output = R>) -> Option<R> {
        None
    }

    pub(crate) async fn apart<R>(_: impl Fn() -> R + Clone) -> Option<R> {
        None
    }

    pub(crate) fn clock() -> Option<impl Fn() -> Duration> {
        None::<fn() -> Duration>
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{apart, block_on, clock, parallelism};

    #[test]
    fn waits_and_times_where_the_platform_can() {
        assert!(parallelism() > 0);
        let here = thread::current().id();
        let there = block_on(apart(|| thread::current().id())).flatten();
        assert_ne!(there, Some(here), "it blocks in a thread of its own");
        assert!(there.is_some());
        let now = clock().unwrap();
        let first = now();
        assert!(now() >= first);
    }
}
