//! From kernels as data to compiled pipelines.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Gpu;
use crate::error::Error;
use crate::spec::{Access, KernelSpec, PipelineSpec, Program, Variant};

/// A network's pipelines, in the order of their specs: compiled when a program first needs them.
#[derive(Debug)]
pub(crate) struct Pipelines {
    specs: Vec<PipelineSpec>,
    pipelines: Vec<OnceLock<Pipeline>>,
    /// What the pipelines of a kernel share.
    kernels: Mutex<Vec<((&'static str, Variant), Kernel)>>,
}

#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Bytes of binding 0, the uniform.
    pub uniform_bytes: u32,
}

#[derive(Clone, Debug)]
struct Kernel {
    module: wgpu::ShaderModule,
    layout: wgpu::BindGroupLayout,
    pipeline_layout: wgpu::PipelineLayout,
}

impl Pipelines {
    pub fn new(specs: Vec<PipelineSpec>) -> Self {
        let pipelines = specs.iter().map(|_| OnceLock::new()).collect();
        Self { specs, pipelines, kernels: Mutex::default() }
    }

    fn known_kernel(&self, spec: &PipelineSpec) -> Option<Kernel> {
        let kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (spec.kernel.name, spec.variant);
        kernels.iter().find(|(known, _)| *known == key).map(|(_, kernel)| kernel.clone())
    }

    fn keep_kernel(&self, spec: &PipelineSpec, kernel: Kernel) {
        if self.known_kernel(spec).is_none() {
            let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            kernels.push(((spec.kernel.name, spec.variant), kernel));
        }
    }

    /// A pipeline of a program that was prepared.
    pub(super) fn get(&self, index: usize) -> &Pipeline {
        self.pipelines[index].get().expect("a program is prepared before it runs")
    }
}

impl Gpu {
    /// Compiles what a program needs and nothing needed before.
    pub(super) async fn compile<Tag>(
        &self,
        pipelines: &Pipelines,
        program: &Program<Tag>,
    ) -> Result<(), Error> {
        let dispatches = program.submissions.iter().flat_map(|submission| &submission.dispatches);
        let bound = program.bind_sets.iter().map(|set| set.pipeline);
        let needed: BTreeSet<usize> = dispatches.map(|dispatch| dispatch.pipeline).chain(bound).collect();
        for index in needed {
            if pipelines.pipelines[index].get().is_none() {
                let spec = &pipelines.specs[index];
                let compiled = self.scoped(|| {
                    let kernel = self.kernel(pipelines, spec);
                    (self.compile_pipeline(spec, &kernel), kernel)
                });
                let (pipeline, kernel) = compiled.await?;
                pipelines.keep_kernel(spec, kernel);
                // Where another thread was faster, its pipeline is as good.
                let _ = pipelines.pipelines[index].set(pipeline);
            }
        }
        Ok(())
    }

    fn kernel(&self, pipelines: &Pipelines, spec: &PipelineSpec) -> Kernel {
        let known = pipelines.known_kernel(spec);
        known.unwrap_or_else(|| self.compile_kernel(spec))
    }

    fn compile_kernel(&self, spec: &PipelineSpec) -> Kernel {
        let kernel = spec.kernel;
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(kernel.source(spec.variant).into()),
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
        Kernel { module, layout, pipeline_layout }
    }

    fn compile_pipeline(&self, spec: &PipelineSpec, kernel: &Kernel) -> Pipeline {
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
