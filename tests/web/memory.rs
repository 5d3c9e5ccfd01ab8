//! Memory of the device: every buffer is destroyed with what it belongs to. And what is compiled, and when.
//!
//! `scripts/test --web` runs the tests of a hundred once more by themselves, and measures Chromium's GPU process. Each
//! creates more than the bound there, if nothing is freed.

use wasm_bindgen_test::wasm_bindgen_test;
use wgpu_lstm::ndarray::{Array2, Array3};
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmStream, LstmStreamPool, LstmWeights};

use crate::browser::Counts;

const MIB: f64 = (1 << 20) as f64;

#[wasm_bindgen_test]
async fn a_hundred_networks_take_no_more_than_one() {
    let device = Device::gpu_async().await.unwrap();
    let weights = LstmWeights::uniform(&LstmConfig::new(512, 512), 42).unwrap(); // 8 MiB
    let counts = Counts::start();
    for _ in 0..100 {
        let lstm = Lstm::new_async(&device, &weights).await.unwrap();
        assert!(counts.live_bytes() > 8.0 * MIB, "the counter counts");
        drop(lstm);
    }
    assert_eq!(counts.live_bytes(), 0.0);
    assert!(counts.peak_bytes() < 9.0 * MIB, "{} MiB", counts.peak_bytes() / MIB);
}

#[wasm_bindgen_test]
async fn a_hundred_shapes_stay_within_the_budget() {
    let device = Device::gpu_async().await.unwrap();
    let weights = LstmWeights::uniform(&LstmConfig::new(32, 32), 42).unwrap();
    let counts = Counts::start();
    let budget = 8 << 20;
    let lstm = Lstm::new_async(&device, &weights).await.unwrap().with_memory_budget(budget);
    let (mut largest, mut all) = (0, 0);
    for shape in 0..100 {
        let (steps, batch) = (4 + shape % 10, 200 + 10 * shape);
        lstm.forward_async(Array3::zeros((steps, batch, 32)).view(), None).await.unwrap();
        let memory = lstm.memory(steps, batch).unwrap().total();
        (largest, all) = (largest.max(memory), all + memory);
    }
    assert!(all > 500 << 20, "{} MiB in all", all >> 20);
    // Kept programs, within twice the budget, and the one that runs.
    let (peak, most) = (counts.peak_bytes(), (2 * budget + largest) as f64);
    assert!(peak <= most, "{} of at most {} MiB", peak / MIB, most / MIB);
    assert!(counts.live_bytes() > 0.0, "programs are kept");
    drop(lstm);
    assert_eq!(counts.live_bytes(), 0.0);
}

#[wasm_bindgen_test]
async fn streams_pools_passes_and_dropped_calls_leave_nothing_behind() {
    let device = Device::gpu_async().await.unwrap();
    let weights = LstmWeights::uniform(&LstmConfig::new(8, 8), 42).unwrap();
    let counts = Counts::start();
    for _ in 0..3 {
        let lstm = Lstm::new_async(&device, &weights).await.unwrap();
        let mut stream = LstmStream::new_async(&lstm).await.unwrap();
        let mut pool = LstmStreamPool::new_async(&lstm, 10).await.unwrap();
        let pass = lstm.prepare_async(5, 2).await.unwrap();
        let chunk = Array2::ones((3, 8));
        stream.push_async(chunk.view()).await.unwrap();
        stream.state_async().await.unwrap();
        let id = pool.open().unwrap();
        pool.push_async(&[(id, chunk.view())]).await.unwrap();
        let input = Array3::ones((3, 4, 8));
        let mut call = Box::pin(lstm.forward_async(input.view(), None));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
        drop(call);
        lstm.forward_async(input.view(), None).await.unwrap();
        assert!(counts.live_bytes() > 0.0);
        drop((stream, pool, pass, lstm));
        assert_eq!(counts.live_bytes(), 0.0);
    }
}

#[wasm_bindgen_test]
async fn a_call_of_a_prepared_shape_compiles_nothing() {
    let device = Device::gpu_async().await.unwrap();
    let weights = LstmWeights::uniform(&LstmConfig::new(24, 24), 42).unwrap();
    let lstm = Lstm::new_async(&device, &weights).await.unwrap();
    let counts = Counts::start();
    drop(lstm.prepare_async(6, 2).await.unwrap());
    let ahead = counts.pipelines();
    assert!(ahead > 0.0);
    lstm.forward_async(Array3::ones((6, 2, 24)).view(), None).await.unwrap();
    assert_eq!(counts.pipelines(), ahead);
}
