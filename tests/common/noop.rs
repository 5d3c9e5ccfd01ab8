//! wgpu's no-op backend, which executes nothing, and its trace.
#![allow(dead_code, reason = "a benchmark uses a part of it")]

use std::path::Path;

use wgpu_lstm::{Device, wgpu};

/// A device that validates and records commands and does not execute them: results are zeros.
pub fn device(trace: wgpu::Trace) -> Device {
    let descriptor = wgpu::DeviceDescriptor { trace, ..Default::default() };
    let (device, queue) = request(None, wgpu::InstanceFlags::default(), descriptor);
    Device::from_wgpu(device, queue).expect("default limits are enough")
}

/// Such a device with these limits, as an adapter of this type.
pub fn open(limits: wgpu::Limits, device_type: wgpu::DeviceType) -> (wgpu::Device, wgpu::Queue) {
    let required_features = wgpu::Features::SUBGROUP;
    let descriptor =
        wgpu::DeviceDescriptor { required_limits: limits, required_features, ..Default::default() };
    request(Some(device_type), wgpu::InstanceFlags::default(), descriptor)
}

/// Such a device of an instance with `STRICT_WEBGPU_COMPLIANCE`.
pub fn strict() -> (wgpu::Device, wgpu::Queue) {
    request(None, wgpu::InstanceFlags::STRICT_WEBGPU_COMPLIANCE, wgpu::DeviceDescriptor::default())
}

fn request(
    device_type: Option<wgpu::DeviceType>,
    flags: wgpu::InstanceFlags,
    descriptor: wgpu::DeviceDescriptor<'_>,
) -> (wgpu::Device, wgpu::Queue) {
    let mut instance = wgpu::InstanceDescriptor::new_without_display_handle();
    instance.backends = wgpu::Backends::NOOP;
    instance.flags = flags;
    instance.backend_options.noop.enable = true;
    instance.backend_options.noop.device_type = device_type;
    let adapter = wgpu::Instance::new(instance).request_adapter(&wgpu::RequestAdapterOptions::default());
    let adapter = pollster::block_on(adapter).expect("it needs no driver");
    pollster::block_on(adapter.request_device(&descriptor)).expect("it needs no driver")
}

/// Such a device that writes its trace to a directory, which is emptied first.
pub fn traced(directory: &Path) -> Device {
    let _ = std::fs::remove_dir_all(directory); // there may be none yet
    std::fs::create_dir_all(directory).expect("a directory to write to");
    device(wgpu::Trace::Directory(directory.to_owned()))
}

/// As [`traced`], as a software adapter whose buffers can all be mapped.
pub fn traced_and_mapped(directory: &Path) -> Device {
    let _ = std::fs::remove_dir_all(directory); // there may be none yet
    std::fs::create_dir_all(directory).expect("a directory to write to");
    let descriptor = wgpu::DeviceDescriptor {
        trace: wgpu::Trace::Directory(directory.to_owned()),
        required_features: wgpu::Features::MAPPABLE_PRIMARY_BUFFERS,
        ..Default::default()
    };
    let software = Some(wgpu::DeviceType::Cpu);
    let (device, queue) = request(software, wgpu::InstanceFlags::default(), descriptor);
    Device::from_wgpu(device, queue).expect("default limits are enough")
}

/// The trace so far.
pub fn log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("trace.ron")).expect("the device logs")
}

/// Lines of a trace that begin with `name`: calls of the device, and commands of submitted passes.
pub fn count(log: &str, name: &str) -> usize {
    log.lines().filter(|line| line.trim_start().starts_with(name)).count()
}
