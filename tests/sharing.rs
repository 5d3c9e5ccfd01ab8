//! One `Lstm`, many callers.

mod common;

use std::future::Future;
use std::task::{Context, Waker};
use std::thread;

use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights, wgpu};

fn input(seed: usize, steps: usize, batch: usize, width: usize) -> Array3<f32> {
    let cell = |(t, b, i)| (((t * 31 + b * 17 + i * 7 + seed * 13) % 101) as f32) / 50.0 - 1.0;
    Array3::from_shape_fn((steps, batch, width), cell)
}

fn shared_by_many_threads(device: &Device) {
    let weights = LstmWeights::uniform(&LstmConfig::new(9, 20).with_bidirectional(true), 3).unwrap();
    let lstm = Lstm::new(device, &weights).unwrap();
    // Every caller has another shape, so that a result of another caller does not fit.
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
        let lengths = [5, 12, 1];
        let result_padded =
            pollster::block_on(assert_send(lstm.forward_padded_async(input.view(), &lengths, None))).unwrap();
        assert_eq!(result_padded, lstm.forward_padded(input.view(), &lengths, None).unwrap());
        // A future that is dropped half-way does not disturb later calls.
        let mut future = Box::pin(lstm.forward_async(input.view(), None));
        let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(future);
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

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_device_hands_out_what_it_runs_on() {
    let (device, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    let ours = Device::from_wgpu(device.clone(), queue.clone()).unwrap();
    assert_eq!(ours.wgpu(), Some((&device, &queue)));
    let (device, queue) = common::device::gpu().wgpu().expect("it is a GPU");
    // The owner can use it, and calls still work.
    let size = device.limits().min_uniform_buffer_offset_alignment.into();
    let usage = wgpu::BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    queue.write_buffer(&device.create_buffer(&descriptor), 0, &[0; 4]);
    let weights = LstmWeights::uniform(&LstmConfig::new(9, 20), 3).unwrap();
    assert!(
        Lstm::new(common::device::gpu(), &weights).unwrap().forward(input(0, 2, 1, 9).view(), None).is_ok()
    );
    assert!(Device::cpu().wgpu().is_none());
}
