//! Numbers near the smallest f32: results stay within the usual tolerance, and no result is subnormal, which would slow the
//! next call of a stream.

mod common;

use common::compare::{FLOOR, assert_close};
use common::small_values::cases;
use wgpu_lstm::{Device, Lstm, Schedule, Tuning};

fn small_values_are_right(device: &Device) {
    for (steps, batch) in [(20, 1), (5, 9)] {
        for case in cases(steps, batch) {
            let truth = case.truth();
            let mut lstm = Lstm::new(device, &case.weights).unwrap();
            for schedule in Schedule::ALL {
                lstm = lstm.with_tuning(Tuning::Fixed(schedule));
                let (output, state) = lstm.forward(case.input.view(), case.state.as_ref()).unwrap();
                for ((what, actual), truth) in
                    [("output", output), ("h_n", state.h), ("c_n", state.c)].into_iter().zip(&truth)
                {
                    let what = format!("{}, {schedule}: {what}", case.name);
                    let actual: Vec<f32> = actual.into_iter().collect();
                    let truth: Vec<f64> = truth.iter().copied().collect();
                    assert_close(&what, &actual, &truth, FLOOR);
                    let subnormal = actual.iter().find(|y| y.is_subnormal());
                    assert_eq!(subnormal, None, "{what}");
                }
            }
        }
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn on_the_gpu() {
    small_values_are_right(common::device::gpu());
}

#[test]
fn on_the_cpu() {
    small_values_are_right(&Device::cpu());
}
