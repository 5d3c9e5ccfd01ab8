// load: vec4f loads from a storage buffer that stays in the cache next to each core.
//
// Source  none                  Host  benches/limits/mod.rs
// Grid    x: any number of workgroups
//
// Neighbouring invocations read neighbouring elements, as the products do with their weights.
override WORKGROUP_SIZE: u32;
override ROUNDS: u32;   // loop turns of four loads
override ELEMENTS: u32; // a power of two

@group(0) @binding(0) var<storage, read_write> sink: array<vec4f>; // [invocations]
@group(0) @binding(1) var<storage, read> source: array<vec4f>;     // [ELEMENTS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn load_rate(@builtin(global_invocation_id) id: vec3u) {
  var a = vec4f();
  var b = vec4f();
  var at = id.x;
  for (var round = 0u; round < ROUNDS; round++) {
    a += source[at % ELEMENTS];
    b += source[(at + WORKGROUP_SIZE) % ELEMENTS];
    a += source[(at + 2u * WORKGROUP_SIZE) % ELEMENTS];
    b += source[(at + 3u * WORKGROUP_SIZE) % ELEMENTS];
    at += 4u * WORKGROUP_SIZE;
  }
  sink[id.x] = a + b;
}
