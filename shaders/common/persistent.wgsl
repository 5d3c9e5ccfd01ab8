// How a workgroup carries sequences through time where its invocations keep weights of all hidden units in registers,
// through all of a dispatch's time steps (Diamos et al., "Persistent RNNs", 2016). Sequence r of the workgroup belongs
// to the invocations of part r, one a unit, which add up its blocks and update its cells side by side with the other
// sequences'. The kernel has the bindings `scan`, `weights`, `h`, `gates_x`, `c` and `output`, and defines
//
//   const PARTS_OF_BLOCK                                            parts that share a block of the reduction axis
//   alias Sum                                                       what a part sums of a block: some gates of a unit
//   struct Kept                                                     the weights that an invocation keeps
//   fn keep(column: u32, block: u32, part: u32) -> Kept             reads them; `block` is the first vec4f of the part's
//   fn sum_block(kept: Kept, column: u32, block: u32, row: u32) -> Sum
//                                                                   for the sequence whose h_{t-1} begins at vec4f `row` of h_tile
//   fn gates_of(at: u32) -> vec4f                                   of a block whose sums begin at shared_sums[at]
//
// Needs   common/{activation,cell,sum,scan}.wgsl, a twin of common/weights.wgsl (w_hh)
// Host    src/kernels/persistent_scan.rs
override WORKGROUP_SIZE: u32;   // PARTS·H
override PARTS: u32;            // invocations of a unit: PARTS_OF_BLOCK·⌈M / 8⌉
override REDUCTION: u32;        // M, the length of h's rows in vec4f
override DIRECTIONS: u32;       // D
override H_TILE: u32;           // S·4·M, of S sequences: PARTS, or fewer where workgroup memory is short
override SHARED: u32;           // S·WORKGROUP_SIZE

var<workgroup> h_tile: array<f32, H_TILE>;        // [S, 4·M]: h_{t-1}, then h_t
var<workgroup> shared_sums: array<Sum, SHARED>;   // [S, PARTS, H]

fn carry(group: vec3u, local: u32) {
    let direction = scan.direction + group.z;
    let first = group.y * scan.rows;
    let rows = min(scan.rows, scan.batch - first);
    let state = row_of_state(direction, first);
    let width = 4u * REDUCTION;
    let unit = local % COLUMNS;
    let part = local / COLUMNS;
    let block = SUM_BLOCK * (part / PARTS_OF_BLOCK);
    let column = direction * width * COLUMNS + unit;
    let kept = keep(column, block, part);

    for (var i = local; i < rows * width; i += WORKGROUP_SIZE) {   // the padding is copied too: it is zero
        h_tile[i] = h[state * width + i];
    }
    let own = min(part, rows - 1u);   // the invocation's own sequence
    let own_cell = (state + own) * COLUMNS + unit;
    var c_t = c[own_cell];
    var gates = gates_x[row_of_gates(0u, direction, first + own) * COLUMNS + unit];
    for (var k = 0u; k < scan.count; k += 1u) {
        let moment = scan.steps[k][direction];
        let running = min(rows, max(moment.running, first) - first);   // those of the workgroup
        // The next step's gates are loaded while this step is computed; the last step loads its own again.
        let next = gates_x[row_of_gates(min(k + 1u, scan.count - 1u), direction, first + own) * COLUMNS + unit];
        workgroupBarrier();   // h_tile is complete
        for (var r = 0u; r < running; r += 1u) {
            shared_sums[r * WORKGROUP_SIZE + local] = sum_block(kept, column, block, r * REDUCTION);
        }
        workgroupBarrier();
        if (part < running) {
            let cell = update_cell(add_shared(gates, part * WORKGROUP_SIZE + unit), c_t);
            c_t = cell.c;
            h_tile[part * width + unit] = cell.h;
            output[(moment.output_row + (first + part) * DIRECTIONS) * width + unit] = cell.h;
        }
        gates = next;
    }
    if (part < rows) {
        c[own_cell] = c_t;
        h[(state + part) * width + unit] = h_tile[part * width + unit];
    }
}

// The row in gates_x of a sequence at time step k. A sequence that does not have this step gets the row of the last one
// that does; what it loads is not used.
fn row_of_gates(k: u32, direction: u32, sequence: u32) -> u32 {
    return scan.steps[k][direction].gates_row + min(sequence, scan.steps[k][direction].running - 1u);
}

// The vec4f of h_{t-1} that begins at 4·at.
fn operand_at(at: u32) -> vec4f {
    return vec4f(h_tile[4u * at], h_tile[4u * at + 1u], h_tile[4u * at + 2u], h_tile[4u * at + 3u]);
}

// Whether vec4f m of the reduction axis exists.
fn exists(m: u32) -> bool {
    return REDUCTION % SUM_BLOCK == 0u || m < REDUCTION;
}

// The gates of a unit: all blocks, in their order.
fn add_shared(start: vec4f, at: u32) -> vec4f {
    var total = start;
    for (var part = 0u; part < PARTS; part += PARTS_OF_BLOCK) {
        total += gates_of(at + part * COLUMNS);
    }
    return total;
}
