//! Neither tiles nor schedules change a bit.

use std::collections::BTreeSet;

use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{forward, lstm, lstm_of};
use crate::common;
use crate::common::compare::FLOOR;
use crate::common::golden;
use crate::config::LstmConfig;
use crate::device::Backend;
use crate::plan::Planner;
use crate::program::{DeviceLimits, SubgroupSizes};
use crate::reference;
use crate::tuning::{Schedule, Tuning};
use crate::weights::{LstmWeights, Precision};
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn no_tile_twin_nor_schedule_changes_a_bit() {
    let hardware = |max, units| {
        move |limits: DeviceLimits| DeviceLimits {
            software: false,
            subgroups: Some(SubgroupSizes { min: 4, max }),
            units,
            ..limits
        }
    };
    let portable = |limits| DeviceLimits { subgroups: None, ..limits };
    for name in [
        "hidden_320_batch_9",
        "packed_two_layers_bidirectional",
        "packed_projection_batch_first",
        "five_layers",
        "odd_sizes",
    ] {
        let case = golden::load(name);
        let mut expected = None;
        for (what, mut lstm) in [
            ("the device's own tiles", lstm(&case, |l| l, |_| {})),
            ("portable", lstm(&case, portable, |_| {})),
            ("32 lanes, whole tiles", lstm(&case, hardware(32, 0), |_| {})),
            ("64 lanes, split tiles", lstm(&case, hardware(64, 1000), |_| {})),
        ] {
            for schedule in Schedule::ALL {
                lstm = lstm.with_tuning(Tuning::Fixed(schedule));
                let actual = forward(&case, &lstm);
                let expected = expected.get_or_insert_with(|| actual.clone());
                assert_eq!(&actual, expected, "{name}, {schedule}: {what}");
            }
        }
    }
}

/// With weights in private memory, in registers and in memory; ragged, so that a direction starts late, for more steps
/// than a dispatch takes; in one block and in several, where the directions run apart.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn scans_are_right_wherever_their_weights_are() {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let lengths = [130, 128, 3, 77, 130];
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let input = Array3::from_shape_simple_fn((130, 5, 9), || random.random_range(-1.0f32..1.0));
    let mut seen = BTreeSet::new();
    for (hidden, precision) in [
        (40, Precision::F32),
        (40, Precision::F16),
        (72, Precision::F32),
        (100, Precision::F16),
        (130, Precision::F32),
    ] {
        let config = LstmConfig::new(9, hidden).with_num_layers(2).with_bidirectional(true);
        let weights = LstmWeights::uniform(&config, 3).unwrap().to_precision(precision).unwrap();
        let mut lstm = |software, budget, schedule| {
            let limits = DeviceLimits { software, units: 4, ..*gpu.limits() };
            let planner = Planner::new(&config, &limits, weights.precision().element()).unwrap();
            let names = planner.network.pipelines.iter().map(|pipeline| pipeline.kernel.name);
            seen.extend(names.filter(|name| name.ends_with("_scan")));
            let lstm = lstm_of(gpu, planner, &weights);
            lstm.with_memory_budget(budget).with_tuning(Tuning::Fixed(schedule))
        };
        let steps = lstm(true, 1 << 30, Schedule::Step);
        let expected = steps.forward_padded(input.view(), &lengths, None).unwrap();
        let wide = input.mapv(f64::from);
        let (truth, ..) = reference::forward(&weights, wide.view(), Some(&lengths), None).unwrap();
        let errors = expected.0.iter().zip(&truth).map(|(&y, &t)| (f64::from(y) - t).abs());
        assert!(errors.max_by(f64::total_cmp).unwrap() <= FLOOR);
        for software in [true, false] {
            for budget in [1 << 30, 200_000] {
                let scans = lstm(software, budget, Schedule::Scan);
                let actual = scans.forward_padded(input.view(), &lengths, None).unwrap();
                assert_eq!(
                    actual, expected,
                    "H {hidden}, {precision:?}, software: {software}, {budget} bytes"
                );
            }
        }
    }
    let all = ["persistent_scan", "private_scan", "recurrent_scan", "streaming_scan"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}
