// Weights as f16, widened to f32 as they are read: an element of a matrix is four halves.
// Core WGSL, no feature; what is computed from them is f32.
//
// Twin  common/weights.wgsl, of f32          Host  src/layout/weights.rs
alias Weight = vec2u;

fn weight(i: u32) -> vec4f {
    let halves = weights[i];
    return vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));
}
