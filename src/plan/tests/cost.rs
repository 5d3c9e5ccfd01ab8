//! What is counted against the programs that are run, and the documentation against the model.

use proptest::prelude::*;

use super::{admitted, cases, dispatches_of};
use crate::batch::Packing;
use crate::config::LstmConfig;
use crate::kernels::tests::limits;
use crate::kernels::{Carrying, Scan, TileShape, Tiles, TimeStep};
use crate::layout::Matrix;
use crate::plan::cost::{Machine, costs, count};
use crate::plan::{Admitted, Network, Planner, Request, schedule};
use crate::program::Element;
use crate::program::{DeviceLimits, Dispatch, SubgroupSizes, Submission, padded};
use crate::tuning::Schedule;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    // Counting leaps over dispatches that are alike; the program has every one.
    #[test]
    fn what_is_counted_is_what_the_program_does(case in cases()) {
        let Some((planner, packing, admitted)) = admitted(&case) else { return Ok(()) };
        let network = &planner.network;
        let machine = Machine::of(&case.limits);
        let total = count(&machine, network, Request::call(&packing, case.budget), &admitted).unwrap();
        let program = schedule(network, Request::call(&packing, case.budget), admitted, u64::MAX).unwrap();
        let dispatches = || {
            let of = |s| -> Vec<_> { let s: &Submission = s; s.pass.dispatches.iter().map(|d| (s, d)).collect() };
            program.submissions.iter().flat_map(of)
        };
        prop_assert_eq!(total.dispatches, dispatches().count() as u64);
        prop_assert_eq!(total.operations, dispatches().map(|(_, dispatch)| dispatch.operations).sum::<u64>());
        let bytes: usize = dispatches().map(|(s, dispatch)| weight_bytes(network, s, dispatch)).sum();
        prop_assert_eq!(total.weight_bytes, bytes as u64);
        let product = |grid: [u32; 3]| grid.iter().map(|&n| u64::from(n)).product::<u64>();
        prop_assert_eq!(total.workgroups, dispatches().map(|(_, dispatch)| product(dispatch.grid)).sum::<u64>());
        let steps: usize = dispatches().map(|(s, dispatch)| steps_within(network, s, dispatch)).sum();
        prop_assert_eq!(total.steps_within, steps as u64);
    }
}

/// The formulas of docs/performance.md, with its letters, for a call in one block: dispatches, and bytes of weights.
fn documented(network: &Network, schedule: Schedule, t: usize, b: usize) -> [usize; 2] {
    let config = &network.config;
    let (l, d, h) = (config.num_layers(), config.num_directions(), config.hidden_size());
    let (o, h_padded, p_size) = (padded(config.output_size()), padded(h), padded(config.proj_size()));
    let p = usize::from(p_size > 0);
    let r = t * b;
    // ⌈rows/h(rows)⌉ of a product with this matrix.
    let in_tiles =
        |tiles: &Tiles, matrix: Matrix, rows: usize| rows.div_ceil(tiles.choose(matrix.columns, rows, d).1);
    let tiles =
        |matrix: Matrix, rows: usize| in_tiles(&network.tiling.tiles(TileShape::of(&matrix)), matrix, rows);
    let sum = |of: &dyn Fn(usize, usize) -> usize| -> usize {
        let input = |layer: usize| if layer == 0 { padded(config.input_size()) } else { d * o };
        d * (0..l).map(|layer| of(layer, input(layer))).sum::<usize>() * network.element.words() / 4
    };
    let w_hh = network.layouts.w_hh();
    let steps = t * tiles(w_hh, b);
    let projected = network.layouts.w_hr().map_or(0, |w_hr| h_padded * p_size * t * tiles(w_hr, b));
    let ahead = |layer: usize, input: usize| 4 * h * input * tiles(network.layouts.w_ih(layer), r);
    let step = |layer: usize, input: usize| ahead(layer, input) + 4 * h * o * steps + projected;
    let fused = |_: usize, input: usize| 4 * h * (input + o) * steps + projected;
    match schedule {
        Schedule::Step => [l * (1 + t * (1 + p)), sum(&step)],
        Schedule::Scan => {
            let carrying = Carrying::of(&network.tiling, TileShape::of(&w_hh), &network.limits).unwrap();
            let dispatches = t.div_ceil(127);
            let tiles = in_tiles(&carrying.tiles, w_hh, b);
            // Twice as often as all of the weights are read.
            let times = match (carrying.persists(), carrying.streams()) {
                (true, true) => dispatches + t * carrying.tiles.choose(w_hh.columns, b, d).1,
                (true, false) => 2 * dispatches,
                (false, _) => 2 * t,
            };
            [l * (1 + dispatches), sum(&|layer, input| ahead(layer, input) + 2 * h * o * times * tiles)]
        }
        Schedule::Single => [l * t * (1 + p), sum(&fused)],
        Schedule::Diagonal => {
            let groups = (0..l).step_by(4).map(|first| (t + (l - first).min(4) - 1) * (1 + p));
            [groups.sum(), sum(&fused)]
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_documented_formulas_are_what_is_counted(case in cases(), batch in 1..40usize, steps in 1..300usize) {
        let limits = DeviceLimits { max_binding: 1 << 30, max_buffer: 1 << 30, ..case.limits };
        let planner = Planner::new(&case.config, &limits, case.element).unwrap();
        let packing = Packing::equal(steps, batch);
        for admitted in planner.admitted(&packing) {
            let machine = Machine::of(&limits);
            let total = count(&machine, &planner.network, Request::call(&packing, 1 << 40), &admitted).unwrap();
            let counted = [total.dispatches as usize, total.weight_bytes as usize / 4];
            let [dispatches, words] = documented(&planner.network, admitted.schedule(), steps, batch);
            prop_assert_eq!(counted, [dispatches, words], "{}", admitted.schedule());
        }
    }
}

#[test]
fn counting_leaps_over_what_is_alike() {
    let planner = Planner::new(&LstmConfig::new(4, 16), &limits(false, None), Element::F32).unwrap();
    let network = &planner.network;
    let packing = Packing::new(vec![(0, 1_000_000), (1, 1_000_000), (2, 500_000)]);
    for way in Schedule::ALL {
        let admitted = planner.admit_or_step(&packing, way);
        let machine = Machine::of(&network.limits);
        let total = count(&machine, network, Request::call(&packing, 1 << 40), &admitted).unwrap();
        let blocks = 1_000_000_u64.div_ceil(16_384);
        assert!(total.calls <= 6 * blocks, "{way}: {total:?} for 1,000,000 steps");
    }
}

#[test]
fn a_scan_of_many_operations_costs_the_dispatches_that_it_takes() {
    for (software, hidden) in [(true, 256), (false, 16), (false, 256)] {
        let roomy = DeviceLimits { max_binding: 1 << 31, max_buffer: 1 << 31, ..limits(software, None) };
        let planner = Planner::new(&LstmConfig::new(4, hidden), &roomy, Element::F32).unwrap();
        let network = &planner.network;
        let packing = Packing::equal(200, 1000);
        let admitted = planner.admit_or_step(&packing, Schedule::Scan);
        let total =
            count(&Machine::of(&roomy), network, Request::call(&packing, 1 << 40), &admitted).unwrap();
        let program = schedule(network, Request::call(&packing, 1 << 40), admitted, u64::MAX).unwrap();
        let all: usize = program.submissions.iter().map(|s| s.pass.dispatches.len()).sum();
        assert_eq!(total.dispatches, all as u64);
        let scans = all - dispatches_of(network, &program, "input_projection");
        // 127 steps a dispatch at H = 16; else a submission's operations bound it.
        assert!(if hidden == 16 { scans == 2 } else { scans > 2 }, "{scans}");
    }
}

/// One row waits for its loads, many rows keep the units busy: each is bounded from below by its own limit, and the other
/// hardly counts.
#[test]
fn a_step_takes_its_latency_or_its_throughput() {
    let wide = Some(SubgroupSizes { min: 32, max: 32 });
    let device = DeviceLimits { max_binding: 1 << 31, max_buffer: 1 << 31, ..limits(false, wide) };
    let planner = Planner::new(&LstmConfig::new(256, 256), &device, Element::F32).unwrap();
    let machine = Machine::of(&device);
    let step = |machine: &Machine, batch: usize| {
        let seconds = |steps| {
            let packing = Packing::equal(steps, batch);
            let admitted = planner.admit_or_step(&packing, Schedule::Step);
            count(machine, &planner.network, Request::call(&packing, 1 << 40), &admitted).unwrap().seconds
        };
        seconds(3) - seconds(2)
    };
    // An invocation loads 32 vec4f of weights in its block, sixteen of them in flight at once.
    let latency = machine.dispatch + 32.0 / 16.0 * machine.latency;
    assert!(
        (0.999..1.2).contains(&(step(&machine, 1) / latency)),
        "{:e}, not {latency:e}",
        step(&machine, 1)
    );
    // x·W_ih, ahead of the steps, and h·W_hh of 4,096 rows.
    let products = 1.0 + 1.0 / machine.in_step;
    let throughput = products * 4096.0 * 2.0 * 256.0 * 1024.0 / (machine.units * machine.operations);
    let many = step(&machine, 4096);
    assert!((0.999..1.2).contains(&(many / throughput)), "{many:e}, not {throughput:e}");

    let slow = Machine { latency: 2.0 * machine.latency, ..machine };
    assert!(step(&slow, 1) > step(&machine, 1) + 1.9 * machine.latency);
    assert!(step(&slow, 4096) < 1.2 * many);
    // Rows beyond what the units hold at once take turns.
    let small = Machine { resident: 64.0, ..slow };
    assert!(step(&small, 4096) > 2.0 * step(&slow, 4096));
}

/// On lavapipe 25, two cores, where every schedule was timed.
#[test]
fn the_model_chooses_what_was_the_fastest() {
    let wide = Some(SubgroupSizes { min: 8, max: 8 });
    let lavapipe = DeviceLimits { max_invocations: 1024, ..limits(true, wide) };
    let both = |config: LstmConfig| config.with_bidirectional(true);
    for (config, batch, steps, fastest) in [
        (LstmConfig::new(128, 128), 1, 100, Schedule::Scan),
        (LstmConfig::new(256, 256), 1, 100, Schedule::Scan),
        (LstmConfig::new(256, 256), 64, 100, Schedule::Scan),
        (LstmConfig::new(40, 256).with_num_layers(3), 8, 160, Schedule::Scan),
        (both(LstmConfig::new(256, 256).with_num_layers(2)), 1, 100, Schedule::Scan),
        (LstmConfig::new(40, 320), 4, 50, Schedule::Step),
        (both(LstmConfig::new(40, 320)), 1, 100, Schedule::Step),
        (both(LstmConfig::new(40, 512)), 4, 50, Schedule::Step),
        (LstmConfig::new(128, 128), 1, 1, Schedule::Single),
    ] {
        let planner = Planner::new(&config, &lavapipe, Element::F32).unwrap();
        let packing = Packing::equal(steps, batch);
        let costs = costs(&planner, &packing, 256 << 20).unwrap();
        assert_eq!(costs[0].schedule, fastest, "{config:?}, B {batch}, T {steps}: {costs:?}");
    }
}

/// Bytes of weights that a dispatch's workgroups read, each row of them a whole matrix.
fn weight_bytes(network: &Network, submission: &Submission, dispatch: &Dispatch) -> usize {
    let constant = |name: &str| {
        let constants = &network.pipelines[dispatch.pipeline].constants;
        constants.iter().find(|(n, _)| *n == name).unwrap().1 as usize
    };
    let matrix = |reduction: usize| 4 * reduction * constant("COLUMNS") * 4 * network.element.words();
    let slots = dispatch.grid[2] as usize;
    let fixed = matrix(constant("REDUCTION")) * slots;
    let each = match network.pipelines[dispatch.pipeline].kernel.name {
        "fused_step" => {
            let step: TimeStep = submission.pass.uniform(dispatch);
            let of_x = step.slots[..slots].iter().map(|slot| matrix(slot.x_length as usize));
            fixed + of_x.sum::<usize>()
        }
        "recurrent_scan" => fixed * steps_within(network, submission, dispatch),
        "streaming_scan" => fixed / 2 * (steps_within(network, submission, dispatch) + 1),
        _ => fixed, // the other scans read them once
    };
    each * dispatch.grid[1] as usize
}

/// Time steps that follow each other in a dispatch: where a workgroup takes its sequences one after the other, each of
/// them.
fn steps_within(network: &Network, submission: &Submission, dispatch: &Dispatch) -> usize {
    let scan = || submission.pass.uniform::<Scan>(dispatch);
    match network.pipelines[dispatch.pipeline].kernel.name {
        "recurrent_scan" => scan().count as usize,
        "persistent_scan" | "streaming_scan" | "private_scan" => (scan().count * scan().rows) as usize,
        _ => 0,
    }
}

/// Classes of GPU by their datasheets, half of the peak rate, and 64 bytes a clock and unit of second-level
/// cache. What a dispatch costs and how long a load takes is from the sources that `Machine` and the adapter name.
fn classes() -> [(&'static str, Machine); 3] {
    let class = |dispatch, latency, units, peak: f64, clock: f64| Machine {
        dispatch,
        carried_step: 0.5e-6,
        persistent_step: 0.8e-6,
        units,
        resident: 512.0,
        latency,
        operations: peak / units / 2.0,
        bytes: 64.0 * clock,
        in_step: 0.7,
        overlaps: true,
    };
    [
        ("Intel Iris Xe, 6 × 16 EU, 2.0 TFLOP/s", class(8e-6, 0.6e-6, 6.0, 2.0e12, 1.3e9)),
        ("GeForce RTX 3060, 28 SM, 12.7 TFLOP/s", class(3e-6, 0.5e-6, 28.0, 12.7e12, 1.78e9)),
        ("GeForce RTX 4090, 128 SM, 82.6 TFLOP/s", class(3e-6, 0.5e-6, 128.0, 82.6e12, 2.52e9)),
    ]
}

/// The table of `docs/performance.md`.
fn predictions() -> String {
    let classes = classes();
    let mut table =
        format!("| workload | {} |\n|---|---|---|---|\n", classes.map(|(name, _)| name).join(" | "));
    for (name, config, batch, steps) in [
        ("L1 H16 B1 T100", LstmConfig::new(16, 16), 1, 100),
        ("L1 H64 B1 T100", LstmConfig::new(64, 64), 1, 100),
        ("keyword: L1 H128 B1 T100", LstmConfig::new(128, 128), 1, 100),
        ("L1 H256 B1 T100", LstmConfig::new(256, 256), 1, 100),
        (
            "ocr: L2 bidirectional H256 B1 T100",
            LstmConfig::new(256, 256).with_num_layers(2).with_bidirectional(true),
            1,
            100,
        ),
        ("speaker: L3 I40 H256 B8 T160", LstmConfig::new(40, 256).with_num_layers(3), 8, 160),
        ("batch: L1 H256 B64 T100", LstmConfig::new(256, 256), 64, 100),
        ("crowd: L2 H256 B256 T16", LstmConfig::new(256, 256).with_num_layers(2), 256, 16),
        ("stream: L1 H128 B1 T1", LstmConfig::new(128, 128), 1, 1),
    ] {
        let packing = Packing::equal(steps, batch);
        table += &format!("| {name} |");
        for (_, machine) in classes {
            let sizes = SubgroupSizes { min: 32, max: 32 };
            let limits = DeviceLimits { units: machine.units as u32, ..limits(false, Some(sizes)) };
            let planner = Planner::new(&config, &limits, Element::F32).unwrap();
            let network = &planner.network;
            let cost = |way: Admitted| {
                let total = count(&machine, network, Request::call(&packing, 256 << 20), &way).unwrap();
                total.cost(way.schedule())
            };
            let costs: Vec<_> = planner.admitted(&packing).map(cost).collect();
            let best = costs.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap();
            let step = costs.iter().find(|cost| cost.schedule == Schedule::Step).unwrap();
            table += &format!(" {} {:.3} ({:.3}) |", best.schedule, best.seconds * 1e3, step.seconds * 1e3);
        }
        table += "\n";
    }
    table
}

#[test]
fn the_documented_predictions_are_the_models() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = predictions();
    assert!(text.contains(&table), "docs/performance.md should have, between its marks:\n{table}");
}
