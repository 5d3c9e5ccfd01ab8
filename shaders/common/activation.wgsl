// sigmoid and tanh: the only place where the exponential of an activation is written. Four numbers at once: their
// operations depend on each other only within a number, and compilers remove what is computed of a number that is not
// used.
//
// Safe for every f32: no overflow, ±inf saturate, NaN stays NaN; a few ulp from the true value
// everywhere. WGSL's own exp may err by (3 + 2|x|) ulp, and its tanh is NaN for large x on real
// drivers. Results below the smallest normal f32 are flushed to zero, as WGSL allows. For a normal x no
// operation has such a result: a processor that emulates a GPU takes 100 cycles and more for it.
//
// Host  tests/activation.rs sweeps both against f64

const TINY = 9.0949470e-13;   // 2^-40: below it σ is 1/2 and tanh(x) is x, whatever is computed that does not underflow

// 1 / (1 + e^x) for x ≥ -60 and |x| ≥ TINY, by Cody and Waite's reduction e^x = 2^n · e^r with |r| ≤ ln(2)/2.
fn over_one_plus_exp(any_x: vec4f) -> vec4f {
    let x = min(any_x, vec4f(87.33654));      // beyond it the quotient is below the smallest normal f32
    let n = round(x * 1.44269504088896341);   // 1 / ln 2
    // ln 2 in two parts: n times the first is exact, so that r loses nothing to cancellation. The select
    // never takes zero: it keeps compilers (Mesa's does it) from adding both parts to a rounded ln 2.
    let high = fma(n, vec4f(-0.693359375), x);
    let r = fma(n, vec4f(2.12194440e-4), select(high, vec4f(), abs(high) > vec4f(1.0)));
    // e^r - 1: polynomial of Cephes' expf (S. Moshier).
    var p = vec4f(1.9875691500e-4);
    p = fma(p, r, vec4f(1.3981999507e-3));
    p = fma(p, r, vec4f(8.3334519073e-3));
    p = fma(p, r, vec4f(4.1665795894e-2));
    p = fma(p, r, vec4f(1.6666665459e-1));
    p = fma(p, r, vec4f(5.0000001201e-1));
    p = fma(p, r * r, r);
    // n + 1.5·2^23 is exact and ends in n's bits: conversions, which must saturate, are slow on software
    // adapters.
    let two_to_n = bitcast<vec4f>((bitcast<vec4u>(n + 12582912.0) + 127u) << vec4u(23u));
    // 1 + 2^n·(1 + p), rounded once where 1 + 2^n is exact; else 2^n comes last.
    let large = n > vec4f(12.0);
    let sum = fma(two_to_n, p, select(1.0 + two_to_n, vec4f(1.0), large)) + select(vec4f(), two_to_n, large);
    return select(1.0 / sum, vec4f(), any_x > vec4f(87.33654));
}

// y, or x where it is NaN: by its bits, since compilers may assume that no operand of a comparison is NaN.
fn keep_nan(x: vec4f, y: vec4f) -> vec4f {
    return select(y, x, (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}

// σ(x) = 1 / (1 + e^-x), within 2 ulp where 1 / y is correctly rounded. WGSL allows 2.5 ulp
// there: on an H100 σ errs by 2.1.
fn sigmoid(x: vec4f) -> vec4f {
    let minus = select(max(-x, vec4f(-60.0)), vec4f(TINY), abs(x) < vec4f(TINY));
    return keep_nan(x, over_one_plus_exp(minus));
}

// tanh(x) = 1 - 2 / (1 + e^2x), within 1.5 ulp where a quotient is correctly rounded, else within 2.
fn tanh_safe(x: vec4f) -> vec4f {
    let a = min(abs(x), vec4f(44.0));
    let base = max(a, vec4f(TINY));
    // Cephes' tanhf polynomial where the difference would cancel.
    let s = base * base;
    var p = vec4f(-5.70498872745e-3);
    p = fma(p, s, vec4f(2.06390887954e-2));
    p = fma(p, s, vec4f(-5.37397155531e-2));
    p = fma(p, s, vec4f(1.33314422036e-1));
    p = fma(p, s, vec4f(-3.33332819422e-1));
    let small = fma(p * s, a, a);
    let large = fma(vec4f(-2.0), over_one_plus_exp(2.0 * base), vec4f(1.0));
    let y = select(large, small, a < vec4f(0.625));
    return keep_nan(x, select(-y, y, x >= vec4f()));
}
