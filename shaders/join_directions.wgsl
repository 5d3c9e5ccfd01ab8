// join_directions: the output of both directions side by side, for a caller on the device. Where O is no multiple of
// four, each direction's row is padded on its own until then.
//
//   joined[r, d·O + j] = separate[r, d, j]      j < O; zeros after the last
//
// Source  torch.nn.LSTM, the last axis of its output          Host  src/kernels/join_directions.rs
// Grid    x: workgroups that share all numbers
override WORKGROUP_SIZE: u32;

struct Join {
    rows: u32,       // R
    directions: u32, // D
    width: u32,      // O
    padded: u32,     // f32 of a direction of `separate`: O padded to vec4f
    stride: u32,     // f32 of a row of `joined`: D·O padded to vec4f
}

@group(0) @binding(0) var<uniform> join: Join;
@group(0) @binding(1) var<storage, read> separate: array<f32>;          // [R, D, padded]
@group(0) @binding(2) var<storage, read_write> joined: array<f32>;      // [R, stride]

@compute @workgroup_size(WORKGROUP_SIZE)
fn join_directions(
    @builtin(global_invocation_id) invocation: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    for (var i = invocation.x; i < join.rows * join.stride; i += groups.x * WORKGROUP_SIZE) {
        let column = i % join.stride;
        let row = i / join.stride * join.directions + min(column / join.width, join.directions - 1u);
        let y = separate[row * join.padded + column % join.width];
        joined[i] = select(0.0, y, column < join.directions * join.width);
    }
}
