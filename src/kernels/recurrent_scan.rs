//! `shaders/recurrent_scan.wgsl` and `shaders/persistent_scan.wgsl`: many time steps in one dispatch, which
//! take the same parameters.

use bytemuck::{Pod, Zeroable};

use super::step::{ACTIVATION, CELL};
use super::tile::{CHAIN, PRODUCT, SLAB, TILE, TileShape, Tiling, WEIGHTS};
use crate::program::{Binding, KernelSpec, PipelineSpec, Text, VEC4};

pub(super) const RECURRENT_SCAN: KernelSpec = KernelSpec {
    name: "recurrent_scan",
    text: &[
        ACTIVATION,
        CELL,
        SCAN,
        CHAIN,
        WEIGHTS,
        TILE,
        PRODUCT,
        Text::Of(include_str!("../../shaders/recurrent_scan.wgsl")),
    ],
    bindings: &BINDINGS,
};

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

const BINDINGS: [Binding; 6] = [
    Binding::uniform::<Scan>("scan"),
    Binding::read("weights"),
    Binding::read_write("h"),
    Binding::read("gates_x"),
    Binding::read_write("c"),
    Binding::read_write("output"),
];

const SCAN: Text = Text::Of(include_str!("../../shaders/common/scan.wgsl"));
const SLAB_PRODUCT: Text = Text::Twins {
    choose: |variant| variant.subgroups,
    twins: [
        include_str!("../../shaders/common/slab.wgsl"),
        include_str!("../../shaders/common/slab_subgroup.wgsl"),
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
    /// Sequences of a workgroup.
    pub rows: u32,
    /// Slabs of eight `vec4f` that a row of h takes.
    pub slabs: u32,
    pub unused: [u32; 3],
    /// Of each time step, in each direction.
    pub steps: [[Moment; 2]; SCAN_STEPS],
}

/// A time step of a [`Scan`] in one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Moment {
    /// Sequences that have this time step.
    pub running: u32,
    /// Row of sequence 0 in `gates_x`.
    pub gates_row: u32,
    /// Row of sequence 0 in `output`, of rows·D.
    pub output_row: u32,
    pub unused: u32,
}

/// The kernel for one layer's sizes.
pub(crate) struct RecurrentScan;

impl RecurrentScan {
    /// Slabs of persistent weights that a row of h takes.
    pub fn slabs(shape: TileShape) -> usize {
        shape.reduction.div_ceil(SLAB)
    }

    /// `shape` is that of `recurrent_step`, and `tiling` carries it: see [`Tiling::carrying`].
    pub fn pipelines(shape: TileShape, tiling: &Tiling, directions: usize) -> Vec<PipelineSpec> {
        if let Some(rows) = tiling.persistent_rows() {
            let constants = vec![
                ("WORKGROUP_SIZE", f64::from(tiling.workgroup_size)),
                ("REDUCTION", shape.reduction as f64),
                ("COLUMNS", shape.columns as f64),
                ("SLABS", Self::slabs(shape) as f64),
                ("DIRECTIONS", directions as f64),
                ("H_TILE", (rows * shape.reduction) as f64),
                ("H_NEXT", (rows * VEC4 * shape.reduction) as f64),
            ];
            return vec![PipelineSpec { kernel: &PERSISTENT_SCAN, variant: tiling.variant, constants }];
        }
        let mut pipelines = shape.pipelines(&RECURRENT_SCAN, tiling, &[("DIRECTIONS", directions as f64)]);
        for (pipeline, rows) in pipelines.iter_mut().zip(tiling.heights()) {
            let h_tile = rows as usize * VEC4 * shape.reduction;
            pipeline.constants.push(("H_TILE", h_tile as f64));
        }
        pipelines
    }
}
