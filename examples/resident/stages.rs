//! The application's own stages on the GPU. Pipelines and bind groups are created once, and recorded for each chunk.

use std::num::NonZeroU64;
use std::sync::mpsc;

use anyhow::Result;
use wgpu_lstm::{Rows, wgpu};

/// I, the features of a time step.
pub const INPUTS: usize = 30;
/// Samples of a feature: `envelope.wgsl` reads two `vec4f`.
pub const SLICE: usize = 8;
/// Scores of a sequence: `scores.wgsl` computes up to 64.
pub const CLASSES: usize = 4;

/// A chunk of the signals: T time steps of B sensors.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub steps: usize,
    pub batch: usize,
}

impl Sizes {
    /// Samples of a chunk, of all sensors.
    pub fn samples(self) -> usize {
        self.batch * self.steps * INPUTS * SLICE
    }
}

/// A shader with its buffers.
pub struct Stage {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    workgroups: u32,
}

impl Stage {
    /// `envelope.wgsl`: samples [B, T, I, SLICE] → rows of features. It writes into the network's own input.
    pub fn envelope(device: &wgpu::Device, sizes: Sizes, samples: &wgpu::Buffer, features: Rows<'_>) -> Self {
        let constants = [
            ("STEPS", sizes.steps as f64),
            ("BATCH", sizes.batch as f64),
            ("INPUTS", features.width as f64),
            ("STRIDE", features.stride as f64),
        ];
        let workgroups = (features.rows * features.width).div_ceil(64);
        let buffers = [samples.as_entire_binding(), binding(features)];
        Self::new(device, include_str!("envelope.wgsl"), &constants, &buffers, workgroups)
    }

    /// `scores.wgsl`: rows of the network's output, head [CLASSES, O] → scores [B, CLASSES].
    pub fn scores(
        device: &wgpu::Device,
        sizes: Sizes,
        output: Rows<'_>,
        head: &wgpu::Buffer,
        scores: &wgpu::Buffer,
    ) -> Self {
        let constants = [
            ("STEPS", sizes.steps as f64),
            ("BATCH", sizes.batch as f64),
            ("UNITS", output.width as f64),
            ("STRIDE", output.stride as f64),
            ("CLASSES", CLASSES as f64),
        ];
        let buffers = [binding(output), head.as_entire_binding(), scores.as_entire_binding()];
        Self::new(device, include_str!("scores.wgsl"), &constants, &buffers, sizes.batch)
    }

    /// Binds `buffers` in order, from binding 0 on.
    fn new(
        device: &wgpu::Device,
        source: &str,
        constants: &[(&str, f64)],
        buffers: &[wgpu::BindingResource<'_>],
        workgroups: usize,
    ) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None, // there is one
            compilation_options: wgpu::PipelineCompilationOptions { constants, ..Default::default() },
            cache: None,
        });
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() })
            .collect();
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let workgroups = workgroups.try_into().expect("a chunk has less than 2³² features");
        Self { pipeline, bind_group, workgroups }
    }

    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.workgroups, 1, 1);
    }
}

/// All rows, as a shader binds them.
fn binding(rows: Rows<'_>) -> wgpu::BindingResource<'_> {
    let bytes = 4 * (rows.rows * rows.stride) as u64;
    let (buffer, offset, size) = (rows.buffer, rows.offset, NonZeroU64::new(bytes));
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
}

/// A buffer of f32 for stages.
pub fn storage(device: &wgpu::Device, length: usize) -> wgpu::Buffer {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    buffer(device, length, usage)
}

fn buffer(device: &wgpu::Device, length: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let size = 4 * length as u64;
    device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
}

/// A buffer that the host reads.
pub struct ReadBack(wgpu::Buffer);

impl ReadBack {
    pub fn new(device: &wgpu::Device, length: usize) -> Self {
        Self(buffer(device, length, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST))
    }

    /// Records a copy from the beginning of `source`.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder, source: &wgpu::Buffer) {
        encoder.copy_buffer_to_buffer(source, 0, &self.0, 0, self.0.size());
    }

    /// Waits for what was submitted, and reads the copy. An application that draws frames does not wait: it polls once
    /// a frame, and reads when the callback has run.
    pub fn read(&self, device: &wgpu::Device) -> Result<Vec<f32>> {
        let (sender, receiver) = mpsc::channel();
        self.0.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result); // the receiver waits below
        });
        device.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.recv()??;
        let numbers = bytemuck::cast_slice(&self.0.get_mapped_range(..)?).to_vec();
        self.0.unmap();
        Ok(numbers)
    }
}
