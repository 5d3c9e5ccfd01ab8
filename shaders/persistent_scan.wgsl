// persistent_scan: recurrent_scan where the weights persist: the invocations of a workgroup read those of all hidden
// units once, and keep them in registers through all of the dispatch's time steps (Diamos et al., "Persistent RNNs",
// 2016). An invocation has one block of the reduction axis and two gates of a unit: 64 registers.
//
//   for each t:  z_k = gates_x[d,t,b,k,j] + Σ_m w_hh[d,k,j,m]·h_{t-1}[d,b,m]     k in i, f, g, o
//                c_t, h_t = the cell of z
//
// Each sequence of the workgroup belongs to the invocations of one part, one a unit, which add up its blocks and
// update its cells side by side with the other sequences'.
//
// Source  torch.nn.LSTM          Host  src/kernels/persistent_scan.rs
// Needs   common/{activation,cell,sum,scan}.wgsl, a twin of common/weights.wgsl (w_hh)
// Grid    x: 1, y: groups of sequences, z: directions; a workgroup has PARTS invocations for every hidden unit
override WORKGROUP_SIZE: u32;   // PARTS·H
override PARTS: u32;            // 2·⌈M / 8⌉, also the sequences of a workgroup at most: part 2·k has block k of i and f, 2·k + 1 of g and o
override REDUCTION: u32;        // M, the length of h's rows in vec4f
override DIRECTIONS: u32;       // D
override H_TILE: u32;           // PARTS·4·M
override SHARED: u32;           // PARTS·WORKGROUP_SIZE

@group(0) @binding(0) var<uniform> scan: Scan;
@group(0) @binding(1) var<storage, read> weights: array<Weight>;     // [D, 4·M, H] of (i, f, g, o): w_hh
@group(0) @binding(2) var<storage, read_write> h: array<f32>;        // [L, D, places, 4·M]: before and after
@group(0) @binding(3) var<storage, read> gates_x: array<vec4f>;      // [D, rows, H] of (i, f, g, o)
@group(0) @binding(4) var<storage, read_write> c: array<f32>;        // [L, D, places, H]: before and after
@group(0) @binding(5) var<storage, read_write> output: array<f32>;   // [rows, D, 4·M]: h_t

var<workgroup> h_tile: array<f32, H_TILE>;          // [sequences, 4·M]: h_{t-1}, then h_t
var<workgroup> shared_sums: array<vec2f, SHARED>;   // [sequences, PARTS, H]: two gates of a block

@compute @workgroup_size(WORKGROUP_SIZE)
fn persistent_scan(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let direction = scan.direction + group.z;
    let first = group.y * scan.rows;
    let rows = min(scan.rows, scan.batch - first);
    let state = row_of_state(direction, first);
    let width = 4u * REDUCTION;
    let unit = local % COLUMNS;
    let part = local / COLUMNS;
    let block = SUM_BLOCK * (part / 2u);   // its first vec4f

    let column = direction * width * COLUMNS + unit;
    let w_0 = two_gates(column, block, part);
    let w_1 = two_gates(column, block + 1u, part);
    let w_2 = two_gates(column, block + 2u, part);
    let w_3 = two_gates(column, block + 3u, part);
    let w_4 = two_gates(column, block + 4u, part);
    let w_5 = two_gates(column, block + 5u, part);
    let w_6 = two_gates(column, block + 6u, part);
    let w_7 = two_gates(column, block + 7u, part);

    for (var i = local; i < rows * width; i += WORKGROUP_SIZE) {   // the padding is copied too: it is zero
        h_tile[i] = h[state * width + i];
    }
    let own = min(part, rows - 1u);   // the invocation's own sequence
    let own_cell = (state + own) * COLUMNS + unit;
    var c_t = c[own_cell];
    for (var k = 0u; k < scan.count; k += 1u) {
        let moment = scan.steps[k][direction];
        let running = min(rows, max(moment.running, first) - first);   // those of the workgroup
        let gates = gates_x[(moment.gates_row + min(first + own, moment.running - 1u)) * COLUMNS + unit];
        workgroupBarrier();   // h_tile is complete
        for (var r = 0u; r < running; r += 1u) {
            let at = r * REDUCTION + block;
            var sum = link(w_0, at, block, vec2f());
            sum = link(w_1, at + 1u, block + 1u, sum);
            sum = link(w_2, at + 2u, block + 2u, sum);
            sum = link(w_3, at + 3u, block + 3u, sum);
            sum = link(w_4, at + 4u, block + 4u, sum);
            sum = link(w_5, at + 5u, block + 5u, sum);
            sum = link(w_6, at + 6u, block + 6u, sum);
            sum = link(w_7, at + 7u, block + 7u, sum);
            shared_sums[r * WORKGROUP_SIZE + local] = sum;
        }
        workgroupBarrier();
        if (part < running) {
            let cell = update_cell(add_shared(gates, part * WORKGROUP_SIZE + unit), c_t);
            c_t = cell.c;
            h_tile[part * width + unit] = cell.h;
            output[(moment.output_row + (first + part) * DIRECTIONS) * width + unit] = cell.h;
        }
    }
    if (part < rows) {
        c[own_cell] = c_t;
        h[(state + part) * width + unit] = h_tile[part * width + unit];
    }
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

// Four links of the chains of two gates; none past the last row of the reduction axis.
fn link(w: mat4x2f, at: u32, m: u32, sum: vec2f) -> vec2f {
    let x = vec4f(h_tile[4u * at], h_tile[4u * at + 1u], h_tile[4u * at + 2u], h_tile[4u * at + 3u]);
    let linked = fma(w[3], x.ww, fma(w[2], x.zz, fma(w[1], x.yy, fma(w[0], x.xx, sum))));
    return select(sum, linked, REDUCTION % SUM_BLOCK == 0u || m < REDUCTION);
}

// The gates of a unit: all blocks, in their order.
fn add_shared(start: vec4f, at: u32) -> vec4f {
    var total = start;
    for (var part = 0u; part < PARTS; part += 2u) {
        total += vec4f(shared_sums[at + part * COLUMNS], shared_sums[at + (part + 1u) * COLUMNS]);
    }
    return total;
}
