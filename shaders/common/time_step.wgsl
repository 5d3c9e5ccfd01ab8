// The uniform of a dispatch of one time step, `time_step`: a slot for each layer and direction that it computes.
//
// The sequences of a batch are sorted by falling length, so those that have a given time step are the
// first ones. Slots may be at different times, and so have different rows.
//
// Needs  common/tile.wgsl          Host  src/kernels/time_step.rs
override DIRECTIONS: u32;   // D

struct Slot {
    running: u32,      // sequences that have this time step
    state: u32,        // row of sequence 0 in the states, [L, D, places, ·]
    gates_row: u32,    // row of sequence 0 in gates_x
    output_row: u32,   // row of sequence 0 in output, [rows·D, ·], or NO_OUTPUT
    w_ih: u32,         // where the matrices begin in the weights, and the biases in theirs
    w_hh: u32,
    w_hr: u32,
    bias: u32,
    x_row: u32,        // row of sequence 0 in what enters the layer
    x_length: u32,     // of such a row, in vec4f
    x_source: u32,     // FROM_SEQUENCE or FROM_STATE
    unused: u32,
}

const NO_OUTPUT = 0xffffffffu;

struct TimeStep {
    slots: array<Slot, 4>,
}

// Whether a workgroup has a tile: the grid has as many as the slot with the most sequences needs. It depends on
// uniform values alone, so that barriers may follow.
fn has_rows(group: vec3u) -> bool {
    return group.y * ROWS < time_step.slots[group.z].running;
}

// The tile of a workgroup: x are tiles of columns, y of sequences, z slots.
fn place_in_step(group: vec3u) -> Place {
    return Place(group.z, group.y * ROWS, time_step.slots[group.z].running);
}

// The row of a sequence in a state, [L, D, places, ·].
fn state_row(place: Place, row: u32) -> u32 {
    return time_step.slots[place.slot].state + row;
}

fn has_output(place: Place) -> bool {
    return time_step.slots[place.slot].output_row != NO_OUTPUT;
}

// The row of a sequence in the output, [rows·D, ·].
fn output_row(place: Place, row: u32) -> u32 {
    return time_step.slots[place.slot].output_row + row * DIRECTIONS;
}
