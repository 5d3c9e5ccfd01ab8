//! What fails, and with which error.

use wasm_bindgen_test::wasm_bindgen_test;
use wgpu_lstm::ndarray::{Array2, Array3};
use wgpu_lstm::{Device, Error, Lstm, LstmConfig, LstmState, LstmStream, LstmStreamPool, LstmWeights, wgpu};

use crate::browser::run;

fn weights() -> LstmWeights {
    LstmWeights::uniform(&LstmConfig::new(5, 6), 42).unwrap()
}

async fn open() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&Default::default()).await.unwrap();
    adapter.request_device(&Default::default()).await.unwrap()
}

/// Each names the method that does not block.
#[wasm_bindgen_test]
async fn methods_that_would_block_are_unsupported() {
    let device = Device::gpu_async().await.unwrap();
    let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
    let mut stream = LstmStream::new_async(&lstm).await.unwrap();
    let mut pool = LstmStreamPool::new_async(&lstm, 1).await.unwrap();
    let id = pool.open().unwrap();
    let (one, three) = (Array2::ones((2, 5)), Array3::ones((2, 1, 5)));
    for (name, error) in [
        ("gpu_async", Device::gpu().err()),
        ("new_async", Lstm::new(&device, &weights()).err()),
        ("forward_async", lstm.forward(three.view(), None).err()),
        ("forward_unbatched_async", lstm.forward_unbatched(one.view(), None).err()),
        ("forward_padded_async", lstm.forward_padded(three.view(), &[1], None).err()),
        ("prepare_async", lstm.prepare(2, 1).err()),
        ("new_async", LstmStream::new(&lstm).err()),
        ("push_async", stream.push(one.view()).err()),
        ("state_async", stream.state().err()),
        ("new_async", LstmStreamPool::new(&lstm, 1).err()),
        ("push_async", pool.push(&[(id, one.view())]).err()),
        ("state_async", pool.state(id).err()),
    ] {
        match error {
            Some(Error::Unsupported { reason, .. }) => assert!(reason.ends_with(name), "{name}: {reason}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    stream.set_state(&LstmState::zeros(lstm.config(), 1)).unwrap();
    stream.reset().unwrap();
}

#[wasm_bindgen_test]
async fn wrong_arrays_are_refused_and_the_next_call_is_right() {
    for device in [Device::gpu_async().await.unwrap(), Device::cpu()] {
        let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
        let refused = lstm.forward_async(Array3::zeros((2, 1, 4)).view(), None).await;
        assert!(matches!(refused, Err(Error::InputWidth { expected: 5, actual: 4 })), "{refused:?}");
        let refused = lstm.forward_async(Array3::zeros((0, 1, 5)).view(), None).await;
        assert!(matches!(refused, Err(Error::NoTimeSteps)), "{refused:?}");
        let refused = lstm.forward_padded_async(Array3::zeros((2, 1, 5)).view(), &[3], None).await;
        assert!(matches!(refused, Err(Error::LengthOutOfRange { .. })), "{refused:?}");
        let state = LstmState::zeros(lstm.config(), 2);
        let refused = lstm.forward_unbatched_async(Array2::zeros((2, 5)).view(), Some(&state)).await;
        assert!(matches!(refused, Err(Error::StateShape { .. })), "{refused:?}");
        lstm.forward_unbatched_async(Array2::zeros((2, 5)).view(), None).await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn a_network_beyond_a_limit_is_refused() {
    let (device, queue) = open().await; // with the default limits: 128 MiB a binding
    let device = Device::from_wgpu_async(device, queue).await.unwrap();
    let weights = LstmWeights::constant(&LstmConfig::new(1, 2900), 0.5).unwrap();
    let refused = Lstm::new_async(&device, &weights).await;
    assert!(matches!(refused, Err(Error::LimitExceeded { .. })), "{refused:?}");
}

#[wasm_bindgen_test]
async fn another_devices_queue_is_refused() {
    let ((one, own), (_other, others)) = (open().await, open().await);
    let refused = Device::from_wgpu_async(one.clone(), others.clone()).await;
    assert!(matches!(refused, Err(Error::QueueMismatch)), "{refused:?}");
    // Without waiting it can't be known.
    let device = Device::from_wgpu(one.clone(), others).unwrap();
    for _ in 0..2 {
        let refused = Lstm::new_async(&device, &weights()).await;
        assert!(matches!(refused, Err(Error::QueueMismatch)), "{refused:?}");
    }
    for device in [Device::from_wgpu_async(one.clone(), own.clone()).await, Device::from_wgpu(one, own)] {
        let lstm = Lstm::new_async(&device.unwrap(), &weights()).await.unwrap();
        lstm.forward_unbatched_async(Array2::zeros((2, 5)).view(), None).await.unwrap();
    }
}

/// The first call after the loss, whichever it is, and those after it.
#[wasm_bindgen_test]
async fn a_lost_device_is_called_lost_at_once() {
    for own in [true, false] {
        for first in ["forward", "new", "push", "state", "prepare", "repeated"] {
            let device = if own {
                Device::gpu_async().await.unwrap()
            } else {
                let (device, queue) = open().await;
                Device::from_wgpu(device, queue).unwrap()
            };
            let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
            let mut stream = LstmStream::new_async(&lstm).await.unwrap();
            let input = Array2::zeros((2, 5));
            stream.push_async(input.view()).await.unwrap();
            if first == "repeated" {
                lstm.forward_unbatched_async(input.view(), None).await.unwrap();
            }
            device.wgpu().unwrap().0.destroy();
            for turn in 0..2 {
                let error = match first {
                    "new" => Lstm::new_async(&device, &weights()).await.err(),
                    "push" => stream.push_async(input.view()).await.err(),
                    "state" => stream.state_async().await.err(),
                    "prepare" => lstm.prepare_async(3, 1).await.err(),
                    _ => lstm.forward_unbatched_async(input.view(), None).await.err(),
                };
                assert!(matches!(error, Some(Error::DeviceLost { .. })), "{first}, {own}, {turn}: {error:?}");
            }
        }
    }
}

#[wasm_bindgen_test]
async fn a_device_that_is_lost_in_a_call_fails_the_call() {
    let device = Device::gpu_async().await.unwrap();
    let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
    let input = Array2::zeros((2, 5));
    lstm.forward_unbatched_async(input.view(), None).await.unwrap();
    let mut call = Box::pin(lstm.forward_unbatched_async(input.view(), None));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    device.wgpu().unwrap().0.destroy();
    let result = call.await;
    assert!(matches!(result, Err(Error::DeviceLost { .. })), "{result:?}");
}

/// As if the browser's compiler failed: it reports an internal error, and the pipeline is invalid.
#[wasm_bindgen_test]
async fn a_pipeline_that_does_not_compile_is_an_error() {
    let device = Device::gpu_async().await.unwrap();
    let lstm = Lstm::new_async(&device, &weights()).await.unwrap();
    run("
        const device = GPUDevice.prototype;
        const { createComputePipeline, pushErrorScope, popErrorScope } = device;
        globalThis.restore = () => Object.assign(device, { createComputePipeline, pushErrorScope, popErrorScope });
        const filters = [];
        device.pushErrorScope = function (filter) {
            filters.push(filter);
            pushErrorScope.call(this, filter);
        };
        device.popErrorScope = function () {
            const answer = popErrorScope.call(this);
            return filters.pop() === 'internal' ? answer.then(() => new GPUInternalError('simulated')) : answer;
        };
        device.createComputePipeline = function (descriptor) {
            pushErrorScope.call(this, 'validation');
            const compute = { ...descriptor.compute, entryPoint: 'missing' };
            const invalid = createComputePipeline.call(this, { ...descriptor, compute });
            popErrorScope.call(this);
            return invalid;
        };
    ");
    let result = lstm.forward_unbatched_async(Array2::zeros((2, 5)).view(), None).await;
    run("restore()");
    match result {
        Err(Error::Internal { reason }) => assert!(reason.contains("ComputePipeline"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let lstm = Lstm::new_async(&Device::gpu_async().await.unwrap(), &weights()).await.unwrap();
    lstm.forward_unbatched_async(Array2::zeros((2, 5)).view(), None).await.unwrap();
}
