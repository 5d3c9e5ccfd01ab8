//! The barrier of the CPU device's threads under a model checker, which tries every order in which two threads
//! can run, and every value that relaxed loads may see.

#[path = "../src/cpu/meeting.rs"]
#[expect(dead_code, reason = "a part of it is checked at a time")]
mod meeting;

/// As `src/cpu/sync.rs`, with the model checker's types.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    pub(super) fn pause(_: usize) {
        loom::thread::yield_now();
    }
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use meeting::Meeting;

/// Two threads that each write a number, meet, read both numbers, meet, and repeat. (With three threads, two that wait can
/// yield to each other for ever, which the checker can't distinguish from progress.)
fn both_see_what_both_wrote(rounds: u32) {
    loom::model(move || {
        let meeting = Arc::new(Meeting::new());
        let numbers = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let member = |index: usize| {
            let (meeting, numbers) = (Arc::clone(&meeting), Arc::clone(&numbers));
            move || {
                for round in 1..=rounds {
                    numbers[index].store(round, Ordering::Relaxed);
                    meeting.meet(2);
                    for number in numbers.iter() {
                        assert_eq!(number.load(Ordering::Relaxed), round);
                    }
                    if round < rounds {
                        meeting.meet(2);
                    }
                }
            }
        };
        let other = loom::thread::spawn(member(1));
        member(0)();
        other.join().unwrap();
    });
}

#[test]
fn two_threads_see_what_both_wrote_before_they_met() {
    both_see_what_both_wrote(2);
}
