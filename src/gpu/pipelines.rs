//! From kernels as data to compiled pipelines.

use std::collections::HashMap;

use super::Gpu;
use crate::error::Error;
use crate::spec::{Access, KernelSpec, PipelineSpec};

/// Compiled pipelines, in the order of their specs. Pipelines of one kernel share a layout.
#[derive(Debug)]
pub(crate) struct Pipelines {
    pub(super) pipelines: Vec<Pipeline>,
}

#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Bytes of binding 0, the uniform.
    pub uniform_bytes: u32,
}

struct Compiled {
    module: wgpu::ShaderModule,
    layout: wgpu::BindGroupLayout,
    pipeline_layout: wgpu::PipelineLayout,
}

impl Gpu {
    pub async fn compile(&self, specs: &[PipelineSpec]) -> Result<Pipelines, Error> {
        self.scoped(|| {
            let mut kernels: HashMap<&str, Compiled> = HashMap::new();
            let pipelines = specs.iter().map(|spec| {
                let kernel = kernels.entry(spec.kernel.name).or_insert_with(|| self.compile_kernel(spec));
                self.compile_pipeline(spec, kernel)
            });
            Pipelines { pipelines: pipelines.collect() }
        })
        .await
    }

    fn compile_kernel(&self, spec: &PipelineSpec) -> Compiled {
        let kernel = spec.kernel;
        let source = if spec.subgroups { kernel.subgroup } else { kernel.portable };
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let entries = layout_entries(kernel);
        let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(kernel.name),
            entries: &entries,
        });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        Compiled { module, layout, pipeline_layout }
    }

    fn compile_pipeline(&self, spec: &PipelineSpec, kernel: &Compiled) -> Pipeline {
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(spec.kernel.name),
            layout: Some(&kernel.pipeline_layout),
            module: &kernel.module,
            entry_point: Some(spec.kernel.name),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &spec.constants,
                // Every element of workgroup memory is written before it is read.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let uniform_bytes = match spec.kernel.bindings.first().map(|binding| binding.access) {
            Some(Access::Uniform(bytes)) => bytes,
            _ => 0,
        };
        Pipeline { pipeline, layout: kernel.layout.clone(), uniform_bytes }
    }
}

fn layout_entries(kernel: &KernelSpec) -> Vec<wgpu::BindGroupLayoutEntry> {
    let entry = |(number, access)| {
        let (ty, has_dynamic_offset, size) = match access {
            Access::Uniform(bytes) => (wgpu::BufferBindingType::Uniform, true, u64::from(bytes)),
            Access::Read => (wgpu::BufferBindingType::Storage { read_only: true }, false, 0),
            Access::ReadWrite => (wgpu::BufferBindingType::Storage { read_only: false }, false, 0),
        };
        wgpu::BindGroupLayoutEntry {
            binding: number,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset,
                min_binding_size: wgpu::BufferSize::new(size),
            },
            count: None,
        }
    };
    let accesses = kernel.bindings.iter().map(|binding| binding.access);
    (0..).zip(accesses).map(entry).collect()
}
