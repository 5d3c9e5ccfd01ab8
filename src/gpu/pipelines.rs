//! From kernels as data to compiled pipelines.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::Gpu;
use crate::error::Error;
use crate::lock::lock;
use crate::program::{Access, KernelSpec, Needs, PipelineSpec};

/// A network's pipelines, in the order of their specs: compiled when a program first needs them, unless another
/// network on the device has the same.
#[derive(Debug)]
pub(crate) struct Pipelines {
    specs: Vec<PipelineSpec>,
    pipelines: Vec<OnceLock<Arc<Pipeline>>>,
}

/// A kernel with its constants.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub kernel: Arc<CompiledKernel>,
    /// Bytes of binding 0, the uniform.
    pub uniform_bytes: u32,
}

/// What the pipelines of a kernel share, and which of them are alive.
#[derive(Debug)]
pub(super) struct CompiledKernel {
    source: String,
    module: wgpu::ShaderModule,
    pub layout: wgpu::BindGroupLayout,
    pipeline_layout: wgpu::PipelineLayout,
    pipelines: Mutex<Vec<(Constants, Weak<Pipeline>)>>,
}

type Constants = Vec<(&'static str, f64)>;

/// The kernels that the networks on a device have compiled.
#[derive(Debug, Default)]
pub(super) struct Kernels {
    alive: Mutex<Vec<Weak<CompiledKernel>>>,
}

impl Kernels {
    fn find(&self, source: &str) -> Option<Arc<CompiledKernel>> {
        lock(&self.alive).iter().filter_map(Weak::upgrade).find(|kernel| kernel.source == source)
    }

    /// Keeps a kernel, unless another thread was faster: then that one.
    fn keep(&self, kernel: CompiledKernel) -> Arc<CompiledKernel> {
        let mut alive = lock(&self.alive);
        alive.retain(|known| known.strong_count() > 0);
        let known = alive.iter().filter_map(Weak::upgrade).find(|known| known.source == kernel.source);
        known.unwrap_or_else(|| {
            let kernel = Arc::new(kernel);
            alive.push(Arc::downgrade(&kernel));
            kernel
        })
    }
}

impl CompiledKernel {
    fn find(&self, constants: &Constants) -> Option<Arc<Pipeline>> {
        let pipelines = lock(&self.pipelines);
        let same = pipelines.iter().filter(|(known, _)| known == constants);
        same.filter_map(|(_, pipeline)| pipeline.upgrade()).next()
    }

    /// As [`Kernels::keep`].
    fn keep(&self, constants: &Constants, pipeline: Pipeline) -> Arc<Pipeline> {
        let mut pipelines = lock(&self.pipelines);
        pipelines.retain(|(_, known)| known.strong_count() > 0);
        let same = pipelines.iter().filter(|(known, _)| known == constants);
        let known = same.filter_map(|(_, known)| known.upgrade()).next();
        known.unwrap_or_else(|| {
            let pipeline = Arc::new(pipeline);
            pipelines.push((constants.clone(), Arc::downgrade(&pipeline)));
            pipeline
        })
    }
}

impl Pipelines {
    pub fn new(specs: Vec<PipelineSpec>) -> Self {
        let pipelines = specs.iter().map(|_| OnceLock::new()).collect();
        Self { specs, pipelines }
    }

    /// A pipeline of a program that was prepared.
    pub(super) fn get(&self, index: usize) -> &Pipeline {
        self.pipelines[index].get().expect("a program is prepared before it runs")
    }
}

impl Gpu {
    /// Compiles the pipelines that a program needs and that no network on the device has.
    pub(super) async fn compile(&self, pipelines: &Pipelines, needs: &Needs) -> Result<(), Error> {
        for &index in &needs.pipelines {
            if pipelines.pipelines[index].get().is_none() {
                let spec = &pipelines.specs[index];
                let pipeline = self.shared_pipeline(spec).await?;
                // Where another thread was faster, its pipeline is the same.
                let _ = pipelines.pipelines[index].set(pipeline);
            }
        }
        Ok(())
    }

    async fn shared_pipeline(&self, spec: &PipelineSpec) -> Result<Arc<Pipeline>, Error> {
        let source = spec.kernel.source(spec.variant);
        let kernel = match self.kernels.find(&source) {
            Some(known) => known,
            None => self.kernels.keep(self.scoped(|| self.compile_kernel(spec.kernel, source)).await?),
        };
        match kernel.find(&spec.constants) {
            Some(known) => Ok(known),
            None => {
                let compiled = self.scoped(|| self.compile_pipeline(spec, &kernel)).await?;
                Ok(kernel.keep(&spec.constants, compiled))
            }
        }
    }

    fn compile_kernel(&self, kernel: &KernelSpec, source: String) -> CompiledKernel {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(source.as_str().into()),
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
        CompiledKernel { source, module, layout, pipeline_layout, pipelines: Mutex::default() }
    }

    fn compile_pipeline(&self, spec: &PipelineSpec, kernel: &Arc<CompiledKernel>) -> Pipeline {
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
        Pipeline { pipeline, kernel: Arc::clone(kernel), uniform_bytes }
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
