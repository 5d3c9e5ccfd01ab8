//! Finding an adapter and opening it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::wishes::Wishes;
use super::{Gpu, Turns};
use crate::error::{Error, ON_CPU};
use crate::platform;
use crate::program::{DeviceLimits, SubgroupSizes};

/// Bytes of a binding that shaders can index in 32 bits, whatever the adapter reports: Metal reports the largest
/// buffer, and clamps the sizes that shaders see.
const INDEXABLE_BYTES: u64 = i32::MAX as u64 & !3;

/// The feature to map any buffer. Used where a processor emulates the GPU, and all memory is the host's: elsewhere
/// kernels would compute in memory across a bus.
const DIRECT: wgpu::Features = wgpu::Features::MAPPABLE_PRIMARY_BUFFERS;

/// The most that any kernel needs of a device, for any network; WebGPU guarantees all of it. A test compares this
/// with the kernels.
pub(crate) struct KernelNeeds {
    /// Bindings of a group: a uniform and the storage buffers.
    pub bindings: u32,
    pub storage_buffers: u32,
    /// Bytes of the uniform.
    pub uniform: u64,
    pub invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
}

pub(crate) const NEEDS: KernelNeeds = KernelNeeds {
    bindings: 8,
    storage_buffers: 7,
    uniform: 4096,
    invocations: 128,
    workgroup_memory: 8 << 10,
};

/// Each limit, with what the kernels need and what the device has. Storage bindings and buffers grow with the network
/// and the call: the plan checks these.
fn needs(has: &wgpu::Limits) -> [(&'static str, u64, u64); 14] {
    let one = |name, limit: u32| (name, 1, u64::from(limit));
    let some = |name, needed: u32, limit: u32| (name, u64::from(needed), u64::from(limit));
    [
        one("max_bind_groups", has.max_bind_groups),
        some("max_bindings_per_bind_group", NEEDS.bindings, has.max_bindings_per_bind_group),
        one("max_uniform_buffers_per_shader_stage", has.max_uniform_buffers_per_shader_stage),
        one(
            "max_dynamic_uniform_buffers_per_pipeline_layout",
            has.max_dynamic_uniform_buffers_per_pipeline_layout,
        ),
        ("max_uniform_buffer_binding_size", NEEDS.uniform, has.max_uniform_buffer_binding_size),
        some(
            "max_storage_buffers_per_shader_stage",
            NEEDS.storage_buffers,
            has.max_storage_buffers_per_shader_stage,
        ),
        ("max_buffer_size", NEEDS.uniform, has.max_buffer_size),
        some(
            "max_compute_invocations_per_workgroup",
            NEEDS.invocations,
            has.max_compute_invocations_per_workgroup,
        ),
        some("max_compute_workgroup_size_x", NEEDS.invocations, has.max_compute_workgroup_size_x),
        one("max_compute_workgroup_size_y", has.max_compute_workgroup_size_y),
        one("max_compute_workgroup_size_z", has.max_compute_workgroup_size_z),
        some(
            "max_compute_workgroup_storage_size",
            NEEDS.workgroup_memory,
            has.max_compute_workgroup_storage_size,
        ),
        one("max_compute_workgroups_per_dimension", has.max_compute_workgroups_per_dimension),
        some("max_non_sampler_bindings", NEEDS.bindings, has.max_non_sampler_bindings),
    ]
}

impl Gpu {
    /// Opens the adapter that the `WGPU_*` variables name, else the fastest.
    pub async fn open() -> Result<Self, Error> {
        let wishes = Wishes::from_env()?;
        platform::search_adapters().map_err(|reason| Error::NoAdapter { reason: reason.to_owned() })?;
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        let backends = descriptor.backends;
        let instance = wgpu::Instance::new(descriptor);
        let adapter = match &wishes.name {
            Some(name) => named_adapter(&instance, backends, name).await?,
            None => fastest_adapter(&instance, &wishes).await?,
        };
        let mut wanted = wgpu::Features::SUBGROUP;
        wanted.set(DIRECT, is_software(&adapter.get_info()));
        let wanted = wanted & adapter.features();
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("wgpu-lstm"),
                required_features: wanted,
                required_limits: adapter.limits(),
                ..Default::default()
            })
            .await
            .map_err(|error| Error::DeviceRequest { reason: error.to_string() })?;
        let gpu = Self::new(device, queue)?;
        gpu.queue_checked.store(true, Relaxed);
        gpu.note_loss();
        Ok(gpu)
    }

    /// Uses a device that the caller opened. The caller keeps its device-lost callback: in a browser there may be several.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, Error> {
        let gpu = Self::new(device, queue)?;
        if gpu.info.backend == wgpu::Backend::BrowserWebGpu {
            gpu.note_loss();
        }
        gpu.check_queue_now()?;
        Ok(gpu)
    }

    fn note_loss(&self) {
        let noted = Arc::clone(&self.lost);
        self.device.set_device_lost_callback(move |reason, message| {
            let _ = noted.set(format!("{reason:?}: {message}")); // the first reason stands
        });
    }

    fn new(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, Error> {
        let wgpu_limits = device.limits();
        for (limit_name, needed, limit) in needs(&wgpu_limits) {
            check_need(limit_name, needed, limit)?;
        }
        let mut info = device.adapter_info();
        if let Some((name, all)) = platform::browsers_adapter(&device) {
            (info.name, info.driver_info) = (name, all); // wgpu leaves what identifies the adapter empty
        }
        let software = is_software(&info);
        let has_subgroups = device.features().contains(wgpu::Features::SUBGROUP);
        let limits = DeviceLimits {
            max_binding: wgpu_limits.max_storage_buffer_binding_size.min(INDEXABLE_BYTES),
            max_buffer: wgpu_limits.max_buffer_size,
            max_workgroups: wgpu_limits.max_compute_workgroups_per_dimension,
            uniform_alignment: wgpu_limits.min_uniform_buffer_offset_alignment.max(1),
            storage_alignment: wgpu_limits.min_storage_buffer_offset_alignment.max(1),
            max_invocations: wgpu_limits
                .max_compute_invocations_per_workgroup
                .min(wgpu_limits.max_compute_workgroup_size_x),
            max_workgroup_bytes: wgpu_limits.max_compute_workgroup_storage_size,
            subgroups: has_subgroups
                .then_some(SubgroupSizes { min: info.subgroup_min_size, max: info.subgroup_max_size }),
            software,
            browser: info.backend == wgpu::Backend::BrowserWebGpu,
            units: units(software, info.device_type),
            dispatch_ns: dispatch_ns(info.backend),
        };
        let turns = Turns::of(info.backend);
        // OpenGL's buffers must be checked, and those to be mapped can't be: see check_backed.
        let maps_directly =
            software && device.features().contains(DIRECT) && info.backend != wgpu::Backend::Gl;
        let (lost, queue_checked, kernels) = Default::default();
        let gpu = Self { device, queue, info, limits, lost, queue_checked, kernels, turns, maps_directly };
        gpu.check_buffers_of_a_stage(wgpu_limits.max_buffers_and_acceleration_structures_per_shader_stage)?;
        Ok(gpu)
    }

    /// Refuses a device whose shaders take too few buffers of any kind. A strict instance
    /// (`wgpu::InstanceFlags::STRICT_WEBGPU_COMPLIANCE`) reports 0 but accepts more, which only a trial shows.
    fn check_buffers_of_a_stage(&self, limit: u32) -> Result<(), Error> {
        if limit >= NEEDS.bindings {
            return Ok(());
        }
        let entry = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match binding {
                    0 => wgpu::BufferBindingType::Uniform,
                    _ => wgpu::BufferBindingType::Storage { read_only: true },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = (0..NEEDS.bindings).map(entry).collect();
        let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some("probe"), entries: &entries };
        match platform::block_on(self.scoped(|| self.device.create_bind_group_layout(&descriptor))) {
            None => Ok(()), // a browser has no such limit
            Some(Err(Error::Internal { .. })) => {
                let name = "max_buffers_and_acceleration_structures_per_shader_stage";
                check_need(name, NEEDS.bindings.into(), limit.into())
            }
            Some(result) => result.map(drop),
        }
    }
}

fn check_need(limit_name: &'static str, needed: u64, limit: u64) -> Result<(), Error> {
    if limit >= needed {
        return Ok(());
    }
    let (what, advice) = ("a compute kernel".to_owned(), Some(ON_CPU));
    Err(Error::LimitExceeded { what, needed, limit_name, limit, advice })
}

/// Whether a processor emulates the GPU. OpenGL reports no such thing: wgpu tells by the renderer's name there, and
/// knows llvmpipe and SwiftShader. The others are Mesa's softpipe and swrast, and Windows's WARP through Direct3D 12.
fn is_software(info: &wgpu::AdapterInfo) -> bool {
    let named = || {
        let name = info.name.to_lowercase();
        ["softpipe", "software rasterizer", "basic render driver"].iter().any(|known| name.contains(known))
    };
    info.device_type == wgpu::DeviceType::Cpu || (info.backend == wgpu::Backend::Gl && named())
}

/// Workgroups that run side by side: a software adapter has a thread for each of the machine's processors. No API of wgpu
/// tells how many compute units a GPU has. A discrete one counts as 64, between a mid-range one, of some 30, and an H100, of
/// 132; the others are a mid-range one's of their kind.
fn units(software: bool, device_type: wgpu::DeviceType) -> u32 {
    match device_type {
        _ if software => u32::try_from(platform::processors()).unwrap_or(1),
        wgpu::DeviceType::IntegratedGpu => 8,
        wgpu::DeviceType::DiscreteGpu => 64,
        _ => 16,
    }
}

/// Nanoseconds from one dispatch of a compute pass to the next that depends on it. Natively the GPU drains and flushes
/// its caches: 2.8 µs on an H100 through Vulkan, measured (`benches/record/h100.md`). What a browser adds by its checks is from J. Maczan, "Characterizing WebGPU dispatch overhead
/// for LLM inference", 2026 (arXiv 2604.02344): 24 to 36 µs a dispatch on Vulkan, 32 to 71 on Metal. OpenGL's drivers
/// check each dispatch as well. Only Vulkan's was measured with this crate.
fn dispatch_ns(backend: wgpu::Backend) -> u32 {
    match backend {
        wgpu::Backend::BrowserWebGpu => 36_000,
        wgpu::Backend::Gl => 20_000,
        wgpu::Backend::Metal => 8_000,
        wgpu::Backend::Dx12 => 5_000,
        wgpu::Backend::Vulkan | wgpu::Backend::Noop => 3_000,
    }
}

async fn fastest_adapter(instance: &wgpu::Instance, wishes: &Wishes) -> Result<wgpu::Adapter, Error> {
    let options =
        wgpu::RequestAdapterOptions { power_preference: wishes.power_preference, ..Default::default() };
    let no_adapter = |error: wgpu::RequestAdapterError| Error::NoAdapter {
        reason: match browser_found_none(&error) {
            true => "the browser has WebGPU, but it offers no adapter: its GPU or driver may be blocked"
                .to_owned(),
            false => format!("{error}{}{}", wishes.said(), without_gl(&error)),
        },
    };
    instance.request_adapter(&options).await.map_err(no_adapter)
}

/// Whether a browser was asked. wgpu's message then lists the native backends, which are in no browser.
fn browser_found_none(error: &wgpu::RequestAdapterError) -> bool {
    matches!(error, wgpu::RequestAdapterError::NotFound { no_adapter_backends, .. }
        if *no_adapter_backends == wgpu::Backends::BROWSER_WEBGPU)
}

/// The feature that may be missing, as a suffix for an error message.
fn without_gl(error: &wgpu::RequestAdapterError) -> &'static str {
    match error {
        wgpu::RequestAdapterError::NotFound { requested_backends, supported_backends, .. }
            if requested_backends.contains(wgpu::Backends::GL)
                && !supported_backends.contains(wgpu::Backends::GL) =>
        {
            "; OpenGL ES needs wgpu-lstm's feature `gles`, on Linux, Android and Windows"
        }
        _ => "",
    }
}

/// The first adapter whose name contains `name`, ignoring case.
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

#[cfg(test)]
mod tests {
    use wgpu::{AdapterInfo, Backend, Backends, DeviceType};

    use super::{is_software, without_gl};

    #[test]
    fn an_opengl_renderer_is_software_by_its_name() {
        let info = |device_type, backend, name: &str| AdapterInfo {
            name: name.to_owned(),
            ..AdapterInfo::new(device_type, backend)
        };
        for (software, info) in [
            (true, info(DeviceType::Cpu, Backend::Gl, "llvmpipe (LLVM 15.0.6, 256 bits)")),
            (true, info(DeviceType::Cpu, Backend::Vulkan, "any")),
            (true, info(DeviceType::Other, Backend::Gl, "softpipe")),
            (true, info(DeviceType::Other, Backend::Gl, "Software Rasterizer")),
            (true, info(DeviceType::Other, Backend::Gl, "D3D12 (Microsoft Basic Render Driver)")),
            (false, info(DeviceType::Other, Backend::Gl, "NVIDIA GeForce RTX 3060/PCIe/SSE2")),
            (false, info(DeviceType::IntegratedGpu, Backend::Gl, "Mesa Intel(R) UHD Graphics 620 (KBL GT2)")),
            (false, info(DeviceType::Other, Backend::Gl, "D3D12 (NVIDIA GeForce RTX 3060)")),
            (false, info(DeviceType::DiscreteGpu, Backend::Vulkan, "softpipe")),
        ] {
            assert_eq!(is_software(&info), software, "{info:?}");
        }
    }

    #[test]
    fn the_feature_is_named_where_it_may_be_missing() {
        let error = |requested_backends, supported_backends| wgpu::RequestAdapterError::NotFound {
            active_backends: Backends::empty(),
            requested_backends,
            supported_backends,
            no_fallback_backends: Backends::empty(),
            no_adapter_backends: Backends::empty(),
            incompatible_surface_backends: Backends::empty(),
        };
        let named = |error| without_gl(&error).contains("feature `gles`");
        assert!(named(error(Backends::all(), Backends::VULKAN)));
        assert!(named(error(Backends::GL, Backends::VULKAN)));
        assert!(!named(error(Backends::all(), Backends::VULKAN | Backends::GL)), "the feature is on");
        assert!(!named(error(Backends::NOOP, Backends::VULKAN)), "OpenGL is not asked for");
        assert!(!named(wgpu::RequestAdapterError::EnvNotSet));
    }
}
