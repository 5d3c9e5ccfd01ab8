//! `cargo bench --bench resident`: a shader, the network and another shader on the GPU, against the same through host
//! arrays.
//!
//! Both chains are those of `examples/resident.rs`, with the same shaders on the same adapter. The resident one is one
//! submission and reads the scores alone. The other reads the features back, calls `Lstm::forward`, and uploads its
//! output for the last shader: three submissions, each with a wait. Their scores must have the same bits, chunk after
//! chunk, and be those of the CPU, before anything is timed.
//!
//! The table has medians of chunks that the two compute in turn. Criterion then times each alone.

#[path = "../examples/resident/chain.rs"]
mod chain;
#[path = "../examples/resident/plain.rs"]
mod plain;
#[path = "../examples/resident/signal.rs"]
mod signal;
#[path = "../examples/resident/stages.rs"]
mod stages;

use std::time::{Duration, Instant};

use anyhow::Result;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array2, Array3};
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmState, LstmWeights, Rows, wgpu};

use chain::Chain;
use plain::Plain;
use stages::{CLASSES, INPUTS, ReadBack, Sizes, Stage, storage};

const HIDDEN: usize = 128;
/// Chunks of a check, and of each chain in the table.
const CHECKED: usize = 3;
const TIMED: usize = 51;

/// A stream that is computed as it comes, one sequence, and a batch.
const WORKLOADS: [(&str, Sizes); 3] = [
    ("stream", Sizes { steps: 16, batch: 1 }),
    ("keyword", Sizes { steps: 100, batch: 1 }),
    ("batch-16", Sizes { steps: 100, batch: 16 }),
];

/// The chain through host arrays. What it needs is allocated once, too.
struct HostArrays {
    device: wgpu::Device,
    queue: wgpu::Queue,
    lstm: Lstm,
    sizes: Sizes,
    state: Option<LstmState>,
    samples: wgpu::Buffer,
    features: wgpu::Buffer,
    output: wgpu::Buffer,
    scored: wgpu::Buffer,
    envelope: Stage,
    scores: Stage,
    features_back: ReadBack,
    scores_back: ReadBack,
}

impl HostArrays {
    fn new(on: &Device, lstm: &Lstm, head: &Array2<f32>, sizes: Sizes) -> Self {
        let (device, queue) = on.wgpu().expect("a GPU");
        let rows = sizes.steps * sizes.batch;
        let (features, output) = (storage(device, rows * INPUTS), storage(device, rows * HIDDEN));
        let (samples, scored) = (storage(device, sizes.samples()), storage(device, sizes.batch * CLASSES));
        let head_buffer = storage(device, head.len());
        queue.write_buffer(&head_buffer, 0, bytemuck::cast_slice(head.as_slice().expect("in order")));
        let dense = |buffer, width| Rows { buffer, offset: 0, rows, width, stride: width };
        Self {
            envelope: Stage::envelope(device, sizes, &samples, dense(&features, INPUTS)),
            scores: Stage::scores(device, sizes, dense(&output, HIDDEN), &head_buffer, &scored),
            features_back: ReadBack::new(device, rows * INPUTS),
            scores_back: ReadBack::new(device, sizes.batch * CLASSES),
            device: device.clone(),
            queue: queue.clone(),
            lstm: lstm.clone(),
            sizes,
            state: None,
            samples,
            features,
            output,
            scored,
        }
    }

    fn next(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        self.queue.write_buffer(&self.samples, 0, bytemuck::cast_slice(samples));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.envelope.record(&mut encoder);
        self.features_back.record(&mut encoder, &self.features);
        self.queue.submit([encoder.finish()]);
        let shape = (self.sizes.steps, self.sizes.batch, INPUTS);
        let features = Array3::from_shape_vec(shape, self.features_back.read(&self.device)?)?;

        let (output, state) = self.lstm.forward(features.view(), self.state.as_ref())?;
        self.state = Some(state);

        let output = output.as_slice().expect("forward returns it in order");
        self.queue.write_buffer(&self.output, 0, bytemuck::cast_slice(output));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.scores.record(&mut encoder);
        self.scores_back.record(&mut encoder, &self.scored);
        self.queue.submit([encoder.finish()]);
        self.scores_back.read(&self.device)
    }
}

/// The two chains of a workload, after their results have been checked.
fn checked(device: &Device, sizes: Sizes) -> Result<(Chain, HostArrays)> {
    let weights = LstmWeights::uniform(&LstmConfig::new(INPUTS, HIDDEN), 1)?;
    let head = signal::head(HIDDEN);
    let lstm = Lstm::new(device, &weights)?;
    let mut resident = Chain::new(device, &lstm, head.view(), sizes)?;
    let mut host = HostArrays::new(device, &lstm, &head, sizes);
    let mut plain = Plain::new(&weights, head.view(), sizes)?;
    for chunk in 0..CHECKED {
        let samples = signal::samples(sizes, chunk);
        let truth = plain.next(&samples)?;
        let scores = resident.next(&samples)?;
        plain.check(&scores, &truth)?;
        let bits = |scores: Vec<f32>| scores.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(scores), bits(host.next(&samples)?), "the chains differ in chunk {chunk}");
    }
    Ok((resident, host))
}

fn milliseconds(call: impl FnOnce() -> Result<Vec<f32>>) -> f64 {
    let start = Instant::now();
    call().expect("the chain ran before");
    start.elapsed().as_secs_f64() * 1e3
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn resident(criterion: &mut Criterion) {
    let device =
        Device::gpu().expect("a GPU adapter; on Debian `scripts/on lavapipe-25 cargo bench` installs one");
    let info = device.wgpu().expect("a GPU").0.adapter_info();
    let version = env!("CARGO_PKG_VERSION");
    println!("{}; {} {}; wgpu-lstm {version}", device.name(), info.driver, info.driver_info);
    println!("I = {INPUTS}, H = {HIDDEN}; milliseconds a chunk");
    println!(
        "{:10} {:>5} {:>3} {:>10} {:>12} {:>6}",
        "workload", "T", "B", "resident", "host arrays", "ratio"
    );
    for (name, sizes) in WORKLOADS {
        let (mut resident, mut host) = checked(&device, sizes).expect("both chains are right");
        let samples = signal::samples(sizes, CHECKED);
        let turn = |_| (milliseconds(|| resident.next(&samples)), milliseconds(|| host.next(&samples)));
        let (ours, theirs): (Vec<_>, Vec<_>) = (0..TIMED).map(turn).unzip();
        let (ours, theirs) = (median(ours), median(theirs));
        let Sizes { steps, batch } = sizes;
        println!("{name:10} {steps:5} {batch:3} {ours:10.3} {theirs:12.3} {:6.2}", theirs / ours);

        let mut group = criterion.benchmark_group(format!("resident/{name}"));
        group.throughput(Throughput::Elements((steps * batch) as u64));
        group.sample_size(20).warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        group.bench_function(BenchmarkId::from_parameter("resident"), |bencher| {
            bencher.iter(|| resident.next(&samples).expect("the chain ran before"));
        });
        group.bench_function(BenchmarkId::from_parameter("host-arrays"), |bencher| {
            bencher.iter(|| host.next(&samples).expect("the chain ran before"));
        });
        group.finish();
    }
}

criterion_group!(benches, resident);
criterion_main!(benches);
