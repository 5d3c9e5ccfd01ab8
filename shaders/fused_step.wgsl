// fused_step: one time step, with the input's product and the state's in one sum; every direction of a layer,
// or several layers on a diagonal, each one time step behind the layer below.
//
//   z_k = (b_ih + b_hh)[k,j] + Σ_m w_ih[k,j,m]·x_t[b,m] + Σ_m w_hh[k,j,m]·h_{t-1}[b,m]     k in i, f, g, o
//   c_t, h_t = the cell of z
//
// Source  torch.nn.LSTM          Host  src/kernels/fused_step.rs
// Needs   common/{activation,cell,sum,time_step,step_cell,tile}.wgsl, a twin of common/weights.wgsl (every layer's
//         w_ih and w_hh), a twin of common/tile_product.wgsl
// Grid    x: tiles of hidden units, y: tiles of sequences, z: slots
override REDUCTION: u32;   // M, the length of h's rows in vec4f
override STRIDE: u32;      // f32 from one row of h_next and output to the next: H or O, padded to vec4f
override PROJECTED: bool;  // hidden_projection comes next: h_next holds o ∘ tanh(c), and writes output

const FROM_SEQUENCE = 0u;   // x is a row of a sequence
const FROM_STATE = 1u;      // x is what the layer below left in h, one dispatch ago

@group(0) @binding(0) var<uniform> time_step: TimeStep;
@group(0) @binding(1) var<storage, read> weights: array<Weight>;     // every matrix of the network: see Slot
@group(0) @binding(2) var<storage, read> h: array<vec4f>;            // [L, D, places, M]: h_{t-1}; of the layer below, h_t
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;         // every bias of the network, [H] of (i, f, g, o) each
@group(0) @binding(4) var<storage, read_write> c: array<f32>;        // [L, D, places, H]: c_{t-1} in, c_t out
@group(0) @binding(5) var<storage, read_write> h_next: array<f32>;   // [L, D, places, STRIDE]: h_t, or o ∘ tanh c_t
@group(0) @binding(6) var<storage, read_write> output: array<f32>;   // [rows, D, STRIDE]: h_t
@group(0) @binding(7) var<storage, read> x: array<vec4f>;            // [rows, x_length]: what enters the layers

@compute @workgroup_size(WORKGROUP_SIZE)
fn fused_step(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    if (has_rows(group)) {
        let place = place_in_step(group);
        let me = invocation_of(group.x, local);
        finish_tile(place, me, sum_tile(place, me));
    }
}

const PRODUCTS = 2u;

// The product of what enters the layer, then that of its state.
fn product_of(place: Place, k: u32) -> Product {
    let slot = place.slot;
    if (k == 0u) {
        let length = time_step.slots[slot].x_length;
        let x = time_step.slots[slot].x_row * length;
        return Product(time_step.slots[slot].w_ih, x, length, time_step.slots[slot].x_source);
    }
    return Product(time_step.slots[slot].w_hh, time_step.slots[slot].state * REDUCTION, REDUCTION, FROM_STATE);
}

fn start_row(place: Place, me: Invocation, r: u32) -> vec4f {
    return bias[time_step.slots[place.slot].bias + min(me.column, COLUMNS - 1u)];
}

fn operand_at(product: Product, i: u32) -> vec4f {
    if (product.source == FROM_SEQUENCE) {
        return x[i];
    }
    return h[i];
}

fn store_h(place: Place, me: Invocation, row: u32, h_t: f32) {
    h_next[state_row(place, row) * STRIDE + me.column] = h_t;
    if (!PROJECTED && has_output(place)) {
        output[output_row(place, row) * STRIDE + me.column] = h_t;
    }
}
