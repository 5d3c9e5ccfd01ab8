// hidden_projection: the hidden state of a layer with a projection, one time step, every slot.
//
//   h_t[b,p] = Σ_j w_hr[p,j]·(o ∘ tanh c_t)[b,j]
//
// Source  torch.nn.LSTM, proj_size          Host  src/kernels/hidden_projection.rs
// Needs   common/{sum,time_step,tile}.wgsl, a twin of common/weights.wgsl (w_hr), a twin of
//         common/tile_product.wgsl; a column n is four neighbouring p
// Grid    x: tiles of p / 4, y: tiles of sequences, z: slots
override REDUCTION: u32;   // M, the length of a row before it is projected, in vec4f

@group(0) @binding(0) var<uniform> time_step: TimeStep;
@group(0) @binding(1) var<storage, read> weights: array<Weight>;       // [D, 4·M, N], or every matrix: w_hr, see Slot
@group(0) @binding(2) var<storage, read> unprojected: array<vec4f>;    // [L, D, places, M]: o ∘ tanh c_t
@group(0) @binding(3) var<storage, read_write> h_next: array<vec4f>;   // [layers, D, B, N]: h_t
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;   // [rows, D, N]: h_t

@compute @workgroup_size(WORKGROUP_SIZE)
fn hidden_projection(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    if (has_rows(group)) {
        let place = place_in_step(group);
        let me = invocation_of(group.x, local);
        finish_tile(place, me, sum_tile(place, me));
    }
}

const PRODUCTS = 1u;

fn product_of(place: Place, k: u32) -> Product {
    let slot = time_step.slots[place.slot];
    return Product(slot.w_hr, slot.state * REDUCTION, REDUCTION, 0u);
}

fn start_row(place: Place, me: Invocation, r: u32) -> vec4f {
    return vec4f();
}

fn operand_at(product: Product, i: u32) -> vec4f {
    return unprojected[i];
}

fn finish_row(place: Place, me: Invocation, r: u32, projected: vec4f) {
    // Flushed below 2^-126, as in common/cell.wgsl.
    let h_t = select(projected, vec4f(), (bitcast<vec4u>(projected) & vec4u(0x7f800000u)) == vec4u());
    let row = place.row + r;
    if (row < place.rows && me.column < COLUMNS) {
        h_next[state_row(place, row) * COLUMNS + me.column] = h_t;
        if (has_output(place)) {
            output[output_row(place, row) * COLUMNS + me.column] = h_t;
        }
    }
}

fn finish_rows(place: Place, me: Invocation, r: u32, projected: mat2x4f) {
    finish_row(place, me, r, projected[0]);
    finish_row(place, me, r + 1u, projected[1]);
}
