// recurrent_step: one time step of one layer, every direction.
//
//   z_k = gates_x[d,t,b,k,j] + Σ_m w_hh[d,k,j,m]·h_{t-1}[d,b,m]     k in i, f, g, o
//   c_t, h_t = the cell of z
//
// Source  torch.nn.LSTM          Host  src/kernels/recurrent_step.rs
// Needs   common/{activation,cell,sum,time_step,step_cell,tile}.wgsl, a twin of common/weights.wgsl (w_hh), a twin
//         of common/tile_product.wgsl
// Grid    x: tiles of hidden units, y: tiles of sequences, z: directions
override REDUCTION: u32;   // M, the length of h's rows in vec4f
override STRIDE: u32;      // f32 from one row of h_next and output to the next: H or O, padded to vec4f
override PROJECTED: bool;  // hidden_projection comes next: h_next holds o ∘ tanh(c), and writes output

@group(0) @binding(0) var<uniform> time_step: TimeStep;
@group(0) @binding(1) var<storage, read> weights: array<Weight>;     // [D, 4·M, H] of (i, f, g, o): w_hh
@group(0) @binding(2) var<storage, read> h: array<vec4f>;            // [L, D, places, M]: h_{t-1}
@group(0) @binding(3) var<storage, read> gates_x: array<vec4f>;      // [D, rows, H] of (i, f, g, o)
@group(0) @binding(4) var<storage, read_write> c: array<f32>;        // [L, D, places, H]: c_{t-1} in, c_t out
@group(0) @binding(5) var<storage, read_write> h_next: array<f32>;   // [L, D, places, STRIDE]: h_t, or o ∘ tanh c_t
@group(0) @binding(6) var<storage, read_write> output: array<f32>;   // [rows, D, STRIDE]: h_t

@compute @workgroup_size(WORKGROUP_SIZE)
fn recurrent_step(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    if (has_rows(group)) {
        let place = place_in_step(group);
        let me = invocation_of(group.x, local);
        finish_tile(place, me, sum_tile(place, me));
    }
}

const PRODUCTS = 1u;

fn product_of(place: Place, k: u32) -> Product {
    let slot = time_step.slots[place.slot];
    return Product(slot.w_hh, slot.state * REDUCTION, REDUCTION, 0u);
}

fn start_row(place: Place, me: Invocation, r: u32) -> vec4f {
    let row = time_step.slots[place.slot].gates_row + min(place.row + r, place.rows - 1u);
    return gates_x[row * COLUMNS + min(me.column, COLUMNS - 1u)];
}

fn operand_at(product: Product, i: u32) -> vec4f {
    return h[i];
}

fn store_h(place: Place, me: Invocation, row: u32, h_t: f32) {
    h_next[state_row(place, row) * STRIDE + me.column] = h_t;
    if (!PROJECTED && has_output(place)) {
        output[output_row(place, row) * STRIDE + me.column] = h_t;
    }
}
