//! Comparing a result with the float64 truth.

/// No tolerance falls below this: 8 ulps of an f32 near 1. Where PyTorch's own float32 error is
/// next to nothing by luck, as with a handful of elements, four times it demands luck of everyone.
pub const FLOOR: f64 = 8.0 * f32::EPSILON as f64;

/// How far f32 results may be from the truth: four times as far as PyTorch's own float32 path is
/// on the same tensor.
///
/// PyTorch's error is a sample of what float32 rounding does in this case; another order of
/// summation draws another sample. What is wrong errs by far more: see tests/reference/wrong.rs.
pub fn f32_tolerance(pytorch_f32: &[f32], truth: &[f64]) -> f64 {
    (4.0 * worst_error(pytorch_f32, truth)).max(FLOOR)
}

/// How far f64 results may be from the truth: some 4500 ulps of its largest element, or of 1.
pub fn f64_tolerance(truth: &[f64]) -> f64 {
    1e-12 * truth.iter().fold(1.0, |largest: f64, t| largest.max(t.abs()))
}

/// The largest distance from the truth. NaN if any is: in the total order NaN is the largest.
#[track_caller]
pub fn worst_error<A: Copy + Into<f64>>(actual: &[A], truth: &[f64]) -> f64 {
    assert_eq!(actual.len(), truth.len(), "length");
    actual
        .iter()
        .zip(truth)
        .map(|(&a, &t)| (a.into() - t).abs())
        .max_by(f64::total_cmp)
        .expect("nothing to compare")
}

/// Panics unless every element lies within `tolerance` of the float64 truth. NaN never does.
#[track_caller]
pub fn assert_close<A: Copy + Into<f64>>(what: &str, actual: &[A], truth: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), truth.len(), "{what}: length");
    let worst = worst_error(actual, truth);
    assert!(worst <= tolerance, "{what} is off by {worst:.1e} > {tolerance:.1e}");
}
