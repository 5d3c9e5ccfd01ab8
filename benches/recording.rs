//! `cargo bench --bench recording`: what a repeated call costs on the host for each of its dispatches.
//!
//! It runs on wgpu's no-op backend, which executes nothing: the times are those of packing, checking, recording,
//! submitting and unpacking. Results are zeros, so this benchmark checks none; the benchmark `forward` does. The
//! dispatches are counted in wgpu's trace of one call. Some calls move many bytes for each of their few dispatches: the
//! last column subtracts the time of a plain copy of input and output. `step` has the most dispatches of all schedules;
//! `scan` has few, with up to 127 time steps each.
//!
//! `µs to plan` is what a new shape costs before its buffers are allocated: its program, as `Lstm::memory` plans it.

#[path = "../tests/common/noop.rs"]
mod noop;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights, Schedule, Tuning, wgpu};

/// Name, sizes, T and B.
fn workloads() -> [(&'static str, LstmConfig, usize, usize); 3] {
    [
        ("keyword", LstmConfig::new(128, 128), 100, 1),
        ("speaker", LstmConfig::new(40, 256).with_num_layers(3), 160, 8),
        ("speech", LstmConfig::new(128, 128), 1000, 1),
    ]
}

fn lstm(device: &Device, config: &LstmConfig, schedule: Schedule) -> Lstm {
    let weights = LstmWeights::uniform(config, 1).expect("sizes are legal");
    Lstm::new(device, &weights).expect("weights fit").with_tuning(Tuning::Fixed(schedule))
}

fn dispatches(config: &LstmConfig, schedule: Schedule, input: &Array3<f32>) -> usize {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recording");
    let device = noop::traced(&directory);
    lstm(&device, config, schedule).forward(input.view(), None).expect("a legal call");
    noop::count(&noop::log(&directory), "DispatchWorkgroups")
}

fn recording(criterion: &mut Criterion) {
    let device = noop::device(wgpu::Trace::Off);
    println!("{}; wgpu-lstm {}", device.name(), env!("CARGO_PKG_VERSION"));
    println!(
        "{:10} {:8} {:>10} {:>10} {:>10} {:>14} {:>14} {:>10}",
        "workload",
        "schedule",
        "dispatches",
        "µs a call",
        "µs to copy",
        "µs a dispatch",
        "less the copy",
        "µs to plan"
    );
    let mut group = criterion.benchmark_group("recording");
    let both = [Schedule::Step, Schedule::Scan];
    let calls =
        workloads().into_iter().flat_map(|workload| both.map(|schedule| (workload.clone(), schedule)));
    for ((name, config, steps, batch), schedule) in calls {
        let input = Array3::zeros((steps, batch, config.input_size()));
        let count = dispatches(&config, schedule, &input);
        let lstm = lstm(&device, &config, schedule);
        let call = || {
            lstm.forward(input.view(), None).expect("a legal call");
        };
        let micros = median_micros(call);
        let (output, _) = lstm.forward(input.view(), None).expect("a legal call");
        let copy = median_micros(|| {
            black_box((input.clone(), output.clone()));
        });
        let plan = median_micros(|| {
            black_box(lstm.memory(steps, batch).expect("a legal call"));
        });
        let each = |micros: f64| micros / count as f64;
        println!(
            "{name:10} {schedule:8} {count:10} {micros:10.1} {copy:10.1} {:14.3} {:14.3} {plan:10.1}",
            each(micros),
            each(micros - copy)
        );
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new(name, schedule), |bencher| bencher.iter(call));
    }
    group.finish();
}

fn median_micros(mut call: impl FnMut()) -> f64 {
    let mut once = || {
        let start = Instant::now();
        call();
        start.elapsed().as_secs_f64() * 1e6
    };
    once(); // allocates what later calls reuse
    let mut micros: Vec<f64> = (0..101).map(|_| once()).collect();
    micros.sort_by(f64::total_cmp);
    micros[50]
}

criterion_group!(benches, recording);
criterion_main!(benches);
