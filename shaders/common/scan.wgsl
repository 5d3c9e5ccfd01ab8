// The uniform of a dispatch of many time steps.
//
// The sequences of a batch are sorted by falling length, so those that have a given time step are the
// first ones.
//
// Host  src/kernels/scan.rs
struct Moment {
    running: u32,      // sequences that have this time step
    gates_row: u32,    // row of sequence 0 in gates_x
    output_row: u32,   // row of sequence 0 in output, [rows·D, ·]
    unused: u32,
}

struct Scan {
    batch: u32,       // B
    direction: u32,   // of the workgroups with z = 0
    count: u32,       // time steps
    rows: u32,        // sequences of a workgroup: for persistent_scan, streaming_scan and private_scan
    slabs: u32,       // blocks that M takes, for private_scan; a uniform, so that no compiler unrolls a loop over them
    state: u32,       // row of sequence 0 in the states, [L, D, places, ·], in direction 0
    places: u32,      // sequences that the states have place for, in a direction
    unused: u32,
    steps: array<array<Moment, 2>, 127>,   // [time steps, directions]
}

// The row of a sequence in the states.
fn row_of_state(direction: u32, sequence: u32) -> u32 {
    return scan.state + direction * scan.places + sequence;
}
