// The cell update of a hidden unit, from its four gates before their activation.
//
//   c_t = σ(z_f)·c_{t-1} + σ(z_i)·tanh(z_g)
//   h_t = σ(z_o)·tanh(c_t)
//
// A state below 2^-126 is flushed to zero: a processor that emulates a GPU takes 100 cycles and more for an operation
// on such a number, and the state of a network whose input is zero stays that small.
//
// Source  torch.nn.LSTM          Needs  common/activation.wgsl
struct Cell {
    c: f32,
    h: f32,
}

fn update_cell(z: vec4f, c: f32) -> Cell {
    let c_t = flushed(fma(sigmoid(z.y), c, sigmoid(z.x) * tanh_safe(z.z)));
    return Cell(c_t, flushed(sigmoid(z.w) * tanh_safe(c_t)));
}

// x, or zero where its exponent is that of the numbers below 2^-126.
fn flushed(x: f32) -> f32 {
    return select(x, 0.0, (bitcast<u32>(x) & 0x7f800000u) == 0u);
}
