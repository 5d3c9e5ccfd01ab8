// How a kernel whose rows are sequences finishes them: the cell update, with c in the binding c. The kernel defines
//
//   fn state_row(place: Place, row: u32) -> u32                  the row of a sequence in c
//   fn store_h(place: Place, me: Invocation, row: u32, h: f32)   h_t of the invocation's column
//
// Needs  common/{cell,tile}.wgsl          Host  src/kernels/{time_step,scan}.rs
fn finish_row(place: Place, me: Invocation, r: u32, z: vec4f) {
    let cell = update_cell(z, c[cell_at(place, me, r)]);
    store_cell(place, me, r, cell.c, cell.h);
}

// Two rows: both are computed before one is stored, without a branch, so that they overlap.
fn finish_rows(place: Place, me: Invocation, r: u32, z: mat2x4f) {
    let cells = update_cells(z, vec2f(c[cell_at(place, me, r)], c[cell_at(place, me, r + 1u)]));
    store_cell(place, me, r, cells.c.x, cells.h.x);
    store_cell(place, me, r + 1u, cells.c.y, cells.h.y);
}

// Rows and columns past the last repeat it.
fn cell_at(place: Place, me: Invocation, r: u32) -> u32 {
    return state_row(place, min(place.row + r, place.rows - 1u)) * COLUMNS + min(me.column, COLUMNS - 1u);
}

fn store_cell(place: Place, me: Invocation, r: u32, c_t: f32, h_t: f32) {
    let row = place.row + r;
    if (row < place.rows && me.column < COLUMNS) {
        c[state_row(place, row) * COLUMNS + me.column] = c_t;
        store_h(place, me, row, h_t);
    }
}
