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
    ("fma(gates[1], c,", "fma(gates[0], c,"),
    ("gates[0] * gates[2]", "gates[1] * gates[2]"),
    ("tanh_safe(z).z", "s.z"),
    ("tanh_safe(vec4f(c_t, c_t)).xy", "c_t"),
    ("max(-x, vec4f(-60.0))", "max(x, vec4f(-60.0))"),
    ("fma(w[2], x.zzzz,", "fma(w[2], x.wwww,"),
    ("sum[1]), chain(w, x[2]", "sum[1]), chain(w, x[1]"),
    (
        "store_cell(place, me, r + 1u, cells.c.y, cells.h.y)",
        "store_cell(place, me, r + 1u, cells.c.y, cells.h.x)",
    ),
    ("c[cell_at(place, me, r + 1u)]", "c[cell_at(place, me, r)]"),
    ("start_row(place, me, r + 2u)", "start_row(place, me, r + 1u)"),
    ("product.operand + min(place.row + r", "min(place.row + r"),
    ("block.direction + group.z", "block.direction"),
    ("slots[place.slot].gates_row +", "slots[0u].gates_row +"),
    ("return bias[place.slot * COLUMNS +", "return bias["),
    ("return time_step.slots[place.slot].state + row", "return row"),
    ("slots[place.slot].output_row + row * DIRECTIONS", "slots[0u].output_row + row * DIRECTIONS"),
];
const WRONG_PORTABLE: [(&str, &str); 5] = [
    ("y = mat2x4f(tile.rows_0[2], tile.rows_0[3]);", "y = mat2x4f(tile.rows_0[3], tile.rows_0[2]);"),
    ("m < end; m += 1u", "m + 1u < end; m += 1u"),
    ("4u * m * COLUMNS", "3u * m * COLUMNS"),
    ("operand_row(place, product, r + 2u)", "operand_row(place, product, r)"),
    ("total_0 += sums.rows_0", "total_0 = sums.rows_0"),
];
const WRONG_SUBGROUP: [(&str, &str); 6] = [
    (
        "finish_rows(place, me, r + 2u, mat2x4f(y[2], y[3]))",
        "finish_rows(place, me, r + 2u, mat2x4f(y[0], y[3]))",
    ),
    ("product.length); m += 1u", "product.length - 1u); m += 1u"),
    ("i += 4u * COLUMNS;", "i += 3u * COLUMNS;"),
    ("subgroupBroadcast(x, 2u)", "subgroupBroadcast(x, 1u)"),
    ("rows.x + m", "rows.x"),
    ("total_0 += sums.rows_0", "total_0 = sums.rows_0"),
];
/// One row, whose operand the lanes load together.
const WRONG_ROW_SUBGROUP: [(&str, &str); 6] = [
    ("min(m + lane % lanes, end - 1u)", "m"),
    ("min(lanes, end - m)", "min(lanes, end - m) - 1u"),
    ("subgroupShuffle(mine, k)", "subgroupShuffle(mine, 0u)"),
    ("                i += 4u * COLUMNS;", "                i += 3u * COLUMNS;"),
    ("total += sum;", "total = sum;"),
    ("chain(weights_at(i), subgroupShuffle", "chain(weights_at(i + 1u), subgroupShuffle"),
];
/// Where several invocations have a column; B is 9 and H 320, with 10 blocks.
const WRONG_SPLIT: [(&str, &str); 8] = [
    ("group * WIDTH + local % WIDTH", "local % WIDTH"),
    ("length * (block + me.part)", "length * block"),
    ("shared_sums[3u * WORKGROUP_SIZE + me.local] = sums[3];", ""),
    ("min(SPLIT, blocks - block)", "min(SPLIT, blocks - block) - 1u"),
    ("shared_sums[own + part * WIDTH]", "shared_sums[own]"),
    ("min(me.part, ROWS - 1u) * WORKGROUP_SIZE", "0u"),
    ("start_row(place, me, me.part)", "start_row(place, me, 0u)"),
    ("finish_row(place, me, me.part, tile.rows_0[0])", "finish_row(place, me, 0u, tile.rows_0[0])"),
];
/// One row, its loads unrolled.
const WRONG_ROW: [(&str, &str); 4] = [
    ("weights_at(column.z)", "weights_at(column.y)"),
    ("operand_at(product, row + m.y)", "operand_at(product, row + m.x)"),
    ("four_links(place, me, product, first + m + 4u,", "four_links(place, me, product, first + m,"),
    ("first + 3u < product.length)", "true)"),
];
const WRONG_PROJECTED: [(&str, &str); 2] = [
    ("h_next[state_row(place, row) * COLUMNS", "h_next[row * COLUMNS"),
    ("output[output_row(place, row) * COLUMNS", "output[row * COLUMNS"),
];
const WRONG_SCAN: [(&str, &str); 6] = [
    ("c[state_row(place, row) * COLUMNS + me.column] = c_t;", ""),
    ("h_tile[(row - place.row) * width + me.column] = h_t;", ""),
    ("now = k;", "now = 0u;"),
    ("steps[now][place.slot].gates_row", "steps[now][0u].gates_row"),
    ("h_tile[4u * i + 1u]", "h_tile[4u * i + 2u]"),
    ("return row_of_state(place.slot, row);", "return row;"),
];
const WRONG_PERSISTENT: [(&str, &str); 13] = [
    ("c_t = cell.c;", ""),
    ("h_tile[part * width + unit] = cell.h;", ""),
    ("let moment = scan.steps[k][direction]", "let moment = scan.steps[k][0u]"),
    ("let state = row_of_state(direction, first);", "let state = first;"),
    ("scan.direction + group.z", "scan.direction"),
    ("group.y * scan.rows", "0u"),
    ("block, r * REDUCTION)", "block, 0u)"),
    ("row_of_gates(min(k + 1u,", "row_of_gates(min(k,"),
    ("two_gates(column, block + 5u, part)", "two_gates(column, block + 4u, part)"),
    ("let last = part % 2u == 1u;", "let last = part % 2u == 0u;"),
    ("fma(w[2], x.zz,", "fma(w[2], x.ww,"),
    ("part < PARTS;", "part + PARTS_OF_BLOCK < PARTS;"),
    ("|| m < REDUCTION", "|| true"),
];
const WRONG_STREAMING: [(&str, &str); 7] = [
    ("block, r * REDUCTION)", "block, 0u)"),
    ("four_rows(column, block + 2u)", "four_rows(column, block + 1u)"),
    ("four_rows(column, block + 5u)", "four_rows(column, block + 4u)"),
    ("link(w_6, row, block + 6u, sum)", "link(w_6, row, block + 5u, sum)"),
    ("last_kept(kept, column, block + 3u)", "kept.w_2"),
    ("part < PARTS;", "part + PARTS_OF_BLOCK < PARTS;"),
    ("|| m < REDUCTION", "|| true"),
];
const WRONG_PRIVATE: [(&str, &str); 10] = [
    ("c_tile[r] = cell.c;", ""),
    ("h_next[r * width + local] = cell.h;", ""),
    ("let moment = scan.steps[k][direction]", "let moment = scan.steps[k][0u]"),
    ("let state = row_of_state(direction, first);", "let state = first;"),
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
    ("time_step.slots[slot].x_row * length", "length"),
    ("Product(time_step.slots[slot].w_hh,", "Product(time_step.slots[slot].w_ih,"),
];
const WRONG_DIAGONAL: [(&str, &str); 2] =
    [("length, time_step.slots[slot].x_source)", "length, FROM_SEQUENCE)"), ("!= NO_OUTPUT", "== NO_OUTPUT")];

/// How many times the tolerance the output is off.
fn error_in_tolerances(case: &Golden, output: Array3<f32>) -> f64 {
    let truth: Vec<f64> = case.f64("output").into_iter().collect();
    let pytorch: Vec<f32> = case.f32("output_f32").into_iter().collect();
    let actual: Vec<f32> = case.output_as_in_file(output).into_iter().collect();
    worst_error(&actual, &truth) / f32_tolerance(&pytorch, &truth)
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn wrong_kernels_of_software_adapters_are_seen() {
    let layers = golden::load("two_layers_bidirectional");
    let projected = golden::load("packed_projection_batch_first");
    let stacked = golden::load("five_layers");
    let wide = golden::load("odd_sizes");
    let alone = golden::load("long");
    for subgroups in [false, true] {
        let limits = |limits: DeviceLimits| DeviceLimits {
            subgroups: limits.subgroups.filter(|_| subgroups),
            software: true,
            units: 4, // so that a workgroup has several sequences, and a direction several workgroups
            ..limits
        };
        let Engine::Gpu(engine) = lstm(&wide, limits, |_| {}).engine else { panic!("not a GPU") };
        let pipelines = &engine.planner().network.pipelines;
        let has_subgroups = |name: &str| {
            pipelines.iter().any(|pipeline| pipeline.kernel.name == name && pipeline.variant.subgroups)
        };
        let (of_product, of_row) = if has_subgroups("recurrent_step") {
            (&WRONG_SUBGROUP[..], &WRONG_ROW_SUBGROUP[..])
        } else {
            (&WRONG_PORTABLE[..], &WRONG_ROW[..])
        };
        let of_slab = if has_subgroups("private_scan") { &WRONG_SLAB_SUBGROUP } else { &WRONG_SLAB };
        for (schedule, case, edits) in [
            (Schedule::Step, &layers, &WRONG[..]),
            (Schedule::Step, &layers, of_product),
            (Schedule::Step, &alone, of_row),
            (Schedule::Step, &projected, &WRONG_PROJECTED),
            (Schedule::Scan, &wide, &WRONG_PRIVATE),
            (Schedule::Scan, &wide, of_slab),
            (Schedule::Single, &layers, &WRONG_SINGLE),
            (Schedule::Diagonal, &stacked, &WRONG_DIAGONAL),
        ] {
            assert_each_is_seen(case, schedule, limits, edits);
        }
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn wrong_kernels_of_hardware_are_seen() {
    let wide = golden::load("odd_sizes");
    let wider = golden::load("hidden_320_batch_9");
    let alone = golden::load("long");
    // Few units: a workgroup of a scan has several sequences. Many: tiles split.
    let hardware = |units| move |limits| DeviceLimits { software: false, units, ..limits };
    let in_memory = |limits| DeviceLimits { max_invocations: 64, ..hardware(0)(limits) }; // too few for weights that persist
    assert_each_is_seen(&wide, Schedule::Scan, hardware(0), &WRONG_PERSISTENT);
    let streaming = |limits| DeviceLimits { max_invocations: 100, ..hardware(0)(limits) }; // half of them persists
    assert_each_is_seen(&wide, Schedule::Scan, streaming, &WRONG_STREAMING);
    assert_each_is_seen(&wide, Schedule::Scan, in_memory, &WRONG_SCAN);
    assert_each_is_seen(&wider, Schedule::Step, hardware(1000), &WRONG_SPLIT);
    assert_each_is_seen(&alone, Schedule::Step, hardware(0), &WRONG_ROW);
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
