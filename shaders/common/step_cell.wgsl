// Where one time step leaves its cells: how recurrent_step and fused_step finish.
//
// Needs  common/{cell,step,tile}.wgsl          Host  src/kernels/step.rs
override STRIDE: u32;       // f32 from one row of h_next and output to the next: H or O, padded to vec4f
override PROJECTED: bool;   // hidden_projection comes next: h_next holds o ∘ tanh(c), output is left to it

@group(0) @binding(4) var<storage, read_write> c: array<f32>;        // [slots, B, H]: c_{t-1} in, c_t out
@group(0) @binding(5) var<storage, read_write> h_next: array<f32>;   // [slots, B, STRIDE]: h_t
@group(0) @binding(6) var<storage, read_write> output: array<f32>;   // [rows, D, STRIDE]: h_t

fn finish_row(place: Place, r: u32, z: vec4f) {
    let row = place.row + r;
    if (row >= place.rows || place.column >= COLUMNS) {
        return;
    }
    let state = state_row(place, row);
    let cell = update_cell(z, c[state * COLUMNS + place.column]);
    c[state * COLUMNS + place.column] = cell.c;
    h_next[state * STRIDE + place.column] = cell.h;
    if (!PROJECTED && has_output(place)) {
        output[output_row(place, row) * STRIDE + place.column] = cell.h;
    }
}
