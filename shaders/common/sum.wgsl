// The order of summation, the same in every kernel, twin and tile. The reduction axis is cut into blocks:
//
//   y[n] = ((start + S_0) + S_1) + …      S_k = Σ_m weights[m, n]·x[m] over block k, a chain of fma from zero, m ascending
//
// A block has 32 numbers, or 64 of an axis of more than 1,024, or 128 of more than 4,096: about the root of its length. The last block has what is
// left. So several invocations can share an output, each with some of its blocks, and a rounding error grows with the
// root of a block's length plus the blocks' number, not with that of the axis.
//
// Needs  a twin of common/weights.wgsl          Host  src/sum.rs, src/kernels/tile.rs
const SUM_BLOCK = 8u;    // vec4f of the reduction axis in a block, unless block_of says more
const LONG = 256u;       // vec4f of an axis: one of more has blocks twice as long
const LONGER = 1024u;    // and one of more than these four times as long
override COLUMNS: u32;   // N, outputs of a row in vec4f: four gates of a unit, or four outputs

// Four rows of the reduction axis from i on, one column.
fn weights_at(i: u32) -> mat4x4f {
    return mat4x4f(weight(i), weight(i + COLUMNS), weight(i + 2u * COLUMNS), weight(i + 3u * COLUMNS));
}

// Four links of one row's chain.
fn chain(w: mat4x4f, x: vec4f, sum: vec4f) -> vec4f {
    return fma(w[3], x.wwww, fma(w[2], x.zzzz, fma(w[1], x.yyyy, fma(w[0], x.xxxx, sum))));
}

// vec4f in a block of an axis of so many.
fn block_of(length: u32) -> u32 {
    let long = select(4u * SUM_BLOCK, 2u * SUM_BLOCK, length <= LONGER);
    return select(long, SUM_BLOCK, length <= LONG);
}
