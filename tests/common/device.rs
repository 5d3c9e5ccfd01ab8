//! The devices that tests run on. A process opens each once, since some drivers crash if many are open.

use std::sync::OnceLock;

use wgpu_lstm::{Device, wgpu};

const HOW_TO_GET_ONE: &str = "GPU tests need an adapter. On Debian `scripts/on lavapipe-25 cargo test` installs a \
    software adapter and runs the tests on it; `scripts/test` runs them on every software adapter. \
    `cargo test --features skip-gpu-tests` runs the other tests, and shows these as ignored.";

/// The device that [`Device::gpu`] opens. Panics where there is no adapter.
pub fn gpu() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| Device::gpu().unwrap_or_else(|error| panic!("{error}\n{HOW_TO_GET_ONE}")))
}

/// The same adapter, opened without features and with wgpu's default limits.
pub fn plain_gpu() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let (device, queue) = open(wgpu::Features::empty(), wgpu::Limits::default());
        Device::from_wgpu(device, queue).expect("the defaults are enough")
    })
}

/// Opens the adapter by hand.
pub fn open(features: wgpu::Features, limits: wgpu::Limits) -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    open_from(instance, features, limits).expect("a device")
}

/// As [`open`], from another instance.
pub fn open_from(
    instance: wgpu::InstanceDescriptor,
    features: wgpu::Features,
    limits: wgpu::Limits,
) -> Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError> {
    let instance = wgpu::Instance::new(instance);
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
        .unwrap_or_else(|error| panic!("{error}\n{HOW_TO_GET_ONE}"));
    let descriptor = wgpu::DeviceDescriptor {
        required_features: features & adapter.features(),
        required_limits: limits,
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&descriptor))
}
