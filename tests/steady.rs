//! The steady state: a call of a shape that came before makes nothing and submits once, and what a call
//! takes on the device is known before.
//!
//! wgpu's counters tell what is alive, so they would miss what is made and dropped between two looks. The
//! first test therefore reads wgpu's own trace, a log of everything that is asked of a device, on the backend
//! that executes nothing. (It has each write by the queue, but not the staging buffer that wgpu makes for
//! it: so there may be no such write.) The second looks at the counters of a real device.

mod common;

use std::path::Path;

use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights, Memory, wgpu};

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
    let deep = LstmConfig::new(5, 12).with_num_layers(3).with_bidirectional(true).with_proj_size(6);
    vec![
        case("one layer", LstmConfig::new(7, 16), vec![20; 2]),
        case("one step", LstmConfig::new(7, 16), vec![1]),
        case("three layers, both directions, projected", deep.clone(), vec![9; 3]),
        case("ragged", deep, vec![4, 9, 1]),
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

/// A device of the backend that executes nothing, which logs to a directory.
fn traced(directory: &Path) -> Device {
    let _ = std::fs::remove_dir_all(directory); // of an earlier run
    std::fs::create_dir_all(directory).unwrap();
    let mut instance = wgpu::InstanceDescriptor::new_without_display_handle();
    instance.backends = wgpu::Backends::NOOP;
    instance.backend_options.noop.enable = true;
    let adapter = wgpu::Instance::new(instance).request_adapter(&wgpu::RequestAdapterOptions::default());
    let adapter = pollster::block_on(adapter).unwrap();
    let request = adapter.request_device(&wgpu::DeviceDescriptor {
        trace: wgpu::Trace::Directory(directory.to_owned()),
        ..Default::default()
    });
    let (device, queue) = pollster::block_on(request).unwrap();
    Device::from_wgpu(device, queue).unwrap()
}

/// What was logged since there were `start` bytes: everything made, writes by the queue, and submits.
fn logged(directory: &Path, start: usize) -> (Vec<String>, usize, usize) {
    let trace = std::fs::read_to_string(directory.join("trace.ron")).unwrap();
    let actions = trace[start..].lines().map(str::trim);
    let made = actions.clone().filter(|line| line.starts_with("Create")).map(str::to_owned).collect();
    let count = |name: &str| actions.clone().filter(|line| line.starts_with(name)).count();
    (made, count("queued: true"), count("Submit("))
}

fn log_length(directory: &Path) -> usize {
    std::fs::metadata(directory.join("trace.ron")).unwrap().len() as usize
}

#[test]
fn a_repeated_call_makes_nothing_and_submits_once() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steady");
    let device = traced(&directory);
    for case in cases() {
        let lstm = case.lstm(&device);
        let start = log_length(&directory);
        case.call(&lstm);
        let (made, _, _) = logged(&directory, start);
        assert!(made.iter().any(|line| line.starts_with("CreateBuffer")), "{}: {made:?}", case.name);
        assert!(made.iter().any(|line| line.starts_with("CreateBindGroup")), "{}: {made:?}", case.name);
        for _ in 0..3 {
            let start = log_length(&directory);
            case.call(&lstm);
            let (made, writes, submits) = logged(&directory, start);
            assert_eq!((made.as_slice(), writes, submits), (&[][..], 0, case.submits), "{}", case.name);
        }
        // What must be seen is seen: a shape that is new each time, and a cache that keeps nothing.
        let start = log_length(&directory);
        Case { lengths: vec![3; case.lengths.len() + 1], ..case.clone() }.call(&lstm);
        assert!(!logged(&directory, start).0.is_empty(), "{}: a new shape", case.name);
    }
}

/// What is alive on a device: objects by kind, and bytes in buffers.
fn alive(device: &wgpu::Device, queue: &wgpu::Queue) -> ([isize; 7], isize) {
    queue.submit([]); // what was written without a submit holds on to its staging buffer until then
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

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn the_counters_of_a_device_stand_still_and_memory_is_what_was_said() {
    let (gpu, queue) = common::device::open(wgpu::Features::SUBGROUP, wgpu::Limits::default());
    let device = Device::from_wgpu(gpu.clone(), queue.clone()).unwrap();
    for case in cases() {
        let (_, before) = alive(&gpu, &queue);
        let lstm = case.lstm(&device);
        let said = case.memory(&lstm);
        case.call(&lstm);
        let first = alive(&gpu, &queue);
        // To the byte, on drivers that round no buffer up.
        assert_eq!((first.1 - before) as u64, said.total(), "{}: {said:?}", case.name);
        for _ in 0..3 {
            case.call(&lstm);
            assert_eq!(alive(&gpu, &queue), first, "{}", case.name);
        }
    }
}
