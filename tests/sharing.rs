//! One `Lstm`, many callers; and calls larger than a device.

mod common;

use std::thread;

use common::compare::worst_error;
use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights, wgpu};

fn input(seed: usize, steps: usize, batch: usize, width: usize) -> Array3<f32> {
    let cell = |(t, b, i)| (((t * 31 + b * 17 + i * 7 + seed * 13) % 101) as f32) / 50.0 - 1.0;
    Array3::from_shape_fn((steps, batch, width), cell)
}

fn shared_by_many_threads(device: &Device) {
    let weights = LstmWeights::uniform(&LstmConfig::new(9, 20).with_bidirectional(true), 3).unwrap();
    let lstm = Lstm::new(device, &weights).unwrap();
    // Every caller another shape, so that an answer that went astray would not even fit.
    let inputs: Vec<_> = (0..8).map(|k| input(k, 3 + k, 1 + k % 3, 9)).collect();
    let alone: Vec<_> = inputs.iter().map(|input| lstm.forward(input.view(), None).unwrap()).collect();
    thread::scope(|scope| {
        for (input, expected) in inputs.iter().zip(&alone) {
            let lstm = &lstm;
            scope.spawn(move || {
                for _ in 0..8 {
                    assert_eq!(&lstm.forward(input.view(), None).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn many_threads_on_the_gpu() {
    shared_by_many_threads(common::device::gpu());
}

#[test]
fn many_threads_on_the_cpu() {
    shared_by_many_threads(&Device::cpu());
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn async_calls_give_what_blocking_ones_do() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let weights = LstmWeights::uniform(&LstmConfig::new(9, 20), 3).unwrap();
    for device in [common::device::gpu().clone(), Device::cpu()] {
        let lstm = pollster::block_on(assert_send(Lstm::new_async(&device, &weights))).unwrap();
        let input = input(0, 12, 3, 9);
        let result = pollster::block_on(assert_send(lstm.forward_async(input.view(), None))).unwrap();
        assert_eq!(result, lstm.forward(input.view(), None).unwrap());
        // A future that is dropped half-way leaves nothing behind.
        drop(lstm.forward_async(input.view(), None));
        assert_eq!(lstm.forward(input.view(), None).unwrap(), result);
    }
}

#[test]
fn the_types_are_shared_freely() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Device>();
    shared::<Lstm>();
    shared::<LstmWeights>();
    shared::<wgpu_lstm::Error>();
}

/// 4,000 steps of 64 sequences at H = 256: gates of 1 GiB, outputs of 250 MiB, on a device that binds
/// 128 MiB at a time.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_call_larger_than_the_default_limits() {
    let (device, queue) = common::device::open(wgpu::Features::SUBGROUP, wgpu::Limits::default());
    let device = Device::from_wgpu(device, queue).unwrap();
    let weights = LstmWeights::uniform(&LstmConfig::new(8, 256), 4).unwrap();
    let input = input(0, 4_000, 64, 8);
    let (output, state) = Lstm::new(&device, &weights).unwrap().forward(input.view(), None).unwrap();
    let (expected, expected_state) =
        Lstm::new(&Device::cpu(), &weights).unwrap().forward(input.view(), None).unwrap();
    for (actual, expected) in
        [(&output, &expected), (&state.h, &expected_state.h), (&state.c, &expected_state.c)]
    {
        assert_eq!(actual.dim(), expected.dim());
        let expected: Vec<f64> = expected.iter().map(|&y| f64::from(y)).collect();
        let worst = worst_error(actual.as_slice().unwrap(), &expected);
        assert!(worst <= 5e-6, "off by {worst:.1e}");
    }
}
