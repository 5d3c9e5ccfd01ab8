//! On a device that the application opened, every poll runs everyone's callbacks. A panic in one of the application's
//! must not be taken for a lost device.

mod common;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmState, LstmWeights, wgpu};

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
        let results = std::thread::scope(|scope| {
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
