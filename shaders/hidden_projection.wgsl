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
    let direction = time_step.direction + group.z;
    let running = time_step.running[direction];
    let column = group.x * WORKGROUP_SIZE + local;
    let row = group.y * ROWS;
    if (row >= running) {
        return;   // the whole workgroup: the other direction has more sequences at this step
    }
    let first = direction * time_step.batch;
    let h = tile_product(Tile(), Place(direction, column, first + row, first + running - 1u), local);

    if (ROWS == 1u) {
        store(direction, row, column, h.rows_0[0]);
        return;
    }
    store_rows(direction, row, column, h.rows_0);
    if (ROWS > 4u) {
        store_rows(direction, row + 4u, column, h.rows_4);
    }
    if (ROWS > 8u) {
        store_rows(direction, row + 8u, column, h.rows_8);
        store_rows(direction, row + 12u, column, h.rows_12);
    }
}

fn store_rows(direction: u32, row: u32, column: u32, h: mat4x4f) {
    store(direction, row, column, h[0]);
    store(direction, row + 1u, column, h[1]);
    store(direction, row + 2u, column, h[2]);
    store(direction, row + 3u, column, h[3]);
}

fn store(direction: u32, row: u32, column: u32, h: vec4f) {
    if (row < time_step.running[direction] && column < COLUMNS) {
        h_next[(direction * time_step.batch + row) * COLUMNS + column] = h;
        let r = (time_step.output_row[direction] + row) * DIRECTIONS + direction;
        output[r * COLUMNS + column] = h;
    }
}
