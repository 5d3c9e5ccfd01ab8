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
    let unit = group.x * WORKGROUP_SIZE + local;
    let row = block.first_row + group.y * ROWS;
    compute_tile(Place(block.direction + group.z, unit, row, block.rows, 0u), local);
}

fn start_row(place: Place, r: u32) -> vec4f {
    return bias[place.direction * COLUMNS + min(place.column, COLUMNS - 1u)];
}

fn finish_row(place: Place, r: u32, gates: vec4f) {
    let row = place.row + r;
    if (row < place.rows && place.column < COLUMNS) {
        gates_x[(place.direction * block.gates_rows + row) * COLUMNS + place.column] = gates;
    }
}
