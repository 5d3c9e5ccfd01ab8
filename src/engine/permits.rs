//! Bounds how many calls of a network run at once. The others wait, and start in the order in which they came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_channel::oneshot;

use crate::lock::lock;

/// Permits to run, for the calls of one network.
#[derive(Default)]
pub(super) struct Permits {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Permits that exist.
    running: usize,
    /// The number of the next call that has to wait.
    next: u64,
    /// By number, so that the first one came first.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    /// It starts if fewer than so many run.
    most: usize,
    start: oneshot::Sender<Permit>,
}

/// A call may run as long as it has this. Dropping it lets the next one start.
pub(super) struct Permit(Arc<Permits>);

impl Permits {
    /// Waits until every call that came before has started, and fewer than `most` are running; 0 counts as 1.
    pub async fn acquire(self: &Arc<Self>, most: usize) -> Permit {
        let most = most.max(1);
        loop {
            let (number, start) = {
                let mut state = lock(&self.state);
                if state.waiting.is_empty() && state.running < most {
                    state.running += 1;
                    return Permit(Arc::clone(self));
                }
                let (sender, receiver) = oneshot::channel();
                let number = state.next;
                state.next += 1;
                state.waiting.insert(number, Waiting { most, start: sender });
                (number, receiver)
            };
            let _place = Place { permits: self, number };
            // The sender is removed only to send, or by `Place`: so the first turn of the loop returns.
            if let Ok(permit) = start.await {
                return permit;
            }
        }
    }

    /// Starts calls, the first one first, as long as they may.
    fn start_waiting(self: &Arc<Self>) {
        while let Some(start) = self.next_to_start() {
            // Without the lock: it wakes the call's task. If the call is dropped meanwhile, so is its permit.
            drop(start.send(Permit(Arc::clone(self))));
        }
    }

    /// Removes the first call if it may start, and counts it as running.
    fn next_to_start(&self) -> Option<oneshot::Sender<Permit>> {
        let mut state = lock(&self.state);
        let running = state.running;
        let first = state.waiting.first_entry().filter(|first| running < first.get().most)?;
        let start = first.remove().start;
        state.running += 1;
        Some(start)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.0.state).running -= 1;
        self.0.start_waiting();
    }
}

/// A call's place among those that wait, which it leaves when it starts or is dropped.
struct Place<'a> {
    permits: &'a Arc<Permits>,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = lock(&self.permits.state).waiting.remove(&self.number);
        if left.is_some() {
            self.permits.start_waiting(); // the next one may be content with more that run
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Context, Poll, Waker};
    use std::thread;

    use super::{Permit, Permits, lock};

    struct Call {
        acquiring: Pin<Box<dyn Future<Output = Permit>>>,
        permit: Option<Permit>,
    }

    impl Call {
        /// Whether it may run. If it waits it is polled.
        fn runs(&mut self) -> bool {
            if self.permit.is_none() {
                let poll = self.acquiring.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                self.permit = if let Poll::Ready(permit) = poll { Some(permit) } else { None };
            }
            self.permit.is_some()
        }
    }

    /// Calls that come in this order, each of which runs if fewer than so many do.
    fn calls(permits: &Arc<Permits>, most: &[usize]) -> Vec<Call> {
        let call = |&most| {
            let permits = Arc::clone(permits);
            let mut call =
                Call { acquiring: Box::pin(async move { permits.acquire(most).await }), permit: None };
            call.runs();
            call
        };
        most.iter().map(call).collect()
    }

    /// Which calls run. The last one is polled first, so that the order of the polls is not the one in which they came.
    fn running(calls: &mut [Call]) -> Vec<usize> {
        let runs = |(k, call): (usize, &mut Call)| call.runs().then_some(k);
        let mut running: Vec<_> = calls.iter_mut().enumerate().rev().filter_map(runs).collect();
        running.reverse();
        running
    }

    #[test]
    fn calls_start_in_the_order_in_which_they_came() {
        let permits = Arc::default();
        let mut calls = calls(&permits, &[2; 6]);
        assert_eq!(running(&mut calls), [0, 1]);
        drop(calls.remove(1));
        assert_eq!(running(&mut calls), [0, 1], "the first and the third");
        drop(calls.drain(..2));
        assert_eq!(running(&mut calls), [0, 1], "the fourth and the fifth");
        drop(calls);
        assert_eq!(lock(&permits.state).running, 0);
    }

    #[test]
    fn one_call_may_always_run() {
        let permits = Arc::default();
        let mut calls = calls(&permits, &[0, 0]);
        assert_eq!(running(&mut calls), [0]);
        drop(calls.remove(0));
        assert_eq!(running(&mut calls), [0]);
    }

    #[test]
    fn no_call_passes_one_that_waits_for_fewer_to_run() {
        let permits = Arc::default();
        let mut calls = calls(&permits, &[3, 3, 1, 3, 3]);
        assert_eq!(running(&mut calls), [0, 1]);
        drop(calls.remove(2));
        assert_eq!(running(&mut calls), [0, 1, 2], "the next one starts when it leaves");
        let mut late = self::calls(&permits, &[4]);
        assert!(running(&mut late).is_empty(), "one waits that came before");
        drop(calls.remove(0));
        assert_eq!(running(&mut calls), [0, 1, 2]);
        assert_eq!(running(&mut late), [0]);
    }

    #[test]
    fn a_call_that_is_dropped_gives_its_turn_on() {
        let permits = Arc::default();
        let mut calls = calls(&permits, &[1; 5]);
        drop(calls.remove(1)); // waits
        drop(calls.remove(0)); // runs: the next one may start, and does not know yet
        drop(calls.remove(0)); // that one
        assert_eq!(running(&mut calls), [0]);
        drop(calls);
        let state = lock(&permits.state);
        assert!(state.running == 0 && state.waiting.is_empty());
    }

    #[test]
    fn a_call_that_panics_gives_its_turn_on() {
        let permits = Arc::default();
        let mut calls = calls(&permits, &[1; 2]);
        let first = calls.remove(0);
        let panics = || {
            let _permit = first.permit;
            panic!("on purpose");
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(running(&mut calls), [0]);
    }

    #[test]
    fn no_more_threads_run_than_may() {
        let permits = Arc::<Permits>::default();
        let (now, most, all) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let call = || {
            let permit = pollster::block_on(permits.acquire(3));
            most.fetch_max(1 + now.fetch_add(1, Relaxed), Relaxed);
            thread::yield_now();
            now.fetch_sub(1, Relaxed);
            all.fetch_add(1, Relaxed);
            drop(permit);
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..200).for_each(|_| call()));
            }
        });
        assert_eq!(all.into_inner(), 1600);
        assert!((1..=3).contains(&most.into_inner()));
    }
}
