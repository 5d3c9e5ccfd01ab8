//! σ and tanh of a vector, by the formulas of `shaders/common/activation.wgsl`.
//!
//! Safe for every f32: no overflow, ±inf saturate, NaN stays NaN. Every selection is written so that a
//! comparison with NaN, which is false, passes NaN on. Results below the smallest normal f32 are 0, and of a normal x
//! no operation makes a subnormal number.
#![expect(clippy::excessive_precision, reason = "Cephes' digits, as in the shader")]

use pulp::Simd;

/// Below it σ is 1/2 and tanh(x) is x, whatever is computed from it that does not underflow: 2⁻⁴⁰.
const TINY: f32 = f32::from_bits((127 - 40) << 23);

/// σ(x) = 1 / (1 + e⁻ˣ), within 2 ulp (1.75 measured).
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let tiny = simd.splat_f32s(TINY);
    let minus = simd.select_f32s(simd.less_than_f32s(simd.abs_f32s(x), tiny), tiny, simd.neg_f32s(x));
    // From here on 1 + e⁻ˣ is 1.
    let least = simd.splat_f32s(-60.0);
    let minus = simd.select_f32s(simd.less_than_f32s(minus, least), least, minus);
    simd.div_f32s(simd.splat_f32s(1.0), one_plus_exp(simd, minus))
}

/// tanh(x), within 1.5 ulp (1.21 measured).
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let a = simd.abs_f32s(x);
    let tiny = simd.splat_f32s(TINY);
    let base = simd.select_f32s(simd.less_than_f32s(a, tiny), tiny, a);
    // Where the difference below would cancel: the polynomial of Cephes' tanhf (S. Moshier).
    let small = {
        let s = simd.mul_f32s(base, base);
        let coefficients = [2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]
            .map(|c| simd.splat_f32s(c));
        let p = polynomial(simd, s, simd.splat_f32s(-5.70498872745e-3), coefficients);
        simd.mul_add_e_f32s(simd.mul_f32s(p, s), a, a)
    };
    // The quotient is below 1/2, so its error is at most half an ulp of the difference.
    let quotient = simd.div_f32s(simd.splat_f32s(2.0), one_plus_exp(simd, simd.add_f32s(base, base)));
    let large = simd.sub_f32s(simd.splat_f32s(1.0), quotient);
    let y = simd.select_f32s(simd.less_than_f32s(a, simd.splat_f32s(0.625)), small, large);
    simd.or_f32s(y, simd.and_f32s(x, simd.splat_f32s(-0.0))) // x's sign
}

/// 1 + eˣ for x ≥ -60, by Cody and Waite's reduction eˣ = 2ⁿ·eʳ with |r| ≤ ln(2)/2.
#[inline(always)]
fn one_plus_exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Where the reciprocal is below the smallest normal f32, e^-87.33654, n = 128 makes the sum infinite.
    let above = simd.less_than_f32s(simd.splat_f32s(87.33654), x);
    let x = simd.select_f32s(above, simd.splat_f32s(89.0), x);
    // Added to a small number, 1.5·2²³ rounds it to an integer, which its last bits then hold.
    let rounder = simd.splat_f32s(12_582_912.0);
    let rounded = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), rounder);
    let n = simd.sub_f32s(rounded, rounder);
    // ln 2 in two parts: n times the first is exact, so that r loses nothing to cancellation.
    let high = simd.mul_add_e_f32s(n, simd.splat_f32s(-0.693359375), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(2.12194440e-4), high);
    // eʳ - 1: the polynomial of Cephes' expf.
    let coefficients = [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]
        .map(|c| simd.splat_f32s(c));
    let p = polynomial(simd, r, simd.splat_f32s(1.9875691500e-4), coefficients);
    let p = simd.mul_add_e_f32s(p, simd.mul_f32s(r, r), r);
    // 2ⁿ: n + 127 moved to where an f32 has its exponent. What else `rounded` holds moves out.
    let bits = simd.add_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(127));
    let two_to_n = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23)));
    // 1 + 2ⁿ·(1 + p), rounded once where 1 + 2ⁿ is exact; else 2ⁿ comes last.
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    let large = simd.less_than_f32s(simd.splat_f32s(12.0), n);
    let first = simd.select_f32s(large, one, simd.add_f32s(one, two_to_n));
    let last = simd.select_f32s(large, two_to_n, zero);
    simd.add_f32s(simd.mul_add_e_f32s(two_to_n, p, first), last)
}

/// Horner's scheme, from the highest coefficient down.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, highest: S::f32s, rest: [S::f32s; N]) -> S::f32s {
    rest.into_iter().fold(highest, |p, coefficient| simd.mul_add_e_f32s(p, x, coefficient))
}
