//! The process that has the driver: it compiles the shaders that it reads from standard input, one JSON value a line, and
//! answers each with a line of what the compiler tells about it (VK_KHR_pipeline_executable_properties).

use std::ffi::{CStr, CString, c_char};
use std::io::{BufRead, Write, stdin, stdout};

use anyhow::{Context, Result, anyhow, ensure};
use ash::vk;
use serde::{Deserialize, Serialize};

use crate::translate::Shader;

/// The first line that the process writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    pub adapter: String,
    pub driver: String,
}

/// What a compiler tells about a pipeline, one entry for each program that it made of it: one, with these drivers.
pub type Report = Vec<Executable>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Executable {
    pub name: String,
    pub subgroup_size: u32,
    pub statistics: Vec<(String, f64)>,
    /// Its internal representations, by their names.
    pub texts: Vec<(String, String)>,
}

struct Vulkan {
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
    about: About,
}

/// Serves until standard input ends.
pub fn serve() -> Result<()> {
    let vulkan = open()?;
    let answer = |line: String| writeln!(stdout(), "{line}").context("standard output");
    answer(serde_json::to_string(&vulkan.about)?)?;
    for line in stdin().lock().lines() {
        let shader: Shader = serde_json::from_str(&line?)?;
        let report = vulkan.compile(&shader).map_err(|error| format!("{error:#}"));
        answer(serde_json::to_string(&report)?)?;
    }
    Ok(())
}

fn text(name: &[c_char]) -> String {
    let bytes: Vec<u8> = name.iter().map(|&c| c.cast_unsigned()).take_while(|&c| c != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Opens the one adapter as wgpu-hal does, as far as that changes what is compiled.
fn open() -> Result<Vulkan> {
    // SAFETY: the functions are called as Vulkan asks, all from this thread. Nothing is destroyed before the process ends.
    unsafe {
        let entry = ash::Entry::load().context("no Vulkan loader")?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&application);
        let instance = entry.create_instance(&info, None).context("no instance")?;
        let adapter = *instance.enumerate_physical_devices()?.first().context("no adapter")?;

        let mut driver = vk::PhysicalDeviceDriverProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
        instance.get_physical_device_properties2(adapter, &mut properties);
        let adapter_name = text(&properties.properties.device_name);
        let driver = format!("{}, {}", text(&driver.driver_name), text(&driver.driver_info));

        let extensions = instance.enumerate_device_extension_properties(adapter)?;
        let wanted = [ash::khr::pipeline_executable_properties::NAME, ash::ext::robustness2::NAME];
        for name in wanted {
            let has = |e: &vk::ExtensionProperties| e.extension_name_as_c_str() == Ok::<&CStr, _>(name);
            ensure!(extensions.iter().any(has), "{adapter_name} has no {name:?}");
        }
        let wanted = wanted.map(CStr::as_ptr);
        let mut executables = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
            .pipeline_executable_info(true);
        let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true);
        let mut sizes = vk::PhysicalDeviceSubgroupSizeControlFeatures::default().subgroup_size_control(true);
        let features = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
        let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
        let info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&wanted)
            .enabled_features(&features)
            .push_next(&mut executables)
            .push_next(&mut robust)
            .push_next(&mut sizes);
        let device = instance.create_device(adapter, &info, None).context("no device")?;
        let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
        // dropping the loader would unload the driver
        std::mem::forget(entry);
        Ok(Vulkan { device, executables, about: About { adapter: adapter_name, driver } })
    }
}

impl Vulkan {
    fn compile(&self, shader: &Shader) -> Result<Report> {
        let entry_point = CString::new(shader.entry_point.as_str())?;
        let bindings = shader.bindings.iter().map(|&(number, uniform)| {
            let kind = if uniform {
                vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC
            } else {
                vk::DescriptorType::STORAGE_BUFFER
            };
            vk::DescriptorSetLayoutBinding::default()
                .binding(number)
                .descriptor_type(kind)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        });
        let bindings: Vec<_> = bindings.collect();
        let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
            | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        // SAFETY: naga's SPIR-V is valid, every pointer lives until its call returns, and all that is made is destroyed
        // once and last.
        unsafe {
            let device = &self.device;
            let module = vk::ShaderModuleCreateInfo::default().code(&shader.spirv);
            let module = device.create_shader_module(&module, None)?;
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device.create_descriptor_set_layout(&set, None)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&layout, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(&entry_point)
                .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE);
            let info = vk::ComputePipelineCreateInfo::default().layout(layout).stage(stage).flags(flags);
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None);
            let report = match made {
                Ok(pipelines) => {
                    let report = self.report(pipelines[0]);
                    device.destroy_pipeline(pipelines[0], None);
                    report
                }
                Err((_, error)) => Err(anyhow!("vkCreateComputePipelines: {error}")),
            };
            device.destroy_pipeline_layout(layout, None);
            device.destroy_descriptor_set_layout(sets[0], None);
            device.destroy_shader_module(module, None);
            report
        }
    }

    /// # Safety
    ///
    /// The pipeline is of this device, and was made with the flags that capture.
    unsafe fn report(&self, pipeline: vk::Pipeline) -> Result<Report> {
        let info = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: the caller's promise.
        let properties = unsafe { self.executables.get_pipeline_executable_properties(&info) }?;
        let mut report = Report::new();
        for (index, executable) in (0..).zip(properties) {
            let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(index);
            // SAFETY: the pipeline has this executable.
            let statistics = unsafe { self.executables.get_pipeline_executable_statistics(&info) }?;
            let statistics = statistics.iter().map(|statistic| (text(&statistic.name), value_of(statistic)));
            report.push(Executable {
                name: text(&executable.name),
                subgroup_size: executable.subgroup_size,
                statistics: statistics.collect(),
                // SAFETY: as above.
                texts: unsafe { self.texts(&info) }?,
            });
        }
        Ok(report)
    }

    /// # Safety
    ///
    /// As for `report`.
    unsafe fn texts(&self, info: &vk::PipelineExecutableInfoKHR<'_>) -> Result<Vec<(String, String)>> {
        let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        let device = self.device.handle();
        let mut count = 0;
        // SAFETY: asked three times, as Vulkan wants: how many, how large, and for the texts, into buffers of that size.
        unsafe {
            get(device, info, &raw mut count, std::ptr::null_mut()).result()?;
            let mut list = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            get(device, info, &raw mut count, list.as_mut_ptr()).result()?;
            let mut buffers: Vec<Vec<u8>> = list.iter().map(|one| vec![0; one.data_size]).collect();
            for (one, buffer) in list.iter_mut().zip(&mut buffers) {
                one.p_data = buffer.as_mut_ptr().cast();
            }
            get(device, info, &raw mut count, list.as_mut_ptr()).result()?;
            let texts = list.iter().zip(&buffers).filter(|(one, _)| one.is_text != 0).map(|(one, buffer)| {
                let end = buffer.iter().position(|&byte| byte == 0).unwrap_or(buffer.len());
                (text(&one.name), String::from_utf8_lossy(&buffer[..end]).into_owned())
            });
            Ok(texts.collect())
        }
    }
}

fn value_of(statistic: &vk::PipelineExecutableStatisticKHR<'_>) -> f64 {
    use vk::PipelineExecutableStatisticFormatKHR as Format;
    // SAFETY: the format says which member was written.
    unsafe {
        match statistic.format {
            Format::BOOL32 => f64::from(statistic.value.b32 != 0),
            Format::INT64 => statistic.value.i64 as f64,
            Format::UINT64 => statistic.value.u64 as f64,
            _ => statistic.value.f64,
        }
    }
}
