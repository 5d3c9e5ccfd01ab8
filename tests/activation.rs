//! sigmoid and tanh of `shaders/common/activation.wgsl`, on the GPU, against f64.

mod common;

use wgpu_lstm::wgpu;

const KERNEL: &str = concat!(
    include_str!("../shaders/common/activation.wgsl"),
    "
    @group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec2f>;
    @compute @workgroup_size(64)
    fn sweep(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
        let i = id.x + id.y * groups.x * 64u;
        if (i < arrayLength(&x)) {
            y[i] = vec2f(sigmoid(x[i]), tanh_safe(x[i]));
        }
    }"
);

/// σ and tanh of each x, as the shaders compute them.
fn activations(x: &[f32]) -> Vec<[f32; 2]> {
    let (device, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    let buffer = |len: usize, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * len as u64,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let (input, output) = (buffer(x.len(), storage), buffer(2 * x.len(), storage));
    let staging = buffer(2 * x.len(), wgpu::BufferUsages::MAP_READ);
    queue.write_buffer(&input, 0, bytemuck::cast_slice(x));
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(KERNEL.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("sweep"),
        compilation_options: Default::default(),
        cache: None,
    });
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: input.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: output.as_entire_binding() },
        ],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        let groups = x.len().div_ceil(64);
        pass.dispatch_workgroups(1024, groups.div_ceil(1024) as u32, 1);
    }
    encoder.copy_buffer_to_buffer(&output, 0, &staging, 0, output.size());
    queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., Result::unwrap);
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = staging.get_mapped_range(..).unwrap();
    bytemuck::cast_slice(&view).to_vec()
}

/// Distance from the truth in units in the last place of f32; below the smallest normal f32, where
/// shaders may flush to zero, in units of that number.
fn ulps(actual: f32, truth: f64) -> f64 {
    let smallest = f64::from(f32::MIN_POSITIVE);
    if truth.abs() < smallest {
        return (f64::from(actual) - truth).abs() / smallest;
    }
    let ulp = 2f64.powi(truth.abs().log2().floor() as i32 - 23);
    (f64::from(actual) - truth).abs() / ulp
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_few_ulp_from_f64_over_the_whole_range() {
    // Every 1021st bit pattern, a prime: all exponents, both signs, mantissas of all kinds.
    let x: Vec<f32> = (0..=u32::MAX).step_by(1021).map(f32::from_bits).filter(|x| x.is_finite()).collect();
    assert!(x.len() > 4_000_000);
    let mut worst = [(0.0, 0.0); 2];
    for (&x, y) in x.iter().zip(activations(&x)) {
        let truth = [sigmoid(f64::from(x)), f64::from(x).tanh()];
        for k in 0..2 {
            let error = ulps(y[k], truth[k]);
            // NaN compares false with everything, and must not pass.
            if error.is_nan() || error > worst[k].0 {
                worst[k] = (error, x);
            }
        }
    }
    let [(sigmoid, at_sigmoid), (tanh, at_tanh)] = worst;
    println!("worst: sigmoid {sigmoid:.2} ulp at {at_sigmoid:e}, tanh {tanh:.2} ulp at {at_tanh:e}");
    assert!(sigmoid <= 4.0, "sigmoid is off by {sigmoid} ulp at {at_sigmoid:e}");
    assert!(tanh <= 4.0, "tanh is off by {tanh} ulp at {at_tanh:e}");
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn infinities_saturate_and_nan_stays() {
    let x = [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, -0.0, f32::NAN, -f32::NAN];
    let y = activations(&x);
    assert_eq!(y[..6], [[1.0, 1.0], [0.0, -1.0], [1.0, 1.0], [0.0, -1.0], [0.5, 0.0], [0.5, 0.0]]);
    assert!(y[6..].iter().flatten().all(|y| y.is_nan()), "{y:?}");
}
