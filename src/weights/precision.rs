//! The precision of the matrices.

use crate::program::Element;

/// The element type of a network's matrices on a GPU. Biases, states and all computation are f32 in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// IEEE binary32.
    #[default]
    F32,
    /// IEEE binary16: the matrices take half the memory and half the memory traffic. Kernels convert each weight
    /// to f32 when they read it, which needs no feature of the device.
    F16,
}

impl Precision {
    /// How a GPU stores the matrices.
    pub(crate) fn element(self) -> Element {
        match self {
            Self::F32 => Element::F32,
            Self::F16 => Element::F16,
        }
    }
}
