// Weights as f32: every element of a packed matrix is a vec4f.
//
// Twin  common/weights_f16.wgsl, half as large          Host  src/weights/pack.rs
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;   // [4·M, N] of each matrix, one after the other

fn weight(i: u32) -> vec4f {
    return weights[i];
}
