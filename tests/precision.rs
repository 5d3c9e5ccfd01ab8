//! Weights in half precision: how much accuracy they cost, and that both devices agree.

mod common;

use common::compare::{F16_WEIGHTS, FLOOR, TIMES_WRONG, assert_close, worst_error};
use common::golden;
use wgpu_lstm::{Device, Lstm, LstmState, Precision, reference};

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn half_precision_costs_what_the_docs_say() {
    let case = golden::load("hidden_320_batch_9");
    let half = case.weights().to_precision(Precision::F16).unwrap();
    let input = case.input_time_major();
    let state = case.state_batched().map(|(h, c)| LstmState { h, c });

    // Against float64 with the same rounded weights, the kernels' error is that of float32.
    let wide = input.mapv(f64::from);
    let wide_state = state.as_ref().map(|state| (state.h.mapv(f64::from), state.c.mapv(f64::from)));
    let wide_state = wide_state.as_ref().map(|(h, c)| (h.view(), c.view()));
    let (rounded, _, _) = reference::forward(&half, wide.view(), None, wide_state).unwrap();
    let rounded: Vec<f64> = rounded.into_iter().collect();
    let truth: Vec<f64> = case.f64("output").into_iter().collect();
    for device in [common::device::gpu(), common::device::plain_gpu(), &Device::cpu()] {
        let lstm = Lstm::new(device, &half).unwrap();
        let (output, _) = lstm.forward(input.view(), state.as_ref()).unwrap();
        let actual: Vec<f32> = output.iter().copied().collect();
        assert_close(&device.name(), &actual, &rounded, FLOOR);

        let actual: Vec<f32> = case.output_as_in_file(output).into_iter().collect();
        let error = worst_error(&actual, &truth);
        println!("{}: half precision is off by {error:.1e}", device.name());
        assert!(error <= F16_WEIGHTS, "what docs/performance.md says: {error}");
        assert!(error > TIMES_WRONG * FLOOR, "as if the weights were not rounded at all: {error}");
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn half_precision_takes_half_the_memory_for_matrices() {
    let weights = golden::load("hidden_128").weights();
    let bytes = |precision| {
        let weights = weights.to_precision(precision).unwrap();
        Lstm::new(common::device::gpu(), &weights).unwrap().memory(1, 1).unwrap().weights
    };
    let biases = 4 * 4 * 128;
    assert_eq!(bytes(Precision::F32) - biases, 2 * (bytes(Precision::F16) - biases));
}
