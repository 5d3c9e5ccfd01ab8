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

// e^x for -88 ≤ x ≤ 0, by Cody and Waite's reduction e^x = 2^n · e^r with |r| ≤ ln(2)/2.
fn exp_nonpositive(negative: vec4f) -> vec4f {
    // Above -2^-26 e^x is 1: there x is replaced by -2^-26, so that r·r does not underflow. Below the
    // logarithm of the smallest normal f32 n is -127, and 2^n zero.
    let x = select(min(negative, vec4f(-1.4901161e-8)), vec4f(-88.0), negative < vec4f(-87.33654));
    let n = round(x * 1.44269504088896341);   // 1 / ln 2
    // ln 2 in two parts: n times the first is exact, so that r loses nothing to cancellation. The select
    // never takes zero: it keeps compilers (Mesa's does it) from adding both parts to a rounded ln 2.
    let high = fma(n, vec4f(-0.693359375), x);
    let r = fma(n, vec4f(2.12194440e-4), select(high, vec4f(), abs(high) > vec4f(1.0)));
    // Polynomial of Cephes' expf (S. Moshier), 0.6 ulp on this interval.
    var p = vec4f(1.9875691500e-4);
    p = fma(p, r, vec4f(1.3981999507e-3));
    p = fma(p, r, vec4f(8.3334519073e-3));
    p = fma(p, r, vec4f(4.1665795894e-2));
    p = fma(p, r, vec4f(1.6666665459e-1));
    p = fma(p, r, vec4f(5.0000001201e-1));
    p = fma(p, r * r, r) + 1.0;
    // n + 1.5·2^23 is exact and ends in n's bits: conversions, which must saturate, are slow on software
    // adapters.
    let two_to_n = bitcast<vec4f>((bitcast<vec4u>(n + 12582912.0) + 127u) << vec4u(23u));
    return p * two_to_n;
}

// y, or x where it is NaN: by its bits, since compilers may assume that no operand of a comparison is NaN.
fn keep_nan(x: vec4f, y: vec4f) -> vec4f {
    return select(y, x, (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}

// σ(-a) = e^-a / (1 + e^-a) for 0 ≤ a ≤ 88, within 1.5 ulp. GPUs divide by an approximate reciprocal, and 1 + e^-a is
// rounded: the quotient is corrected by what is left of e^-a, both of them taken into account.
fn sigmoid_below(a: vec4f) -> vec4f {
    let e = exp_nonpositive(-a);
    let sum = 1.0 + e;
    let lost = e - (sum - 1.0);
    let reciprocal = 1.0 / sum;
    let quotient = e * reciprocal;
    return fma(fma(-lost, quotient, fma(-sum, quotient, e)), reciprocal, quotient);
}

// σ(x) = 1 - σ(-x)
fn sigmoid(x: vec4f) -> vec4f {
    let below = sigmoid_below(min(abs(x), vec4f(88.0)));
    return keep_nan(x, select(below, 1.0 - below, x >= vec4f()));
}

// tanh(a) = 1 - 2·σ(-2·a)
fn tanh_safe(x: vec4f) -> vec4f {
    let a = min(abs(x), vec4f(44.0));
    let base = max(a, vec4f(9.0949470e-13));   // 2^-40: below it tanh(x) is x, whatever s is that does not underflow
    let s = base * base;
    // Cephes' tanhf polynomial where the difference would cancel.
    var p = vec4f(-5.70498872745e-3);
    p = fma(p, s, vec4f(2.06390887954e-2));
    p = fma(p, s, vec4f(-5.37397155531e-2));
    p = fma(p, s, vec4f(1.33314422036e-1));
    p = fma(p, s, vec4f(-3.33332819422e-1));
    let small = fma(p * s, a, a);
    let large = fma(vec4f(-2.0), sigmoid_below(2.0 * a), vec4f(1.0));
    let y = select(large, small, a < vec4f(0.625));
    return keep_nan(x, select(-y, y, x >= vec4f()));
}
