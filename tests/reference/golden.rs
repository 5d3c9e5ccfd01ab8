//! Every golden case.

use crate::common::compare::{assert_close, f64_tolerance, worst_error};
use crate::common::golden;
use crate::support::{TENSORS, elements, run, tolerance};

#[test]
fn every_golden_case_in_f64() {
    let mut worst = 0.0_f64;
    for case in golden::all() {
        for (tensor, actual) in TENSORS.into_iter().zip(run::<f64>(&case)) {
            let truth = case.f64(tensor);
            let what = format!("{}: {tensor}", case.name);
            assert_eq!(actual.shape(), truth.shape(), "{what}");
            let (actual, truth) = (elements(&actual), elements(&truth));
            assert_close(&what, &actual, &truth, f64_tolerance(&truth));
            worst = worst.max(worst_error(&actual, &truth));
        }
    }
    println!("worst error in f64: {worst:.1e}");
}

#[test]
fn every_golden_case_in_f32() {
    for case in golden::all() {
        for (tensor, actual) in TENSORS.into_iter().zip(run::<f32>(&case)) {
            let truth = case.f64(tensor);
            let what = format!("{}: {tensor}", case.name);
            assert_eq!(actual.shape(), truth.shape(), "{what}");
            let (actual, truth) = (elements(&actual), elements(&truth));
            assert_close(&what, &actual, &truth, tolerance(&case, tensor));
            let pytorch = elements(&case.f32(&format!("{tensor}_f32")));
            println!(
                "{what}: {:.1e} from the truth, PyTorch {:.1e}",
                worst_error(&actual, &truth),
                worst_error(&pytorch, &truth),
            );
        }
    }
}

#[test]
fn sizes_inferred_from_the_tensors_are_those_of_the_constructor() {
    for case in golden::all() {
        assert_eq!(case.weights().config(), &case.config, "{}", case.name);
    }
}
