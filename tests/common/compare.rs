//! Comparing a result with the float64 truth.

/// Where PyTorch gave no answer to measure by: 8 ulps of an f32 near 1.
pub const FLOOR: f64 = 8.0 * f32::EPSILON as f64;

/// How far f32 results may be from the truth: twice as far as PyTorch's own float32 path is on the same tensor, or
/// twice ε of the tensor's largest magnitude where that is more.
///
/// PyTorch's error is a sample of what float32 rounding does in this case; another order of
/// summation draws another sample. With few elements PyTorch's can be nearly zero by chance. Wrong results err by far
/// more: see tests/reference/wrong.rs.
pub fn f32_tolerance(pytorch_f32: &[f32], truth: &[f64]) -> f64 {
    f32_tolerance_by(worst_error(pytorch_f32, truth), truth)
}

/// The same where the error of a framework's own float32 path is known, but not its results.
pub fn f32_tolerance_by(float32_error: f64, truth: &[f64]) -> f64 {
    let largest = truth.iter().fold(0.0, |largest: f64, t| largest.max(t.abs()));
    2.0 * float32_error.max(f64::from(f32::EPSILON) * largest)
}

/// How far f64 results may be from the truth: some 4500 ulps of its largest element, or of 1.
pub fn f64_tolerance(truth: &[f64]) -> f64 {
    1e-12 * truth.iter().fold(1.0, |largest: f64, t| largest.max(t.abs()))
}

/// How far two float64 calls of one network may be apart that sum in different orders, as a product of
/// one row and of many do: 45 ε of float64. Sums of at most 16 terms below 1 round by 16/2 ε in either
/// order; gates, two layers and nine steps add to it.
pub const F64_ORDERS: f64 = 1e-14;

/// How far two float32 results may be apart that are each within [`FLOOR`] of the truth.
pub const BETWEEN_DEVICES: f64 = 2.0 * FLOOR;

/// How far f32 results may be from the truth for random networks of up to 133 units and inputs below 1.5 in
/// size, where PyTorch gave no answer to measure by: 5.0e-6; 3,000 cases on the CPU erred by up to 1.7e-6.
///
/// A gate sums up to 266 products of numbers of uniform distribution, below 1.5 and (H = 1) below 1: some
/// √266/2 = 8. There an addition rounds by up to 4 ε, in either direction: √(266/3)·4 ε = 38 ε. Activations
/// err by 3 ulp of a number below 1, or 1.5 ε, and a step carries less than it adds. A wrong index errs by 1e-2
/// and more.
pub const F32_RANDOM_NETWORK: f64 = 42.0 * f32::EPSILON as f64;

/// By how much f16 weights may change an output of the golden case `hidden_320_batch_9`: what
/// docs/performance.md says. A weight below 1/√320 = 0.056 rounds by at most 2⁻¹⁶, and 320 of them, of either
/// sign, by √320·2⁻¹⁶ = 2.7e-4.
pub const F16_WEIGHTS: f64 = 3e-4;

/// An error of so many tolerances is a mistake, not rounding. An error just above the tolerance could be chance.
pub const TIMES_WRONG: f64 = 10.0;

/// The relative error of [`truth`](super::activation::truth) as it is compared with the f64 math library: both
/// take some roundings of 1.1e-16, and tanh loses five bits to cancellation at 2⁻⁶.
pub const TRUTH_ERROR: f64 = 1e-13;

/// What σ may err by over all of f32, in [`ulps`](super::activation::ulps): what the README says. 1 + e⁻ˣ errs by one
/// rounding, and by a third of an ulp of e⁻ˣ after reduction and polynomial; the reciprocal's ulp may be half as large as
/// the sum's, and it rounds by half an ulp more. The worst that was measured: 1.75, on three adapters and the CPU.
pub const SIGMOID_ULPS: f64 = 2.0;

/// What tanh may err by over all of f32, in the same unit: what the README says. From 0.625 on twice the quotient is below
/// 0.45, so that its error counts half, and the difference rounds by half an ulp. The worst that was measured: 1.21.
pub const TANH_ULPS: f64 = 1.5;

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
