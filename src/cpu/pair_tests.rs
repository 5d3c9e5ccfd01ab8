//! Helpers that stop in the middle of a job, come back late, or never take one.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ndarray::Array3;

use super::{Job, Ordering, Pair, lock};
use crate::batch::Packing;
use crate::call::Call;
use crate::config::LstmConfig;
use crate::cpu::CpuEngine;
use crate::cpu::together::walk_together;
use crate::cpu::work::{Input, Work};
use crate::weights::LstmWeights;

/// What a helper does with a job.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Publishes so many steps, and no more.
    StopsAfter(usize),
    /// The same, and all of the job when the walker has gone on.
    ComesBackAfter(usize),
}

impl Fault {
    /// Takes jobs until the call ends; returns how many.
    fn help(self, pair: &Pair) -> usize {
        let mut numbers = pair.network.numbers(pair.batch);
        let mut jobs = 0;
        pair.is_free.store(true, Ordering::Release);
        while !pair.has_ended.load(Ordering::Acquire) {
            let Some(job) = lock(&pair.job).take() else {
                thread::yield_now();
                continue;
            };
            jobs += 1;
            let (Self::StopsAfter(steps) | Self::ComesBackAfter(steps)) = self;
            let mut part = Job::clone(&job);
            part.steps.truncate(steps);
            pair.help_with(&part, &mut numbers);
            if let Self::ComesBackAfter(_) = self {
                thread::sleep(Duration::from_millis(1));
                pair.help_with(&job, &mut numbers);
            }
        }
        jobs
    }
}

/// Output, h_n and c_n as bits, computed with this help, which is there from the start.
fn results(engine: &CpuEngine, call: &Call<'_, f32>, help: impl FnOnce(&Pair) + Send) -> [Vec<u32>; 3] {
    let packing = Packing::new(call.sequences().longest_first().to_vec());
    let pair = Pair::new(engine.network.clone(), packing.batch());
    let lens = [call.output_shape(), call.state_shapes()[0], call.state_shapes()[1]];
    let work = Work::new(
        engine,
        (Input::Array(call.input()), call.state()),
        vec![packing],
        lens.map(|shape| shape.iter().product()),
    );
    thread::scope(|scope| {
        scope.spawn(|| help(&pair));
        while !pair.is_free() {
            thread::yield_now();
        }
        walk_together(&work, &pair);
    });
    work.finish().map(|numbers| numbers.into_vec().into_iter().map(f32::to_bits).collect())
}

#[test]
fn a_helper_that_stops_or_comes_back_late_changes_no_bit() {
    for config in [
        LstmConfig::new(33, 100),
        LstmConfig::new(20, 70).with_num_layers(2).with_bidirectional(true),
        LstmConfig::new(20, 100).with_num_layers(2).with_proj_size(40),
    ] {
        let engine = CpuEngine::new(&LstmWeights::uniform(&config, 3).unwrap()).unwrap();
        let input = Array3::from_shape_fn((120, 3, config.input_size()), |(t, b, i)| {
            ((t * 31 + b * 17 + i * 7) % 97) as f32 / 48.5 - 1.0
        });
        let call = Call::new(&config, input.view(), Some(&[120, 50, 119]), None).unwrap();
        let alone = results(&engine, &call, |pair| pair.is_free.store(true, Ordering::Release));
        for _ in 0..50 {
            assert!(results(&engine, &call, Pair::help) == alone, "{config:?} with help");
        }
        for steps in [0, 1, 2, 5] {
            for fault in [Fault::StopsAfter(steps), Fault::ComesBackAfter(steps)] {
                // The system may suspend the helper for all of a call.
                let took_a_job = (0..1000).any(|_| {
                    let mut jobs = 0;
                    let actual = results(&engine, &call, |pair| jobs = fault.help(pair));
                    assert!(actual == alone, "{config:?} {fault:?}");
                    jobs > 0
                });
                assert!(took_a_job, "{config:?} {fault:?}");
            }
        }
    }
}

/// One row of x.
fn job(pair: &Pair, first: usize) -> Arc<Job> {
    let numbers = pair.network.numbers(1);
    let step = crate::cpu::network::Step { slot: 0, running: 1, first_row: 0, backwards: false };
    Arc::new(Job { first, steps: vec![step], x: vec![1.0; 2], depth: 2, h: numbers.h, c: numbers.c })
}

#[test]
fn a_job_that_was_not_taken_is_withdrawn() {
    let config = LstmConfig::new(2, 40);
    let engine = CpuEngine::new(&LstmWeights::constant(&config, 0.5).unwrap()).unwrap();
    let pair = Pair::new(engine.network.clone(), 1);
    let (first, second) = (job(&pair, 1), job(&pair, 2));
    pair.offer(&first);
    assert!(!pair.is_taken());
    assert!(lock(&pair.job).is_none(), "no helper gets it any more");
    pair.offer(&second);
    assert!(lock(&pair.job).take().is_some_and(|job| job.first == 2));
    assert!(pair.is_taken());
    let mut numbers = pair.network.numbers(1);
    assert!(!pair.receive(2, &second, 0, &mut numbers), "taken, and never published");
    pair.help_with(&first, &mut pair.network.numbers(1));
    assert!(!pair.receive(2, &second, 0, &mut numbers), "a half of an earlier step");
    pair.help_with(&second, &mut pair.network.numbers(1));
    assert!(pair.receive(2, &second, 0, &mut numbers));
}
