// input_projection: the input's part of every gate, for a whole block of time steps at once.
//
//   gates_x[d,r,j] = (b_ih + b_hh)[d,j] + Σ_m w_ih[d,j,m]·x[r,m]     r: a time step of a sequence
//
// Source  torch.nn.LSTM          Host  src/kernels/input_projection.rs
// Needs   common/tile.wgsl and a twin of common/tile_product.wgsl: weights are w_ih, the operand is x
// Grid    x: tiles of hidden units, y: tiles of rows, z: directions
struct Block {
    direction: u32,   // of the first layer of workgroups
    first_row: u32,   // of the dispatch's first row of workgroups
    rows: u32,        // R, rows of the whole block
    gates_rows: u32,  // rows that gates_x holds for each direction
}

@group(0) @binding(0) var<uniform> block: Block;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;            // [D, H] of (i, f, g, o)
@group(0) @binding(4) var<storage, read_write> gates_x: array<vec4f>;   // [D, gates_rows, H] of (i, f, g, o)

@compute @workgroup_size(WORKGROUP_SIZE)
fn input_projection(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let direction = block.direction + group.z;
    let unit = group.x * WORKGROUP_SIZE + local;
    let row = block.first_row + group.y * ROWS;
    let b = bias[direction * COLUMNS + min(unit, COLUMNS - 1u)];
    let rows = mat4x4f(b, b, b, b);
    let start = Tile(rows, rows, rows, rows);
    let gates = tile_product(start, Place(direction, unit, row, block.rows - 1u), local);

    let first = direction * block.gates_rows;
    if (ROWS == 1u) {
        store(first, row, unit, gates.rows_0[0]);
        return;
    }
    store_rows(first, row, unit, gates.rows_0);
    if (ROWS > 4u) {
        store_rows(first, row + 4u, unit, gates.rows_4);
    }
    if (ROWS > 8u) {
        store_rows(first, row + 8u, unit, gates.rows_8);
        store_rows(first, row + 12u, unit, gates.rows_12);
    }
}

fn store_rows(first: u32, row: u32, unit: u32, gates: mat4x4f) {
    store(first, row, unit, gates[0]);
    store(first, row + 1u, unit, gates[1]);
    store(first, row + 2u, unit, gates[2]);
    store(first, row + 3u, unit, gates[3]);
}

fn store(first: u32, row: u32, unit: u32, gates: vec4f) {
    if (row < block.rows && unit < COLUMNS) {
        gates_x[(first + row) * COLUMNS + unit] = gates;
    }
}
