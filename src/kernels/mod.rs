//! The host side of each kernel: its text, bindings, uniform, constants and grid, as plain data. One file a kernel, named
//! as its shader; `time_step.rs` and `scan.rs` have the uniforms that several share, `tile.rs` has their tile.

mod carrying;
mod common;
mod exchange_states;
mod fused_step;
mod hidden_projection;
mod input_projection;
mod join_directions;
mod persistent_scan;
mod private_scan;
mod recurrent_scan;
mod recurrent_step;
mod scan;
mod tile;
mod time_step;

pub(crate) use carrying::Carrying;
pub(crate) use exchange_states::{Entry, Exchange, ExchangeStates, ExchangeStatesBuffers};
pub(crate) use fused_step::{FusedStep, FusedStepBuffers};
pub(crate) use hidden_projection::{HiddenProjection, HiddenProjectionBuffers};
pub(crate) use input_projection::{Block, InputProjection, InputProjectionBuffers};
pub(crate) use join_directions::{Join, JoinDirections, JoinDirectionsBuffers};
pub(crate) use persistent_scan::PersistentScan;
pub(crate) use private_scan::PrivateScan;
pub(crate) use recurrent_scan::RecurrentScan;
pub(crate) use recurrent_step::{RecurrentStep, RecurrentStepBuffers};
pub(crate) use scan::{Moment, SCAN_STEPS, Scan, ScanBuffers, ScanKernel};
pub(crate) use tile::{Tile, TileShape, Tiles, Tiling};
pub(crate) use time_step::{SLOTS, Slot, TimeStep};

use crate::program::{Dispatch, KernelSpec, Pass};

/// Invocations of a workgroup of the kernels that only copy: a wave of any GPU, or two.
pub(crate) const COPY_INVOCATIONS: u32 = 64;

/// The fields of a dispatch's uniform as lines of text.
pub(crate) fn describe_uniform(kernel: &KernelSpec, pass: &Pass, dispatch: &Dispatch) -> Vec<String> {
    let slots = dispatch.grid[2] as usize;
    match kernel.name {
        "input_projection" => vec![format!("{:?}", pass.uniform::<Block>(dispatch))],
        "recurrent_scan" | "persistent_scan" | "streaming_scan" | "private_scan" => {
            pass.uniform::<Scan>(dispatch).describe(slots)
        }
        "recurrent_step" | "fused_step" | "hidden_projection" => {
            let step = pass.uniform::<TimeStep>(dispatch);
            step.slots[..slots.min(SLOTS)].iter().map(|slot| slot.describe(kernel.name)).collect()
        }
        "exchange_states" => vec![format!("{:?}", pass.uniform::<Exchange>(dispatch))],
        "join_directions" => vec![format!("{:?}", pass.uniform::<Join>(dispatch))],
        other => panic!("{other} has a uniform that nothing describes"),
    }
}

/// Every kernel, in the order of `shaders/README.md`.
#[cfg(test)]
pub(crate) const KERNELS: [&KernelSpec; 10] = [
    &input_projection::INPUT_PROJECTION,
    &recurrent_step::RECURRENT_STEP,
    &recurrent_scan::RECURRENT_SCAN,
    &persistent_scan::PERSISTENT_SCAN,
    &persistent_scan::STREAMING_SCAN,
    &private_scan::PRIVATE_SCAN,
    &fused_step::FUSED_STEP,
    &hidden_projection::HIDDEN_PROJECTION,
    &exchange_states::EXCHANGE_STATES,
    &join_directions::JOIN_DIRECTIONS,
];

#[cfg(test)]
pub(crate) mod tests;
