//! What needs a look inside: wrong kernels are seen to be wrong, and no shape of a tile changes a bit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{DEFAULT_MEMORY_BUDGET, Engine, Lstm, Wait};
use crate::common;
use crate::common::compare::{FLOOR, TIMES_WRONG, f32_tolerance, worst_error};
use crate::common::golden::{self, Golden};
use crate::config::LstmConfig;
use crate::device::{Backend, Device};
use crate::engine::GpuEngine;
use crate::error::Error;
use crate::gpu::Gpu;
use crate::plan::Network;
use crate::program::{DeviceLimits, KernelSpec, SubgroupSizes, Text, Variant};
use crate::reference;
use crate::state::LstmState;
use crate::tuning::{Schedule, Tuning};
use crate::weights::{LstmWeights, Precision};

/// The case's network on the GPU, with the kernels or the limits edited first.
fn lstm(case: &Golden, limits: impl Fn(DeviceLimits) -> DeviceLimits, edit: impl Fn(&mut Network)) -> Lstm {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let weights = case.weights();
    let mut network = Network::new(weights.config(), &limits(*gpu.limits()), false).unwrap();
    edit(&mut network);
    lstm_of(gpu, network, &weights)
}

fn lstm_of(gpu: &Arc<Gpu>, network: Network, weights: &LstmWeights) -> Lstm {
    let engine = pollster::block_on(GpuEngine::with_network(gpu, network, weights)).unwrap();
    Lstm::with(weights, Engine::Gpu(Box::new(engine)))
}

fn forward(case: &Golden, lstm: &Lstm) -> (Array3<f32>, LstmState) {
    let input = case.input_time_major();
    let state = case.state_batched().map(|(h, c)| LstmState { h, c });
    let run = lstm.run(input.view(), case.lengths.as_deref(), state.as_ref(), Wait::Block);
    pollster::block_on(run).unwrap()
}

/// How many times the tolerance the output is off.
fn error_in_tolerances(case: &Golden, output: Array3<f32>) -> f64 {
    let truth: Vec<f64> = case.f64("output").into_iter().collect();
    let pytorch: Vec<f32> = case.f32("output_f32").into_iter().collect();
    let actual: Vec<f32> = case.output_as_in_file(output).into_iter().collect();
    worst_error(&actual, &truth) / f32_tolerance(&pytorch, &truth)
}

/// A kernel whose text has `from` replaced by `to`.
fn mutant(kernel: &KernelSpec, variant: Variant, from: &str, to: &str) -> &'static KernelSpec {
    let text: &'static str = Box::leak(kernel.source(variant).replace(from, to).into_boxed_str());
    Box::leak(Box::new(KernelSpec { text: Box::leak(Box::new([Text::Of(text)])), ..*kernel }))
}

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
            let scan = engine.network().layers[0].scan.as_ref().unwrap();
            assert!(scan.tiling.persistent_rows().is_some());
            [engine.network().tiling, scan.tiling].map(|tiling| tiling.variant.subgroups)
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
            let twin = |limits| if software { twin(limits) } else { hardware(limits) };
            let tuning = Tuning::Fixed(schedule);
            let error =
                error_in_tolerances(case, forward(case, &lstm(case, twin, |_| {}).with_tuning(tuning)).0);
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
                let wrong = lstm(case, twin, mutate).with_tuning(tuning);
                let error = error_in_tolerances(case, forward(case, &wrong).0);
                assert!(
                    error.is_nan() || error > TIMES_WRONG,
                    "{schedule}: {from} → {to} passes for right: {error}"
                );
            }
        }
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn no_tile_twin_nor_schedule_changes_a_bit() {
    let hardware = |max| {
        move |limits: DeviceLimits| DeviceLimits {
            software: false,
            subgroups: Some(SubgroupSizes { min: 4, max }),
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
            ("32 lanes", lstm(&case, hardware(32), |_| {})),
            ("64 lanes", lstm(&case, hardware(64), |_| {})),
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

/// More units than hardware keeps the weights of, ragged, so that a direction starts late, for more steps than a
/// dispatch takes; in one block and in several, where the directions run apart.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn scans_are_right_with_weights_in_registers_or_in_memory() {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let config = LstmConfig::new(9, 40).with_num_layers(2).with_bidirectional(true);
    let lengths = [130, 128, 3, 77, 130];
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let input = Array3::from_shape_simple_fn((130, 5, 9), || random.random_range(-1.0f32..1.0));
    for precision in [Precision::F32, Precision::F16] {
        let weights = LstmWeights::uniform(&config, 3).unwrap().to_precision(precision).unwrap();
        let lstm = |software, budget, schedule| {
            let limits = DeviceLimits { software, units: 4, ..*gpu.limits() };
            let network = Network::new(&config, &limits, precision == Precision::F16).unwrap();
            let scan = network.layers[0].scan.as_ref().unwrap();
            assert_eq!(scan.tiling.persistent_rows().is_some(), software);
            let lstm = lstm_of(gpu, network, &weights);
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
                assert_eq!(actual, expected, "{precision:?}, in registers: {software}, {budget} bytes");
            }
        }
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn what_wgpu_refuses_is_an_error_of_ours() {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let weights = golden::load("single_layer").weights();
    for (from, to) in [("fn chain(", "fn chain)("), ("@binding(4)", "@binding(9)")] {
        let mut network = Network::new(weights.config(), gpu.limits(), false).unwrap();
        for pipeline in &mut network.pipelines {
            pipeline.kernel = mutant(pipeline.kernel, pipeline.variant, from, to);
        }
        let lstm = lstm_of(gpu, network, &weights);
        let result = lstm.forward(Array3::zeros((2, 1, weights.config().input_size())).view(), None);
        assert!(matches!(&result, Err(Error::Internal { .. })), "{from} → {to}: {result:?}");
    }
    assert!(Lstm::new(common::device::gpu(), &weights).is_ok());
}

/// Where in a call the device is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// The first of three submissions is on its way, the second not yet recorded.
    BetweenSubmissions,
    /// The only submission is on its way, and nothing was asked back yet.
    BeforeTheWait,
    /// The call waits, and wgpu is about to tell it that its results are there.
    InTheWait,
}

/// Arms `gpu` to be lost within the next call; whether it is yet. wgpu itself calls back at each moment: first when
/// that call submits, since nothing is submitted or polled before.
fn lose_within_a_call(gpu: &Arc<Gpu>, moment: Moment) -> Arc<AtomicBool> {
    let lost = Arc::new(AtomicBool::new(false));
    let lose = {
        let (gpu, lost) = (Arc::clone(gpu), Arc::clone(&lost));
        move || {
            gpu.wgpu().0.destroy();
            lost.store(true, Relaxed);
        }
    };
    let (device, queue) = gpu.wgpu();
    if moment != Moment::InTheWait {
        queue.on_submitted_work_done(lose);
        return lost;
    }
    let idle = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4,
        usage: wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let gpu = Arc::clone(gpu);
    queue.on_submitted_work_done(move || {
        // No submission uses this buffer: the next look, the call's wait, answers for it before the call's own.
        let kept = idle.clone(); // one that nobody holds any more is answered for at once
        idle.map_async(wgpu::MapMode::Read, .., move |result| {
            result.expect("nothing but the call's wait answers");
            lose();
            gpu.poll(); // frees what the device had, as a real loss would
            drop(kept);
        });
    });
    lost
}

/// A device of one's own to lose: one that we open, whose loss wgpu tells us, or a caller's, whose loss shows in
/// what it refuses.
fn doomed(ours: bool) -> Arc<Gpu> {
    if ours {
        return Arc::new(pollster::block_on(Gpu::open()).unwrap());
    }
    let (device, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    let device = Device::from_wgpu(device, queue).unwrap();
    let Backend::Gpu(gpu) = device.backend() else { panic!("not a GPU") };
    Arc::clone(gpu)
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_device_lost_in_the_middle_of_a_call_hangs_nobody() {
    let weights = LstmWeights::uniform(&LstmConfig::new(7, 16), 7).unwrap();
    let input = Array3::zeros((28, 2, 7));
    // tests/steady.rs counts the submissions: three in this budget, one in the default.
    for (moment, budget) in [
        (Moment::BetweenSubmissions, 9 << 10),
        (Moment::BeforeTheWait, DEFAULT_MEMORY_BUDGET),
        (Moment::InTheWait, DEFAULT_MEMORY_BUDGET),
    ] {
        for (wait, ours) in
            [(Wait::Block, true), (Wait::Block, false), (Wait::Async, true), (Wait::Async, false)]
        {
            let what = format!("{moment:?}, {wait:?}, ours: {ours}");
            let gpu = doomed(ours);
            let lstm = pollster::block_on(Lstm::on_gpu(&gpu, &weights)).unwrap();
            let lstm = lstm.with_memory_budget(budget).with_tuning(Tuning::Fixed(Schedule::Step));
            lstm.forward(input.view(), None).unwrap(); // compiles, and makes what the next call reuses
            let lost = lose_within_a_call(&gpu, moment);
            assert!(!lost.load(Relaxed), "{what}: lost before the call");
            let result = pollster::block_on(lstm.run(input.view(), None, None, wait));
            assert!(lost.load(Relaxed), "{what}: not lost within the call");
            assert!(matches!(result, Err(Error::DeviceLost { .. })), "{what}: {result:?}");
            for _ in 0..2 {
                let result = lstm.forward(input.view(), None);
                assert!(matches!(result, Err(Error::DeviceLost { .. })), "{what}, afterwards: {result:?}");
            }
        }
    }
}

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
