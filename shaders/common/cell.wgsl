// The cell: what becomes of a unit's four gates.
//
//   c_t = σ(z_f)·c_{t-1} + σ(z_i)·tanh(z_g)
//   h_t = σ(z_o)·tanh(c_t)
//
// A state that fades is flushed: processors that emulate a GPU take 100 cycles and more for an operation on
// a number below 2^-126, and a network without input would make them for ever.
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
