//! The kernels' host side as plain data: bindings, uniforms, constants and grid. One file a kernel, but for
//! those of a single time step, which take the same parameters and share a file.

mod input_projection;
mod recurrent_scan;
mod step;
mod tile;

pub(crate) use input_projection::{Block, InputProjection};
pub(crate) use recurrent_scan::{Moment, RecurrentScan, SCAN_STEPS, Scan};
pub(crate) use step::{FusedStep, HiddenProjection, RecurrentStep, SLOTS, Slot, Step};
pub(crate) use tile::{TileShape, Tiling};

#[cfg(test)]
use crate::program::KernelSpec;

#[cfg(test)]
/// Every kernel, in the order of `shaders/README.md`.
pub(crate) const KERNELS: [&KernelSpec; 6] = [
    &input_projection::INPUT_PROJECTION,
    &step::RECURRENT_STEP,
    &recurrent_scan::RECURRENT_SCAN,
    &recurrent_scan::PERSISTENT_SCAN,
    &step::FUSED_STEP,
    &step::HIDDEN_PROJECTION,
];

#[cfg(test)]
pub(crate) mod tests;
