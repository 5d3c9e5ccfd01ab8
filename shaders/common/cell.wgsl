// The cell update of a hidden unit, from its four gates before their activation: of two rows at once, so that their
// operations overlap, or of one.
//
//   c_t = σ(z_f)·c_{t-1} + σ(z_i)·tanh(z_g)
//   h_t = σ(z_o)·tanh(c_t)
//
// A state below 2^-126 is flushed to zero: a processor that emulates a GPU takes 100 cycles and more for an operation
// on such a number, and the state of a network whose input is zero stays that small.
//
// Source  torch.nn.LSTM          Needs  common/activation.wgsl
struct Cells {
    c: vec2f,
    h: vec2f,
}

// z[r] are the gates (i, f, g, o) of row r.
fn update_cells(z: mat2x4f, c: vec2f) -> Cells {
    let gates = transpose(mat2x4f(activate(z[0]), activate(z[1])));
    let c_t = flushed(fma(gates[1], c, gates[0] * gates[2]));
    return Cells(c_t, flushed(gates[3] * tanh_safe(vec4f(c_t, c_t)).xy));
}

struct Cell {
    c: f32,
    h: f32,
}

fn update_cell(z: vec4f, c: f32) -> Cell {
    let cells = update_cells(mat2x4f(z, z), vec2f(c));   // compilers compute equal ones once
    return Cell(cells.c.x, cells.h.x);
}

fn activate(z: vec4f) -> vec4f {
    let s = sigmoid(z);
    return vec4f(s.xy, tanh_safe(z).z, s.w);
}

// x, or zero where its exponent is that of the numbers below 2^-126.
fn flushed(x: vec2f) -> vec2f {
    return select(x, vec2f(), (bitcast<vec2u>(x) & vec2u(0x7f800000u)) == vec2u());
}
