//! Programs that are kept for the next call of their shape.

use ndarray::Array3;

use super::{forward, lstm};
use crate::common::golden;
use crate::gpu::Wait;
use crate::lstm::{Engine, Lstm};
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn what_a_call_made_serves_the_next_of_its_shape() {
    let case = golden::load("packed_two_layers_bidirectional");
    let mut lstm = lstm(&case, |l| l, |_| {});
    let idle = |lstm: &Lstm| {
        let Engine::Gpu(engine) = &lstm.engine else { panic!("not a GPU") };
        engine.kept_programs()
    };
    let expected = forward(&case, &lstm);
    assert_eq!(idle(&lstm), 1);
    // Another input of this shape leaves nothing behind that this one would see.
    let other = Array3::from_elem(case.input_time_major().dim(), 7.0);
    let run = lstm.run(other.view(), case.lengths.as_deref(), None, Wait::Block);
    assert_ne!(pollster::block_on(run).unwrap(), expected);
    assert_eq!(forward(&case, &lstm), expected);
    assert_eq!(idle(&lstm), 1);

    let other_shape = lstm.run(other.view(), None, None, Wait::Block);
    pollster::block_on(other_shape).unwrap();
    assert_eq!(idle(&lstm), 2);
    lstm = lstm.with_memory_budget(6_000); // enough for a call in small blocks, not to keep it
    assert_eq!(forward(&case, &lstm), expected);
    assert_eq!(idle(&lstm), 2, "what does not fit drives out nothing");

    lstm = lstm.with_memory_budget(1 << 20);
    for steps in 1..12 {
        let input = Array3::zeros((steps, 1, case.config.input_size()));
        lstm.forward(input.view(), None).unwrap();
    }
    assert_eq!(idle(&lstm), 8, "the oldest go first");
}
