// scores: the stage after the network. A linear layer on the mean of its output over time.
//
//   scored[b,k] = Σ_o head[k,o] · (1/T · Σ_t output[t,b,o])
//
// Source  none                  Host  examples/resident/stages.rs
// Grid    x: sequences
override STEPS: u32;   // T
override BATCH: u32;   // B
override UNITS: u32;   // O
override STRIDE: u32;  // f32 from one row of the network's output to the next
override CLASSES: u32; // at most 64

@group(0) @binding(0) var<storage, read> output: array<f32>;       // [T, B, STRIDE], O wide
@group(0) @binding(1) var<storage, read> head: array<f32>;         // [CLASSES, O]
@group(0) @binding(2) var<storage, read_write> scored: array<f32>; // [B, CLASSES]

var<workgroup> mean: array<f32, UNITS>;

@compute @workgroup_size(64)
fn scores(@builtin(workgroup_id) sequence: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let b = sequence.x;
  for (var o = local.x; o < UNITS; o += 64u) {
    var sum = 0.0;
    for (var t = 0u; t < STEPS; t++) {
      sum += output[(t * BATCH + b) * STRIDE + o];
    }
    mean[o] = sum / f32(STEPS);
  }
  workgroupBarrier();
  let k = local.x;
  if k < CLASSES {
    var sum = 0.0;
    for (var o = 0u; o < UNITS; o++) {
      sum = fma(head[k * UNITS + o], mean[o], sum);
    }
    scored[b * CLASSES + k] = sum;
  }
}
