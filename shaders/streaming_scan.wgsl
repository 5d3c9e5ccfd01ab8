// streaming_scan: persistent_scan for more hidden units than registers have place for: of every block of the reduction
// axis the weights of the first half persist, and those of the second come from the nearest cache in every time step. An
// invocation has one block and all gates of a unit: 64 registers persist, 48 where the last block is shorter than the
// others.
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
fn streaming_scan(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    carry(group, local);
}

const PARTS_OF_BLOCK = 1u;

alias Sum = vec4f;

struct Kept {
    w_0: mat4x4f,
    w_1: mat4x4f,
    w_2: mat4x4f,
    w_3: mat4x4f,
}

fn keep(column: u32, block: u32, part: u32) -> Kept {
    return Kept(
        four_rows(column, block),
        four_rows(column, block + 1u),
        four_rows(column, block + 2u),
        four_rows(column, block + 3u),
    );
}

fn four_rows(column: u32, m: u32) -> mat4x4f {
    return weights_at(column + 4u * min(m, REDUCTION - 1u) * COLUMNS);
}

// Vec4f 3 of the block. Where the last block is shorter, the checks of its end take registers and compilers spill: so this
// matrix does not persist there, but is read again in every step.
fn last_kept(kept: Kept, column: u32, m: u32) -> mat4x4f {
    if (REDUCTION % SUM_BLOCK == 0u) {
        return kept.w_3;
    }
    return four_rows(column, m);
}

// Four loads are in flight while the links before them are computed: with eight, compilers spill.
fn sum_block(kept: Kept, column: u32, block: u32, row: u32) -> Sum {
    var sum = link(kept.w_0, row, block, vec4f());
    sum = link(kept.w_1, row, block + 1u, sum);
    let w_3 = last_kept(kept, column, block + 3u);
    sum = link(kept.w_2, row, block + 2u, sum);
    let w_4 = four_rows(column, block + 4u);
    sum = link(w_3, row, block + 3u, sum);
    let w_5 = four_rows(column, block + 5u);
    sum = link(w_4, row, block + 4u, sum);
    let w_6 = four_rows(column, block + 6u);
    sum = link(w_5, row, block + 5u, sum);
    let w_7 = four_rows(column, block + 7u);
    sum = link(w_6, row, block + 6u, sum);
    return link(w_7, row, block + 7u, sum);
}

// Four links of the chains of all gates; none past the last row of the reduction axis.
fn link(w: mat4x4f, row: u32, m: u32, sum: vec4f) -> vec4f {
    return select(sum, chain(w, operand_at(row + m), sum), exists(m));
}

fn gates_of(at: u32) -> vec4f {
    return shared_sums[at];
}
