// envelope: the stage before the network. A feature is the mean size of eight samples of a vibration sensor.
//
//   features[t,b,i] = 1/8 · Σ_n |samples[b,t,i,n]|
//
// Samples are 16-bit integers divided by 2^15, so every adapter computes the sum without rounding.
//
// Source  none                  Host  examples/resident/stages.rs
// Grid    x: features of all rows
override STEPS: u32;  // T
override BATCH: u32;  // B
override INPUTS: u32; // I
override STRIDE: u32; // f32 from one row of the network's input to the next

@group(0) @binding(0) var<storage, read> samples: array<vec4f>;      // [B, T, I, 2]
@group(0) @binding(1) var<storage, read_write> features: array<f32>; // [T, B, STRIDE], I wide

@compute @workgroup_size(64)
fn envelope(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x / INPUTS;
  let i = id.x % INPUTS;
  if row >= STEPS * BATCH {
    return;
  }
  let t = row / BATCH;
  let b = row % BATCH;
  let at = 2u * ((b * STEPS + t) * INPUTS + i);
  let sums = abs(samples[at]) + abs(samples[at + 1u]);
  // what is between I and STRIDE is zero, and stays so
  features[row * STRIDE + i] = (sums.x + sums.y + sums.z + sums.w) / 8.0;
}
