//! The shaders read an element of a weight where the layout puts it: their own functions do, on the device.

use ndarray::Array2;

use super::{gates, projection, stored};
use crate::common;
use crate::program::{Element, padded};

/// Reads every element as a kernel does, four rows of the reduction axis at a time.
const PROBE: &str = "
    @group(0) @binding(0) var<storage, read> weights: array<Weight>;
    @group(0) @binding(1) var<storage, read_write> seen: array<vec4f>;   // [rows, COLUMNS]
    @compute @workgroup_size(1)
    fn main(@builtin(workgroup_id) group: vec3u) {
        let i = 4u * group.y * COLUMNS + group.x;
        let w = weights_at(i);
        seen[i] = w[0];
        seen[i + COLUMNS] = w[1];
        seen[i + 2u * COLUMNS] = w[2];
        seen[i + 3u * COLUMNS] = w[3];
    }";

const F32: &str = include_str!("../../shaders/common/weights.wgsl");
const F16: &str = include_str!("../../shaders/common/weights_f16.wgsl");
const CHAIN: &str = include_str!("../../shaders/common/sum.wgsl");

/// What the shaders' functions read of a weight: [rows, columns] of four numbers.
fn seen(element: Element, numbers: Vec<f32>, (rows, columns): (usize, usize)) -> Vec<[f32; 4]> {
    let (device, queue) = common::device::gpu().wgpu().expect("a GPU");
    let load = if element == Element::F16 { F16 } else { F32 };
    let source = [load, CHAIN, PROBE].concat();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("probe"),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("probe"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[("COLUMNS", columns as f64)],
            ..Default::default()
        },
        cache: None,
    });
    let buffer = |size: usize, usage| {
        let size = size as u64;
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    use wgpu::BufferUsages as Usage;
    let words = stored(element, numbers);
    let weights = buffer(4 * words.len(), Usage::STORAGE | Usage::COPY_DST);
    let output = buffer(16 * rows * columns, Usage::STORAGE | Usage::COPY_SRC);
    let staging = buffer(16 * rows * columns, Usage::MAP_READ | Usage::COPY_DST);
    queue.write_buffer(&weights, 0, bytemuck::cast_slice(&words));
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: weights.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: output.as_entire_binding() },
        ],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(columns as u32, rows as u32 / 4, 1);
    }
    encoder.copy_buffer_to_buffer(&output, 0, &staging, 0, None);
    queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., Result::unwrap);
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).unwrap())
}

/// Numbers that differ, and that f16 holds.
fn matrix(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(row, column)| (1 + row * columns + column) as f32)
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn the_shaders_read_gates_where_the_layout_puts_them() {
    // H = 3; the layer below has two directions of two outputs each.
    let (hidden, width, w) = (3, 2, matrix(12, 4));
    for element in [Element::F32, Element::F16] {
        let seen = seen(element, gates(w.view(), width), (2 * padded(width), hidden));
        for (i, of_unit) in seen.into_iter().enumerate() {
            let (m, unit) = (i / hidden, i % hidden);
            let (direction, k) = (m / padded(width), m % padded(width));
            let column = |gate: usize| w[[gate * hidden + unit, direction * width + k]];
            let expected = if k < width { [0, 1, 2, 3].map(column) } else { [0.0; 4] };
            assert_eq!(of_unit, expected, "{element:?}, row {m}, unit {unit}");
        }
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn the_shaders_read_a_projection_where_the_layout_puts_it() {
    let (hidden, outputs, w) = (3, 6, matrix(6, 3));
    let columns = padded(outputs) / 4;
    for element in [Element::F32, Element::F16] {
        let seen = seen(element, projection(w.view()), (padded(hidden), columns));
        for (i, of_column) in seen.into_iter().enumerate() {
            let (m, n) = (i / columns, i % columns);
            let number = |lane: usize| w.get([4 * n + lane, m]).copied().unwrap_or(0.0);
            assert_eq!(of_column, [0, 1, 2, 3].map(number), "{element:?}, row {m}, column {n}");
        }
    }
}
