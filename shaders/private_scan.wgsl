// private_scan: persistent_scan for adapters that are processors: each invocation reads the weights of its hidden unit
// once, and keeps them in private memory, which is a processor's stack, through all of the dispatch's time steps. A
// workgroup takes its sequences one after the other in each step.
//
//   for each t:  z_k = gates_x[d,t,b,k,j] + Σ_m w_hh[d,k,j,m]·h_{t-1}[d,b,m]     k in i, f, g, o
//                c_t, h_t = the cell of z
//
// Source  torch.nn.LSTM          Host  src/kernels/private_scan.rs
// Needs   common/{activation,cell,sum,scan}.wgsl, a twin of common/weights.wgsl (w_hh), a twin of
//         common/slab.wgsl
// Grid    x: 1, a workgroup has an invocation for every hidden unit; y: groups of sequences, z: directions
override WORKGROUP_SIZE: u32;
override REDUCTION: u32;    // M, the length of h's rows in vec4f
override SLABS: u32;        // that M takes: at most 8
override DIRECTIONS: u32;   // D
override H_TILE: u32;       // M · (sequences of a workgroup at most, up to 16)
override H_NEXT: u32;       // 4·H_TILE

// The weights of a block of the reduction axis: 32 of each gate.
alias Slab = array<mat4x4f, 8>;

@group(0) @binding(0) var<uniform> scan: Scan;
@group(0) @binding(1) var<storage, read> weights: array<Weight>;     // [D, 4·M, H] of (i, f, g, o): w_hh
@group(0) @binding(2) var<storage, read_write> h: array<f32>;        // [L, D, places, 4·M]: before and after
@group(0) @binding(3) var<storage, read> gates_x: array<vec4f>;      // [D, rows, H] of (i, f, g, o)
@group(0) @binding(4) var<storage, read_write> c: array<f32>;        // [L, D, places, H]: before and after
@group(0) @binding(5) var<storage, read_write> output: array<f32>;   // [rows, D, 4·M]: h_t

var<workgroup> h_tile: array<vec4f, H_TILE>;        // [sequences, M]: h_{t-1}
var<workgroup> h_next: array<f32, H_NEXT>;          // [sequences, 4·M]: h_t
var<private> c_tile: array<f32, 16>;                // [sequences] of the invocation's own unit
var<private> held: array<Slab, 8>;                  // the last SLABS are the unit's weights

@compute @workgroup_size(WORKGROUP_SIZE)
fn private_scan(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let direction = scan.direction + group.z;
    let first = group.y * scan.rows;
    let rows = min(scan.rows, scan.batch - first);
    let state = row_of_state(direction, first);
    let width = 4u * REDUCTION;
    let unit = min(local, COLUMNS - 1u);
    hold_weights(direction * width * COLUMNS + unit);
    start_slabs();
    for (var r = 0u; r < rows; r += 1u) {
        if (local < width) {   // the padding is copied too: it is zero
            h_next[r * width + local] = h[(state + r) * width + local];
        }
        c_tile[r] = c[(state + r) * COLUMNS + unit];
    }
    // One loop over steps and sequences, with both barriers in every turn: measured on lavapipe, nested loops or
    // barriers at r = 0 alone take 1.6 to 2 times as long.
    var k = 0u;
    var r = 0u;
    while (k < scan.count) {
        workgroupBarrier();   // every invocation has finished the step before
        if (r == 0u) {
            for (var x = local; x < rows * REDUCTION; x += WORKGROUP_SIZE) {
                h_tile[x] = vec4f(h_next[4u * x], h_next[4u * x + 1u], h_next[4u * x + 2u], h_next[4u * x + 3u]);
            }
        }
        workgroupBarrier();
        let moment = scan.steps[k][direction];
        let row = first + r;
        if (row < moment.running) {
            let gates = gates_x[(moment.gates_row + row) * COLUMNS + unit];
            let cell = update_cell(product(r * REDUCTION, gates), c_tile[r]);
            c_tile[r] = cell.c;
            if (local < COLUMNS) {
                h_next[r * width + local] = cell.h;
                output[(moment.output_row + row * DIRECTIONS) * width + local] = cell.h;
            }
        }
        r += 1u;
        if (r == rows) {
            r = 0u;
            k += 1u;
        }
    }
    for (var r = 0u; r < rows; r += 1u) {
        if (local < COLUMNS) {
            h[(state + r) * width + local] = h_next[r * width + local];
            c[(state + r) * COLUMNS + local] = c_tile[r];
        }
    }
}

// Reads a column of the weights. Each turn of the loop shifts what is held by one place, so that every index is
// a constant, and the code has few loads. Past the last row it reads the last one again,
// which no product uses.
fn hold_weights(column: u32) {
    for (var slab = 0u; slab < scan.slabs; slab += 1u) {
        var last: Slab;
        for (var m = 8u * slab; m < 8u * (slab + 1u); m += 1u) {
            last = Slab(last[1], last[2], last[3], last[4], last[5], last[6], last[7],
                weights_at(column + min(m, REDUCTION - 1u) * 4u * COLUMNS));
        }
        held = array<Slab, 8>(held[1], held[2], held[3], held[4], held[5], held[6], held[7], last);
    }
}

// The gates of a sequence whose h begins at `row` of h_tile.
fn product(row: u32, start: vec4f) -> vec4f {
    var sum = start;
    if (SLABS > 7u) { sum = slab(0u, row, sum); }
    if (SLABS > 6u) { sum = slab(1u, row, sum); }
    if (SLABS > 5u) { sum = slab(2u, row, sum); }
    if (SLABS > 4u) { sum = slab(3u, row, sum); }
    if (SLABS > 3u) { sum = slab(4u, row, sum); }
    if (SLABS > 2u) { sum = slab(5u, row, sum); }
    if (SLABS > 1u) { sum = slab(6u, row, sum); }
    return slab(7u, row, sum);
}

// `total` and the block that is in one place of `held`.
fn slab(place: u32, row: u32, total: vec4f) -> vec4f {
    let first = 8u * (place + SLABS - 8u);
    return add_slab(place, row + first, min(8u, REDUCTION - first), total);
}
