//! Finding an adapter and opening it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use super::Gpu;
use crate::error::Error;
use crate::spec::{DeviceLimits, SubgroupSizes};

/// Bytes of a binding that shaders can index in 32 bits, whatever the adapter says: Metal names the
/// largest buffer, and clamps the sizes that it tells shaders.
const INDEXABLE_BYTES: u64 = i32::MAX as u64 & !3;

/// What the kernels need of any device, with what this one has; WebGPU guarantees all of it.
fn needs(has: &wgpu::Limits) -> [(&'static str, u32, u32); 5] {
    [
        ("max_storage_buffers_per_shader_stage", 7, has.max_storage_buffers_per_shader_stage),
        ("max_compute_invocations_per_workgroup", 64, has.max_compute_invocations_per_workgroup),
        ("max_compute_workgroup_size_x", 64, has.max_compute_workgroup_size_x),
        ("max_compute_workgroup_storage_size", 8 << 10, has.max_compute_workgroup_storage_size),
        (
            "max_dynamic_uniform_buffers_per_pipeline_layout",
            1,
            has.max_dynamic_uniform_buffers_per_pipeline_layout,
        ),
    ]
}

impl Gpu {
    /// Opens the adapter that the `WGPU_*` variables name, else the fastest.
    pub async fn open() -> Result<Self, Error> {
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        let backends = descriptor.backends;
        let instance = wgpu::Instance::new(descriptor);
        let adapter = match std::env::var("WGPU_ADAPTER_NAME") {
            Ok(name) => named_adapter(&instance, backends, &name).await?,
            Err(_) => fastest_adapter(&instance).await?,
        };
        let wanted = wgpu::Features::SUBGROUP & adapter.features();
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("wgpu-lstm"),
                required_features: wanted,
                required_limits: adapter.limits(),
                ..Default::default()
            })
            .await
            .map_err(|error| Error::DeviceRequest { reason: error.to_string() })?;
        let lost = Arc::new(OnceLock::new());
        let noted = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, message| {
            let _ = noted.set(format!("{reason:?}: {message}")); // the first reason stands
        });
        Self::new(device, queue, lost)
    }

    /// Takes over a device that the caller opened. Its device-lost callback stays the caller's.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, Error> {
        let gpu = Self::new(device, queue, Arc::default())?;
        gpu.check_queue()?;
        Ok(gpu)
    }

    /// Refuses the queue of another device.
    fn check_queue(&self) -> Result<(), Error> {
        if cfg!(target_family = "wasm") {
            return Ok(()); // no answer without waiting; a browser refuses the first call instead
        }
        let probe = || {
            let buffer = self.buffer("probe", 4, wgpu::BufferUsages::empty());
            self.queue.write_buffer(&buffer, 0, &[0; 4]);
        };
        // wgpu panics if the queue comes from another instance.
        let probe = || pollster::block_on(self.scoped(probe));
        match catch_unwind(AssertUnwindSafe(probe)) {
            // The device was found good before, so what wgpu refuses here is the queue.
            Ok(Err(Error::Internal { .. })) | Err(_) => Err(Error::QueueMismatch),
            Ok(result) => result,
        }
    }

    fn new(device: wgpu::Device, queue: wgpu::Queue, lost: Arc<OnceLock<String>>) -> Result<Self, Error> {
        let wgpu_limits = device.limits();
        for (limit_name, needed, limit) in needs(&wgpu_limits) {
            if limit < needed {
                return Err(Error::LimitExceeded {
                    what: "a compute kernel".to_owned(),
                    needed: u64::from(needed),
                    limit_name,
                    limit: u64::from(limit),
                });
            }
        }
        let info = device.adapter_info();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let has_subgroups = device.features().contains(wgpu::Features::SUBGROUP);
        let limits = DeviceLimits {
            max_binding: wgpu_limits.max_storage_buffer_binding_size.min(INDEXABLE_BYTES),
            max_buffer: wgpu_limits.max_buffer_size,
            max_workgroups: wgpu_limits.max_compute_workgroups_per_dimension,
            uniform_alignment: wgpu_limits.min_uniform_buffer_offset_alignment,
            storage_alignment: wgpu_limits.min_storage_buffer_offset_alignment,
            max_invocations: wgpu_limits
                .max_compute_invocations_per_workgroup
                .min(wgpu_limits.max_compute_workgroup_size_x),
            max_workgroup_bytes: wgpu_limits.max_compute_workgroup_storage_size,
            subgroups: has_subgroups
                .then_some(SubgroupSizes { min: info.subgroup_min_size, max: info.subgroup_max_size }),
            software,
            units: units(software),
        };
        Ok(Self { device, queue, info, limits, lost })
    }
}

/// Workgroups that run side by side: a software adapter has a thread for each of the machine's; no interface
/// tells how many a GPU has, and a mid-range one has some 32.
fn units(software: bool) -> u32 {
    let threads = || std::thread::available_parallelism().map_or(1, usize::from);
    if software { u32::try_from(threads()).unwrap_or(1) } else { 32 }
}

async fn fastest_adapter(instance: &wgpu::Instance) -> Result<wgpu::Adapter, Error> {
    let power_preference =
        wgpu::PowerPreference::from_env().unwrap_or(wgpu::PowerPreference::HighPerformance);
    let options = wgpu::RequestAdapterOptions { power_preference, ..Default::default() };
    let no_adapter = |error: wgpu::RequestAdapterError| Error::NoAdapter { reason: error.to_string() };
    instance.request_adapter(&options).await.map_err(no_adapter)
}

/// The first adapter whose name contains `name`, whatever the case of its letters.
async fn named_adapter(
    instance: &wgpu::Instance,
    backends: wgpu::Backends,
    name: &str,
) -> Result<wgpu::Adapter, Error> {
    let adapters = instance.enumerate_adapters(backends).await;
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let wanted = name.to_lowercase();
    let is_wanted = |adapter: &wgpu::Adapter| adapter.get_info().name.to_lowercase().contains(&wanted);
    adapters.into_iter().find(is_wanted).ok_or_else(|| Error::NoAdapter {
        reason: format!("WGPU_ADAPTER_NAME is {name:?}, but the adapters are {names:?}"),
    })
}
