//! Where the sleepers wake up. Linux takes the idle cores of a virtual machine for busy ones, since the host has
//! suspended them, and starts a thread that wakes up on the core of the thread that woke it: the two then share it for
//! 1 to 10 ms, until the kernel balances its queues. So a call takes its own core from the sleepers' sets before it
//! wakes them, and each sleeper gets it back when it starts.

#[cfg(target_os = "linux")]
pub(super) use self::linux::Seats;
#[cfg(not(target_os = "linux"))]
pub(super) use self::other::Seats;

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::Mutex;

    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

    use crate::lock::lock;

    /// More sleepers are left to the kernel: so many cores are rarely all suspended.
    const MOST: usize = 8;

    /// A sleeper's thread, once it runs.
    #[derive(Default)]
    struct Seat {
        thread: Option<Pid>,
        /// The cores that it may use, while one of them is taken from it.
        all: Option<CpuSet>,
    }

    /// Those of a pool, by the index of the thread.
    pub(in crate::cpu) struct Seats(Vec<Mutex<Seat>>);

    impl Seats {
        pub(in crate::cpu) fn new(threads: usize) -> Self {
            Self((0..threads).map(|_| Mutex::default()).collect())
        }

        /// A sleeper's first call.
        pub(in crate::cpu) fn register(&self, index: usize) {
            lock(&self.0[index]).thread = Some(gettid());
        }

        /// The caller's, before it wakes sleepers: takes its core from theirs. Where the system refuses, they wake up
        /// where they would without.
        pub(in crate::cpu) fn keep_off_this_core(&self) {
            if self.0.len() > MOST {
                return;
            }
            let here = sched_getcpu();
            for seat in &self.0 {
                let mut seat = lock(seat);
                let Some(thread) = seat.thread else { continue };
                // Still reduced if it has not started since.
                let Some(all) = seat.all.or_else(|| sched_getaffinity(Some(thread)).ok()) else { continue };
                let mut others = all;
                others.unset(here);
                if others.count() > 0 && sched_setaffinity(Some(thread), &others).is_ok() {
                    seat.all = Some(all);
                }
            }
        }

        /// A sleeper's, when it starts: it may use every core again.
        pub(in crate::cpu) fn give_back(&self, index: usize) {
            if let Some(all) = lock(&self.0[index]).all.take() {
                // The set was this thread's own; the system refuses it only if it has been reduced meanwhile.
                let _ = sched_setaffinity(None, &all);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    /// No other system is known to need it.
    pub(in crate::cpu) struct Seats;

    impl Seats {
        pub(in crate::cpu) fn new(_: usize) -> Self {
            Self
        }

        pub(in crate::cpu) fn register(&self, _: usize) {}

        pub(in crate::cpu) fn keep_off_this_core(&self) {}

        pub(in crate::cpu) fn give_back(&self, _: usize) {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::{Arc, mpsc};

    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu};

    use super::Seats;

    fn cores(set: &CpuSet) -> Vec<usize> {
        (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect()
    }

    /// Sets of another thread of this process, as the kernel has them.
    #[test]
    fn a_sleeper_loses_the_callers_core_until_it_starts() {
        let all = sched_getaffinity(None).unwrap();
        let seats = Arc::new(Seats::new(1));
        let (to_caller, from_sleeper) = mpsc::channel();
        let (to_sleeper, from_caller) = mpsc::channel();
        let sleeper = std::thread::spawn({
            let seats = Arc::clone(&seats);
            move || {
                seats.register(0);
                to_caller.send(sched_getaffinity(None).unwrap()).unwrap();
                for () in from_caller {
                    let reduced = sched_getaffinity(None).unwrap();
                    seats.give_back(0);
                    to_caller.send(reduced).unwrap();
                    to_caller.send(sched_getaffinity(None).unwrap()).unwrap();
                }
            }
        });
        assert_eq!(cores(&from_sleeper.recv().unwrap()), cores(&all));
        for repeats in 1..3 {
            let mut here = 0;
            for _ in 0..repeats {
                here = sched_getcpu();
                seats.keep_off_this_core();
            }
            to_sleeper.send(()).unwrap();
            let (reduced, again) = (from_sleeper.recv().unwrap(), from_sleeper.recv().unwrap());
            if all.count() > 1 {
                assert_eq!(reduced.count() + 1, all.count(), "one core less, however often it is taken");
                assert!(sched_getcpu() != here || !reduced.is_set(here), "the caller's core");
            }
            assert_eq!(cores(&again), cores(&all));
        }
        drop(to_sleeper);
        sleeper.join().unwrap();
    }
}
