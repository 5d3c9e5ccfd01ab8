//! Every device of this machine.

use anyhow::Result;
use wgpu_lstm::{Device, wgpu};

/// The CPU, and each adapter that the `WGPU_*` variables allow: its name, and the device or why it can't be opened.
pub fn all() -> Vec<(String, Result<Device>)> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let backends = descriptor.backends;
    let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
    let cpu = Device::cpu();
    let mut devices = vec![(cpu.name(), Ok(cpu))];
    devices.extend(adapters.iter().map(|adapter| {
        let info = adapter.get_info();
        (format!("{}, {:?}", info.name, info.backend), open(adapter))
    }));
    devices
}

/// With the features that `Device::gpu` asks for, and the adapter's own limits: the default ones are those of a phone.
fn open(adapter: &wgpu::Adapter) -> Result<Device> {
    let mut features = wgpu::Features::SUBGROUP;
    features.set(
        wgpu::Features::MAPPABLE_PRIMARY_BUFFERS,
        adapter.get_info().device_type == wgpu::DeviceType::Cpu,
    );
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: features & adapter.features(),
        required_limits: adapter.limits(),
        ..Default::default()
    }))?;
    Ok(Device::from_wgpu(device, queue)?)
}
