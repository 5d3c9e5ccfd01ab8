//! How precisely the matrices are kept.

/// How a network's matrices are stored on the device. Biases, states and everything that is computed are f32
/// in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// IEEE binary32.
    #[default]
    F32,
    /// IEEE binary16, widened to f32 when a kernel reads it: half the memory and half the memory traffic of the
    /// matrices. Needs no feature of the device.
    F16,
}
