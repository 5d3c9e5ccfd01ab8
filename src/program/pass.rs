//! Dispatches over named buffers, which can be recorded into any encoder.

use super::BufferRef;
#[cfg(test)]
use super::KernelSpec;

/// Dispatches in order, with their uniforms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The dispatches' uniforms, each at a multiple of the device's alignment.
    pub uniforms: Vec<u8>,
    /// Before the first dispatch.
    pub copies_before: Vec<StateCopy>,
    pub dispatches: Vec<Dispatch>,
    /// After the last dispatch.
    pub copies_after: Vec<StateCopy>,
}

/// A copy of states between the same places of two of the program's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateCopy {
    pub from: usize,
    pub to: usize,
    /// In f32, as is the length.
    pub start: usize,
    pub len: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dispatch {
    /// Index of the network's pipeline.
    pub pipeline: usize,
    /// Index of the program's bind set.
    pub bind_set: usize,
    /// Offset in bytes of its uniform.
    pub uniform: u32,
    /// Workgroups in x, y, z.
    pub grid: [u32; 3],
    /// Floating-point operations, a multiply-add counted as two.
    pub operations: u64,
}

/// The buffers of one bind group, in the order of the bindings after the uniform.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BindSet {
    /// Index of any pipeline of the kernel: its pipelines share one layout.
    pub pipeline: usize,
    pub buffers: Vec<BufferRef>,
}

impl Pass {
    /// The uniform of one of the dispatches.
    pub fn uniform<U: bytemuck::Pod>(&self, dispatch: &Dispatch) -> U {
        bytemuck::pod_read_unaligned(&self.uniforms[dispatch.uniform as usize..][..size_of::<U>()])
    }
}

#[cfg(test)]
impl BindSet {
    /// The buffer that a kernel's binding of this name has.
    pub fn buffer(&self, kernel: &KernelSpec, name: &str) -> BufferRef {
        let place = kernel.bindings[1..].iter().position(|binding| binding.name == name);
        self.buffers[place.unwrap_or_else(|| panic!("{} binds no {name}", kernel.name))]
    }
}
