//! `shaders/input_projection.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::tile::{CHAIN, PRODUCT, TILE, TileShape, Tiling, WEIGHTS};
use crate::program::{Binding, KernelSpec, PipelineSpec, Text, VEC4, padded};

pub(super) const INPUT_PROJECTION: KernelSpec = KernelSpec {
    name: "input_projection",
    text: &[CHAIN, WEIGHTS, TILE, PRODUCT, Text::Of(include_str!("../../shaders/input_projection.wgsl"))],
    bindings: &[
        Binding::uniform::<Block>("block"),
        Binding::read("weights"),
        Binding::read("x"),
        Binding::read("bias"),
        Binding::read_write("gates_x"),
    ],
};

/// The uniform `block`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Block {
    /// Direction of the dispatch's first layer of workgroups.
    pub direction: u32,
    /// First row of the dispatch.
    pub first_row: u32,
    /// Rows of the whole block.
    pub rows: u32,
    /// Rows that `gates_x` holds for each direction.
    pub gates_rows: u32,
}

/// The kernel for one layer's sizes.
pub(crate) struct InputProjection;

impl InputProjection {
    /// x·W_ihᵀ: `input` f32 in (padded), four gates for each of `hidden` units out.
    pub fn shape(input: usize, hidden: usize) -> TileShape {
        TileShape { reduction: padded(input) / VEC4, columns: hidden }
    }

    pub fn pipelines(shape: TileShape, tiling: &Tiling) -> Vec<PipelineSpec> {
        shape.pipelines(&INPUT_PROJECTION, tiling, &[])
    }
}
