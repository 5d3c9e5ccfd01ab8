// How recurrent_step and fused_step finish a row: the cell update, and its stores into the bindings c, h_next and
// output.
//
// Needs  common/{cell,time_step,tile}.wgsl          Host  src/kernels/time_step.rs
override STRIDE: u32;       // f32 from one row of h_next and output to the next: H or O, padded to vec4f
override PROJECTED: bool;   // hidden_projection comes next: h_next holds o ∘ tanh(c), and writes output

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
