// The cell: what becomes of a unit's four gates.
//
//   c_t = σ(z_f)·c_{t-1} + σ(z_i)·tanh(z_g)
//   h_t = σ(z_o)·tanh(c_t)
//
// Source  torch.nn.LSTM          Needs  common/activation.wgsl
struct Cell {
    c: f32,
    h: f32,
}

fn update_cell(z: vec4f, c: f32) -> Cell {
    let c_t = fma(sigmoid(z.y), c, sigmoid(z.x) * tanh_safe(z.z));
    return Cell(c_t, sigmoid(z.w) * tanh_safe(c_t));
}
