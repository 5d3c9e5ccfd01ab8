//! Batch-first calls against time-first ones, element by element.

use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights};

use crate::common;

/// `Case::run` transposes batch-first calls both ways: a mistake there could cancel one in the crate. This can't.
fn batch_first_exchanges_two_axes(device: &Device) {
    let weights = LstmWeights::uniform(&LstmConfig::new(3, 4).with_bidirectional(true), 9).unwrap();
    let (steps, batch) = (5, 2);
    let at = |t: usize, b: usize, i: usize| (t * 6 + b * 3 + i) as f32 / 30.0;
    let time_first = Array3::from_shape_fn((steps, batch, 3), |(t, b, i)| at(t, b, i));
    let batch_first = Array3::from_shape_fn((batch, steps, 3), |(b, t, i)| at(t, b, i));
    let lstm = Lstm::new(device, &weights).unwrap();
    let (expected, expected_state) = lstm.forward_padded(time_first.view(), &[5, 3], None).unwrap();
    let lstm = lstm.with_batch_first(true);
    let (actual, state) = lstm.forward_padded(batch_first.view(), &[5, 3], None).unwrap();
    assert_eq!((expected.dim(), actual.dim()), ((steps, batch, 8), (batch, steps, 8)));
    for (t, b, o) in ndarray::indices((steps, batch, 8)) {
        assert_eq!(actual[[b, t, o]], expected[[t, b, o]], "{t}, {b}, {o}");
    }
    assert_eq!(state, expected_state);
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn batch_first_exchanges_two_axes_on_the_gpu() {
    batch_first_exchanges_two_axes(common::device::gpu());
}

#[test]
fn batch_first_exchanges_two_axes_on_the_cpu() {
    batch_first_exchanges_two_axes(&Device::cpu());
}
