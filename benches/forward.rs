//! `cargo bench`: the GPU device against the CPU device, on named workloads.
//!
//! Each result is checked against the float64 reference before anything is timed. The adapter is the
//! one that the `WGPU_*` and `VK_DRIVER_FILES` variables choose. Criterion's figures are seconds a call;
//! the table printed first gives time steps a second and GFLOP/s of one median of five calls.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights, reference, wgpu};

struct Workload {
    name: &'static str,
    config: LstmConfig,
    batch: usize,
    steps: usize,
}

fn workloads() -> [Workload; 6] {
    let workload = |name, config, batch, steps| Workload { name, config, batch, steps };
    [
        workload("keyword", LstmConfig::new(128, 128), 1, 100),
        workload("speech", LstmConfig::new(128, 128), 1, 1000),
        workload("speaker", LstmConfig::new(40, 256).with_num_layers(3), 8, 160),
        workload("ocr", LstmConfig::new(256, 256).with_num_layers(2).with_bidirectional(true), 1, 100),
        workload("batch-16", LstmConfig::new(256, 256), 16, 100),
        workload("batch-64", LstmConfig::new(256, 256), 64, 100),
    ]
}

impl Workload {
    fn weights(&self) -> LstmWeights {
        LstmWeights::uniform(&self.config, 1).expect("sizes are legal")
    }

    fn input(&self) -> Array3<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let shape = (self.steps, self.batch, self.config.input_size());
        Array3::from_shape_simple_fn(shape, || random.random_range(-1.0..1.0))
    }

    /// Floating-point operations of the products of one call; a multiply-add counts as two.
    fn operations(&self) -> f64 {
        let config = &self.config;
        let layer = |k| 4 * config.hidden_size() * (config.layer_input_size(k) + config.output_size());
        let weights: usize = (0..config.num_layers()).map(layer).sum();
        2.0 * (weights * config.num_directions() * self.steps * self.batch) as f64
    }

    /// Panics unless the device's result is right.
    fn check(&self, lstm: &Lstm, input: &Array3<f32>) {
        let (output, _) = lstm.forward(input.view(), None).expect("a legal call");
        let wide = input.mapv(f64::from);
        let (truth, _, _) =
            reference::forward(&self.weights(), wide.view(), None, None).expect("a legal call");
        let errors = output.iter().zip(&truth).map(|(&y, &t)| (f64::from(y) - t).abs());
        let worst = errors.max_by(f64::total_cmp).expect("there is output");
        assert!(worst <= 1e-5, "{} is off by {worst:.1e}", self.name);
    }
}

fn median_seconds(mut call: impl FnMut()) -> f64 {
    call(); // warm up
    let mut seconds: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[2]
}

/// The driver and its version, of the adapter that wgpu prefers.
fn driver() -> String {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    match pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())) {
        Ok(adapter) => format!("{} {}", adapter.get_info().driver, adapter.get_info().driver_info),
        Err(error) => error.to_string(),
    }
}

fn forward(criterion: &mut Criterion) {
    let gpu = Device::gpu().expect("a GPU adapter; scripts/software-adapters.sh brings one");
    let devices = [("gpu", gpu), ("cpu", Device::cpu())];
    println!("gpu is {}; {}; wgpu-lstm {}", devices[0].1.name(), driver(), env!("CARGO_PKG_VERSION"));
    println!("{:10} {:4} {:>10} {:>12} {:>9}", "workload", "", "ms a call", "steps/s", "GFLOP/s");
    for workload in workloads() {
        let (weights, input) = (workload.weights(), workload.input());
        let mut group = criterion.benchmark_group(workload.name);
        group.throughput(Throughput::Elements((workload.steps * workload.batch) as u64));
        group.sample_size(10).warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        for (id, device) in &devices {
            let lstm = Lstm::new(device, &weights).expect("weights fit");
            workload.check(&lstm, &input);
            let call = || {
                lstm.forward(input.view(), None).expect("a legal call");
            };
            let seconds = median_seconds(call);
            println!(
                "{:10} {id:4} {:10.2} {:12.0} {:9.1}",
                workload.name,
                seconds * 1e3,
                (workload.steps * workload.batch) as f64 / seconds,
                workload.operations() / seconds / 1e9,
            );
            group.bench_function(BenchmarkId::from_parameter(id), |bencher| bencher.iter(call));
        }
        group.finish();
    }
}

criterion_group!(benches, forward);
criterion_main!(benches);
