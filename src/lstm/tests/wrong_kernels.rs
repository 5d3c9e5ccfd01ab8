//! A kernel that is wrong is seen to be wrong, and one that does not compile is an error.

use ndarray::Array3;

use super::{forward, lstm, lstm_of, mutant};
use crate::common;
use crate::common::compare::{TIMES_WRONG, f32_tolerance, worst_error};
use crate::common::golden::{self, Golden};
use crate::device::Backend;
use crate::error::Error;
use crate::lstm::{Engine, Lstm};
use crate::plan::{Network, Planner};
use crate::program::DeviceLimits;
use crate::tuning::{Schedule, Tuning};
/// Edits that must be seen, of what both twins and most schedules share. B is 4 or 3 here, and a tile has 4
/// rows.
const WRONG: [(&str, &str); 16] = [
    ("sigmoid(z.y), c,", "sigmoid(z.x), c,"),
    ("sigmoid(z.x) * tanh_safe(z.z)", "sigmoid(z.y) * tanh_safe(z.z)"),
    ("tanh_safe(z.z)", "sigmoid(z.z)"),
    ("sigmoid(z.w) * tanh_safe(c_t)", "sigmoid(z.w) * c_t"),
    ("select(e, 1.0, x >= 0.0)", "select(1.0, e, x >= 0.0)"),
    ("fma(w[2], x.zzzz,", "fma(w[2], x.wwww,"),
    ("sum[1]), chain(w, x[2]", "sum[1]), chain(w, x[1]"),
    ("i += 4u * COLUMNS;", "i += 3u * COLUMNS;"),
    ("finish_row(place, r + 1u, y[1])", "finish_row(place, r + 1u, y[0])"),
    ("start_row(place, r + 2u)", "start_row(place, r + 1u)"),
    ("product.operand + min(place.row + r", "min(place.row + r"),
    ("block.direction + group.z", "block.direction"),
    ("slots[place.slot].gates_row +", "slots[0u].gates_row +"),
    ("return bias[place.slot * COLUMNS +", "return bias["),
    ("return time_step.slots[place.slot].state + row", "return row"),
    ("slots[place.slot].output_row + row * DIRECTIONS", "slots[0u].output_row + row * DIRECTIONS"),
];
const WRONG_PORTABLE: [(&str, &str); 2] = [
    ("m < length; m += 1u", "m + 1u < length; m += 1u"),
    ("operand_row(place, product, x % ROWS)", "operand_row(place, product, 0u)"),
];
const WRONG_SUBGROUP: [(&str, &str); 2] = [
    ("m < product.length; m += 1u", "m + 1u < product.length; m += 1u"),
    ("subgroupBroadcast(x, 2u)", "subgroupBroadcast(x, 1u)"),
];
const WRONG_PROJECTED: [(&str, &str); 2] = [
    ("h_next[state_row(place, row) * COLUMNS", "h_next[row * COLUMNS"),
    ("output[output_row(place, row) * COLUMNS", "output[row * COLUMNS"),
];
const WRONG_SCAN: [(&str, &str); 6] = [
    ("c_tile[r] = cell.c;", ""),
    ("h_tile[r * 4u * REDUCTION + place.column] = cell.h;", ""),
    ("now = k;", "now = 0u;"),
    ("steps[now][place.slot].gates_row", "steps[now][0u].gates_row"),
    ("h_tile[4u * i + 1u]", "h_tile[4u * i + 2u]"),
    ("let state = direction * scan.batch + first;", "let state = first;"),
];
const WRONG_PERSISTENT: [(&str, &str); 10] = [
    ("c_tile[r] = cell.c;", ""),
    ("h_next[r * width + local] = cell.h;", ""),
    ("let moment = scan.steps[k][direction]", "let moment = scan.steps[k][0u]"),
    ("let state = direction * scan.batch + first;", "let state = first;"),
    ("scan.direction + group.z", "scan.direction"),
    ("group.y * scan.rows", "0u"),
    ("product(r * REDUCTION,", "product(0u,"),
    ("if (SLABS > 1u) { sum = slab(6u, row, sum); }", ""),
    ("weights_at(column + min(m,", "weights_at(column + min(m + 1u,"),
    ("held[7], last)", "held[6], last)"),
];
const WRONG_SLAB: [(&str, &str); 1] = [("h_tile[at + 2u]", "h_tile[at + 1u]")];
const WRONG_SLAB_SUBGROUP: [(&str, &str); 1] =
    [("subgroupBroadcast(mine, 2u)", "subgroupBroadcast(mine, 1u)")];
const WRONG_SINGLE: [(&str, &str); 3] = [
    ("bias[time_step.slots[place.slot].bias +", "bias["),
    ("slot.x_row * slot.x_length,", "slot.x_length,"),
    ("Product(slot.w_hh, slot.state * REDUCTION", "Product(slot.w_ih, slot.state * REDUCTION"),
];
const WRONG_DIAGONAL: [(&str, &str); 2] =
    [("slot.x_length, slot.x_source)", "slot.x_length, FROM_SEQUENCE)"), ("!= NO_OUTPUT", "== NO_OUTPUT")];

/// How many times the tolerance the output is off.
fn error_in_tolerances(case: &Golden, output: Array3<f32>) -> f64 {
    let truth: Vec<f64> = case.f64("output").into_iter().collect();
    let pytorch: Vec<f32> = case.f32("output_f32").into_iter().collect();
    let actual: Vec<f32> = case.output_as_in_file(output).into_iter().collect();
    worst_error(&actual, &truth) / f32_tolerance(&pytorch, &truth)
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn wrong_kernels_are_seen_on_the_gpu() {
    let layers = golden::load("two_layers_bidirectional");
    let projected = golden::load("packed_projection_batch_first");
    let stacked = golden::load("five_layers");
    let wide = golden::load("odd_sizes"); // too wide for its weights to persist on hardware
    for subgroups in [false, true] {
        let twin = |limits: DeviceLimits| DeviceLimits {
            subgroups: limits.subgroups.filter(|_| subgroups),
            software: true,
            units: 4, // so that a workgroup has several sequences, and a direction several workgroups
            ..limits
        };
        let hardware = |limits: DeviceLimits| DeviceLimits { software: false, ..twin(limits) };
        let [of_product, of_slab] = {
            let Engine::Gpu(engine) = lstm(&wide, twin, |_| {}).engine else { panic!("not a GPU") };
            let network = &engine.planner().network;
            let carrying = network.tiling.carrying(network.config.hidden_size(), &network.limits).unwrap();
            assert!(carrying.persistent_rows().is_some());
            [network.tiling, carrying].map(|tiling| tiling.variant.subgroups)
        };
        let of_product = if of_product { &WRONG_SUBGROUP } else { &WRONG_PORTABLE };
        let of_slab = if of_slab { &WRONG_SLAB_SUBGROUP } else { &WRONG_SLAB };
        for (schedule, case, software, edits) in [
            (Schedule::Step, &layers, true, &WRONG[..]),
            (Schedule::Step, &layers, true, of_product),
            (Schedule::Step, &projected, true, &WRONG_PROJECTED),
            (Schedule::Scan, &wide, false, &WRONG_SCAN),
            (Schedule::Scan, &wide, true, &WRONG_PERSISTENT),
            (Schedule::Scan, &wide, true, of_slab),
            (Schedule::Single, &layers, true, &WRONG_SINGLE),
            (Schedule::Diagonal, &stacked, true, &WRONG_DIAGONAL),
        ] {
            let limits = |limits| if software { twin(limits) } else { hardware(limits) };
            assert_each_is_seen(case, schedule, limits, edits);
        }
    }
}

/// Panics unless the case passes with the schedule's own kernels, and fails with each edit of them.
fn assert_each_is_seen(
    case: &Golden,
    schedule: Schedule,
    limits: impl Fn(DeviceLimits) -> DeviceLimits,
    edits: &[(&str, &str)],
) {
    let tuning = Tuning::Fixed(schedule);
    let error = error_in_tolerances(case, forward(case, &lstm(case, &limits, |_| {}).with_tuning(tuning)).0);
    assert!(error <= 1.0, "the intact kernels of {schedule} pass: {error}");
    for &(from, to) in edits {
        let mutate = |network: &mut Network| {
            let mut found = false;
            for pipeline in &mut network.pipelines {
                found |= pipeline.kernel.source(pipeline.variant).contains(from);
                pipeline.kernel = mutant(pipeline.kernel, pipeline.variant, from, to);
            }
            assert!(found, "no kernel has {from:?} any more");
        };
        let wrong = lstm(case, &limits, mutate).with_tuning(tuning);
        let error = error_in_tolerances(case, forward(case, &wrong).0);
        assert!(error.is_nan() || error > TIMES_WRONG, "{schedule}: {from} → {to} passes for right: {error}");
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn what_wgpu_refuses_is_an_error_of_ours() {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let weights = golden::load("single_layer").weights();
    for (from, to) in [("fn chain(", "fn chain)("), ("@binding(4)", "@binding(9)")] {
        let mut planner =
            Planner::new(weights.config(), gpu.limits(), weights.precision().element()).unwrap();
        for pipeline in &mut planner.network.pipelines {
            pipeline.kernel = mutant(pipeline.kernel, pipeline.variant, from, to);
        }
        let lstm = lstm_of(gpu, planner, &weights);
        let result = lstm.forward(Array3::zeros((2, 1, weights.config().input_size())).view(), None);
        assert!(matches!(&result, Err(Error::Internal { .. })), "{from} → {to}: {result:?}");
    }
    assert!(Lstm::new(common::device::gpu(), &weights).is_ok());
}
