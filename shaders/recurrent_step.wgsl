// recurrent_step: one time step of one layer, every direction.
//
//   z_k = gates_x[d,t,b,k,j] + Σ_m w_hh[d,k,j,m]·h_{t-1}[d,b,m]     k in i, f, g, o
//   c_t = σ(z_f)·c_{t-1} + σ(z_i)·tanh(z_g)
//   h_t = σ(z_o)·tanh(c_t)
//
// Source  torch.nn.LSTM          Host  src/kernels/recurrent_step.rs
// Needs   common/{activation,step,tile}.wgsl and a twin of common/tile_product.wgsl: weights are w_hh,
//         the operand is h_{t-1}, [D, B, O]
// Grid    x: tiles of hidden units, y: tiles of sequences, z: directions
override STRIDE: u32;       // f32 from one row of h_next and output to the next: H or O, padded to vec4f
override PROJECTED: bool;   // hidden_projection comes next: h_next holds o ∘ tanh(c), output is left to it

@group(0) @binding(3) var<storage, read> gates_x: array<vec4f>;      // [D, rows, H] of (i, f, g, o)
@group(0) @binding(4) var<storage, read_write> c: array<f32>;        // [D, B, H]: c_{t-1} in, c_t out
@group(0) @binding(5) var<storage, read_write> h_next: array<f32>;   // [D, B, STRIDE]: h_t
@group(0) @binding(6) var<storage, read_write> output: array<f32>;   // [rows, D, STRIDE]: h_t

@compute @workgroup_size(WORKGROUP_SIZE)
fn recurrent_step(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    if (has_rows(group)) {
        compute_tile(place_in_step(group, local), local);
    }
}

fn start_row(place: Place, r: u32) -> vec4f {
    let row = time_step.gates_row[place.direction] + min(place.row + r, place.rows - 1u);
    return gates_x[row * COLUMNS + min(place.column, COLUMNS - 1u)];
}

fn finish_row(place: Place, r: u32, z: vec4f) {
    let row = place.row + r;
    if (row >= place.rows || place.column >= COLUMNS) {
        return;
    }
    let state = state_row(place, row);
    let c_t = fma(sigmoid(z.y), c[state * COLUMNS + place.column], sigmoid(z.x) * tanh_safe(z.z));
    let h_t = sigmoid(z.w) * tanh_safe(c_t);
    c[state * COLUMNS + place.column] = c_t;
    h_next[state * STRIDE + place.column] = h_t;
    if (!PROJECTED) {
        output[output_row(place, row) * STRIDE + place.column] = h_t;
    }
}
