//! On a device that the application opened, every poll runs everyone's callbacks. A panic in one of the application's
//! must not be taken for a lost device.

mod common;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmState, LstmWeights, wgpu};

/// Far longer than the calls take: a watchdog against an endless wait, not a measurement.
const DEADLINE: Duration = Duration::from_secs(300);

const PANIC: &str = "the application's own";

/// The application's device, and a network on it.
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    lstm: Lstm,
    input: Array3<f32>,
}

impl Shared {
    fn new() -> Self {
        let (device, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
        let weights = LstmWeights::uniform(&LstmConfig::new(8, 16), 1).unwrap();
        let ours = Device::from_wgpu(device.clone(), queue.clone()).unwrap();
        let lstm = Lstm::new(&ours, &weights).unwrap();
        Self { device, queue, lstm, input: Array3::from_elem((20, 2, 8), 0.25) }
    }

    /// Submits about a second of copies, and maps their result with a callback that panics. A call that starts now
    /// runs the callback while it waits for its own submission. Dropping the buffer would run it too.
    fn leave_a_panic(&self) -> wgpu::Buffer {
        let buffer = |size, usage| {
            let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
            self.device.create_buffer(&descriptor)
        };
        let copies = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let large = [0, 1].map(|_| buffer(128 << 20, copies));
        let small = buffer(16, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for turn in 0..24 {
            let [from, to] = [turn % 2, 1 - turn % 2].map(|k| &large[k]);
            encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        }
        encoder.copy_buffer_to_buffer(&large[0], 0, &small, 0, 16);
        self.queue.submit([encoder.finish()]);
        small.map_async(wgpu::MapMode::Read, .., |_| panic!("{PANIC}"));
        small
    }

    fn forward(&self) -> (Array3<f32>, LstmState) {
        self.lstm.forward(self.input.view(), None).expect("the device is healthy")
    }
}

/// The payload's message; the payload itself if it is not the application's.
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a message")
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_panic_of_the_applications_reaches_whoever_polls_and_loses_no_device() {
    let shared = Shared::new();
    let expected = shared.forward();
    for _ in 0..3 {
        let _mapped = shared.leave_a_panic();
        let result = catch_unwind(AssertUnwindSafe(|| shared.forward()));
        assert_eq!(message(result.expect_err("the call polled")), PANIC);
        assert_eq!(shared.forward(), expected, "the next call");
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_panic_in_the_thread_that_waits_for_an_async_call_reaches_the_call_and_loses_no_device() {
    let shared = Shared::new();
    let expected = shared.forward();
    for _ in 0..3 {
        let _mapped = shared.leave_a_panic();
        let call = || pollster::block_on(shared.lstm.forward_async(shared.input.view(), None));
        let result = catch_unwind(AssertUnwindSafe(call));
        assert_eq!(message(result.expect_err("the call's thread polled")), PANIC);
        assert_eq!(shared.forward(), expected, "the next call");
    }
}

/// One thread polls for all. If it panics, the other threads' callbacks are dropped, but their buffers are mapped.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_panic_in_one_threads_call_leaves_other_threads_calls_alone() {
    let shared = Shared::new();
    let expected = shared.forward();
    for _ in 0..3 {
        let _mapped = shared.leave_a_panic();
        let results = thread::scope(|scope| {
            let call = || catch_unwind(AssertUnwindSafe(|| shared.forward()));
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(call)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let mut panics = 0;
        for result in results {
            match result {
                Ok(actual) => assert_eq!(actual, expected),
                Err(payload) => {
                    assert_eq!(message(payload), PANIC);
                    panics += 1;
                }
            }
        }
        assert_eq!(panics, 1, "the callback is called once, by whoever polls first");
    }
}

/// If one call runs at a time, too, and it is the one that runs the callback.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_call_in_a_callback_does_not_wait_for_the_call_that_runs_it() {
    let shared = Shared::new();
    let expected = shared.forward();
    let lstm = shared.lstm.with_calls_in_flight(1);
    let run = |lstm: &Lstm, input: &Array3<f32>, blocks: bool| {
        let result = match blocks {
            true => lstm.forward(input.view(), None),
            false => pollster::block_on(lstm.forward_async(input.view(), None)),
        };
        result.expect("the device is healthy")
    };
    let opengl = shared.device.adapter_info().backend == wgpu::Backend::Gl;
    for (outer_blocks, inner_blocks) in [(true, true), (true, false), (false, true), (false, false)] {
        // On OpenGL one thread at a time uses the device, and an async call waits in another: see the crate's docs.
        if opengl && !inner_blocks {
            continue;
        }
        let (done, results) = mpsc::channel();
        let (inner, outer, input) = (lstm.clone(), lstm.clone(), shared.input.clone());
        let (of_inner, of_outer) = (done.clone(), done);
        shared.queue.on_submitted_work_done({
            let input = input.clone();
            move || of_inner.send(run(&inner, &input, inner_blocks)).unwrap()
        });
        thread::spawn(move || of_outer.send(run(&outer, &input, outer_blocks)).unwrap());
        for which in ["inner", "outer"] {
            let result = results.recv_timeout(DEADLINE);
            assert_eq!(result.as_ref(), Ok(&expected), "{which}, {outer_blocks}, {inner_blocks}");
        }
    }
}

/// The application polls by itself, and calls in a callback: its poll may have found that another call's work is done,
/// and not yet said so to that call.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_call_in_a_callback_of_the_applications_poll_waits_for_calls_that_go_on() {
    const CALLS: usize = 100;
    let shared = Shared::new();
    let expected = shared.forward();
    let lstm = shared.lstm.with_calls_in_flight(1);
    let (done, results) = mpsc::channel();
    let caller = || {
        let (lstm, input, done) = (lstm.clone(), shared.input.clone(), done.clone());
        move || done.send(lstm.forward(input.view(), None).expect("the device is healthy")).unwrap()
    };
    for _ in 0..3 {
        let call = caller();
        thread::spawn(move || (0..CALLS).for_each(|_| call()));
    }
    let callbacks: Vec<_> = (0..CALLS).map(|_| caller()).collect();
    let (device, queue) = (shared.device.clone(), shared.queue.clone());
    thread::spawn(move || {
        for callback in callbacks {
            queue.on_submitted_work_done(callback);
            device.poll(wgpu::PollType::Poll).unwrap();
        }
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    });
    for _ in 0..4 * CALLS {
        assert_eq!(results.recv_timeout(DEADLINE).as_ref(), Ok(&expected));
    }
}
