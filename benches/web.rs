//! Every schedule in a browser, beside the cost model's prediction for this class of adapter, and the first call, which
//! compiles: `scripts/test --web --bench`. Elsewhere there is nothing to run.
#![cfg(target_family = "wasm")]

use wasm_bindgen_test::{console_log, wasm_bindgen_test};
use web_time::Instant;
use wgpu_lstm::ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights, Tuning};

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// As in benches/forward.rs, and sizes between which dispatches, steps and products can be told apart.
fn workloads() -> [(&'static str, LstmConfig, usize, usize); 7] {
    [
        ("keyword", LstmConfig::new(128, 128), 1, 100),
        ("single-256", LstmConfig::new(256, 256), 1, 100),
        ("batch-16", LstmConfig::new(256, 256), 16, 100),
        ("stream", LstmConfig::new(128, 128), 1, 1),
        ("small", LstmConfig::new(16, 16), 1, 100),
        ("hidden-64", LstmConfig::new(64, 64), 1, 100),
        ("batch-4", LstmConfig::new(128, 128), 4, 100),
    ]
}

async fn seconds(lstm: &Lstm, input: &Array3<f32>) -> f64 {
    let start = Instant::now();
    lstm.forward_async(input.view(), None).await.unwrap();
    start.elapsed().as_secs_f64()
}

#[wasm_bindgen_test]
async fn schedules() {
    let (gpu, cpu) = (Device::gpu_async().await.unwrap(), Device::cpu());
    console_log!("{}, ms: the first call, the median of five, predicted", gpu.name());
    for (name, config, batch, steps) in workloads() {
        let weights = LstmWeights::uniform(&config, 1).unwrap();
        let input = Array3::from_shape_fn((steps, batch, config.input_size()), |(t, b, k)| {
            ((t * 31 + b * 7 + k) as f32 * 0.618).fract() - 0.5
        });
        let on_cpu = Lstm::new_async(&cpu, &weights).await.unwrap();
        let (expected, _) = on_cpu.forward_async(input.view(), None).await.unwrap();
        let lstm = Lstm::new_async(&gpu, &weights).await.unwrap();
        for cost in lstm.costs(steps, batch).unwrap() {
            let lstm = lstm.clone().with_tuning(Tuning::Fixed(cost.schedule));
            let first = seconds(&lstm, &input).await;
            let (output, _) = lstm.forward_async(input.view(), None).await.unwrap();
            let off = output.iter().zip(&expected).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(off < 1e-5, "{name}: off by {off}");
            let mut times = [0.0; 5];
            for time in &mut times {
                *time = 1e3 * seconds(&lstm, &input).await;
            }
            times.sort_by(f64::total_cmp);
            console_log!(
                "{name:>10} {:>8}: {:7.1} {:7.2} {:7.2}  dispatches {} Mflop {:.1} MB {:.1}",
                cost.schedule.name(),
                1e3 * first,
                times[2],
                1e3 * cost.seconds,
                cost.dispatches,
                cost.operations as f64 * 1e-6,
                cost.weight_bytes as f64 * 1e-6
            );
        }
        console_log!("{name:>10}      CPU: {:.2}", 1e3 * seconds(&on_cpu, &input).await);
    }
}
