// fma: multiply-adds in registers alone, the most arithmetic that the adapter can do.
//
// Source  none                  Host  benches/limits/mod.rs
// Grid    x: any number of workgroups
//
// Three vec4f are twelve chains: at eight lanes and 256 bits a register they leave four of the sixteen
// registers for the factors, and cover a latency of four cycles on two units (8 chains).
override WORKGROUP_SIZE: u32;
override ROUNDS: u32; // loop turns; each does 3 chains × 16 steps × 4 lanes of fma

@group(0) @binding(0) var<storage, read_write> sink: array<vec4f>; // [invocations]

fn four(x: vec4f, m: vec4f, n: vec4f) -> vec4f {
  return fma(fma(fma(fma(x, m, n), m, n), m, n), m, n);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn fma_peak(@builtin(global_invocation_id) id: vec3u) {
  // from memory, so that no compiler knows them; x = m·x + n settles at n / (1 - m), never at a denormal
  let m = sink[id.x].xxxx;
  let n = sink[id.x].yyyy;
  var a = m;
  var b = n;
  var c = m + n;
  for (var round = 0u; round < ROUNDS; round++) {
    for (var quarter = 0u; quarter < 4u; quarter++) {
      a = four(a, m, n);
      b = four(b, m, n);
      c = four(c, m, n);
    }
  }
  sink[id.x] = a + b + c;
}
