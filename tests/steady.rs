//! The steady state: repeating a recent shape creates no object on the device and submits once, and
//! `Lstm::memory` returns what a call takes on the device before it runs.
//!
//! wgpu's counters count what is alive, so they miss what is created and dropped in between. The first test
//! therefore reads wgpu's trace, a log of every call of a device, on the no-op backend. (The trace has each write by
//! the queue, but not the staging buffer that wgpu creates for it: so no such write is allowed.) The second reads the
//! counters of a real device. The last compares dispatches in the trace with `Lstm::costs`.

mod common;

use std::path::Path;

use common::noop;
use ndarray::Array3;
use wgpu_lstm::{Device, Error, Lstm, LstmConfig, LstmWeights, Memory, Tuning, wgpu};

#[derive(Clone)]
struct Case {
    name: &'static str,
    config: LstmConfig,
    lengths: Vec<usize>,
    /// Of memory, where not the default.
    budget: Option<u64>,
    /// Submissions of a call.
    submits: usize,
}

fn cases() -> Vec<Case> {
    let case = |name, config, lengths| Case { name, config, lengths, budget: None, submits: 1 };
    let flat = LstmConfig::new(7, 16);
    let deep = LstmConfig::new(5, 12).with_num_layers(3).with_bidirectional(true).with_proj_size(6);
    let within = |bytes, submits, case| Case { budget: Some(bytes), submits, ..case };
    vec![
        case("one layer", flat.clone(), vec![20; 2]),
        case("one step", flat.clone(), vec![1]),
        case("three layers, both directions, projected", deep.clone(), vec![9; 3]),
        case("ragged", deep.clone(), vec![4, 9, 1]),
        within(9 << 10, 3, case("blocks of time", flat, vec![28; 2])),
        within(44 << 10, 1, case("blocks, both directions", deep, vec![9; 12])),
        within(6_080, 3, case("parts of the batch", LstmConfig::new(64, 4), vec![1; 25])),
    ]
}

impl Case {
    fn lstm(&self, device: &Device) -> Lstm {
        let lstm = Lstm::new(device, &LstmWeights::uniform(&self.config, 7).unwrap()).unwrap();
        match self.budget {
            Some(bytes) => lstm.with_memory_budget(bytes),
            None => lstm,
        }
    }

    fn call(&self, lstm: &Lstm) {
        let steps = self.lengths.iter().copied().max().unwrap();
        let input = Array3::from_elem((steps, self.lengths.len(), self.config.input_size()), 0.5);
        lstm.forward_padded(input.view(), &self.lengths, None).unwrap();
    }

    fn memory(&self, lstm: &Lstm) -> Memory {
        lstm.memory_padded(&self.lengths).unwrap()
    }
}

/// Objects created, writes by the queue, and submits in a trace.
fn asked(log: &str) -> (usize, usize, usize) {
    let count = |name| noop::count(log, name);
    (count("Create"), count("queued: true"), count("Submit("))
}

#[test]
fn a_repeated_call_makes_nothing_and_submits_once() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steady");
    makes_nothing(&noop::traced(&directory), &directory, true);
}

/// Where the host maps what kernels use, nothing is copied.
#[test]
fn a_repeated_call_copies_nothing_on_a_software_adapter() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steady-mapped");
    makes_nothing(&noop::traced_and_mapped(&directory), &directory, false);
}

fn makes_nothing(device: &Device, directory: &Path, copies: bool) {
    for case in cases() {
        let name = case.name;
        let logged = |action: &dyn Fn()| {
            let start = noop::log(directory).len();
            action();
            asked(&noop::log(directory)[start..])
        };
        let (made, writes, _) = logged(&|| drop(case.lstm(device)));
        assert!(made > 0 && writes > 0, "{name}: weights are made and written, which must be seen");
        let lstm = case.lstm(device);
        assert!(logged(&|| case.call(&lstm)).0 > 0, "{name}: the first call");
        let start = noop::log(directory).len();
        for _ in 0..3 {
            assert_eq!(logged(&|| case.call(&lstm)), (0, 0, case.submits), "{name}");
        }
        let copied = noop::count(&noop::log(directory)[start..], "CopyBufferToBuffer");
        // In blocks of time the uniforms are copied all the same.
        assert!(copied > 0 || !copies, "{name}: staging buffers are copied");
        assert!(copied == 0 || copies || name == "blocks of time", "{name}: {copied} copies");
        let other = Case { lengths: vec![3; case.lengths.len() + 1], ..case.clone() };
        assert!(logged(&|| other.call(&lstm)).0 > 0, "{name}: another shape");
    }
}

/// Buffers of more than twice the budget are not kept: the trace shows that every call creates them.
#[test]
fn what_is_not_kept_is_seen_to_be_made() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steady-not-kept");
    let config = LstmConfig::new(7, 16).with_bidirectional(true);
    let case = Case { name: "", config, lengths: vec![20; 2], budget: Some(4 << 10), submits: 1 };
    let lstm = case.lstm(&noop::traced(&directory));
    let said = case.memory(&lstm);
    assert!(said.device + said.staging > 8 << 10, "{said:?}");
    for _ in 0..3 {
        let start = noop::log(&directory).len();
        case.call(&lstm);
        let (made, writes, _) = asked(&noop::log(&directory)[start..]);
        assert!(made > 0 && writes > 0, "{made} made, {writes} written");
    }
}

#[test]
fn memory_refuses_what_a_call_would() {
    let weights = LstmWeights::uniform(&LstmConfig::new(1, 1), 7).unwrap();
    for device in [noop::device(wgpu::Trace::Off), Device::cpu()] {
        let lstm = Lstm::new(&device, &weights).unwrap();
        assert!(matches!(lstm.memory(0, 1), Err(Error::NoTimeSteps)));
        assert!(matches!(lstm.memory(usize::MAX, 2), Err(Error::SizeOverflow { .. })));
        let zero = lstm.memory_padded(&[2, 0]);
        assert!(matches!(zero, Err(Error::LengthOutOfRange { index: 1, length: 0, .. })), "{zero:?}");
        let weights = lstm.memory(5, 0).unwrap();
        assert_eq!((weights.total(), lstm.memory_padded(&[]).unwrap()), (weights.weights, weights));
        assert_eq!(lstm.memory_padded(&[3; 4]).unwrap(), lstm.memory(3, 4).unwrap());
        if !device.is_gpu() {
            assert_eq!(lstm.memory(1 << 20, 7).unwrap(), Memory::default());
            continue;
        }
        // Beyond the addresses of any processor: a system that overcommits refuses no less.
        for (steps, batch) in [(1 << 50, 1), (1, 1 << 55), (1 << 55, 1)] {
            let result = lstm.memory(steps, batch);
            assert!(matches!(result, Err(Error::OutOfMemory { .. })), "{steps}, {batch}: {result:?}");
        }
        let result = lstm.with_memory_budget(1).memory(1, 1);
        assert!(
            matches!(result, Err(Error::LimitExceeded { limit_name: "memory_budget", .. })),
            "{result:?}"
        );
    }
}

/// What is alive on a device: objects of each kind, and bytes of buffers.
fn alive(device: &wgpu::Device, queue: &wgpu::Queue) -> ([isize; 7], isize) {
    queue.submit([]); // a write by the queue keeps its staging buffer until the next submit
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let counters = device.get_internal_counters().hal;
    let objects = [
        counters.buffers.read(),
        counters.bind_groups.read(),
        counters.bind_group_layouts.read(),
        counters.pipeline_layouts.read(),
        counters.compute_pipelines.read(),
        counters.shader_modules.read(),
        counters.memory_allocations.read(),
    ];
    (objects, counters.buffer_memory.read())
}

/// Networks of equal sizes share their pipelines, and free them when the last network is dropped.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn networks_on_one_device_share_their_pipelines() {
    let (gpu, queue) = common::device::open(wgpu::Features::SUBGROUP, wgpu::Limits::default());
    let device = Device::from_wgpu(gpu.clone(), queue.clone()).unwrap();
    let compiled = || {
        let ([_, _, layouts, pipeline_layouts, pipelines, modules, _], _) = alive(&gpu, &queue);
        [layouts, pipeline_layouts, pipelines, modules]
    };
    let before = compiled();
    let case = &cases()[0];
    let first = case.lstm(&device);
    case.call(&first);
    let one = compiled();
    assert!(one[2] > before[2], "{one:?}");
    let others = [case.lstm(&device), case.lstm(&device)];
    others.iter().for_each(|lstm| case.call(lstm));
    assert_eq!(compiled(), one, "three networks of the same sizes");
    let wider = Case { config: LstmConfig::new(7, 24), ..case.clone() };
    wider.call(&wider.lstm(&device));
    assert_eq!(compiled(), one, "after a wider one that is gone");
    drop(first);
    others.iter().for_each(|lstm| case.call(lstm));
    assert_eq!(compiled(), one, "the first one is gone");
    drop(others);
    assert_eq!(compiled(), before, "all are gone");
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn the_counters_of_a_device_stand_still_and_memory_is_what_was_said() {
    let mapped = wgpu::Features::SUBGROUP | wgpu::Features::MAPPABLE_PRIMARY_BUFFERS;
    for features in [wgpu::Features::SUBGROUP, mapped] {
        stands_still(features);
    }
}

fn stands_still(features: wgpu::Features) {
    let (gpu, queue) = common::device::open(features, wgpu::Limits::default());
    let device = Device::from_wgpu(gpu.clone(), queue.clone()).unwrap();
    for case in cases() {
        let (_, before) = alive(&gpu, &queue);
        let lstm = case.lstm(&device);
        let said = case.memory(&lstm);
        case.call(&lstm);
        let first = alive(&gpu, &queue);
        if gpu.adapter_info().backend != wgpu::Backend::Gl {
            // Equal to the byte on drivers that do not round buffer sizes. Of OpenGL's buffers wgpu counts no bytes.
            assert_eq!((first.1 - before) as u64, said.total(), "{}: {said:?}", case.name);
        }
        for _ in 0..3 {
            case.call(&lstm);
            assert_eq!(alive(&gpu, &queue), first, "{}", case.name);
        }
    }
}

/// `Lstm::costs` counts what a call dispatches, in blocks and parts, too: compared with wgpu's log.
#[test]
fn a_call_makes_the_dispatches_that_its_costs_count() {
    let mut calls = 0;
    for case in
        cases().into_iter().filter(|case| case.lengths.iter().all(|&length| length == case.lengths[0]))
    {
        let lstm = |device: &Device| case.lstm(device);
        let costs = lstm(&noop::device(wgpu::Trace::Off)).costs(case.lengths[0], case.lengths.len()).unwrap();
        for cost in costs {
            let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("costs");
            let device = noop::traced(&directory);
            case.call(&lstm(&device).with_tuning(Tuning::Fixed(cost.schedule)));
            let made = noop::count(&noop::log(&directory), "DispatchWorkgroups");
            assert_eq!(made as u64, cost.dispatches, "{}, {}", case.name, cost.schedule);
            calls += 1;
        }
    }
    assert!(calls > 15, "{calls}");
}
