// persistent_scan: recurrent_scan where the weights persist: a workgroup reads them once, and keeps them in registers
// through all of the dispatch's time steps. An invocation has one block of the reduction axis and two gates of a unit: 64
// registers.
//
//   for each t:  z_k = gates_x[d,t,b,k,j] + Σ_m w_hh[d,k,j,m]·h_{t-1}[d,b,m]     k in i, f, g, o
//                c_t, h_t = the cell of z
//
// Source  torch.nn.LSTM          Host  src/kernels/persistent_scan.rs
// Needs   common/persistent.wgsl and what it needs
// Grid    x: 1, y: groups of sequences, z: directions; a workgroup has PARTS invocations for every hidden unit
@group(0) @binding(0) var<uniform> scan: Scan;
@group(0) @binding(1) var<storage, read> weights: array<Weight>;     // [D, 4·M, H] of (i, f, g, o): w_hh
@group(0) @binding(2) var<storage, read_write> h: array<f32>;        // [L, D, places, 4·M]: before and after
@group(0) @binding(3) var<storage, read> gates_x: array<vec4f>;      // [D, rows, H] of (i, f, g, o)
@group(0) @binding(4) var<storage, read_write> c: array<f32>;        // [L, D, places, H]: before and after
@group(0) @binding(5) var<storage, read_write> output: array<f32>;   // [rows, D, 4·M]: h_t

@compute @workgroup_size(WORKGROUP_SIZE)
fn persistent_scan(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    carry(group, local);
}

const PARTS_OF_BLOCK = 2u;   // the first has i and f, the second g and o

alias Sum = vec2f;

struct Kept {
    w_0: mat4x2f,
    w_1: mat4x2f,
    w_2: mat4x2f,
    w_3: mat4x2f,
    w_4: mat4x2f,
    w_5: mat4x2f,
    w_6: mat4x2f,
    w_7: mat4x2f,
}

fn keep(column: u32, block: u32, part: u32) -> Kept {
    return Kept(
        two_gates(column, block, part),
        two_gates(column, block + 1u, part),
        two_gates(column, block + 2u, part),
        two_gates(column, block + 3u, part),
        two_gates(column, block + 4u, part),
        two_gates(column, block + 5u, part),
        two_gates(column, block + 6u, part),
        two_gates(column, block + 7u, part),
    );
}

// Of four rows of the reduction axis, the weights of i and f or of g and o.
fn two_gates(column: u32, m: u32, part: u32) -> mat4x2f {
    let w = weights_at(column + 4u * min(m, REDUCTION - 1u) * COLUMNS);
    let last = part % 2u == 1u;
    return mat4x2f(
        select(w[0].xy, w[0].zw, last),
        select(w[1].xy, w[1].zw, last),
        select(w[2].xy, w[2].zw, last),
        select(w[3].xy, w[3].zw, last),
    );
}

fn sum_block(kept: Kept, column: u32, block: u32, row: u32) -> Sum {
    var sum = link(kept.w_0, row, block, vec2f());
    sum = link(kept.w_1, row, block + 1u, sum);
    sum = link(kept.w_2, row, block + 2u, sum);
    sum = link(kept.w_3, row, block + 3u, sum);
    sum = link(kept.w_4, row, block + 4u, sum);
    sum = link(kept.w_5, row, block + 5u, sum);
    sum = link(kept.w_6, row, block + 6u, sum);
    return link(kept.w_7, row, block + 7u, sum);
}

// Four links of the chains of two gates; none past the last row of the reduction axis.
fn link(w: mat4x2f, row: u32, m: u32, sum: vec2f) -> vec2f {
    let x = operand_at(row + m);
    let linked = fma(w[3], x.ww, fma(w[2], x.zz, fma(w[1], x.yy, fma(w[0], x.xx, sum))));
    return select(sum, linked, exists(m));
}

fn gates_of(at: u32) -> vec4f {
    return vec4f(shared_sums[at], shared_sums[at + COLUMNS]);
}
