//! Functions that these tests share.

use wgpu_lstm::ndarray::{Array, Array3, ArrayD, Dimension, NdFloat};
use wgpu_lstm::{LstmWeights, reference};

use crate::common::compare::f32_tolerance;
use crate::common::golden::Golden;

/// The names of a case's results.
pub const TENSORS: [&str; 3] = ["output", "h_n", "c_n"];

/// A case's output, h_n and c_n in the layout of its file.
pub fn run<T: NdFloat + From<f32>>(case: &Golden) -> [ArrayD<T>; 3] {
    run_with(case, &case.weights(), case.state_batched())
}

/// The same with other weights or another state, (L·D, B, ·).
pub fn run_with<T: NdFloat + From<f32>>(
    case: &Golden,
    weights: &LstmWeights,
    state: Option<(Array3<f32>, Array3<f32>)>,
) -> [ArrayD<T>; 3] {
    let state: Option<(Array3<T>, Array3<T>)> = state.map(|(h, c)| (cast(&h), cast(&c)));
    let (output, h_n, c_n) = reference::forward::<T>(
        weights,
        cast(&case.input_time_major()).view(),
        case.lengths.as_deref(),
        state.as_ref().map(|(h, c)| (h.view(), c.view())),
    )
    .unwrap_or_else(|e| panic!("{}: {e}", case.name));
    [case.output_as_in_file(output), case.state_as_in_file(h_n), case.state_as_in_file(c_n)]
}

pub fn cast<T: From<f32>, D: Dimension>(array: &Array<f32, D>) -> Array<T, D> {
    array.map(|&x| x.into())
}

/// The elements in the order of their indices, in any memory layout.
pub fn elements<T: Clone, D: Dimension>(array: &Array<T, D>) -> Vec<T> {
    array.iter().cloned().collect()
}

/// The tolerance of a case's tensor in float32.
pub fn tolerance(case: &Golden, tensor: &str) -> f64 {
    f32_tolerance(&elements(&case.f32(&format!("{tensor}_f32"))), &elements(&case.f64(tensor)))
}

/// Numbers between -1 and 1, all different.
pub fn wave(shape: (usize, usize, usize)) -> Array3<f64> {
    Array3::from_shape_fn(shape, |(t, b, i)| (0.7 + 1.3 * t as f64 + 2.1 * b as f64 + 0.9 * i as f64).sin())
}
