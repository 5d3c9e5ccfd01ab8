//! `shaders/private_scan.wgsl`.

use super::common::{ACTIVATION, CELL, SCAN, SLAB_PRODUCT, SUM, WEIGHTS};
use super::scan::BINDINGS;
use super::tile::{TileShape, Tiles};
use crate::program::{KernelSpec, PipelineSpec, Text, VEC4};

pub(super) const PRIVATE_SCAN: KernelSpec = KernelSpec {
    name: "private_scan",
    text: &[
        ACTIVATION,
        CELL,
        SCAN,
        SUM,
        WEIGHTS,
        SLAB_PRODUCT,
        Text::Of(include_str!("../../shaders/private_scan.wgsl")),
    ],
    bindings: &BINDINGS,
};

/// The kernel for one layer's sizes.
pub(crate) struct PrivateScan;

impl PrivateScan {
    /// As [`RecurrentScan::pipelines`](super::RecurrentScan::pipelines), of one tile.
    pub fn pipeline(shape: TileShape, tiles: &Tiles, directions: usize) -> PipelineSpec {
        let tile = tiles.list[0];
        let constants = vec![
            ("WORKGROUP_SIZE", f64::from(tile.workgroup_size())),
            ("REDUCTION", shape.reduction as f64),
            ("COLUMNS", shape.columns as f64),
            ("SLABS", shape.blocks() as f64),
            ("DIRECTIONS", directions as f64),
            ("H_TILE", (tile.rows as usize * shape.reduction) as f64),
            ("H_NEXT", (tile.rows as usize * VEC4 * shape.reduction) as f64),
        ];
        PipelineSpec { kernel: &PRIVATE_SCAN, variant: tiles.variant, constants }
    }
}
