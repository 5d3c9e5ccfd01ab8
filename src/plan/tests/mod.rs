//! The plan's invariants, with no device.

mod browser;
mod cost;
mod layout;
mod walk;

use proptest::prelude::*;

use self::walk::Walk;
use super::{Admitted, Keeper, Network, Planner, Request, most_sequences, schedule};
use crate::batch::Packing;
use crate::config::LstmConfig;
use crate::error::Error;
use crate::kernels::tests::limits;
use crate::program::Element;
use crate::program::{Contents, DeviceLimits, Dispatch, Program, SubgroupSizes, Turn};
use crate::tuning::Schedule;

#[derive(Clone, Debug)]
struct Case {
    config: LstmConfig,
    lengths: Vec<usize>,
    limits: DeviceLimits,
    budget: u64,
    schedule: Schedule,
    element: Element,
}

fn cases() -> impl Strategy<Value = Case> {
    // Of more than 32 hidden units hardware keeps the weights in registers where a workgroup has 256 invocations, and not 64.
    let hidden = prop_oneof![3 => 1..10usize, 1 => 17..30usize, 1 => 33..40usize];
    let config = (1..7usize, hidden, 1..4usize, any::<bool>(), 0..9usize).prop_map(
        |(input, hidden, layers, bidirectional, projection)| {
            LstmConfig::new(input, hidden)
                .with_num_layers(layers)
                .with_bidirectional(bidirectional)
                .with_proj_size(projection % hidden)
        },
    );
    let ragged = prop::collection::vec(1..9usize, 1..20);
    let uniform = (1..20usize, 1..12usize).prop_map(|(batch, steps)| vec![steps; batch]);
    let long = (1..3usize, 120..260usize).prop_map(|(batch, steps)| vec![steps; batch]);
    let subgroups = prop_oneof![Just(None), Just(Some(SubgroupSizes { min: 8, max: 8 }))];
    // In 100,000 bytes each matrix has place, and those of several layers together often have not.
    let max_binding = prop_oneof![3 => Just(128 << 20), 1 => Just(100_000)];
    let invocations = prop_oneof![Just(256), Just(64)];
    let device = (any::<bool>(), subgroups, max_binding, invocations).prop_map(
        |(software, sizes, max_binding, max_invocations)| DeviceLimits {
            max_binding,
            max_invocations,
            ..limits(software, sizes)
        },
    );
    // From a budget that only takes a few rows to one that takes everything.
    let element = any::<bool>().prop_map(|half| if half { Element::F16 } else { Element::F32 });
    let way = (prop::sample::select(&Schedule::ALL[..]), element);
    (config, prop_oneof![6 => ragged, 6 => uniform, 1 => long], device, 10..22u32, way).prop_map(
        |(config, lengths, limits, budget, (schedule, element))| Case {
            config,
            lengths,
            limits,
            budget: 1 << budget,
            schedule,
            element,
        },
    )
}

/// The case's network, the first part of its batch, and its schedule; `None` if the case is refused.
fn admitted(case: &Case) -> Option<(Planner, Packing, Admitted)> {
    let planner = Planner::new(&case.config, &case.limits, case.element).unwrap();
    let most = most_sequences(&planner.network, case.budget).ok()?;
    let packing = Packing::new(case.lengths.iter().copied().enumerate().take(most).collect());
    let admitted = planner.admit(&packing, case.schedule)?;
    Some((planner, packing, admitted))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_program_reads_what_was_written_and_wastes_nothing(case in cases()) {
        let planner = Planner::new(&case.config, &case.limits, case.element).unwrap();
        let network = &planner.network;
        let most = match most_sequences(network, case.budget) {
            Ok(most) => most,
            Err(Error::LimitExceeded { limit_name: "memory_budget", needed, .. }) => {
                prop_assert!(needed > case.budget);
                return Ok(());
            }
            Err(other) => panic!("{other}"),
        };
        let sequences: Vec<_> = case.lengths.iter().copied().enumerate().collect();
        for part in sequences.chunks(most) {
            let packing = Packing::new(part.to_vec());
            let Some(admitted) = planner.admit(&packing, case.schedule) else {
                prop_assert!(
                    (case.schedule == Schedule::Scan && case.config.proj_size() > 0)
                        || (case.schedule == Schedule::Diagonal && case.config.bidirectional())
                        || ([Schedule::Single, Schedule::Diagonal].contains(&case.schedule)
                            && network.stacked.is_none())
                );
                return Ok(());
            };
            kept_states_are_where_they_are_read(network, &packing, case.budget, &admitted)?;
            let request = Request::call(&packing, case.budget);
            let program = schedule(network, request, admitted.clone(), u64::MAX).unwrap();
            let dispatches = Walk::new(network, request, &program, &admitted).run();
            if !case.config.bidirectional() {
                let names = ["input", "gates_x", "output", "between layers"];
                let block = program.buffers.iter().filter(|b| names.contains(&b.name.as_str()));
                prop_assert!(block.map(|b| b.bytes()).sum::<u64>() <= case.budget);
            }
            if case.schedule != Schedule::Step {
                continue;
            }

            let input_projections = dispatches_of(network, &program, "input_projection");
            let steps = packing.steps() * (1 + usize::from(case.config.proj_size() > 0));
            let layers = case.config.num_layers();
            let passes = dispatches_per_layer(&case.config, network, &program);
            let blocks = input_projections / (layers * passes);
            prop_assert_eq!(dispatches, layers * passes * (blocks + steps), "L·D'·(N + T·(1 + p))");
        }
    }
}

/// The programs of a pass, which is refused if it takes more than the budget, and of a pool's ticks, from both turns.
fn kept_states_are_where_they_are_read(
    network: &Network,
    packing: &Packing,
    budget: u64,
    admitted: &Admitted,
) -> Result<(), TestCaseError> {
    let of = |keeper| Request { packing, budget, keeper, bind_sets: &[] };
    if packing.has_equal_lengths() {
        match schedule(network, of(Keeper::Pass), admitted.clone(), u64::MAX) {
            Ok(program) => {
                prop_assert_eq!(program.submissions.len(), 1);
                let only = &program.submissions[0];
                prop_assert!(only.uploads.is_empty() && only.downloads.is_empty());
                Walk::new(network, of(Keeper::Pass), &program, admitted).run();
            }
            Err(Error::LimitExceeded { needed, limit, .. }) => prop_assert!(needed > limit),
            Err(other) => panic!("{other}"),
        }
    }
    if network.config.num_directions() == 1 {
        for (start, exchanges) in [(Turn::First, true), (Turn::First, false), (Turn::Second, false)] {
            let keeper = Keeper::Pool { places: packing.batch() + 3, start, exchanges };
            let Ok(program) = schedule(network, of(keeper), admitted.clone(), u64::MAX) else { continue };
            let with_entries = program.submissions[0].uploads.iter().any(|u| u.contents == Contents::Entries);
            prop_assert_eq!(with_entries, exchanges);
            Walk::new(network, of(keeper), &program, admitted).run();
        }
    }
    Ok(())
}

fn dispatches_of(network: &Network, program: &Program, name: &str) -> usize {
    let all = program.submissions.iter().flat_map(|submission| &submission.pass.dispatches);
    all.filter(|dispatch| network.pipelines[dispatch.pipeline].kernel.name == name).count()
}

/// 2 where the directions run apart, else 1.
fn dispatches_per_layer(config: &LstmConfig, network: &Network, program: &Program) -> usize {
    let mut all = program.submissions.iter().flat_map(|submission| &submission.pass.dispatches);
    let step = |dispatch: &&Dispatch| network.pipelines[dispatch.pipeline].kernel.name == "recurrent_step";
    let together = all.find(step).is_some_and(|dispatch| dispatch.grid[2] == 2);
    if config.bidirectional() && !together { 2 } else { 1 }
}

fn plan(config: &LstmConfig, batch: usize, steps: usize, budget: u64) -> (Network, Program) {
    let planner = Planner::new(config, &limits(false, None), Element::F32).unwrap();
    let packing = Packing::equal(steps, batch);
    let step = planner.admit_or_step(&packing, Schedule::Step);
    let program = schedule(&planner.network, Request::call(&packing, budget), step, u64::MAX).unwrap();
    (planner.network, program)
}

/// Of schedules that cost the same the first is chosen.
#[test]
fn schedules_come_in_the_order_of_their_list() {
    let planner = Planner::new(&LstmConfig::new(8, 8), &limits(false, None), Element::F32).unwrap();
    let packing = Packing::new(vec![(0, 3)]);
    let order: Vec<_> = planner.admitted(&packing).map(|admitted| admitted.schedule()).collect();
    assert_eq!(order, Schedule::ALL);
}

#[test]
fn a_call_of_ordinary_size_is_one_submission_of_the_documented_dispatches() {
    for (directions, projection, expected) in [(false, 0, 3 * 101), (true, 0, 3 * 101), (true, 7, 3 * 201)] {
        let config = LstmConfig::new(40, 64)
            .with_num_layers(3)
            .with_bidirectional(directions)
            .with_proj_size(projection);
        let (_, program) = plan(&config, 8, 100, 256 << 20);
        assert_eq!(program.submissions.len(), 1);
        assert_eq!(program.submissions[0].pass.dispatches.len(), expected, "L·(1 + T·(1 + p))");
    }
}

#[test]
fn directions_share_uniforms() {
    let config = LstmConfig::new(8, 8).with_num_layers(4).with_bidirectional(true);
    let (network, program) = plan(&config, 2, 50, 256 << 20);
    let alignment = network.limits.uniform_alignment as usize;
    let last = size_of::<crate::kernels::TimeStep>(); // with nothing after it to align
    // Of all layers one for the block, and of each one a step.
    assert_eq!(program.needs.uniforms as usize, 4 * 50 * alignment + last);
}

#[test]
fn a_long_call_stays_within_the_default_limits_and_below_the_watchdog() {
    let wide = LstmConfig::new(256, 256);
    let huge = LstmConfig::new(2896, 2896); // as large as these limits let a weight be
    for (config, batch, steps) in [
        (&wide, 64, 4_000),
        (&wide.clone().with_bidirectional(true).with_num_layers(2), 64, 4_000),
        (&huge, 64, 500),
        (&huge, 250, 3),
        (&LstmConfig::new(1, 1), 1, 40_000),
        (&LstmConfig::new(1, 1).with_bidirectional(true), 1, 40_000),
    ] {
        let (network, program) = plan(config, batch, steps, 256 << 20);
        assert!(program.buffers.iter().all(|buffer| buffer.bytes() <= network.limits.max_binding));
        assert!(program.submissions.len() > 1);
        for submission in &program.submissions {
            let operations: u64 = submission.pass.dispatches.iter().map(|dispatch| dispatch.operations).sum();
            assert!(operations <= 20_000_000_000, "{operations}");
            assert!(submission.pass.dispatches.len() <= 32_768);
        }
    }
}

#[test]
fn the_work_of_a_ragged_batch_grows_with_the_sum_of_its_lengths() {
    let planner =
        Planner::new(&LstmConfig::new(8, 8).with_bidirectional(true), &limits(false, None), Element::F32)
            .unwrap();
    let network = &planner.network;
    let operations = |lengths: &[usize]| -> u64 {
        let packing = Packing::new(lengths.iter().copied().enumerate().collect());
        let program = schedule(
            network,
            Request::call(&packing, 256 << 20),
            planner.admit_or_step(&packing, Schedule::Step),
            u64::MAX,
        )
        .unwrap();
        program.submissions.iter().flat_map(|s| &s.pass.dispatches).map(|d| d.operations).sum()
    };
    // One long sequence among many short ones: as if the short ones did not fill its steps.
    let mut lengths = vec![1; 100];
    lengths[50] = 1000;
    let padded = operations(&vec![1000; 100]);
    assert!(operations(&lengths) * 50 < padded);
}

#[test]
fn weights_and_batches_beyond_the_limits_are_refused_by_name() {
    let tiny = DeviceLimits { max_binding: 1 << 10, ..limits(false, None) };
    let error = Planner::new(&LstmConfig::new(100, 100), &tiny, Element::F32).unwrap_err();
    assert!(
        matches!(&error, Error::LimitExceeded { what, needed: 160_000, limit: 1024, .. } if what == "weight_ih_l0"),
        "{error}"
    );
    let huge = LstmConfig::new(usize::MAX / 8, usize::MAX / 8);
    let error = Planner::new(&huge, &limits(false, None), Element::F32).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. } | Error::SizeOverflow { .. }), "{error}");
}

#[test]
fn the_advice_about_a_limit_is_true() {
    let refused = |hidden, element| {
        let error = Planner::new(&LstmConfig::new(1, hidden), &limits(false, None), element).unwrap_err();
        let Error::LimitExceeded { advice, .. } = error else { panic!("{error}") };
        advice.unwrap()
    };
    let (as_f16, on_cpu) = (super::limits::AS_F16, crate::error::ON_CPU);
    // 128 MiB: f32 up to H = 2896, f16 up to 4096.
    assert_eq!([2897, 3000, 4096, 4097].map(|h| refused(h, Element::F32)), [as_f16, as_f16, as_f16, on_cpu]);
    for hidden in [2897, 3000, 4096] {
        assert!(
            Planner::new(&LstmConfig::new(1, hidden), &limits(false, None), Element::F16).is_ok(),
            "{hidden}"
        );
    }
    assert_eq!(refused(4097, Element::F16), on_cpu);
}

/// A device of few workgroups, small buffers or wide alignments: what is planned keeps to its limits, which the walk
/// checks; a network that is refused is refused for a limit.
#[test]
fn programs_keep_to_the_lowest_limits() {
    let mut planned = 0;
    for software in [false, true] {
        let usual = limits(software, Some(SubgroupSizes { min: 8, max: 8 }));
        let lowered = [1, 2, 3, 4, 7]
            .map(|max_workgroups| DeviceLimits { max_workgroups, ..usual })
            .into_iter()
            .chain([4096, 10_000, 100_000].map(|max_buffer| DeviceLimits { max_buffer, ..usual }))
            .chain([1, 4096, 1 << 31].map(|uniform_alignment| DeviceLimits { uniform_alignment, ..usual }));
        for limits in lowered {
            for config in [
                LstmConfig::new(3, 20).with_num_layers(5),
                LstmConfig::new(3, 20).with_bidirectional(true),
                LstmConfig::new(3, 70).with_proj_size(9).with_bidirectional(true),
            ] {
                let planner = match Planner::new(&config, &limits, Element::F32) {
                    Ok(planner) => planner,
                    Err(Error::LimitExceeded { .. }) => continue,
                    Err(other) => panic!("{other}"),
                };
                let network = &planner.network;
                let most = most_sequences(network, 256 << 20).unwrap();
                for batch in [1, 9, 100] {
                    let packing = Packing::equal(300, batch.min(most));
                    for way in Schedule::ALL {
                        if let Some(way) = planner.admit(&packing, way) {
                            let request = Request::call(&packing, 256 << 20);
                            let program = schedule(network, request, way.clone(), u64::MAX).unwrap();
                            Walk::new(network, request, &program, &way).run();
                            planned += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(planned > 100, "{planned}");
}
