// hidden_projection: what leaves a layer that projects its hidden state, one time step, every direction.
//
//   h_t[d,b,p] = Σ_j w_hr[d,p,j]·(o ∘ tanh c_t)[d,b,j]
//
// Source  torch.nn.LSTM, proj_size          Host  src/kernels/hidden_projection.rs
// Needs   common/{step,tile}.wgsl and a twin of common/tile_product.wgsl: weights are w_hr, the operand
//         is what recurrent_step left, [D, B, H]; a column is four neighbouring p
// Grid    x: tiles of p / 4, y: tiles of sequences, z: directions
@group(0) @binding(3) var<storage, read_write> h_next: array<vec4f>;   // [D, B, P]: h_t
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;   // [rows, D, P]: h_t

@compute @workgroup_size(WORKGROUP_SIZE)
fn hidden_projection(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    if (has_rows(group)) {
        compute_tile(place_in_step(group, local), local);
    }
}

fn start_row(place: Place, r: u32) -> vec4f {
    return vec4f();
}

fn finish_row(place: Place, r: u32, h_t: vec4f) {
    let row = place.row + r;
    if (row < place.rows && place.column < COLUMNS) {
        h_next[state_row(place, row) * COLUMNS + place.column] = h_t;
        output[output_row(place, row) * COLUMNS + place.column] = h_t;
    }
}
