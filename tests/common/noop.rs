//! wgpu's backend that executes nothing, and its log of what it is asked for.

use std::path::Path;

use wgpu_lstm::{Device, wgpu};

/// A device that checks and records everything as others do, and executes nothing: results are zeros.
pub fn device(trace: wgpu::Trace) -> Device {
    let mut instance = wgpu::InstanceDescriptor::new_without_display_handle();
    instance.backends = wgpu::Backends::NOOP;
    instance.backend_options.noop.enable = true;
    let adapter = wgpu::Instance::new(instance).request_adapter(&wgpu::RequestAdapterOptions::default());
    let adapter = pollster::block_on(adapter).expect("it needs no driver");
    let request = adapter.request_device(&wgpu::DeviceDescriptor { trace, ..Default::default() });
    let (device, queue) = pollster::block_on(request).expect("it needs no driver");
    Device::from_wgpu(device, queue).expect("default limits are enough")
}

/// Such a device that logs to a directory, which is emptied first.
pub fn traced(directory: &Path) -> Device {
    let _ = std::fs::remove_dir_all(directory); // there may be none yet
    std::fs::create_dir_all(directory).expect("a directory to write to");
    device(wgpu::Trace::Directory(directory.to_owned()))
}

/// The log so far.
pub fn log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("trace.ron")).expect("the device logs")
}

/// Actions of a log that begin with `name`: those of the device, and those of the passes submitted.
pub fn count(log: &str, name: &str) -> usize {
    log.lines().filter(|line| line.trim_start().starts_with(name)).count()
}
