//! Devices that a caller opened with lower limits than the adapter's. A result is right, or the error names the limit;
//! wgpu never refuses what the crate requests.

mod common;

use common::compare::{FLOOR, assert_close};
use common::noop;
use ndarray::Array3;
use wgpu_lstm::{Device, Error, Lstm, LstmConfig, LstmWeights, Schedule, Tuning, reference, wgpu};

/// A limit, and a way to lower it.
type Limit = (&'static str, fn(&mut wgpu::Limits, u64));

macro_rules! limits {
    ($($name:ident),*) => {
        [$((stringify!($name), |limits: &mut wgpu::Limits, to| limits.$name = to.try_into().unwrap())),*]
    };
}

/// Every limit of buffers, bindings and compute shaders.
const LIMITS: [Limit; 19] = limits!(
    max_bind_groups,
    max_bindings_per_bind_group,
    max_dynamic_uniform_buffers_per_pipeline_layout,
    max_dynamic_storage_buffers_per_pipeline_layout,
    max_uniform_buffers_per_shader_stage,
    max_storage_buffers_per_shader_stage,
    max_buffers_and_acceleration_structures_per_shader_stage,
    max_non_sampler_bindings,
    max_uniform_buffer_binding_size,
    max_storage_buffer_binding_size,
    max_buffer_size,
    max_immediate_size,
    max_compute_workgroup_storage_size,
    max_compute_invocations_per_workgroup,
    max_compute_workgroup_size_x,
    max_compute_workgroup_size_y,
    max_compute_workgroup_size_z,
    max_compute_workgroups_per_dimension,
    max_bind_groups_plus_vertex_buffers
);

/// Alignments, which are lowered by raising them.
const ALIGNMENTS: [Limit; 2] =
    limits!(min_uniform_buffer_offset_alignment, min_storage_buffer_offset_alignment);

struct Case {
    config: LstmConfig,
    /// (T, B)
    shapes: &'static [(usize, usize)],
}

fn cases() -> Vec<Case> {
    vec![
        Case { config: LstmConfig::new(3, 5), shapes: &[(1, 1), (6, 3), (3, 40)] },
        Case { config: LstmConfig::new(40, 70).with_bidirectional(true), shapes: &[(5, 1), (4, 35)] },
        Case { config: LstmConfig::new(5, 24).with_num_layers(5), shapes: &[(7, 2)] },
        Case {
            config: LstmConfig::new(9, 33).with_num_layers(2).with_bidirectional(true).with_proj_size(7),
            shapes: &[(4, 3)],
        },
    ]
}

fn input(steps: usize, batch: usize, width: usize) -> Array3<f32> {
    let cell = |(t, b, i)| ((t * 31 + b * 17 + i * 7) % 101) as f32 / 50.0 - 1.0;
    Array3::from_shape_fn((steps, batch, width), cell)
}

/// Counts of right results, and of refusals that name the limit.
#[derive(Default)]
struct Counts {
    right: usize,
    refused: usize,
}

impl Counts {
    #[track_caller]
    fn accept<T>(&mut self, what: &str, limit: &str, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(result) => {
                self.right += 1;
                Some(result)
            }
            Err(error @ Error::LimitExceeded { limit_name, needed, limit: has, .. }) => {
                assert!(limit_name == limit && needed > has, "{what}: {error}");
                self.refused += 1;
                None
            }
            Err(other) => panic!("{what}: {other:?}"),
        }
    }
}

/// Every schedule of every case on a device with one limit lowered; `check` sees the results.
fn every_call(
    counts: &mut Counts,
    (what, limit): (&str, &str),
    (device, queue): (wgpu::Device, wgpu::Queue),
    cases: &[Case],
    check: impl Fn(&str, &LstmWeights, &Array3<f32>, &Array3<f32>),
) {
    let Some(device) = counts.accept(what, limit, Device::from_wgpu(device, queue)) else { return };
    for Case { config, shapes } in cases {
        let weights = LstmWeights::uniform(config, 3).unwrap();
        let Some(mut lstm) = counts.accept(what, limit, Lstm::new(&device, &weights)) else { continue };
        for schedule in Schedule::ALL {
            lstm = lstm.with_tuning(Tuning::Fixed(schedule));
            for &(steps, batch) in *shapes {
                let what = format!("{what}, {config:?}, {schedule}, T = {steps}, B = {batch}");
                let input = input(steps, batch, config.input_size());
                let memory = lstm.memory(steps, batch);
                let result = lstm.forward(input.view(), None);
                assert_eq!(memory.is_ok(), result.is_ok(), "{what}: memory() says {memory:?}");
                if let Some((output, _)) = counts.accept(&what, limit, result) {
                    check(&what, &weights, &input, &output);
                }
            }
        }
    }
}

/// Values around what the kernels need, and around what these networks need.
fn values(limit: &str) -> &'static [u64] {
    match limit {
        "max_compute_workgroups_per_dimension" => &[0, 1, 2, 3, 4, 5, 9, 16],
        "max_compute_workgroup_size_y" | "max_compute_workgroup_size_z" => &[0, 1],
        limit if limit.ends_with("size") || limit.ends_with("workgroup") || limit.ends_with("size_x") => &[
            0, 1, 31, 32, 60, 63, 64, 65, 100, 256, 1_000, 4_092, 4_096, 8_188, 8_192, 10_000, 40_000,
            100_000, 1_000_000,
        ],
        _ => &[0, 1, 2, 5, 6, 7, 8, 9],
    }
}

/// On the no-op backend, which validates every command.
#[test]
fn wgpu_refuses_nothing_whatever_the_limit() {
    for device_type in [wgpu::DeviceType::Cpu, wgpu::DeviceType::DiscreteGpu] {
        for (name, lower) in LIMITS {
            let mut counts = Counts::default();
            for &value in values(name) {
                let mut limits = wgpu::Limits::default();
                lower(&mut limits, value);
                let what = format!("{device_type:?}, {name} = {value}");
                let device = noop::open(limits, device_type);
                every_call(&mut counts, (&what, name), device, &cases(), |_, _, _, _| {});
            }
            assert!(counts.right > 0, "{name}: no value is enough");
            let free = ["max_immediate_size", "max_dynamic_storage_buffers_per_pipeline_layout"];
            let free = free.contains(&name) || name == "max_bind_groups_plus_vertex_buffers";
            assert_eq!(counts.refused == 0, free, "{name}: {} refused", counts.refused);
        }
        for (name, raise) in ALIGNMENTS {
            let mut counts = Counts::default();
            for exponent in (5..32).step_by(2) {
                let mut limits = wgpu::Limits::default();
                raise(&mut limits, 1 << exponent);
                let what = format!("{device_type:?}, {name} = 2^{exponent}");
                let device = noop::open(limits, device_type);
                every_call(&mut counts, (&what, name), device, &cases(), |_, _, _, _| {});
            }
            assert_eq!(counts.refused, 0, "{name}");
        }
    }
}

/// A strict instance reports that a shader can bind no buffers, but accepts them.
#[test]
fn a_strict_instance_is_good_enough() {
    let (device, queue) = noop::strict();
    assert_eq!(device.limits().max_buffers_and_acceleration_structures_per_shader_stage, 0);
    let mut counts = Counts::default();
    every_call(&mut counts, ("strict", ""), (device, queue), &cases(), |_, _, _, _| {});
    assert_eq!(counts.refused, 0);
}

/// More steps than the uniforms of one submission hold: the call submits several times, and no buffer exceeds the limit.
#[test]
fn uniforms_keep_to_the_largest_buffer() {
    let case = || Case { config: LstmConfig::new(1, 4), shapes: &[(6_000, 1)] };
    for device_type in [wgpu::DeviceType::Cpu, wgpu::DeviceType::DiscreteGpu] {
        for max_buffer_size in [1 << 20, 300_000, 96_000] {
            let limits = wgpu::Limits { max_buffer_size, ..Default::default() };
            let mut counts = Counts::default();
            let what = (&*format!("{device_type:?}, {max_buffer_size}"), "max_buffer_size");
            every_call(&mut counts, what, noop::open(limits, device_type), &[case()], |_, _, _, _| {});
            assert_eq!(counts.refused, 0);
        }
    }
}

/// On a real adapter every call that is not refused is right.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn what_little_limits_allow_is_right() {
    let limit = |name: &str| LIMITS.into_iter().chain(ALIGNMENTS).find(|(known, _)| *known == name).unwrap();
    for (name, values) in [
        ("max_compute_workgroups_per_dimension", &[1, 2, 3, 5][..]),
        ("max_buffer_size", &[4096, 20_000, 100_000]),
        ("max_storage_buffer_binding_size", &[4096, 20_000]),
        ("max_compute_workgroup_storage_size", &[8192]),
        ("max_compute_invocations_per_workgroup", &[128]),
        ("min_uniform_buffer_offset_alignment", &[1 << 13]),
        ("min_storage_buffer_offset_alignment", &[1 << 13]),
    ] {
        let (_, lower) = limit(name);
        for &value in values {
            let mut limits = wgpu::Limits::default();
            lower(&mut limits, value);
            let mut counts = Counts::default();
            let what = format!("{name} = {value}");
            let device = common::device::open(wgpu::Features::SUBGROUP, limits);
            every_call(&mut counts, (&what, name), device, &cases(), |what, weights, input, output| {
                let wide = input.mapv(f64::from);
                let (truth, ..) = reference::forward(weights, wide.view(), None, None).unwrap();
                assert_close(what, output.as_slice().unwrap(), truth.as_slice().unwrap(), FLOOR);
            });
            assert!(counts.right > 2, "{what}: {} calls were right", counts.right);
        }
    }
}

/// The same 6,000 steps in the submissions that the limit needs, against one submission.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_call_cut_for_its_uniforms_gives_the_same_bits() {
    let weights = LstmWeights::uniform(&LstmConfig::new(1, 4).with_bidirectional(true), 3).unwrap();
    let input = input(6_000, 1, 1);
    let limits = wgpu::Limits { max_buffer_size: 1 << 20, ..Default::default() };
    let (device, queue) = common::device::open(wgpu::Features::empty(), limits);
    let small = Device::from_wgpu(device, queue).unwrap();
    for schedule in [Schedule::Step, Schedule::Single] {
        let on = |device: &Device| {
            let lstm = Lstm::new(device, &weights).unwrap().with_tuning(Tuning::Fixed(schedule));
            lstm.forward(input.view(), None).unwrap()
        };
        assert_eq!(on(&small), on(common::device::gpu()), "{schedule}");
    }
}
