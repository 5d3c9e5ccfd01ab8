// input_projection: the input's product for every gate, with the bias, for a whole block of time steps at once.
//
//   gates_x[d,r,j] = (b_ih + b_hh)[d,j] + Σ_m w_ih[d,j,m]·x[r,m]     r: a time step of a sequence
//
// Source  torch.nn.LSTM          Host  src/kernels/input_projection.rs
// Needs   common/{sum,tile}.wgsl, a twin of common/weights.wgsl (w_ih), a twin of common/tile_product.wgsl
// Grid    x: tiles of hidden units, y: tiles of rows, z: directions
override REDUCTION: u32;   // M, the length of x's rows in vec4f

struct Block {
    direction: u32,   // of the workgroups with z = 0
    first_row: u32,   // of the dispatch's first row of workgroups
    rows: u32,        // R, rows of the whole block
    gates_rows: u32,  // rows that gates_x holds for each direction
}

@group(0) @binding(0) var<uniform> block: Block;
@group(0) @binding(1) var<storage, read> weights: array<Weight>;        // [D, 4·M, H] of (i, f, g, o): w_ih
@group(0) @binding(2) var<storage, read> x: array<vec4f>;               // [R, M]
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;            // [D, H] of (i, f, g, o)
@group(0) @binding(4) var<storage, read_write> gates_x: array<vec4f>;   // [D, gates_rows, H] of (i, f, g, o)

@compute @workgroup_size(WORKGROUP_SIZE)
fn input_projection(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let direction = block.direction + group.z;
    let place = Place(direction, block.first_row + group.y * ROWS, block.rows);
    let me = invocation_of(group.x, local);
    finish_tile(place, me, sum_tile(place, me));
}

const PRODUCTS = 1u;

fn product_of(place: Place, k: u32) -> Product {
    return Product(place.slot * REDUCTION * 4u * COLUMNS, 0u, REDUCTION, 0u);
}

fn start_row(place: Place, me: Invocation, r: u32) -> vec4f {
    return bias[place.slot * COLUMNS + min(me.column, COLUMNS - 1u)];
}

fn operand_at(product: Product, i: u32) -> vec4f {
    return x[i];
}

fn finish_row(place: Place, me: Invocation, r: u32, gates: vec4f) {
    let row = place.row + r;
    if (row < place.rows && me.column < COLUMNS) {
        gates_x[(place.slot * block.gates_rows + row) * COLUMNS + me.column] = gates;
    }
}

fn finish_rows(place: Place, me: Invocation, r: u32, gates: mat2x4f) {
    finish_row(place, me, r, gates[0]);
    finish_row(place, me, r + 1u, gates[1]);
}
