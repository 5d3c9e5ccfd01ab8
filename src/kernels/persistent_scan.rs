//! `shaders/persistent_scan.wgsl` and `shaders/streaming_scan.wgsl`, which share `shaders/common/persistent.wgsl`.

use super::common::{ACTIVATION, CELL, PERSISTENT, SCAN, SUM, WEIGHTS};
use super::scan::BINDINGS;
use super::tile::{TileShape, Tiles};
use crate::program::{KernelSpec, PipelineSpec, Text, VEC4};

pub(super) const PERSISTENT_SCAN: KernelSpec = KernelSpec {
    name: "persistent_scan",
    text: &[
        ACTIVATION,
        CELL,
        SCAN,
        SUM,
        WEIGHTS,
        PERSISTENT,
        Text::Of(include_str!("../../shaders/persistent_scan.wgsl")),
    ],
    bindings: &BINDINGS,
};

pub(super) const STREAMING_SCAN: KernelSpec = KernelSpec {
    name: "streaming_scan",
    text: &[
        ACTIVATION,
        CELL,
        SCAN,
        SUM,
        WEIGHTS,
        PERSISTENT,
        Text::Of(include_str!("../../shaders/streaming_scan.wgsl")),
    ],
    bindings: &BINDINGS,
};

/// Either kernel for one layer's sizes.
pub(crate) struct PersistentScan;

impl PersistentScan {
    /// As [`RecurrentScan::pipelines`](super::RecurrentScan::pipelines), of one tile.
    pub(super) fn pipeline(
        kernel: &'static KernelSpec,
        shape: TileShape,
        tiles: &Tiles,
        directions: usize,
    ) -> PipelineSpec {
        let (tile, columns) = (tiles.list[0], shape.columns);
        let constants = vec![
            ("WORKGROUP_SIZE", f64::from(tile.workgroup_size())),
            ("PARTS", f64::from(tile.split)),
            ("REDUCTION", shape.reduction as f64),
            ("COLUMNS", columns as f64),
            ("DIRECTIONS", directions as f64),
            ("H_TILE", (tile.rows as usize * VEC4 * shape.reduction) as f64),
            ("SHARED", f64::from(tile.rows * tile.workgroup_size())),
        ];
        PipelineSpec { kernel, variant: tiles.variant, constants }
    }
}
