//! σ and tanh of a vector, by the formulas of `shaders/common/activation.wgsl`.
//!
//! Safe for every f32: no overflow, ±inf saturate, NaN stays NaN. Every selection is written so that a
//! comparison with NaN, which is false, passes NaN on. Results below the smallest normal f32 are 0, and of a normal x
//! no operation makes a subnormal number.
#![expect(clippy::excessive_precision, reason = "Cephes' digits, as in the shader")]

use pulp::Simd;

/// σ(x) = 1 / (1 + e⁻ˣ), within 3 ulp (2.14 measured with AVX-512).
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let e = exp_nonpositive(simd, simd.neg_f32s(simd.abs_f32s(x)));
    let numerator = simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(0.0)), e, one);
    simd.div_f32s(numerator, simd.add_f32s(one, e))
}

/// tanh(x), within 2 ulp (1.49 measured with AVX-512).
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let a = simd.abs_f32s(x);
    // Where 1 - e would cancel: the polynomial of Cephes' tanhf (S. Moshier).
    let small = {
        // Below 2⁻⁴⁰ tanh(x) is x, whatever s is that does not underflow.
        let tiny = simd.splat_f32s(f32::from_bits((127 - 40) << 23));
        let base = simd.select_f32s(simd.less_than_f32s(a, tiny), tiny, a);
        let s = simd.mul_f32s(base, base);
        let coefficients = [2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]
            .map(|c| simd.splat_f32s(c));
        let p = polynomial(simd, s, simd.splat_f32s(-5.70498872745e-3), coefficients);
        simd.mul_add_e_f32s(simd.mul_f32s(p, s), a, a)
    };
    let e = exp_nonpositive(simd, simd.mul_f32s(simd.splat_f32s(-2.0), a));
    let large = simd.div_f32s(simd.sub_f32s(one, e), simd.add_f32s(one, e));
    let y = simd.select_f32s(simd.less_than_f32s(a, simd.splat_f32s(0.625)), small, large);
    simd.or_f32s(y, simd.and_f32s(x, simd.splat_f32s(-0.0))) // x's sign
}

/// eˣ for x ≤ 0, by Cody and Waite's reduction eˣ = 2ⁿ·eʳ with |r| ≤ ln(2)/2.
#[inline(always)]
fn exp_nonpositive<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Where eˣ is below the smallest normal f32, e^-87.33654, n = -127 makes it 0.
    let below = simd.less_than_f32s(x, simd.splat_f32s(-87.33654));
    let x = simd.select_f32s(below, simd.splat_f32s(-88.0), x);
    // From -2⁻²⁶ on eˣ is 1, whatever r is whose square does not underflow.
    let near_zero = simd.splat_f32s(-f32::from_bits((127 - 26) << 23));
    let x = simd.select_f32s(simd.less_than_f32s(near_zero, x), near_zero, x);
    // Added to a small number, 1.5·2²³ rounds it to an integer, which its last bits then hold.
    let rounder = simd.splat_f32s(12_582_912.0);
    let rounded = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), rounder);
    let n = simd.sub_f32s(rounded, rounder);
    // ln 2 in two parts: n times the first is exact, so that r loses nothing to cancellation.
    let high = simd.mul_add_e_f32s(n, simd.splat_f32s(-0.693359375), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(2.12194440e-4), high);
    // The polynomial of Cephes' expf, 0.6 ulp on this interval.
    let coefficients = [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]
        .map(|c| simd.splat_f32s(c));
    let p = polynomial(simd, r, simd.splat_f32s(1.9875691500e-4), coefficients);
    let p = simd.mul_add_e_f32s(p, simd.mul_f32s(r, r), r);
    let p = simd.add_f32s(p, simd.splat_f32s(1.0));
    // 2ⁿ: n + 127 moved to where an f32 has its exponent. What else `rounded` holds moves out.
    let bits = simd.add_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(127));
    let two_to_n = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(two_to_n))
}

/// Horner's scheme, from the highest coefficient down.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, highest: S::f32s, rest: [S::f32s; N]) -> S::f32s {
    rest.into_iter().fold(highest, |p, coefficient| simd.mul_add_e_f32s(p, x, coefficient))
}
