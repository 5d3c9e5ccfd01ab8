//! Threads that walk time together.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;

use rayon_core::{ThreadPool, ThreadPoolBuilder};

/// Threads that work on one call, and where they wait for each other.
pub(super) struct Team {
    /// 0 until it is known how many threads the system gave.
    size: AtomicUsize,
    arrived: AtomicUsize,
    /// How many times all have met.
    meetings: AtomicUsize,
    /// A member panicked: the others must not wait for it.
    broken: AtomicBool,
}

/// Turns of a waiting loop, some 40 µs, before the core is offered to others: a time step is shorter.
const SPINS: usize = 1000;

/// Threads that sleep between calls, one less than the machine has. A new thread may have to share its maker's
/// core for some ms, longer than most calls take; one that wakes finds an idle core.
static SLEEPERS: OnceLock<Option<ThreadPool>> = OnceLock::new();

/// Held by the one call that uses them: members wait for each other, so that two calls must not share them.
static IN_USE: Mutex<()> = Mutex::new(());

/// The sleepers, where they are enough for a team of so many and no other call has them.
fn free_sleepers(wanted: usize) -> Option<(MutexGuard<'static, ()>, &'static ThreadPool)> {
    if wanted < 2 {
        return None;
    }
    let guard = match IN_USE.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(), // it guards no data
        Err(TryLockError::WouldBlock) => return None,
    };
    let open = || {
        let others =
            thread::available_parallelism().ok()?.get().checked_sub(1).filter(|&others| others > 0)?;
        let name = |index| format!("wgpu-lstm {index}");
        ThreadPoolBuilder::new().num_threads(others).thread_name(name).build().ok()
    };
    let pool = SLEEPERS.get_or_init(open).as_ref()?;
    (wanted <= 1 + pool.current_num_threads()).then_some((guard, pool))
}

impl Team {
    /// Runs `work` on `wanted` threads, the caller's among them, or on as many as there are.
    pub(super) fn run(wanted: usize, work: impl Fn(&Member<'_>) + Sync) {
        let team = Self {
            size: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            meetings: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        };
        if let Some((_guard, pool)) = free_sleepers(wanted) {
            let (team, work) = (&team, &work);
            team.size.store(wanted, Ordering::Release);
            pool.in_place_scope(|scope| {
                for index in 1..wanted {
                    scope.spawn(move |_| work(&Member { team, index }));
                }
                work(&Member { team, index: 0 });
            });
            return;
        }
        thread::scope(|scope| {
            let mut size = 1;
            while size < wanted {
                let (team, work, index) = (&team, &work, size);
                let join = move || {
                    wait_until(|| team.size.load(Ordering::Acquire) > 0);
                    work(&Member { team, index });
                };
                if thread::Builder::new().spawn_scoped(scope, join).is_err() {
                    break;
                }
                size += 1;
            }
            team.size.store(size, Ordering::Release);
            work(&Member { team: &team, index: 0 });
        });
    }
}

/// One thread of a team.
pub(super) struct Member<'a> {
    team: &'a Team,
    pub(super) index: usize,
}

impl Member<'_> {
    /// Threads in the team.
    pub(super) fn team_size(&self) -> usize {
        self.team.size.load(Ordering::Relaxed)
    }

    /// Waits until every member is here. What they wrote before, all see after.
    pub(super) fn meet(&self) {
        let team = self.team;
        let size = self.team_size();
        if size == 1 {
            return;
        }
        let meeting = team.meetings.load(Ordering::Acquire);
        if team.arrived.fetch_add(1, Ordering::AcqRel) + 1 == size {
            team.arrived.store(0, Ordering::Relaxed);
            team.meetings.store(meeting.wrapping_add(1), Ordering::Release);
        } else {
            wait_until(|| {
                assert!(!team.broken.load(Ordering::Relaxed), "another thread of the team panicked");
                team.meetings.load(Ordering::Acquire) != meeting
            });
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.team.broken.store(true, Ordering::Relaxed);
        }
    }
}

fn wait_until(done: impl Fn() -> bool) {
    let mut spins = 0;
    while !done() {
        if spins < SPINS {
            spins += 1;
            spin_loop();
        } else {
            thread::yield_now();
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
            let others = message == "another thread of the team panicked";
            assert!(others || (wanted == 2 && message == "on purpose"), "{message}");
            Team::run(wanted, |member| member.meet());
        }
    }
}
