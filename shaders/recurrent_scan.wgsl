// recurrent_scan: many time steps of one layer in one dispatch, every direction. A workgroup carries a tile
// of sequences through time: h stays in workgroup memory, and only its own barriers separate the steps. What one step
// computes is what recurrent_step does.
//
//   for each t:  z_k = gates_x[d,t,b,k,j] + Σ_m w_hh[d,k,j,m]·h_{t-1}[d,b,m]     k in i, f, g, o
//                c_t, h_t = the cell of z
//
// Source  torch.nn.LSTM          Host  src/kernels/recurrent_scan.rs
// Needs   common/{activation,cell,sum,scan,step_cell,tile,tile_product}.wgsl, a twin of common/weights.wgsl (w_hh)
// Grid    x: 1, a workgroup has invocations for every hidden unit; y: tiles of sequences, z: directions
override REDUCTION: u32;    // M, the length of h's rows in vec4f
override DIRECTIONS: u32;   // D
override H_TILE: u32;       // ROWS·4·M

@group(0) @binding(0) var<uniform> scan: Scan;
@group(0) @binding(1) var<storage, read> weights: array<Weight>;     // [D, 4·M, H] of (i, f, g, o): w_hh
@group(0) @binding(2) var<storage, read_write> h: array<f32>;        // [L, D, places, 4·M]: before and after
@group(0) @binding(3) var<storage, read> gates_x: array<vec4f>;      // [D, rows, H] of (i, f, g, o)
@group(0) @binding(4) var<storage, read_write> c: array<f32>;        // [L, D, places, H]: before and after
@group(0) @binding(5) var<storage, read_write> output: array<f32>;   // [rows, D, 4·M]: h_t

var<workgroup> h_tile: array<f32, H_TILE>;   // [ROWS, 4·M]
var<private> now: u32;                       // index of the time step

@compute @workgroup_size(WORKGROUP_SIZE)
fn recurrent_scan(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let direction = scan.direction + group.z;
    let first = group.y * ROWS;
    let rows = min(ROWS, scan.batch - first);
    let me = invocation_of(0u, local);
    let width = 4u * REDUCTION;
    let h_row = row_of_state(direction, first) * width;
    for (var i = local; i < rows * width; i += WORKGROUP_SIZE) {   // the padding is copied too: it is zero
        h_tile[i] = h[h_row + i];
    }
    for (var k = 0u; k < scan.count; k += 1u) {
        now = k;
        let running = scan.steps[k][direction].running;
        if (first < running) {
            let place = Place(direction, first, running);
            workgroupBarrier();   // h_tile is complete
            let tile = sum_tile(place, me);
            workgroupBarrier();   // all have read it
            finish_tile(place, me, tile);
        }
    }
    workgroupBarrier();
    for (var i = local; i < rows * width; i += WORKGROUP_SIZE) {
        h[h_row + i] = h_tile[i];
    }
}

const PRODUCTS = 1u;

// The operand is h_tile, whose row 0 is the tile's first.
fn product_of(place: Place, k: u32) -> Product {
    return Product(place.slot * REDUCTION * 4u * COLUMNS, 0u - place.row * REDUCTION, REDUCTION, 0u);
}

fn start_row(place: Place, me: Invocation, r: u32) -> vec4f {
    let row = scan.steps[now][place.slot].gates_row + min(place.row + r, place.rows - 1u);
    return gates_x[row * COLUMNS + min(me.column, COLUMNS - 1u)];
}

fn operand_at(product: Product, i: u32) -> vec4f {
    return vec4f(h_tile[4u * i], h_tile[4u * i + 1u], h_tile[4u * i + 2u], h_tile[4u * i + 3u]);
}

fn state_row(place: Place, row: u32) -> u32 {
    return row_of_state(place.slot, row);
}

fn store_h(place: Place, me: Invocation, row: u32, h_t: f32) {
    let width = 4u * REDUCTION;
    h_tile[(row - place.row) * width + me.column] = h_t;
    output[(scan.steps[now][place.slot].output_row + row * DIRECTIONS) * width + me.column] = h_t;
}
