//! Devices: which one is chosen, and what it is called.

use wasm_bindgen_test::wasm_bindgen_test;
use wgpu_lstm::{Device, Error, wgpu};

use crate::browser::run;

#[wasm_bindgen_test]
async fn a_device_is_called_what_the_browser_says_of_it() {
    let device = Device::gpu_async().await.unwrap();
    let name = device.name();
    let adapter = name.strip_suffix(", BrowserWebGpu").unwrap_or_else(|| panic!("{name}"));
    assert!(device.is_gpu() && !adapter.is_empty() && !adapter.starts_with(' '), "{name:?}");
    assert_eq!(Device::cpu().name(), "CPU");
}

#[wasm_bindgen_test]
async fn the_best_device_is_a_hardware_gpu_or_the_cpu() {
    let gpu = Device::gpu_async().await.unwrap();
    let is_software = gpu.wgpu().unwrap().0.adapter_info().device_type == wgpu::DeviceType::Cpu;
    assert_eq!(Device::best_async().await.is_gpu(), !is_software);
    assert!(!Device::best().is_gpu(), "it may not block");
}

#[wasm_bindgen_test]
async fn without_an_adapter_there_is_the_cpu() {
    // A browser without WebGPU, two whose GPU is not supported, and what is neither a window nor a worker, as Node.
    for (hide, show, said) in [
        (
            "Object.defineProperty(navigator, 'gpu', { value: undefined, configurable: true })",
            "delete navigator.gpu",
            "there is no navigator.gpu",
        ),
        (
            "navigator.gpu.requestAdapter = async () => null",
            "delete navigator.gpu.requestAdapter",
            "it offers no adapter",
        ),
        (
            "navigator.gpu.requestAdapter = async () => { throw new TypeError() }",
            "delete navigator.gpu.requestAdapter",
            "it offers no adapter",
        ),
        (
            "globalThis.hidden = Window; Window = undefined",
            "Window = hidden; delete globalThis.hidden",
            "no Window and no WorkerGlobalScope",
        ),
        (
            "globalThis.hidden = Object.getOwnPropertyDescriptor(globalThis, 'navigator'); delete globalThis.navigator",
            "Object.defineProperty(globalThis, 'navigator', hidden); delete globalThis.hidden",
            "there is no navigator",
        ),
    ] {
        run(hide);
        let (gpu, best) = (Device::gpu_async().await, Device::best_async().await);
        run(show);
        let Err(Error::NoAdapter { reason }) = gpu else { panic!("{hide}: {gpu:?}") };
        let foreign = ["vulkan", "metal", "dx12", "gles"].map(|backend| reason.contains(backend));
        assert!(reason.contains(said) && !foreign.contains(&true), "{hide}: {reason}");
        assert!(!best.is_gpu());
    }
    assert!(Device::gpu_async().await.is_ok());
}

#[wasm_bindgen_test]
fn devices_networks_and_futures_may_go_to_another_thread() {
    fn is_send_and_sync<T: Send + Sync>() {}
    fn is_send<T: Send>(_: T) {}
    is_send_and_sync::<Device>();
    is_send_and_sync::<wgpu_lstm::Lstm>();
    is_send_and_sync::<wgpu_lstm::LstmStreamPool>();
    is_send_and_sync::<wgpu_lstm::LstmPass>();
    is_send(Device::gpu_async());
}
