//! σ and tanh in float64, and how far results in float32 are from them, over all of f32.

use std::ops::Range;

use super::compare::{SIGMOID_ULPS, TANH_ULPS};

/// Bits of the positive x between which σ and tanh are curved: 2⁻²⁶ ≤ x < 2⁷. Below, σ(x) is 1/2 and
/// tanh(x) is x; above, they are 1, and σ(-x) is 0: all to less than a hundredth of an ulp.
pub const CURVED: Range<u32> = (127 - 26) << 23..(127 + 7) << 23;

/// Bits of every positive x, 0 and ∞ among them.
pub const ALL: Range<u32> = 0..0x7f80_0001;

/// The largest error of each function in [`ulps`], and the x that has it. NaN counts as ∞.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worst {
    pub sigmoid: (f64, f32),
    pub tanh: (f64, f32),
}

impl Worst {
    /// Of `results`: bits of x ≥ 0, and σ(x), σ(-x), tanh(x), tanh(-x).
    pub fn of(results: impl IntoIterator<Item = (u32, [f32; 4])>) -> Self {
        let mut worst = Self::default();
        for (bits, results) in results {
            let x = f32::from_bits(bits);
            let [plus, minus, tanh] = truth(x);
            for (actual, truth, x) in [(results[0], plus, x), (results[1], minus, -x)] {
                note(&mut worst.sigmoid, ulps(actual, truth), x);
            }
            for (actual, x) in [(results[2], x), (-results[3], -x)] {
                note(&mut worst.tanh, ulps(actual, tanh), x);
            }
        }
        worst
    }

    /// Panics if either errs by more than its bound, and by more than `division`: what quotients err by beyond correct
    /// rounding, in ulp. Prints the errors.
    #[track_caller]
    pub fn assert_within_bounds(&self, division: f64) {
        for (name, (ulps, x), bound) in [
            ("sigmoid", self.sigmoid, SIGMOID_ULPS + division),
            ("tanh", self.tanh, TANH_ULPS + division / 2.0), // of a quotient below 1/2
        ] {
            println!("{name} errs by {ulps:.2} ulp at most, at {x:e}");
            assert!(ulps <= bound, "{name} errs by {ulps:.2} ulp at {x:e}");
        }
    }

    /// The worse of both.
    pub fn or(mut self, other: Self) -> Self {
        note(&mut self.sigmoid, other.sigmoid.0, other.sigmoid.1);
        note(&mut self.tanh, other.tanh.0, other.tanh.1);
        self
    }
}

fn note(worst: &mut (f64, f32), error: f64, x: f32) {
    if error > worst.0 {
        *worst = (error, x);
    } else if error.is_nan() {
        *worst = (f64::INFINITY, x);
    }
}

/// σ(x), σ(-x) and tanh(x) for x ≥ 0, to a relative 1e-14, by one exponential; by the first terms of Taylor's series
/// where these are enough.
pub fn truth(x: f32) -> [f64; 3] {
    let x = f64::from(x);
    let s = x * x;
    if x < 0.015625 {
        let odd = x * (0.25 - s * (1.0 / 48.0 - s * (1.0 / 480.0)));
        let tanh = x * (1.0 - s * (1.0 / 3.0 - s * (2.0 / 15.0 - s * (17.0 / 315.0))));
        return [0.5 + odd, 0.5 - odd, tanh];
    }
    if x >= 128.0 {
        return [1.0, 0.0, 1.0];
    }
    let e = (-x).exp();
    let plus = 1.0 / (1.0 + e);
    [plus, e * plus, (1.0 - e * e) / (1.0 + e * e)]
}

/// Distance from a truth ≥ 0 in units in the last place of f32; below the smallest normal f32, which may be
/// flushed to zero, in units of that number.
pub fn ulps(actual: f32, truth: f64) -> f64 {
    const SMALLEST: u64 = 1023 - 126;
    let exponent = truth.to_bits() >> 52;
    let exponent_of_unit = if exponent < SMALLEST { SMALLEST } else { exponent - 23 };
    // 1 / 2ⁿ has the biased exponent 1023 - n.
    (f64::from(actual) - truth).abs() * f64::from_bits((2046 - exponent_of_unit) << 52)
}
