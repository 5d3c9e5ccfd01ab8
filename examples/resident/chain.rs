//! Stage, network, stage: one encoder, one submit, and one small read-back for each chunk of the signals.

use anyhow::{Context, Result};
use ndarray::ArrayView2;
use wgpu_lstm::{Device, Lstm, LstmPass, wgpu};

use crate::stages::{CLASSES, ReadBack, Sizes, Stage, storage};

/// All that a chunk needs, allocated once.
pub struct Chain {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// [B, T, I, SLICE]
    samples: wgpu::Buffer,
    envelope: Stage,
    pass: LstmPass,
    scores: Stage,
    /// [B, CLASSES]
    scored: wgpu::Buffer,
    read_back: ReadBack,
}

impl Chain {
    /// `device` is the network's; `head` is (CLASSES, O).
    pub fn new(device: &Device, lstm: &Lstm, head: ArrayView2<'_, f32>, sizes: Sizes) -> Result<Self> {
        let (device, queue) = device.wgpu().context("the CPU has no buffers to share")?;
        let pass = lstm.prepare(sizes.steps, sizes.batch)?;
        let samples = storage(device, sizes.samples());
        let scored = storage(device, sizes.batch * CLASSES);
        let head_buffer = storage(device, head.len());
        queue.write_buffer(&head_buffer, 0, bytemuck::cast_slice(&head.iter().copied().collect::<Vec<_>>()));
        Ok(Self {
            // The stages read and write the network's own buffers, which stay the same.
            envelope: Stage::envelope(device, sizes, &samples, pass.input()),
            scores: Stage::scores(device, sizes, pass.output(), &head_buffer, &scored),
            read_back: ReadBack::new(device, sizes.batch * CLASSES),
            device: device.clone(),
            queue: queue.clone(),
            samples,
            pass,
            scored,
        })
    }

    /// The scores [B, CLASSES] of the next chunk, samples [B, T, I, SLICE]. The network's state stays on the GPU: each
    /// chunk starts from where the one before ended.
    pub fn next(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        self.queue.write_buffer(&self.samples, 0, bytemuck::cast_slice(samples));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.envelope.record(&mut encoder);
        self.pass.record(&mut encoder);
        self.scores.record(&mut encoder);
        self.read_back.record(&mut encoder, &self.scored);
        self.queue.submit([encoder.finish()]);
        self.read_back.read(&self.device)
    }
}
