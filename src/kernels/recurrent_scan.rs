//! `shaders/recurrent_scan.wgsl`.

use super::common::{ACTIVATION, CELL, SCAN, STEP_CELL, SUM, TILE, TILE_PRODUCT, WEIGHTS};
use super::scan::BINDINGS;
use super::tile::{TileShape, Tiles};
use crate::program::{KernelSpec, PipelineSpec, Text, VEC4};

pub(super) const RECURRENT_SCAN: KernelSpec = KernelSpec {
    name: "recurrent_scan",
    text: &[
        ACTIVATION,
        CELL,
        SCAN,
        STEP_CELL,
        SUM,
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
    /// `shape` is that of `recurrent_step`; the tiles are as wide as it: see [`Carrying`](super::Carrying).
    pub fn pipelines(shape: TileShape, tiles: &Tiles, directions: usize) -> Vec<PipelineSpec> {
        let mut pipelines = shape.pipelines(&RECURRENT_SCAN, tiles, &[("DIRECTIONS", directions as f64)]);
        for (pipeline, tile) in pipelines.iter_mut().zip(&tiles.list) {
            let h_tile = tile.rows as usize * VEC4 * shape.reduction;
            pipeline.constants.push(("H_TILE", h_tile as f64));
        }
        pipelines
    }
}
