//! Where the time of a tick of one step goes.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ndarray::{Array2, Axis};
use wgpu_lstm::{Lstm, LstmState, Rows, wgpu};

use crate::latency::{Latency, ms};
use crate::ours::{Streams, Work, stack};
use crate::record::Parts;
use crate::{FEWEST, MOST};

/// On the GPU: the same network recorded with an `LstmPass` by the caller, whose steps can be timed apart.
pub fn of_gpu(
    lstm: &Lstm,
    (device, queue): (&wgpu::Device, &wgpu::Queue),
    work: &Work,
    budget: Duration,
) -> Result<Parts> {
    let chunks = &work.ticks[0];
    let mut pool = Streams::new(lstm, work.sizes)?;
    let mut pass = lstm.prepare(1, chunks.len())?;
    let Rows { rows, stride, .. } = pass.output();
    let read = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4 * (rows * stride) as u64,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let names =
        ["one push", "an empty submit, and its wait", "upload", "record", "submit", "wait", "read back"];
    let parts = apart(names, budget, |lap| {
        pool.tick(chunks)?;
        lap();
        queue.submit([]);
        device.poll(wgpu::PollType::wait_indefinitely())?;
        lap();
        let input = pass.input();
        let mut numbers = Vec::with_capacity(input.rows * input.stride);
        for chunk in chunks {
            numbers.extend(chunk.iter().copied());
            numbers.resize(numbers.len().next_multiple_of(input.stride), 0.0);
        }
        queue.write_buffer(input.buffer, input.offset, bytemuck::cast_slice(&numbers));
        lap();
        let mut encoder = device.create_command_encoder(&Default::default());
        pass.record(&mut encoder);
        let output = pass.output();
        encoder.copy_buffer_to_buffer(output.buffer, output.offset, &read, 0, read.size());
        let commands = encoder.finish();
        lap();
        queue.submit([commands]);
        let (sender, receiver) = mpsc::channel();
        read.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result); // the receiver waits below
        });
        lap();
        device.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.recv()??;
        lap();
        let rows: Vec<Array2<f32>> = bytemuck::cast_slice(&read.get_mapped_range(..)?)
            .chunks_exact(output.stride)
            .map(|row| Array2::from_shape_vec((1, output.width), row[..output.width].to_vec()))
            .collect::<Result<_, _>>()?;
        read.unmap();
        assert_eq!(std::hint::black_box(rows).len(), chunks.len());
        lap();
        Ok(())
    })?;
    Ok(with_sum(parts, 2))
}

/// On the CPU: the same batch, stacked by the caller, in one `forward` that carries the state.
pub fn of_cpu(lstm: &Lstm, work: &Work, budget: Duration) -> Result<Parts> {
    let chunks = &work.ticks[0];
    let mut pool = Streams::new(lstm, work.sizes)?;
    let mut state: Option<LstmState> = None;
    let names = ["one push", "stack the chunks", "`forward` of the stacked batch", "split the output"];
    let parts = apart(names, budget, |lap| {
        pool.tick(chunks)?;
        lap();
        let input = stack(chunks);
        lap();
        let (output, next) = lstm.forward(input.view(), state.as_ref())?;
        state = Some(next);
        lap();
        let outputs: Vec<Array2<f32>> = output.axis_iter(Axis(1)).map(|rows| rows.to_owned()).collect();
        assert_eq!(std::hint::black_box(outputs).len(), chunks.len());
        lap();
        Ok(())
    })?;
    Ok(with_sum(parts, 1))
}

/// Adds what the parts from the `first` on are together.
fn with_sum(mut parts: Parts, first: usize) -> Parts {
    let sum = parts[first..].iter().map(|(_, ms)| ms).sum();
    parts.insert(first, ("the same step by step:".to_owned(), sum));
    parts
}

/// The median of each part of something that is done often, after once to warm up; it calls `lap` at the end of each
/// part.
fn apart<const N: usize>(
    names: [&str; N],
    budget: Duration,
    mut all: impl FnMut(&mut dyn FnMut()) -> Result<()>,
) -> Result<Parts> {
    all(&mut || {})?;
    let (begin, mut durations) = (Instant::now(), [const { Vec::new() }; N]);
    let done = |count| count >= FEWEST && (count >= MOST || begin.elapsed() >= budget);
    while !done(durations[0].len()) {
        let (mut start, mut laps) = (Instant::now(), durations.iter_mut());
        all(&mut || {
            let now = Instant::now();
            laps.next().expect("a name for each lap").push(now - start);
            start = now;
        })?;
    }
    let median = |(name, durations): (&str, Vec<Duration>)| {
        let latency = Latency::of(durations).context("a part without a lap")?;
        Ok((name.to_owned(), ms(latency.median)))
    };
    names.into_iter().zip(durations).map(median).collect()
}
