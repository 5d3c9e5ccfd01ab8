//! Every golden case on the devices: at most twice as far from the float64 truth as PyTorch's own float32 path, or as
//! a rounding of the largest number; and in the median no farther than PyTorch's.

mod common;

use common::compare::{assert_close, f32_tolerance, worst_error};
use common::golden::{self, Golden, Layout};
use wgpu_lstm::ndarray::{ArrayD, Ix2, Ix3};
use wgpu_lstm::{Device, Lstm, LstmState, Schedule, Tuning};

/// A case through the public methods, arrays as they are in the file.
fn run(case: &Golden, lstm: &Lstm) -> [ArrayD<f32>; 3] {
    let state = case.state_batched().map(|(h, c)| LstmState { h, c });
    let state = state.as_ref();
    let input = case.f32("input");
    let (output, state) = match case.layout {
        Layout::Unbatched => {
            let input = input.into_dimensionality::<Ix2>().unwrap();
            let (output, state) = lstm.forward_unbatched(input.view(), state).unwrap();
            (output.into_dyn(), state)
        }
        layout => {
            let input = input.into_dimensionality::<Ix3>().unwrap();
            let (output, state) = match (layout, &case.lengths) {
                (Layout::Packed, Some(lengths)) => lstm.forward_padded(input.view(), lengths, state).unwrap(),
                _ => lstm.forward(input.view(), state).unwrap(),
            };
            (output.into_dyn(), state)
        }
    };
    [output, case.state_as_in_file(state.h), case.state_as_in_file(state.c)]
}

fn every_case(device: &Device, configure: impl Fn(Lstm) -> Lstm) {
    let mut worst = (0.0, String::new());
    let mut ratios = Vec::new();
    for case in golden::all() {
        let lstm = Lstm::new(device, &case.weights()).unwrap().with_batch_first(case.batch_first);
        let results = run(&case, &configure(lstm));
        for (name, actual) in ["output", "h_n", "c_n"].into_iter().zip(results) {
            let what = format!("{}: {name}", case.name);
            let truth = case.f64(name);
            assert_eq!(actual.shape(), truth.shape(), "{what}");
            let pytorch: Vec<f32> = case.f32(&format!("{name}_f32")).into_iter().collect();
            let (actual, truth): (Vec<f32>, Vec<f64>) =
                (actual.into_iter().collect(), truth.into_iter().collect());
            let tolerance = f32_tolerance(&pytorch, &truth);
            assert_close(&what, &actual, &truth, tolerance);
            let (ours, theirs) = (worst_error(&actual, &truth), worst_error(&pytorch, &truth));
            println!("{what}: off by {ours:.1e}, PyTorch's float32 by {theirs:.1e}");
            ratios.push(ours / theirs);
            if ours / tolerance > worst.0 {
                worst = (ours / tolerance, what);
            }
        }
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!(
        "{}: the median is {median:.2} of PyTorch's error, the worst {:.2} of the tolerance, {}",
        device.name(),
        worst.0,
        worst.1
    );
    assert!(median <= 1.0, "the median error is {median:.2} of PyTorch's float32 error");
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn every_case_on_the_gpu() {
    every_case(common::device::gpu(), |lstm| lstm);
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn every_case_on_a_gpu_with_no_feature_and_default_limits() {
    every_case(common::device::plain_gpu(), |lstm| lstm);
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn every_case_by_every_schedule() {
    for schedule in Schedule::ALL {
        println!("{schedule}:");
        every_case(common::device::gpu(), |lstm| lstm.with_tuning(Tuning::Fixed(schedule)));
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn every_case_in_blocks_of_a_few_steps() {
    every_case(common::device::gpu(), |lstm| {
        let config = lstm.config();
        let row = 4 * (2 * config.input_size() + 12 * config.hidden_size() + 8 * config.output_size());
        lstm.with_memory_budget(8 * row as u64)
    });
}

#[test]
fn every_case_on_the_cpu() {
    every_case(&Device::cpu(), |lstm| lstm);
}
