//! A child of `fork` has none of its parent's threads, and so none of the CPU device's sleeping threads.
//!
//! This program has one test, so that no other thread holds a lock when it forks.
#![cfg(unix)]
#![expect(unsafe_code, reason = "fork and waitpid are functions of C")]

use std::time::{Duration, Instant};

use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights};

/// Far longer than a call takes: a watchdog against an endless wait, not a measurement.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `child` in a child process and returns its wait status; none if it had to be killed.
fn in_a_child(child: impl FnOnce() -> bool) -> Option<i32> {
    // SAFETY: the child leaves by `_exit`, without unwinding or destructors. In between it allocates and starts
    // threads, which the C libraries that this runs on allow after a fork.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        let right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the process.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        let mut status = 0;
        // SAFETY: waits for the child made above, and writes its status to a variable that is alive.
        match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
            0 => std::thread::sleep(Duration::from_millis(5)),
            ended => {
                assert_eq!(ended, pid, "waitpid");
                return Some(status);
            }
        }
    }
    // SAFETY: the child made above has not been waited for, so that its id is still its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    None
}

#[test]
fn the_cpu_device_answers_in_a_child_of_fork() {
    let config = LstmConfig::new(64, 256).with_bidirectional(true);
    let lstm = Lstm::new(&Device::cpu(), &LstmWeights::uniform(&config, 1).unwrap()).unwrap();
    let input = Array3::from_shape_fn((60, 2, 64), |(t, b, i)| ((t * 7 + b * 5 + i) % 13) as f32 / 13.0);
    let call = || lstm.forward(input.view(), None).unwrap();
    let expected = call(); // starts the parent's threads
    for child in ["the first", "the second"] {
        let status = in_a_child(|| call() == expected && call() == expected);
        assert_eq!(
            status,
            Some(0),
            "{child} child: none if it never ended, 0 if its results are the parent's"
        );
        assert_eq!(call(), expected, "the parent after {child} child");
    }
}
