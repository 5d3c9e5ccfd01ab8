//! sigmoid and tanh of `shaders/common/activation.wgsl`, on the GPU, for every f32, against f64.

mod common;

use std::ops::Range;

use common::activation::{ALL, CURVED, Worst, truth, ulps};
use common::compare::TRUTH_ERROR;
use wgpu_lstm::wgpu;

/// Both functions of some x and of -x, the x being consecutive bit patterns.
const CURVED_KERNEL: &str = concat!(
    include_str!("../shaders/common/activation.wgsl"),
    "
    @group(0) @binding(0) var<uniform> first: vec4u;              // bits of the first x
    @group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
        let i = id.x + id.y * groups.x * 64u;
        if (i < arrayLength(&y)) {
            let x = bitcast<f32>(first.x + i);
            let both = vec4f(x, -x, x, -x);
            y[i] = vec4f(sigmoid(both).xy, tanh_safe(both).zw);
        }
    }"
);

/// Both functions are flat for seven times as many x: here the kernel itself looks for wrong results. An invocation
/// tries 2¹² of them.
const FLAT_KERNEL: &str = concat!(
    include_str!("../shaders/common/activation.wgsl"),
    "
    @group(0) @binding(0) var<uniform> range: vec4u;              // bits of the first x, and of the first curved
    @group(0) @binding(1) var<storage, read_write> wrong: array<u32>;  // bits of a wrong x + 1, or 0
    fn apart(y: f32, truth: f32) -> bool {
        let y_bits = bitcast<u32>(y);
        let bits = bitcast<u32>(truth);
        return max(y_bits, bits) - min(y_bits, bits) > 1u;        // by more than one ulp
    }
    fn is_wrong(bits: u32) -> bool {
        let x = bitcast<f32>(bits);
        let small = (bits & 0x7fffffffu) < range.y;
        let negative = bits > 0x7fffffffu;
        let of_large = select(1.0, 0.0, negative);
        if (apart(sigmoid(vec4f(x)).x, select(of_large, 0.5, small))) { return true; }
        let y = tanh_safe(vec4f(x)).x;
        // Numbers below the smallest normal one, and the sign of 0, may be lost.
        let lost = (bits & 0x7f800000u) == 0u && (bitcast<u32>(y) & 0x7fffffffu) == 0u;
        return !lost && apart(y, select(select(1.0, -1.0, negative), x, small));
    }
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
        let i = id.x + id.y * groups.x * 64u;
        if (i >= arrayLength(&wrong)) { return; }
        var found = 0u;
        for (var k = 0u; k < 4096u; k += 1u) {
            let bits = range.x + i * 4096u + k;
            if (is_wrong(bits)) { found = bits + 1u; }
            if (is_wrong(bits | 0x80000000u)) { found = (bits | 0x80000000u) + 1u; }
        }
        wrong[i] = found;
    }"
);

/// A kernel with a uniform and a buffer of results.
struct Sweep {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    uniform: wgpu::Buffer,
    output: wgpu::Buffer,
    staging: wgpu::Buffer,
    /// Bytes of an invocation's result.
    stride: usize,
}

impl Sweep {
    /// For up to `most` invocations.
    fn new(source: &str, most: usize, stride: usize) -> Self {
        let (device, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
        let buffer = |bytes: usize, usage| {
            let size = bytes as u64;
            device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        use wgpu::BufferUsages as Usage;
        let uniform = buffer(16, Usage::UNIFORM | Usage::COPY_DST);
        let output = buffer(most * stride, Usage::STORAGE | Usage::COPY_SRC);
        let staging = buffer(most * stride, Usage::MAP_READ | Usage::COPY_DST);
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: output.as_entire_binding() },
            ],
        });
        Self { device, queue, pipeline, group, uniform, output, staging, stride }
    }

    /// Runs `invocations` and passes their results to `look`.
    fn run<R>(&self, uniform: [u32; 4], invocations: usize, look: impl FnOnce(&[u8]) -> R) -> R {
        self.queue.write_buffer(&self.uniform, 0, bytemuck::cast_slice(&uniform));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.group, &[]);
            let groups = invocations.div_ceil(64).div_ceil(1024) as u32;
            pass.dispatch_workgroups(1024, groups, 1);
        }
        let bytes = (invocations * self.stride) as u64;
        encoder.copy_buffer_to_buffer(&self.output, 0, &self.staging, 0, bytes);
        self.queue.submit([encoder.finish()]);
        self.staging.map_async(wgpu::MapMode::Read, ..bytes, Result::unwrap);
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let result = look(&self.staging.get_mapped_range(..bytes).unwrap());
        self.staging.unmap();
        result
    }
}

/// The largest errors of the halves that two threads try.
fn worst(first: u32, results: &[[f32; 4]]) -> Worst {
    let (low, high) = results.split_at(results.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| Worst::of((first + low.len() as u32..).zip(high.iter().copied())));
        Worst::of((first..).zip(low.iter().copied())).or(other.join().unwrap())
    })
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn no_f32_errs_by_more_than_is_said() {
    const CHUNK: usize = 1 << 22;
    let sweep = Sweep::new(CURVED_KERNEL, CHUNK, 16);
    let mut all = Worst::default();
    for first in CURVED.step_by(CHUNK) {
        let of_chunk = |bytes: &[u8]| worst(first, bytemuck::cast_slice(bytes));
        all = all.or(sweep.run([first, 0, 0, 0], CHUNK, of_chunk));
    }
    // WGSL allows 2.5 ulp in a quotient, and GPUs use some of them; processors that emulate one round correctly.
    let emulated = sweep.device.adapter_info().device_type == wgpu::DeviceType::Cpu;
    all.assert_within_bounds(if emulated { 0.0 } else { 1.0 });
}

/// An x of `range` at which the kernel finds a wrong result, or none.
fn wrong_where_flat(sweep: &Sweep, range: Range<u32>) -> Option<f32> {
    range.step_by(FLAT_CHUNK as usize * 4096).find_map(|first| {
        sweep.run([first, CURVED.start, 0, 0], FLAT_CHUNK as usize, |bytes| {
            let wrong: &[u32] = bytemuck::cast_slice(bytes);
            wrong.iter().find(|&&bits| bits != 0).map(|bits| f32::from_bits(bits - 1))
        })
    })
}

/// Invocations of the flat kernel: 2²³ x, those of one exponent.
const FLAT_CHUNK: u32 = 1 << 11;

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn all_of_f32_is_flat_where_it_shall_be() {
    let sweep = Sweep::new(FLAT_KERNEL, FLAT_CHUNK as usize, 4);
    let finite = ALL.end - 1;
    for range in [0..CURVED.start, CURVED.end..finite] {
        let wrong = wrong_where_flat(&sweep, range);
        assert!(wrong.is_none(), "wrong at {wrong:?}");
    }
    // Curved parts at either end of the range are reported as wrong: the kernel can fail.
    for first in [CURVED.start + (3 << 23), CURVED.end - (4 << 23)] {
        assert!(wrong_where_flat(&sweep, first..first + 1).is_some());
    }
}

#[test]
fn the_truth_is_the_math_librarys() {
    for bits in (0..ALL.end).step_by(10_007) {
        let x = f64::from(f32::from_bits(bits));
        let truths = [1.0 / (1.0 + (-x).exp()), 1.0 / (1.0 + x.exp()), x.tanh()];
        for (ours, libm) in truth(f32::from_bits(bits)).into_iter().zip(truths) {
            // In the flat range `truth` leaves out e⁻¹²⁸.
            assert!((ours - libm).abs() <= TRUTH_ERROR * libm + 1e-55, "{x:e}: {ours:e}, {libm:e}");
        }
    }
    assert_eq!(ulps(1.0, 1.0 + f64::from(f32::EPSILON)), 1.0);
    assert_eq!(ulps(1.0, 1.0 - f64::from(f32::EPSILON)), 2.0);
    assert_eq!(ulps(0.0, f64::from(f32::MIN_POSITIVE) / 2.0), 0.5);
    assert_eq!(ulps(1e-45, 0.0), 2f64.powi(-23));
    assert!(ulps(f32::NAN, 1.0).is_nan() && ulps(f32::INFINITY, 1.0).is_infinite());
    let nan = Worst::of([(1.0_f32.to_bits(), [f32::NAN; 4]), (2.0_f32.to_bits(), [0.5; 4])]);
    assert_eq!((nan.sigmoid.0, nan.tanh.0), (f64::INFINITY, f64::INFINITY));
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn infinities_saturate_and_nan_stays() {
    let sweep = Sweep::new(CURVED_KERNEL, 64, 16);
    let of =
        |x: f32| sweep.run([x.to_bits(), 0, 0, 0], 64, |bytes| bytemuck::cast_slice::<_, [f32; 4]>(bytes)[0]);
    assert_eq!(of(f32::INFINITY), [1.0, 0.0, 1.0, -1.0]);
    assert_eq!(of(f32::MAX), [1.0, 0.0, 1.0, -1.0]);
    assert_eq!(of(0.0), [0.5, 0.5, 0.0, 0.0]);
    for nan in [f32::NAN, f32::from_bits(0x7f80_0001), f32::from_bits(0x7fff_ffff)] {
        assert!(of(nan).iter().all(|y| y.is_nan()), "{:x}", nan.to_bits());
    }
}
