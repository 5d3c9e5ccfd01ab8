//! How the CPU device waits for its threads: a waiting call runs none of its caller's other jobs.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use ndarray::Array3;
use rayon::prelude::*;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights};

/// Far longer than the calls take: a watchdog against an endless wait, not a measurement.
const DEADLINE: Duration = Duration::from_secs(300);

fn lstm(config: &LstmConfig) -> Lstm {
    Lstm::new(&Device::cpu(), &LstmWeights::uniform(config, 1).unwrap()).unwrap()
}

/// Runs `work` in a thread of its own; panics if it does not end.
fn ends(what: &str, work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        work();
        let _ = done.send(()); // nobody receives it past the deadline
    });
    match ended.recv_timeout(DEADLINE) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: no end in sight"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what}: panicked"),
    }
}

thread_local! {
    static OF_THE_THREAD: RefCell<()> = const { RefCell::new(()) };
}

/// 200 calls from rayon's workers. Each holds a lock or borrow that another call on the same thread would need.
fn calls_of_rayon(forward: impl Fn() + Sync) {
    for workers in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
        pool.install(|| (0..200).into_par_iter().for_each(|_| forward()));
    }
}

#[test]
fn callers_under_rayon_may_hold_a_lock() {
    ends("200 calls under one lock", || {
        let lstm = Mutex::new(lstm(&LstmConfig::new(128, 128)));
        let input = Array3::from_elem((200, 4, 128), 0.5);
        let expected = lstm.lock().unwrap().forward(input.view(), None).unwrap();
        calls_of_rayon(move || {
            assert_eq!(lstm.lock().unwrap().forward(input.view(), None).unwrap(), expected);
        });
    });
}

#[test]
fn calls_never_nest_on_one_thread_of_rayons() {
    ends("200 calls that borrow what is their thread's", || {
        let lstm = lstm(&LstmConfig::new(128, 128));
        let input = Array3::from_elem((200, 4, 128), 0.5);
        let expected = lstm.forward(input.view(), None).unwrap();
        calls_of_rayon(move || {
            OF_THE_THREAD.with(|it| {
                let _borrowed = it.borrow_mut();
                assert_eq!(lstm.forward(input.view(), None).unwrap(), expected);
            });
        });
    });
}
