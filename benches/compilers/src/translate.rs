//! WGSL to SPIR-V, with the options of wgpu-hal 30's Vulkan backend (`vulkan/adapter.rs`, `vulkan/device.rs`) on a device
//! of Vulkan 1.3 with `robustBufferAccess2`, which all of these drivers have.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow};
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, ShaderStage};
use serde::{Deserialize, Serialize};
use wgpu_lstm::inspect::Kernel;

/// A kernel as a driver gets it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shader {
    pub entry_point: String,
    pub spirv: Vec<u32>,
    /// Numbers in group 0, and whether each is a uniform.
    pub bindings: Vec<(u32, bool)>,
}

pub fn translate(kernel: &Kernel) -> Result<Shader> {
    let source = &kernel.source;
    let module =
        naga::front::wgsl::parse_str(source).map_err(|error| anyhow!(error.emit_to_string(source)))?;
    let entry_point = module.entry_points.first().context("no entry point")?.name.clone();
    let capabilities =
        Capabilities::SUBGROUP | Capabilities::SUBGROUP_BARRIER | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|error| anyhow!(error.emit_to_string(source)))?;
    let constants: HashMap<String, f64> =
        kernel.overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let (module, info) = naga::back::pipeline_constants::process_overrides(
        &module,
        &info,
        Some((ShaderStage::Compute, &entry_point)),
        &constants.into_iter().collect(),
    )?;
    let pipeline =
        spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry_point.clone() };
    let spirv = spv::write_vec(&module, &info, &options(), Some(&pipeline))?;
    let bindings = module.global_variables.iter().filter_map(|(_, variable)| {
        let binding = variable.binding.as_ref()?;
        Some((binding.binding, variable.space == AddressSpace::Uniform))
    });
    Ok(Shader { entry_point, spirv, bindings: bindings.collect() })
}

fn options() -> spv::Options<'static> {
    let capabilities = [
        spv::Capability::Shader,
        spv::Capability::Matrix,
        spv::Capability::Sampled1D,
        spv::Capability::Image1D,
        spv::Capability::ImageQuery,
        spv::Capability::DerivativeControl,
        spv::Capability::StorageImageExtendedFormats,
        spv::Capability::GroupNonUniform,
        spv::Capability::GroupNonUniformVote,
        spv::Capability::GroupNonUniformArithmetic,
        spv::Capability::GroupNonUniformBallot,
        spv::Capability::GroupNonUniformShuffle,
        spv::Capability::GroupNonUniformShuffleRelative,
        spv::Capability::GroupNonUniformQuad,
    ];
    spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
        capabilities: Some(capabilities.into_iter().collect()),
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            buffer: BoundsCheckPolicy::Unchecked, // robustBufferAccess2 does it
            image_load: BoundsCheckPolicy::Unchecked,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        // as src/gpu/pipelines.rs asks
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: true,
        ..Default::default()
    }
}
