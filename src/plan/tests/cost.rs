//! The cost model against the programs that are run, and the documentation against the model.

use proptest::prelude::*;

use super::{cases, dispatches_of};
use crate::batch::Packing;
use crate::config::LstmConfig;
use crate::kernels::tests::limits;
use crate::kernels::{Scan, Step};
use crate::plan::cost::{Machine, cost_on, costs};
use crate::plan::phase::Phase;
use crate::plan::{HostData, Network, admit, admit_or_step, schedule};
use crate::program::{DeviceLimits, Dispatch, Program, SubgroupSizes};
use crate::tuning::Schedule;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    // The cost model's formulas, against a count over the programs of calls in one block.
    #[test]
    fn a_schedule_costs_what_its_formulas_say(case in cases()) {
        let network = Network::new(&case.config, &case.limits, case.half_weights).unwrap();
        let packing = Packing::new(case.lengths.iter().copied().enumerate().collect());
        let Some(admitted) = admit(&network, &packing, case.schedule) else { return Ok(()) };
        let told = admitted.phases(&network, &packing);
        let program = schedule(&network, &packing, 1 << 30, admitted, u64::MAX).unwrap();
        let dispatches: Vec<_> = program.submissions.iter().flat_map(|s| &s.dispatches).collect();
        let sum = |of: fn(&Phase) -> f64| told.iter().map(of).sum::<f64>();
        prop_assert_eq!(sum(|phase| phase.dispatches), dispatches.len() as f64);
        let equal = packing.has_equal_lengths();
        if equal {
            // On a ragged diagonal layers have different rows, and in two directions the grid has the
            // rows of the direction that has more, of which a formula knows nothing.
            let operations: u64 = dispatches.iter().map(|dispatch| dispatch.operations).sum();
            prop_assert_eq!(sum(|phase| phase.operations), operations as f64);
            let bytes: usize = dispatches.iter().map(|dispatch| weight_bytes(&network, &program, dispatch)).sum();
            prop_assert_eq!(sum(|phase| phase.bytes), bytes as f64);
        }
    }
}

#[test]
fn a_scan_of_many_operations_costs_the_dispatches_that_it_takes() {
    for (software, hidden) in [(true, 256), (false, 16), (false, 256)] {
        let roomy = DeviceLimits { max_binding: 1 << 31, max_buffer: 1 << 31, ..limits(software, None) };
        let network = Network::new(&LstmConfig::new(4, hidden), &roomy, false).unwrap();
        let packing = Packing::new((0..2000).map(|b| (b, 200)).collect());
        let admitted = admit_or_step(&network, &packing, Schedule::Scan);
        let told = admitted.phases(&network, &packing);
        let program = schedule(&network, &packing, 1 << 40, admitted, u64::MAX).unwrap();
        let dispatches: usize =
            program.submissions.iter().map(|submission| submission.dispatches.len()).sum();
        let scans = told.last().unwrap().dispatches;
        let projections = dispatches_of(&network, &program, "input_projection");
        assert_eq!(scans, (dispatches - projections) as f64);
        assert!(scans > 2.0 || hidden == 16, "bounded by the operations of a submission");
    }
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
        let network = Network::new(&config, &lavapipe, false).unwrap();
        let packing = Packing::new((0..batch).map(|b| (b, steps)).collect());
        let costs = costs(&network, &packing);
        assert_eq!(costs[0].schedule, fastest, "{config:?}, B {batch}, T {steps}: {costs:?}");
    }
}

/// Bytes of weights that a dispatch's workgroups read, each row of them a whole matrix.
fn weight_bytes(network: &Network, program: &Program<HostData>, dispatch: &Dispatch) -> usize {
    let constant = |name: &str| {
        let constants = &network.pipelines[dispatch.pipeline].constants;
        constants.iter().find(|(n, _)| *n == name).unwrap().1 as usize
    };
    let matrix = |reduction: usize| 4 * reduction * constant("COLUMNS") * 4 * network.words_of_element();
    let params = &program.submissions[0].params[dispatch.params as usize..];
    let fixed = matrix(constant("REDUCTION")) * dispatch.grid[2] as usize;
    let each = match network.pipelines[dispatch.pipeline].kernel.name {
        "fused_step" => {
            let step: Step = bytemuck::pod_read_unaligned(&params[..size_of::<Step>()]);
            fixed
                + step.slots[..dispatch.grid[2] as usize]
                    .iter()
                    .map(|s| matrix(s.x_length as usize))
                    .sum::<usize>()
        }
        "persistent_scan" => fixed, // once
        "recurrent_scan" => {
            let scan: Scan = bytemuck::pod_read_unaligned(&params[..size_of::<Scan>()]);
            fixed * scan.count as usize
        }
        _ => fixed,
    };
    each * dispatch.grid[1] as usize
}

/// Classes of GPU by their datasheets, half of the peak rate, and 64 bytes a clock and unit of second-level
/// cache; what a dispatch costs is assumed.
fn classes() -> [(&'static str, Machine); 3] {
    let class = |dispatch, units, peak: f64, clock: f64| Machine {
        dispatch,
        barrier: 0.5e-6,
        turn: 0.5e-6,
        units,
        operations: peak / units / 2.0,
        bytes: 64.0 * clock,
        overlaps: true,
    };
    [
        ("Intel Iris Xe, 6 × 16 EU, 2.0 TFLOP/s", class(8e-6, 6.0, 2.0e12, 1.3e9)),
        ("GeForce RTX 3060, 28 SM, 12.7 TFLOP/s", class(4e-6, 28.0, 12.7e12, 1.78e9)),
        ("GeForce RTX 4090, 128 SM, 82.6 TFLOP/s", class(4e-6, 128.0, 82.6e12, 2.52e9)),
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
        let packing = Packing::new((0..batch).map(|b| (b, steps)).collect());
        table += &format!("| {name} |");
        for (_, machine) in classes {
            let sizes = SubgroupSizes { min: 32, max: 32 };
            let limits = DeviceLimits { units: machine.units as u32, ..limits(false, Some(sizes)) };
            let network = Network::new(&config, &limits, false).unwrap();
            let admitted = Schedule::ALL.into_iter().filter_map(|s| admit(&network, &packing, s));
            let costs: Vec<_> = admitted.map(|it| cost_on(&machine, &network, &packing, &it)).collect();
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
