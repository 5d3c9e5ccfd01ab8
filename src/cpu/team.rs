//! Threads that walk time together.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

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

impl Team {
    /// Runs `work` on `wanted` threads, the caller's among them, or on as many as there are.
    pub(super) fn run(wanted: usize, work: impl Fn(&Member<'_>) + Sync) {
        let team = Self {
            size: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            meetings: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        };
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

    #[test]
    fn members_see_what_all_wrote_before_they_met() {
        let sum = AtomicUsize::new(0);
        Team::run(3, |member| {
            for round in 1..200 {
                sum.fetch_add(1, Ordering::Relaxed);
                member.meet();
                assert_eq!(sum.load(Ordering::Relaxed), round * member.team_size());
                member.meet();
            }
        });
    }

    #[test]
    #[should_panic(expected = "another thread of the team panicked")]
    fn nobody_waits_for_a_member_that_panicked() {
        Team::run(2, |member| {
            assert!(member.index == 0, "on purpose");
            member.meet();
        });
    }
}
