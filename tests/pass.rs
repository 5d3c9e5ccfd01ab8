//! A pass that the caller records: the bits of `forward`, and a state that stays where it is.

mod common;

use std::path::Path;

use common::noop;
use ndarray::{Array2, Array3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{
    Device, Error, Lstm, LstmConfig, LstmPass, LstmState, LstmWeights, Rows, Schedule, Tuning, wgpu,
};

fn random<D: ndarray::Dimension, S: ndarray::ShapeBuilder<Dim = D>>(
    shape: S,
    seed: u64,
) -> ndarray::Array<f32, D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    ndarray::Array::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0))
}

fn state(config: &LstmConfig, batch: usize, seed: u64) -> LstmState {
    let LstmState { h, c } = LstmState::zeros(config, batch);
    LstmState { h: random(h.raw_dim(), seed), c: random(c.raw_dim(), seed + 1) }
}

/// Writes rows as a caller does: `width` numbers, and zeros up to the stride.
fn write(queue: &wgpu::Queue, rows: Rows<'_>, data: &[f32]) {
    assert_eq!(data.len(), rows.rows * rows.width);
    let mut strided = Array2::<f32>::zeros((rows.rows, rows.stride));
    for (mut to, from) in strided.outer_iter_mut().zip(data.chunks_exact(rows.width)) {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
    }
    queue.write_buffer(rows.buffer, rows.offset, bytemuck::cast_slice(strided.as_slice().unwrap()));
}

/// Reads rows back, and checks that what is between width and stride is zero.
fn read((device, queue): (&wgpu::Device, &wgpu::Queue), rows: Rows<'_>) -> Vec<f32> {
    let bytes = 4 * (rows.rows * rows.stride) as u64;
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(rows.buffer, rows.offset, &staging, 0, bytes);
    queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = staging.get_mapped_range(..).unwrap();
    let all: &[f32] = bytemuck::cast_slice(&view);
    let padding = all.chunks_exact(rows.stride).flat_map(|row| &row[rows.width..]);
    assert!(padding.copied().all(|x| x.to_bits() == 0), "what is between width and stride stays zero");
    all.chunks_exact(rows.stride).flat_map(|row| &row[..rows.width]).copied().collect()
}

fn record((device, queue): (&wgpu::Device, &wgpu::Queue), pass: &mut LstmPass, times: usize) {
    let mut encoder = device.create_command_encoder(&Default::default());
    (0..times).for_each(|_| pass.record(&mut encoder));
    queue.submit([encoder.finish()]);
}

fn bits(numbers: impl IntoIterator<Item = f32>) -> Vec<u32> {
    numbers.into_iter().map(f32::to_bits).collect()
}

fn networks() -> Vec<LstmConfig> {
    let plain = LstmConfig::new(7, 20);
    vec![
        plain.clone(),
        plain.clone().with_num_layers(6),
        plain.clone().with_bidirectional(true).with_num_layers(2),
        LstmConfig::new(4, 5).with_bidirectional(true), // the directions' rows are padded one by one
        LstmConfig::new(3, 9).with_bidirectional(true).with_num_layers(3).with_proj_size(6),
        LstmConfig::new(130, 64).with_num_layers(2).with_proj_size(7).with_bias(false),
    ]
}

/// Three recordings of T steps, the second and the third in one encoder, are one `forward` over 3·T steps (in one
/// direction), and each is a `forward` from the state that the one before left.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn every_recording_has_the_bits_of_forward_and_carries_on() {
    let device = common::device::gpu();
    let on = device.wgpu().unwrap();
    let mut passes = 0;
    for (number, config) in networks().into_iter().enumerate() {
        let weights = LstmWeights::uniform(&config, 7).unwrap();
        let lstm = Lstm::new(device, &weights).unwrap();
        // Each schedule with an even number of steps, at whose end h is where it began, and with an odd one.
        let shapes = [[(1, 1), (2, 3)], [(5, 17), (4, 1)]];
        let passes_of = |(k, way): (usize, Schedule)| shapes[(number + k) % 2].map(|shape| (way, shape));
        for (schedule, (steps, batch)) in Schedule::ALL.into_iter().enumerate().flat_map(passes_of) {
            let lstm = lstm.clone().with_tuning(Tuning::Fixed(schedule));
            let mut pass = lstm.prepare(steps, batch).unwrap();
            let input = random((steps, batch, config.input_size()), number as u64);
            let initial = state(&config, batch, 99);
            write(on.1, pass.input(), input.as_slice().unwrap());
            write(on.1, pass.hidden(), initial.h.as_slice().unwrap());
            write(on.1, pass.cell(), initial.c.as_slice().unwrap());
            let mut expected = initial;
            for (times, recorded) in [(1, "once"), (2, "twice in one encoder")] {
                record(on, &mut pass, times);
                let mut output = Array3::zeros((0, 0, 0));
                for _ in 0..times {
                    (output, expected) = lstm.forward(input.view(), Some(&expected)).unwrap();
                }
                let what = format!("{config:?}, {schedule}, T {steps}, B {batch}, recorded {recorded}");
                assert_eq!(bits(read(on, pass.output())), bits(output), "{what}: output");
                assert_eq!(bits(read(on, pass.hidden())), bits(expected.h.iter().copied()), "{what}: h");
                assert_eq!(bits(read(on, pass.cell())), bits(expected.c.iter().copied()), "{what}: c");
            }
            passes += 1;
        }
    }
    assert_eq!(passes, networks().len() * 8);
}

/// An encoder that is dropped does not move the state, however many recordings it has: the classic fault is to count them.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn recordings_that_are_not_submitted_or_in_another_order_change_nothing() {
    let device = common::device::gpu();
    let (gpu, queue) = device.wgpu().unwrap();
    let config = LstmConfig::new(6, 12).with_num_layers(2);
    let lstm = Lstm::new(device, &LstmWeights::uniform(&config, 3).unwrap()).unwrap();
    for schedule in Schedule::ALL {
        let lstm = lstm.clone().with_tuning(Tuning::Fixed(schedule));
        let mut pass = lstm.prepare(3, 2).unwrap();
        let input = random((3, 2, 6), 1);
        write(queue, pass.input(), input.as_slice().unwrap());
        let mut buffers = Vec::new();
        for _ in 0..3 {
            let mut encoder = gpu.create_command_encoder(&Default::default());
            pass.record(&mut encoder);
            buffers.push(encoder.finish());
        }
        // The middle one is never submitted, the last one comes first.
        let last = buffers.pop().unwrap();
        queue.submit([last, buffers.swap_remove(0)]);
        let (_, first) = lstm.forward(input.view(), None).unwrap();
        let (output, second) = lstm.forward(input.view(), Some(&first)).unwrap();
        assert_eq!(bits(read((gpu, queue), pass.output())), bits(output), "{schedule}");
        assert_eq!(bits(read((gpu, queue), pass.hidden())), bits(second.h), "{schedule}");

        let mut encoder = gpu.create_command_encoder(&Default::default());
        pass.record_reset(&mut encoder);
        pass.record(&mut encoder);
        queue.submit([encoder.finish()]);
        assert_eq!(bits(read((gpu, queue), pass.hidden())), bits(first.h), "{schedule}: after a reset");
        assert_eq!(bits(read((gpu, queue), pass.cell())), bits(first.c), "{schedule}: after a reset");
    }
}

/// wgpu's log shows what a recording creates.
#[test]
fn a_recording_makes_no_object_and_submits_nothing() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pass");
    let device = noop::traced(&directory);
    let (gpu, queue) = device.wgpu().unwrap();
    for config in networks() {
        let lstm = Lstm::new(&device, &LstmWeights::uniform(&config, 7).unwrap()).unwrap();
        let start = noop::log(&directory).len();
        let mut pass = lstm.prepare(5, 3).unwrap();
        assert!(noop::count(&noop::log(&directory)[start..], "CreateBuffer") > 0, "{config:?}: prepared");
        let mut encoder = gpu.create_command_encoder(&Default::default());
        let start = noop::log(&directory).len();
        pass.record(&mut encoder);
        pass.record_reset(&mut encoder);
        pass.record(&mut encoder);
        let log = noop::log(&directory)[start..].to_owned();
        for call in ["Create", "queued: true", "Submit("] {
            assert_eq!(noop::count(&log, call), 0, "{config:?}: {call}");
        }
        let start = noop::log(&directory).len();
        queue.submit([encoder.finish()]);
        let log = noop::log(&directory)[start..].to_owned();
        assert!(noop::count(&log, "DispatchWorkgroups") > 0, "{config:?}: what is submitted is seen");
        // Lstm, pass and clones may be dropped in any order.
        drop(lstm);
        let mut encoder = gpu.create_command_encoder(&Default::default());
        pass.record(&mut encoder);
        queue.submit([encoder.finish()]);
    }
}

#[test]
fn what_can_not_be_prepared_is_refused() {
    let config = LstmConfig::new(6, 12);
    let weights = LstmWeights::uniform(&config, 3).unwrap();
    let on_cpu = Lstm::new(&Device::cpu(), &weights).unwrap();
    assert!(matches!(on_cpu.prepare(1, 1), Err(Error::Unsupported { .. })));
    let lstm = Lstm::new(&noop::device(wgpu::Trace::Off), &weights).unwrap();
    assert!(matches!(lstm.prepare(0, 1), Err(Error::NoTimeSteps)));
    assert!(matches!(lstm.prepare(1, 0), Err(Error::ZeroSize { .. })));
    assert!(matches!(lstm.prepare(usize::MAX, 2), Err(Error::SizeOverflow { .. })));
    let small = lstm.clone().with_memory_budget(10_000);
    assert!(small.prepare(5, 3).is_ok());
    let error = small.prepare(50, 3).unwrap_err();
    let Error::LimitExceeded { needed, limit_name: "memory_budget", limit: 10_000, .. } = error else {
        panic!("{error}")
    };
    assert!(lstm.clone().with_memory_budget(needed).prepare(50, 3).is_ok(), "the budget that it names");
    assert!(lstm.clone().with_memory_budget(needed - 1).prepare(50, 3).is_err());
    assert!(error.to_string().contains("50 time steps of 3 sequences"), "{error}");
}
