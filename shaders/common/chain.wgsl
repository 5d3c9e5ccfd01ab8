// The links of a sum: every product is a chain of them. A link computes four gates of a unit, or four outputs.
//
//   sum + Σ_m weights[m, n]·x[m]      four m at a time, ascending, by fma alone
//
// Needs  a twin of common/weights.wgsl          Host  src/kernels/tile.rs
override COLUMNS: u32;   // N, outputs of a row in vec4f

// Four rows of the reduction axis from i on, one column.
fn weights_at(i: u32) -> mat4x4f {
    return mat4x4f(weight(i), weight(i + COLUMNS), weight(i + 2u * COLUMNS), weight(i + 3u * COLUMNS));
}

// Four links of one row's chain.
fn chain(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
    return fma(w[3], x.wwww, fma(w[2], x.zzzz, fma(w[1], x.yyyy, fma(w[0], x.xxxx, sum))));
}
