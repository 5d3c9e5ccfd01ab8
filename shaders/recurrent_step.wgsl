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
    let direction = time_step.direction + group.z;
    let running = time_step.running[direction];
    let unit = group.x * WORKGROUP_SIZE + local;
    let row = group.y * ROWS;
    if (row >= running) {
        return;   // the whole workgroup: the other direction has more sequences at this step
    }
    let at = Cell(direction, running, unit);
    var start: Tile;
    if (ROWS == 1u) {
        start.rows_0[0] = input_gates(at, row);
    } else {
        start.rows_0 = input_gates_of_rows(at, row);
    }
    if (ROWS > 4u) {
        start.rows_4 = input_gates_of_rows(at, row + 4u);
    }
    if (ROWS > 8u) {
        start.rows_8 = input_gates_of_rows(at, row + 8u);
        start.rows_12 = input_gates_of_rows(at, row + 12u);
    }
    let first = direction * time_step.batch;
    let gates = tile_product(start, Place(direction, unit, first + row, first + running - 1u), local);

    if (ROWS == 1u) {
        update_cell(at, row, gates.rows_0[0]);
        return;
    }
    update_cells(at, row, gates.rows_0);
    if (ROWS > 4u) {
        update_cells(at, row + 4u, gates.rows_4);
    }
    if (ROWS > 8u) {
        update_cells(at, row + 8u, gates.rows_8);
        update_cells(at, row + 12u, gates.rows_12);
    }
}

// The hidden unit that an invocation computes.
struct Cell {
    direction: u32,
    running: u32,
    unit: u32,
}

fn input_gates(at: Cell, row: u32) -> vec4f {
    let r = time_step.gates_row[at.direction] + min(row, at.running - 1u);
    return gates_x[r * COLUMNS + min(at.unit, COLUMNS - 1u)];
}

fn input_gates_of_rows(at: Cell, row: u32) -> mat4x4f {
    return mat4x4f(input_gates(at, row), input_gates(at, row + 1u), input_gates(at, row + 2u), input_gates(at, row + 3u));
}

fn update_cells(at: Cell, row: u32, z: mat4x4f) {
    update_cell(at, row, z[0]);
    update_cell(at, row + 1u, z[1]);
    update_cell(at, row + 2u, z[2]);
    update_cell(at, row + 3u, z[3]);
}

fn update_cell(at: Cell, row: u32, z: vec4f) {
    if (row >= at.running || at.unit >= COLUMNS) {
        return;
    }
    let state = at.direction * time_step.batch + row;
    let c_t = fma(sigmoid(z.y), c[state * COLUMNS + at.unit], sigmoid(z.x) * tanh_safe(z.z));
    let h_t = sigmoid(z.w) * tanh_safe(c_t);
    c[state * COLUMNS + at.unit] = c_t;
    h_next[state * STRIDE + at.unit] = h_t;
    if (!PROJECTED) {
        let r = (time_step.output_row[at.direction] + row) * DIRECTIONS + at.direction;
        output[r * STRIDE + at.unit] = h_t;
    }
}
