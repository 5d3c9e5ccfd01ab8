// What a dispatch for many time steps is told.
//
// The sequences of a batch are sorted by falling length, so those that have a given time step are the
// first ones.
//
// Host  src/kernels/recurrent_scan.rs
struct Times {
    running: vec2u,      // per direction, sequences that have this time step
    gates_row: vec2u,    // per direction, row of sequence 0 in gates_x
    output_row: vec2u,   // per direction, row of sequence 0 in output
    unused: vec2u,
}

struct Scan {
    batch: u32,       // B
    direction: u32,   // of the dispatch's first layer of workgroups
    count: u32,       // time steps
    rows: u32,        // sequences of a workgroup
    blocks: u32,      // of eight vec4f that M takes; told here, no compiler unrolls a loop over them
    unused_0: u32,
    unused_1: u32,
    unused_2: u32,
    steps: array<Times, 127>,
}

@group(0) @binding(0) var<uniform> scan: Scan;
