//! Each device against the float64 reference.

use proptest::prelude::*;
use wgpu_lstm::Device;

use crate::case::{Case, cases, config, refused_by_budget};
use crate::common;
use crate::common::compare::{F32_RANDOM_NETWORK, assert_close};

fn check(device: &Device, case: &Case) -> Result<(), TestCaseError> {
    let data = case.data();
    let actual = match case.run(&case.lstm(device, &data), &data) {
        Ok(actual) => actual,
        Err(error) => {
            let refused = case.budget.and_then(|budget| refused_by_budget(&error, budget));
            return refused.map(|_| ()).ok_or_else(|| TestCaseError::fail(error.to_string()));
        }
    };
    for ((name, actual), truth) in ["output", "h_n", "c_n"].into_iter().zip(actual).zip(case.truth(&data)) {
        prop_assert_eq!(actual.shape(), truth.shape());
        let (actual, truth): (Vec<f32>, Vec<f64>) =
            (actual.iter().copied().collect(), truth.into_iter().collect());
        assert_close(name, &actual, &truth, F32_RANDOM_NETWORK);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    #[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
    fn the_gpu_agrees_with_the_reference(case in cases()) {
        check(common::device::gpu(), &case)?;
    }

    #[test]
    fn the_cpu_agrees_with_the_reference(case in cases()) {
        check(&Device::cpu(), &case)?;
    }
}

// Fewer: drivers compile kernels for every size.
proptest! {
    #![proptest_config(config(8))]

    #[test]
    #[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
    fn a_gpu_with_no_feature_and_default_limits_agrees_with_the_reference(case in cases()) {
        check(common::device::plain_gpu(), &case)?;
    }
}
