//! `shaders/persistent_scan.wgsl`.

use super::common::{ACTIVATION, CELL, CHAIN, SCAN, SLAB_PRODUCT, WEIGHTS};
use super::scan::{BINDINGS, ScanKernel};
use super::tile::{TileShape, Tiling};
use crate::program::{KernelSpec, PipelineSpec, Text, VEC4};

pub(super) const PERSISTENT_SCAN: KernelSpec = KernelSpec {
    name: "persistent_scan",
    text: &[
        ACTIVATION,
        CELL,
        SCAN,
        CHAIN,
        WEIGHTS,
        SLAB_PRODUCT,
        Text::Of(include_str!("../../shaders/persistent_scan.wgsl")),
    ],
    bindings: &BINDINGS,
};

/// The kernel for one layer's sizes.
pub(crate) struct PersistentScan;

impl PersistentScan {
    /// As [`RecurrentScan::pipelines`](super::RecurrentScan::pipelines), for at most `rows` sequences of a workgroup.
    pub fn pipeline(shape: TileShape, tiling: &Tiling, directions: usize, rows: usize) -> PipelineSpec {
        let constants = vec![
            ("WORKGROUP_SIZE", f64::from(tiling.workgroup_size)),
            ("REDUCTION", shape.reduction as f64),
            ("COLUMNS", shape.columns as f64),
            ("SLABS", ScanKernel::slabs(shape) as f64),
            ("DIRECTIONS", directions as f64),
            ("H_TILE", (rows * shape.reduction) as f64),
            ("H_NEXT", (rows * VEC4 * shape.reduction) as f64),
        ];
        PipelineSpec { kernel: &PERSISTENT_SCAN, variant: tiling.variant, constants }
    }
}
