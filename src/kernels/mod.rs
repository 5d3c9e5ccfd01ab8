//! One file a kernel: its bindings, uniforms, constants and grid, as plain data.

mod hidden_projection;
mod input_projection;
mod recurrent_step;
mod tile;

pub(crate) use hidden_projection::HiddenProjection;
pub(crate) use input_projection::{Block, InputProjection};
pub(crate) use recurrent_step::{RecurrentStep, Step};
pub(crate) use tile::{TileShape, Tiling};

#[cfg(test)]
use crate::spec::KernelSpec;

#[cfg(test)]
/// Every kernel, in the order of `shaders/README.md`.
pub(crate) const KERNELS: [&KernelSpec; 3] = [
    &input_projection::INPUT_PROJECTION,
    &recurrent_step::RECURRENT_STEP,
    &hidden_projection::HIDDEN_PROJECTION,
];

#[cfg(test)]
pub(crate) mod tests;
