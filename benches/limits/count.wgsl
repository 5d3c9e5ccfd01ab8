// count: adds one to a number, so that the time is that of a dispatch. Each dispatch waits for the one before.
//
// Source  none                  Host  benches/limits/mod.rs
// Grid    1, 1, 1
@group(0) @binding(0) var<storage, read_write> sink: array<u32>; // [1]

@compute @workgroup_size(1)
fn count() {
  sink[0] += 1u;
}
