//! Calls that are too large for one block.

mod common;

use common::compare::{BETWEEN_DEVICES, assert_close};
use ndarray::{Array3, ArrayD, Axis, concatenate, s};
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmState, LstmWeights, reference, wgpu};

fn input(steps: usize, batch: usize, width: usize) -> Array3<f32> {
    let cell = |(t, b, i)| (((t * 31 + b * 17 + i * 7) % 101) as f32) / 50.0 - 1.0;
    Array3::from_shape_fn((steps, batch, width), cell)
}

#[track_caller]
fn assert_close_arrays(actual: &Array3<f32>, expected: &Array3<f32>) {
    assert_eq!(actual.dim(), expected.dim());
    let actual: Vec<f32> = actual.iter().copied().collect();
    let expected: Vec<f64> = expected.iter().map(|&y| f64::from(y)).collect();
    assert_close("what the other computes", &actual, &expected, BETWEEN_DEVICES);
}

#[track_caller]
fn assert_alike((output, state): &(Array3<f32>, LstmState), expected: &(Array3<f32>, LstmState)) {
    assert_close_arrays(output, &expected.0);
    assert_close_arrays(&state.h, &expected.1.h);
    assert_close_arrays(&state.c, &expected.1.c);
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

/// The reference computes the input's part of the gates in blocks. This shape has more than two blocks in each direction,
/// the last one short. Time is cut into calls at places where no block ends.
#[test]
fn more_gates_than_the_reference_computes_at_once() {
    const BATCH: usize = 512;
    const HIDDEN: usize = 4;
    const STEPS: usize = 4_500;
    let source = include_str!("../src/reference/equations.rs");
    assert!(source.contains("const GATES_AT_ONCE: usize = 16 << 20;"), "what STEPS is derived from");
    let block = (16 << 20) / (BATCH * 4 * HIDDEN);
    assert!(2 * block < STEPS && STEPS < 3 * block, "three blocks");

    let both = LstmWeights::uniform(&LstmConfig::new(1, HIDDEN).with_bidirectional(true), 6).unwrap();
    let input = input(STEPS, BATCH, 1);
    let (output, h, c) = reference::forward(&both, input.view(), None, None).unwrap();
    let on_cpu = Lstm::new(&Device::cpu(), &both).unwrap().forward(input.view(), None).unwrap();
    assert_alike(&(output.clone(), LstmState { h, c }), &on_cpu);

    for direction in [0, 1] {
        let one = one_direction(&both, direction);
        let mut time = input.view();
        let mut half = output.slice(s![.., .., direction * HIDDEN..(direction + 1) * HIDDEN]);
        if direction == 1 {
            time.invert_axis(Axis(0));
            half.invert_axis(Axis(0));
        }
        let (first, rest) = time.split_at(Axis(0), block - 1_000);
        let (start, h, c) = reference::forward(&one, first, None, None).unwrap();
        let (mut expected, mut state) = (start, LstmState { h, c });
        for part in rest.axis_chunks_iter(Axis(0), block) {
            let carried = Some((state.h.view(), state.c.view()));
            let (output, h, c) = reference::forward(&one, part, None, carried).unwrap();
            expected.append(Axis(0), output.view()).unwrap();
            state = LstmState { h, c };
        }
        assert_close_arrays(&half.to_owned(), &expected);
    }
}

/// One direction as a network of its own, as the forward direction.
fn one_direction(both: &LstmWeights, direction: usize) -> LstmWeights {
    let file = both.to_safetensors("").unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let one = tensors.iter().filter_map(|(name, view)| {
        let (is_reverse, name) = match name.strip_suffix("_reverse") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
        let tensor = ArrayD::from_shape_vec(view.shape(), numbers).unwrap();
        (is_reverse == (direction == 1)).then(|| (name.to_owned(), tensor))
    });
    LstmWeights::from_state_dict(one, "").unwrap()
}

/// The CPU device computes blocks of 96 rows: here of 3 steps. Where a sequence is cut into calls changes no
/// bit, and the reverse direction is the forward one over reversed time.
#[test]
fn more_steps_than_the_cpu_computes_at_once() {
    let both = LstmWeights::uniform(&LstmConfig::new(3, 20).with_bidirectional(true), 6).unwrap();
    let input = input(400, 32, 3);
    let (output, _) = Lstm::new(&Device::cpu(), &both).unwrap().forward(input.view(), None).unwrap();
    for direction in [0, 1] {
        let lstm = Lstm::new(&Device::cpu(), &one_direction(&both, direction)).unwrap();
        let mut time = input.view();
        if direction == 1 {
            time.invert_axis(Axis(0));
        }
        let (first, state) = lstm.forward(time.slice(s![..200, .., ..]), None).unwrap();
        let (second, _) = lstm.forward(time.slice(s![200.., .., ..]), Some(&state)).unwrap();
        let mut expected = concatenate![Axis(0), first, second];
        if direction == 1 {
            expected.invert_axis(Axis(0));
        }
        let actual = output.slice(s![.., .., direction * 20..(direction + 1) * 20]);
        assert!(actual == expected, "direction {direction}");
    }
}
