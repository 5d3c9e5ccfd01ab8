//! `shaders/recurrent_scan.wgsl`.

use super::common::{ACTIVATION, CELL, CHAIN, SCAN, TILE, TILE_PRODUCT, WEIGHTS};
use super::scan::BINDINGS;
use super::tile::{TileShape, Tiling};
use crate::program::{KernelSpec, PipelineSpec, Text, VEC4};

pub(super) const RECURRENT_SCAN: KernelSpec = KernelSpec {
    name: "recurrent_scan",
    text: &[
        ACTIVATION,
        CELL,
        SCAN,
        CHAIN,
        WEIGHTS,
        TILE,
        TILE_PRODUCT,
        Text::Of(include_str!("../../shaders/recurrent_scan.wgsl")),
    ],
    bindings: &BINDINGS,
};

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
