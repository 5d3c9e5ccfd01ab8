//! Results: PyTorch's, and the same bits whichever way they are computed.

use wasm_bindgen_test::wasm_bindgen_test;
use wgpu_lstm::ndarray::{Array2, Array3, Axis, s};
use wgpu_lstm::{
    Device, Lstm, LstmConfig, LstmPass, LstmState, LstmStream, LstmStreamPool, LstmWeights, Precision,
    Schedule, Tuning, reference, wgpu,
};

use crate::cases;
use crate::compare::{FLOOR, assert_close};

async fn webgpu() -> Device {
    Device::gpu_async().await.unwrap()
}

#[wasm_bindgen_test]
async fn every_case_on_webgpu_under_every_schedule() {
    cases::check(&webgpu().await, &Schedule::ALL).await;
}

#[wasm_bindgen_test]
async fn every_case_on_the_cpu() {
    cases::check(&Device::cpu(), &[]).await;
}

/// Numbers from -0.5 to 0.5, all different.
fn numbers(steps: usize, width: usize) -> Array2<f32> {
    Array2::from_shape_fn((steps, width), |(t, k)| ((t * width + k) as f32 * 0.618).fract() - 0.5)
}

fn weights() -> LstmWeights {
    LstmWeights::uniform(&LstmConfig::new(7, 12).with_num_layers(2), 42).unwrap()
}

#[wasm_bindgen_test]
async fn a_stream_and_a_pool_give_the_bits_of_one_call() {
    let long = numbers(9, 7);
    for device in [webgpu().await, Device::cpu()] {
        let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
        let (whole, last) = lstm.forward_unbatched_async(long.view(), None).await.unwrap();

        let mut stream = LstmStream::new_async(&lstm).await.unwrap();
        let mut at = 0;
        for steps in [1, 5, 0, 3] {
            let output = stream.push_async(long.slice(s![at..at + steps, ..])).await.unwrap();
            assert_eq!(output, whole.slice(s![at..at + steps, ..]), "{}", device.name());
            at += steps;
        }
        assert_eq!(stream.state_async().await.unwrap(), last);
        stream.set_state(&LstmState::zeros(lstm.config(), 1)).unwrap();
        assert_eq!(stream.push_async(long.view()).await.unwrap(), whole);

        let mut pool = LstmStreamPool::new_async(&lstm, 3).await.unwrap();
        let [anna, ben] = [pool.open().unwrap(), pool.open().unwrap()];
        let chunks = [(ben, long.slice(s![..2, ..])), (anna, long.slice(s![..7, ..]))];
        let outputs = pool.push_async(&chunks).await.unwrap();
        assert_eq!(
            (&outputs[0], &outputs[1]),
            (&whole.slice(s![..2, ..]).to_owned(), &whole.slice(s![..7, ..]).to_owned())
        );
        let chunks = [(anna, long.slice(s![7.., ..])), (ben, long.slice(s![2.., ..]))];
        let outputs = pool.push_async(&chunks).await.unwrap();
        assert_eq!(
            (&outputs[0], &outputs[1]),
            (&whole.slice(s![7.., ..]).to_owned(), &whole.slice(s![2.., ..]).to_owned())
        );
        assert_eq!(pool.state_async(anna).await.unwrap(), last);
        assert_eq!(pool.state_async(ben).await.unwrap(), last);
    }
}

#[wasm_bindgen_test]
async fn weights_in_half_precision() {
    let case = cases::load("hidden_128");
    let half = case.weights().to_precision(Precision::F16).unwrap();
    let input = case.input_time_major();
    let wide = case.state_batched().map(|(h, c)| (h.mapv(f64::from), c.mapv(f64::from)));
    let wide = wide.as_ref().map(|(h, c)| (h.view(), c.view()));
    let (truth, _, _) = reference::forward(&half, input.mapv(f64::from).view(), None, wide).unwrap();
    let truth: Vec<f64> = truth.into_iter().collect();
    let state = case.state_batched().map(|(h, c)| LstmState { h, c });
    for device in [webgpu().await, Device::cpu()] {
        let lstm = Lstm::new_async(&device, &half).await.unwrap();
        let (output, _) = lstm.forward_async(input.view(), state.as_ref()).await.unwrap();
        let actual: Vec<f32> = output.into_iter().collect();
        assert_close(&device.name(), &actual, &truth, FLOOR);
    }
}

/// Blocks of time, and parts of a batch: many submissions, each with uniforms and transfers of its own.
#[wasm_bindgen_test]
async fn a_small_memory_budget_gives_the_same_bits() {
    let device = webgpu().await;
    let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
    let input = numbers(20, 7 * 40).into_shape_with_order((20, 40, 7)).unwrap();
    let expected = lstm.forward_async(input.view(), None).await.unwrap();
    let lstm = lstm.with_memory_budget(20_000);
    let memory = lstm.memory(20, 40).unwrap();
    assert!(memory.total() < 400_000, "{memory:?}");
    assert_eq!(lstm.forward_async(input.view(), None).await.unwrap(), expected);
}

#[wasm_bindgen_test]
async fn calls_at_the_same_time_and_dropped_ones_leave_each_other_alone() {
    let lstm = Lstm::new_async(&webgpu().await, &weights()).await.unwrap();
    let input = numbers(6, 7);
    let (expected, _) = lstm.forward_unbatched_async(input.view(), None).await.unwrap();
    let call = || Box::pin(lstm.forward_unbatched_async(input.view(), None));
    for _ in 0..10 {
        let mut calls: Vec<_> = (0..6).map(|_| call()).collect();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut context).is_pending());
        }
        let mut kept = calls.split_off(3); // the first three have permits, and are dropped while they run
        drop(calls);
        kept.push(call());
        for call in kept {
            assert_eq!(call.await.unwrap().0, expected);
        }
    }
}

#[wasm_bindgen_test]
async fn measured_schedules_are_saved_and_loaded() {
    let device = webgpu().await;
    let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
    let input = numbers(8, 7);
    let expected = lstm.forward_unbatched_async(input.view(), None).await.unwrap();
    let lstm = lstm.with_tuning(Tuning::Measure);
    assert_eq!(lstm.forward_unbatched_async(input.view(), None).await.unwrap(), expected);
    let record = lstm.tuning_record();
    assert!(record.contains("\"steps\":8"), "{record}");
    let name = device.name();
    assert!(record.contains(name.strip_suffix(", BrowserWebGpu").unwrap()), "{record}");
    let other = Lstm::new_async(&device, &weights()).await.unwrap();
    other.load_tuning(&record).unwrap();
    assert_eq!(other.tuning_record(), record);
}

#[wasm_bindgen_test]
async fn a_pass_in_the_callers_encoder_gives_the_bits_of_a_call() {
    let device = webgpu().await;
    let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
    let input = numbers(5, 7);
    let (expected, _) = lstm.forward_unbatched_async(input.view(), None).await.unwrap();
    let mut pass = lstm.prepare_async(5, 1).await.unwrap();
    assert_eq!(record_and_read(&device, &mut pass, &input).await, expected);
}

async fn record_and_read(device: &Device, pass: &mut LstmPass, input: &Array2<f32>) -> Array2<f32> {
    let (device, queue) = device.wgpu().unwrap();
    let rows = pass.input();
    let mut padded = Array2::<f32>::zeros((rows.rows, rows.stride));
    padded.slice_mut(s![.., ..rows.width]).assign(input);
    queue.write_buffer(rows.buffer, rows.offset, bytemuck::cast_slice(padded.as_slice().unwrap()));
    let mut encoder = device.create_command_encoder(&Default::default());
    pass.record(&mut encoder);
    let rows = pass.output();
    let bytes = 4 * (rows.rows * rows.stride) as u64;
    let download = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    encoder.copy_buffer_to_buffer(rows.buffer, rows.offset, &download, 0, bytes);
    queue.submit([encoder.finish()]);
    let (sender, mapped) = futures_channel::oneshot::channel();
    download.map_async(wgpu::MapMode::Read, .., |result| sender.send(result).unwrap());
    mapped.await.unwrap().unwrap();
    let view = download.get_mapped_range(..).unwrap();
    let all = Array2::from_shape_vec((rows.rows, rows.stride), bytemuck::cast_slice(&view).to_vec()).unwrap();
    all.slice(s![.., ..rows.width]).to_owned()
}

#[wasm_bindgen_test]
async fn an_empty_batch_gives_empty_arrays() {
    for device in [webgpu().await, Device::cpu()] {
        let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
        let (output, state) = lstm.forward_async(Array3::zeros((4, 0, 7)).view(), None).await.unwrap();
        assert_eq!((output.dim(), state.c.len_of(Axis(1))), ((4, 0, 12), 0));
    }
}
