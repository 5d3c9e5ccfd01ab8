// Weights as f32: an element of a matrix is a vec4f.
//
// Twin  common/weights_f16.wgsl, half as large          Host  src/layout/weights.rs
alias Weight = vec4f;

fn weight(i: u32) -> vec4f {
    return weights[i];
}
