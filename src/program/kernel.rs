//! Kernels and pipelines as data.

use super::{BufferRef, VEC4};

/// A compute shader: its text and what it binds, in the order of the binding numbers.
#[derive(Debug)]
pub(crate) struct KernelSpec {
    /// File stem, entry point and label.
    pub name: &'static str,
    pub text: &'static [Text],
    /// Binding k of group 0.
    pub bindings: &'static [Binding],
}

/// A part of a kernel's text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text {
    /// A file, whatever the variant.
    Of(&'static str),
    /// One of two twins, which declare the same functions.
    Twins {
        /// Whether the second is used.
        choose: fn(Variant) -> bool,
        twins: [&'static str; 2],
    },
}

/// Which twins a kernel is put together from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    /// Operands are shared by subgroup operations.
    pub subgroups: bool,
    /// How weights are stored.
    pub element: Element,
}

/// How the four numbers of an element of a weight are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    #[default]
    F32,
    F16,
}

impl Element {
    /// Words of 32 bits.
    pub fn words(self) -> usize {
        match self {
            Self::F32 => VEC4,
            Self::F16 => VEC4 / 2,
        }
    }
}

impl KernelSpec {
    /// The whole text.
    pub fn source(&self, variant: Variant) -> String {
        let part = |text: &Text| match text {
            Text::Of(text) => *text,
            Text::Twins { choose, twins } => twins[usize::from(choose(variant))],
        };
        self.text.iter().map(part).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The variable's name in the shader.
    pub name: &'static str,
    pub access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// A uniform of this many bytes, at an offset that each dispatch gives.
    Uniform(u32),
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer that is read and written, or only written.
    ReadWrite,
}

impl Binding {
    pub const fn uniform<T>(name: &'static str) -> Self {
        let access = Access::Uniform(size_of::<T>() as u32);
        Self { name, access }
    }

    pub const fn read(name: &'static str) -> Self {
        let access = Access::Read;
        Self { name, access }
    }

    pub const fn read_write(name: &'static str) -> Self {
        let access = Access::ReadWrite;
        Self { name, access }
    }
}

/// The types of what a dispatch of a kernel takes.
pub(crate) trait KernelTypes {
    /// Binding 0.
    type Uniform: bytemuck::Pod;
    /// The other bindings.
    type Buffers: Named;
}

/// The buffers that a dispatch binds, by their names in the shader.
pub(crate) trait Named {
    /// Hands each to `put`, in the order of the bindings. A test compares the names with the shader's.
    fn named(&self, put: &mut dyn FnMut(&'static str, BufferRef));
}

/// A kernel with its `override` constants: what one pipeline is made of.
#[derive(Clone, Debug)]
pub(crate) struct PipelineSpec {
    pub kernel: &'static KernelSpec,
    pub variant: Variant,
    pub constants: Vec<(&'static str, f64)>,
}

impl PartialEq for PipelineSpec {
    fn eq(&self, other: &Self) -> bool {
        self.kernel.name == other.kernel.name
            && self.variant == other.variant
            && self.constants == other.constants
    }
}
