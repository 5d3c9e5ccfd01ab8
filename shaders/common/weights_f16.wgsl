// Weights as f16, widened to f32 as they are read: every element of a packed matrix is four halves.
// Core WGSL, no feature; what is computed from them is f32.
//
// Twin  common/weights.wgsl, of f32          Host  src/weights/pack.rs
@group(0) @binding(1) var<storage, read> weights: array<vec2u>;   // [4·M, N] of each matrix, one after the other

fn weight(i: u32) -> vec4f {
    let halves = weights[i];
    return vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));
}
