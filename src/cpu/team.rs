//! Threads that walk time together.
//!
//! The calling thread works, too, and then parks until the other threads finish, or returns at once where the other is
//! a helper. It runs no other job while it waits: the caller may hold a lock, or a borrow of a thread-local variable,
//! that the job takes, too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use super::meeting::Meeting;
use super::placement::Seats;
use crate::lock::try_lock;
use crate::platform::parallelism;

/// Threads that work on one call.
pub(super) struct Team {
    /// Threads in the team; 0 while they are still being started.
    size: AtomicUsize,
    meeting: Meeting,
}

/// Threads that sleep between calls, one less than the machine has. A new thread may share the core of the thread
/// that started it for some ms, longer than most calls take; a thread that wakes up gets an idle core.
struct Sleepers {
    pool: ThreadPool,
    seats: Arc<Seats>,
    /// The process that started them: `fork` copies this value, but no thread.
    process: u32,
}

/// Locked by the call that uses them: members wait for each other, so two calls must not share them.
static SLEEPERS: Mutex<Option<Sleepers>> = Mutex::new(None);

impl Sleepers {
    fn start() -> Option<Self> {
        let others = Some(parallelism() - 1).filter(|&others| others > 0)?;
        let name = |index| format!("wgpu-lstm {index}");
        let seats = Arc::new(Seats::new(others));
        let register = {
            let seats = Arc::clone(&seats);
            move |index| seats.register(index)
        };
        let threads = ThreadPoolBuilder::new().num_threads(others).thread_name(name).start_handler(register);
        Some(Self { pool: threads.build().ok()?, seats, process: std::process::id() })
    }

    /// The sleepers, if they suffice for a team of `wanted` threads and no other call uses them.
    fn free(wanted: usize) -> Option<MutexGuard<'static, Option<Self>>> {
        // A worker of any rayon pool runs other jobs of its pool while it waits for a scope of ours: the caller's
        // own, which may wait for a lock that the caller holds.
        if rayon_core::current_thread_index().is_some() {
            return None;
        }
        let mut sleepers = try_lock(&SLEEPERS)?;
        if sleepers.as_ref().is_some_and(|sleepers| sleepers.process != std::process::id()) {
            // In a child of `fork`. Dropping the pool would take locks that a thread may have held at that time.
            std::mem::forget(sleepers.take());
        }
        if sleepers.is_none() {
            *sleepers = Self::start();
        }
        let threads = sleepers.as_ref()?.pool.current_num_threads();
        (wanted <= 1 + threads).then_some(sleepers)
    }
}

impl Team {
    /// Runs `work` on `wanted` threads, the caller's among them, or on fewer if no more can be started.
    pub(super) fn run(wanted: usize, work: impl Fn(&Member<'_>) + Sync) {
        let alone = wanted < 2;
        let team = Self { size: AtomicUsize::new(usize::from(alone)), meeting: Meeting::new() };
        if alone {
            return work(&Member::new(&team, 0));
        }
        match Sleepers::free(wanted).as_deref() {
            Some(Some(sleepers)) => team.run_on_sleepers(wanted, sleepers, work),
            _ => team.run_on_new_threads(wanted, work),
        }
    }

    /// Runs `work` on the calling thread, and `help` on one that sleeps, if there is one that no other call uses: a
    /// thread of its own would cost more than it gains. Does not wait for `help`, which may even start after the end.
    pub(super) fn run_with_help(help: impl FnOnce() + Send + 'static, work: impl FnOnce()) {
        let sleepers = Sleepers::free(2);
        if let Some(Some(sleepers)) = sleepers.as_deref() {
            sleepers.seats.keep_off_this_core();
            let seats = Arc::clone(&sleepers.seats);
            sleepers.pool.spawn(move || {
                sit_down(&seats);
                // A panic of a job that nobody waits for would abort the process. The work does not depend on help.
                drop(catch_unwind(AssertUnwindSafe(help)));
            });
        }
        work();
    }

    fn run_on_sleepers(&self, wanted: usize, sleepers: &Sleepers, work: impl Fn(&Member<'_>) + Sync) {
        let (work, seats) = (&work, &*sleepers.seats);
        self.size.store(wanted, Ordering::Release);
        seats.keep_off_this_core();
        sleepers.pool.in_place_scope(|scope| {
            for index in 1..wanted {
                scope.spawn(move |_| {
                    sit_down(seats);
                    work(&Member::new(self, index));
                });
            }
            work(&Member::new(self, 0));
        });
    }

    fn run_on_new_threads(&self, wanted: usize, work: impl Fn(&Member<'_>) + Sync) {
        thread::scope(|scope| {
            let mut size = 1;
            while size < wanted {
                let (work, index) = (&work, size);
                let join = move || {
                    let mut turns = 0;
                    while self.size.load(Ordering::Acquire) == 0 {
                        super::sync::pause(turns);
                        turns += 1;
                    }
                    work(&Member::new(self, index));
                };
                if thread::Builder::new().spawn_scoped(scope, join).is_err() {
                    break;
                }
                size += 1;
            }
            self.size.store(size, Ordering::Release);
            work(&Member::new(self, 0));
        });
    }
}

/// A sleeper's, before its work.
fn sit_down(seats: &Seats) {
    if let Some(index) = rayon_core::current_thread_index() {
        seats.give_back(index);
    }
}

/// One thread of a team.
pub(super) struct Member<'a> {
    team: &'a Team,
    pub(super) index: usize,
    /// The thread was unwinding before, so a destructor makes this call.
    was_panicking: bool,
}

impl<'a> Member<'a> {
    fn new(team: &'a Team, index: usize) -> Self {
        Self { team, index, was_panicking: thread::panicking() }
    }

    /// Threads in the team.
    pub(super) fn team_size(&self) -> usize {
        self.team.size.load(Ordering::Relaxed)
    }

    /// Waits until every member has called this. Each then sees all that the others wrote before.
    pub(super) fn meet(&self) {
        let size = self.team_size();
        if size > 1 {
            self.team.meeting.meet(size);
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if thread::panicking() && !self.was_panicking {
            self.team.meeting.break_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Team;

    /// Two are the caller and a sleeper, where the machine has two threads; more have threads of their own.
    #[test]
    fn members_see_what_all_wrote_before_they_met() {
        for (wanted, rounds) in [(2, 200), (3, 200), (100, 20)] {
            let sum = AtomicUsize::new(0);
            Team::run(wanted, |member| {
                for round in 1..rounds {
                    sum.fetch_add(1, Ordering::Relaxed);
                    member.meet();
                    assert_eq!(sum.load(Ordering::Relaxed), round * member.team_size());
                    member.meet();
                }
            });
        }
    }

    #[test]
    fn teams_at_the_same_time_do_not_wait_for_each_other() {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| Team::run(2, |member| member.meet())));
            }
        });
    }

    #[test]
    fn nobody_waits_for_a_member_that_panicked() {
        for wanted in [2, 3] {
            let run = std::panic::catch_unwind(|| {
                Team::run(wanted, |member| {
                    assert!(member.index == 0, "on purpose");
                    member.meet();
                });
            });
            let payload = run.expect_err("a member panicked");
            let message = payload.downcast_ref::<&str>().copied().unwrap_or_default();
            // Sleepers hand on the first panic, threads of a team's own the caller's.
            // How many sleepers there are depends on the machine's processors.
            assert!(["on purpose", "another thread of the team panicked"].contains(&message), "{message}");
            Team::run(wanted, |member| member.meet());
        }
    }
}
