// What one time step is told: the same for recurrent_step and hidden_projection.
//
// The sequences of a batch are sorted by falling length, so those that have a given time step are the
// first ones. Each direction is at a time of its own, and so has rows of its own.
//
// Host  src/kernels/recurrent_step.rs, struct Step
override DIRECTIONS: u32;   // D

struct Step {
    batch: u32,           // B
    direction: u32,       // of the dispatch's first layer of workgroups
    running: vec2u,        // per direction: sequences that have this time step
    gates_row: vec2u,     // per direction: row of sequence 0 in gates_x
    output_row: vec2u,    // per direction: row of sequence 0 in output
}

@group(0) @binding(0) var<uniform> time_step: Step;
