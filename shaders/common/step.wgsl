// What one time step is told: the same for recurrent_step and hidden_projection.
//
// The sequences of a batch are sorted by falling length, so those that have a given time step are the
// first ones. Each direction is at a time of its own, and so has rows of its own.
//
// Needs  common/tile.wgsl          Host  src/kernels/recurrent_step.rs, struct Step
override DIRECTIONS: u32;   // D

struct Step {
    batch: u32,           // B
    direction: u32,       // of the dispatch's first layer of workgroups
    running: vec2u,       // per direction: sequences that have this time step
    gates_row: vec2u,     // per direction: row of sequence 0 in gates_x
    output_row: vec2u,    // per direction: row of sequence 0 in output
}

@group(0) @binding(0) var<uniform> time_step: Step;

// Whether a workgroup has a tile: the other direction may have more sequences at this step. Of uniform
// values alone, as barriers after it demand.
fn has_rows(group: vec3u) -> bool {
    return group.y * ROWS < time_step.running[time_step.direction + group.z];
}

// The tile of an invocation: x are columns, y sequences, z directions. The operand is a state, [D, B, ·].
fn place_in_step(group: vec3u, local: u32) -> Place {
    let direction = time_step.direction + group.z;
    let column = group.x * WORKGROUP_SIZE + local;
    let rows = time_step.running[direction];
    return Place(direction, column, group.y * ROWS, rows, direction * time_step.batch);
}

// The row of a sequence in a state, [D, B, ·].
fn state_row(place: Place, row: u32) -> u32 {
    return place.direction * time_step.batch + row;
}

// The row of a sequence in the output, [rows, D, ·].
fn output_row(place: Place, row: u32) -> u32 {
    return (time_step.output_row[place.direction] + row) * DIRECTIONS + place.direction;
}
