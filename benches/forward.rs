//! `cargo bench`: the GPU device against the CPU device, on named workloads.
//!
//! Each result is checked against the float64 reference before anything is timed. The adapter is the
//! one that the `WGPU_*` and `VK_DRIVER_FILES` variables choose. The first table has the median of five calls
//! under every schedule, beside the cost model's prediction for this class of adapter; a star marks the model's
//! choice. The table is also written to a file. Criterion then times the model's choice and the CPU device.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{Cost, Device, Lstm, LstmConfig, LstmWeights, Tuning, reference, wgpu};

struct Workload {
    name: &'static str,
    config: LstmConfig,
    batch: usize,
    steps: usize,
}

fn workloads() -> [Workload; 9] {
    let workload = |name, config, batch, steps| Workload { name, config, batch, steps };
    [
        workload("keyword", LstmConfig::new(128, 128), 1, 100),
        workload("speech", LstmConfig::new(128, 128), 1, 1000),
        workload("single-256", LstmConfig::new(256, 256), 1, 100),
        workload("speaker", LstmConfig::new(40, 256).with_num_layers(3), 8, 160),
        workload("ocr", LstmConfig::new(256, 256).with_num_layers(2).with_bidirectional(true), 1, 100),
        workload("batch-16", LstmConfig::new(256, 256), 16, 100),
        workload("batch-64", LstmConfig::new(256, 256), 64, 100),
        workload("stream", LstmConfig::new(128, 128), 1, 1),
        workload("crowd", LstmConfig::new(256, 256).with_num_layers(2), 256, 16),
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

    /// The output of the float64 reference.
    fn truth(&self, input: &Array3<f32>) -> Array3<f64> {
        let wide = input.mapv(f64::from);
        reference::forward(&self.weights(), wide.view(), None, None).expect("a legal call").0
    }

    /// Panics unless the device's result is right.
    fn check(&self, lstm: &Lstm, input: &Array3<f32>, truth: &Array3<f64>) {
        let (output, _) = lstm.forward(input.view(), None).expect("a legal call");
        let errors = output.iter().zip(truth).map(|(&y, &t)| (f64::from(y) - t).abs());
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

/// One line of the record.
struct Line {
    workload: &'static str,
    /// A schedule of the GPU device, or `cpu`.
    way: String,
    seconds: f64,
    predicted: Option<Cost>,
}

impl Line {
    fn print(&self, workload: &Workload, chosen: bool) {
        let predicted = self.predicted.map_or(String::new(), |cost| {
            let Cost { dispatches, seconds, .. } = cost;
            format!("{:10.2} {dispatches:10}", seconds * 1e3)
        });
        println!(
            "{:10} {:9}{} {:10.3} {:12.0} {:9.1} {predicted}",
            self.workload,
            self.way,
            if chosen { '*' } else { ' ' },
            self.seconds * 1e3,
            (workload.steps * workload.batch) as f64 / self.seconds,
            workload.operations() / self.seconds / 1e9,
        );
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "workload": self.workload,
            "way": self.way,
            "milliseconds": self.seconds * 1e3,
            "predicted_milliseconds": self.predicted.map(|cost| cost.seconds * 1e3),
            "dispatches": self.predicted.map(|cost| cost.dispatches),
        })
    }
}

/// Every schedule of the GPU device, and the CPU device, on one workload; the model's choice has a star.
fn measure(workload: &Workload, gpu: &Device) -> Vec<Line> {
    let (weights, input) = (workload.weights(), workload.input());
    let truth = workload.truth(&input);
    let mut lines = Vec::new();
    let mut lstm = Lstm::new(gpu, &weights).expect("weights fit");
    let costs = lstm.costs(workload.steps, workload.batch).expect("a legal call");
    for (place, &cost) in costs.iter().enumerate() {
        lstm = lstm.with_tuning(Tuning::Fixed(cost.schedule));
        workload.check(&lstm, &input, &truth);
        let seconds = median_seconds(|| drop(lstm.forward(input.view(), None).expect("a legal call")));
        let way = cost.schedule.name().to_owned();
        let line = Line { workload: workload.name, way, seconds, predicted: Some(cost) };
        line.print(workload, place == 0);
        lines.push(line);
    }
    let lstm = Lstm::new(&Device::cpu(), &weights).expect("weights fit");
    workload.check(&lstm, &input, &truth);
    let seconds = median_seconds(|| drop(lstm.forward(input.view(), None).expect("a legal call")));
    let line = Line { workload: workload.name, way: "cpu".to_owned(), seconds, predicted: None };
    line.print(workload, false);
    lines.push(line);
    lines
}

fn forward(criterion: &mut Criterion) {
    let gpu =
        Device::gpu().expect("a GPU adapter; on Debian `scripts/on lavapipe-25 cargo bench` installs one");
    let (driver, version) = (driver(), env!("CARGO_PKG_VERSION"));
    println!("gpu is {}; {driver}; wgpu-lstm {version}", gpu.name());
    println!(
        "{:10} {:10} {:>10} {:>12} {:>9} {:>10} {:>10}",
        "workload", "schedule", "ms a call", "steps/s", "GFLOP/s", "predicted", "dispatches"
    );
    let lines: Vec<Line> = workloads().iter().flat_map(|workload| measure(workload, &gpu)).collect();
    let lines: Vec<_> = lines.iter().map(Line::json).collect();
    let record = serde_json::json!({
        "adapter": gpu.name(), "driver": driver, "version": version, "calls": lines,
    });
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("forward.json");
    match std::fs::write(&path, format!("{record:#}\n")) {
        Ok(()) => println!("the record, to be sent in: {}", path.display()),
        Err(error) => println!("no record: {}: {error}", path.display()),
    }
    for workload in workloads() {
        let (weights, input) = (workload.weights(), workload.input());
        let mut group = criterion.benchmark_group(workload.name);
        group.throughput(Throughput::Elements((workload.steps * workload.batch) as u64));
        group.sample_size(10).warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        for (id, device) in [("gpu", &gpu), ("cpu", &Device::cpu())] {
            let lstm = Lstm::new(device, &weights).expect("weights fit");
            let call = || lstm.forward(input.view(), None).expect("a legal call");
            group.bench_function(BenchmarkId::from_parameter(id), |bencher| bencher.iter(call));
        }
        group.finish();
    }
}

criterion_group!(benches, forward);
criterion_main!(benches);
