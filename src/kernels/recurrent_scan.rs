//! `shaders/recurrent_scan.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::step::{ACTIVATION, CELL};
use super::tile::{PRODUCT, TILE, TileShape, Tiling, WEIGHTS};
use crate::spec::{Binding, KernelSpec, PipelineSpec, Text, VEC4};

pub(super) const RECURRENT_SCAN: KernelSpec = KernelSpec {
    name: "recurrent_scan",
    text: &[
        ACTIVATION,
        CELL,
        TILE,
        WEIGHTS,
        PRODUCT,
        Text::Of(include_str!("../../shaders/recurrent_scan.wgsl")),
    ],
    bindings: &[
        Binding::uniform::<Scan>("scan"),
        Binding::read("weights"),
        Binding::read_write("h"),
        Binding::read("gates_x"),
        Binding::read_write("c"),
        Binding::read_write("output"),
    ],
};

/// Time steps of one dispatch at most: with the head they make 4 KiB of uniforms, a quarter of what every
/// device binds.
pub(crate) const SCAN_STEPS: usize = 127;

/// The uniform `scan`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Scan {
    /// B.
    pub batch: u32,
    /// Direction of the dispatch's first layer of workgroups.
    pub direction: u32,
    /// Time steps of the dispatch.
    pub count: u32,
    pub unused: u32,
    pub steps: [Times; SCAN_STEPS],
}

/// A time step of a [`Scan`], per direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Times {
    /// Sequences that have this time step.
    pub running: [u32; 2],
    /// Row of sequence 0 in `gates_x`.
    pub gates_row: [u32; 2],
    /// Row of sequence 0 in `output`.
    pub output_row: [u32; 2],
    pub unused: [u32; 2],
}

/// The kernel for one layer's sizes.
pub(crate) struct RecurrentScan;

impl RecurrentScan {
    /// `shape` is that of `recurrent_step`, and `tiling` carries it: see [`Tiling::carrying`].
    pub fn pipelines(shape: TileShape, tiling: &Tiling, directions: usize) -> Vec<PipelineSpec> {
        let mut pipelines = shape.pipelines(&RECURRENT_SCAN, tiling, &[("DIRECTIONS", directions as f64)]);
        for (pipeline, rows) in pipelines.iter_mut().zip(tiling.heights()) {
            let h_tile = rows as usize * VEC4 * shape.reduction;
            pipeline.constants.push(("H_TILE", h_tile as f64));
        }
        pipelines
    }
}
