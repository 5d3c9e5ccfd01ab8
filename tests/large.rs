//! Calls larger than a device takes at once.

mod common;

use common::compare::worst_error;
use ndarray::{Array3, Axis, concatenate, s};
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmState, LstmWeights, wgpu};

/// Eight steps of 32-bit rounding apart, at most: what two orders of summation differ by here.
const TOLERANCE: f64 = 5e-6;

fn input(steps: usize, batch: usize, width: usize) -> Array3<f32> {
    let cell = |(t, b, i)| (((t * 31 + b * 17 + i * 7) % 101) as f32) / 50.0 - 1.0;
    Array3::from_shape_fn((steps, batch, width), cell)
}

#[track_caller]
fn assert_alike(actual: &(Array3<f32>, LstmState), expected: &(Array3<f32>, LstmState)) {
    let (output, state) = actual;
    let (expected_output, expected_state) = expected;
    for (actual, expected) in
        [(output, expected_output), (&state.h, &expected_state.h), (&state.c, &expected_state.c)]
    {
        assert_eq!(actual.dim(), expected.dim());
        let expected: Vec<f64> = expected.iter().map(|&y| f64::from(y)).collect();
        let worst = worst_error(actual.as_slice().unwrap(), &expected);
        assert!(worst <= TOLERANCE, "off by {worst:.1e}");
    }
}

/// 4,000 steps of 64 sequences at H = 256: gates of 1 GiB, outputs of 250 MiB, on a device that binds
/// 128 MiB at a time.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn more_than_the_default_limits_bind() {
    let (device, queue) = common::device::open(wgpu::Features::SUBGROUP, wgpu::Limits::default());
    let device = Device::from_wgpu(device, queue).unwrap();
    let weights = LstmWeights::uniform(&LstmConfig::new(8, 256), 4).unwrap();
    let input = input(4_000, 64, 8);
    let actual = Lstm::new(&device, &weights).unwrap().forward(input.view(), None).unwrap();
    let expected = Lstm::new(&Device::cpu(), &weights).unwrap().forward(input.view(), None).unwrap();
    assert_alike(&actual, &expected);
}

/// More steps than a block has at most, in both directions.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn more_steps_than_a_block_has() {
    let weights = LstmWeights::uniform(&LstmConfig::new(2, 3).with_bidirectional(true), 5).unwrap();
    let input = input(16_400, 2, 2);
    let lengths = [16_399, 16_400];
    let run = |device| {
        let lstm = Lstm::new(device, &weights).unwrap();
        lstm.forward_padded(input.view(), &lengths, None).unwrap()
    };
    assert_alike(&run(common::device::gpu()), &run(&Device::cpu()));
}

/// The CPU computes the input's part of the gates in blocks of 64 MiB too: here 512 steps of 1,300. Where
/// a sequence is cut into calls changes nothing, and reversed time is the reverse direction.
#[test]
fn more_gates_than_the_cpu_computes_at_once() {
    let config = LstmConfig::new(3, 256);
    let both = LstmWeights::uniform(&config.clone().with_bidirectional(true), 6).unwrap();
    let input = input(1_300, 32, 3);
    let (output, _) = Lstm::new(&Device::cpu(), &both).unwrap().forward(input.view(), None).unwrap();

    for (direction, suffix) in ["", "_reverse"].into_iter().enumerate() {
        let file = both.to_safetensors("").unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
        let one = tensors.iter().filter_map(|(name, view)| {
            let name = name.strip_suffix(suffix).filter(|name| !name.ends_with("_reverse"))?;
            let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
            Some((name.to_owned(), ndarray::ArrayD::from_shape_vec(view.shape(), numbers).unwrap()))
        });
        let lstm = Lstm::new(&Device::cpu(), &LstmWeights::from_state_dict(one, "").unwrap()).unwrap();
        let mut time = input.view();
        if direction == 1 {
            time.invert_axis(Axis(0));
        }
        let (first, state) = lstm.forward(time.slice(s![..700, .., ..]), None).unwrap();
        let (second, _) = lstm.forward(time.slice(s![700.., .., ..]), Some(&state)).unwrap();
        let mut expected = concatenate![Axis(0), first, second];
        if direction == 1 {
            expected.invert_axis(Axis(0));
        }
        let actual = output.slice(s![.., .., direction * 256..(direction + 1) * 256]);
        assert!(actual.iter().zip(&expected).all(|(a, e)| (a - e).abs() <= 1e-6), "direction {direction}");
    }
}
