//! `shaders/input_projection.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::common::{SUM, TILE, TILE_PRODUCT, WEIGHTS};
use super::tile::{TileShape, Tiles};
use crate::program::{Binding, BufferRef, KernelSpec, KernelTypes, Named, PipelineSpec, Text};

pub(super) const INPUT_PROJECTION: KernelSpec = KernelSpec {
    name: "input_projection",
    text: &[SUM, WEIGHTS, TILE, TILE_PRODUCT, Text::Of(include_str!("../../shaders/input_projection.wgsl"))],
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
    /// Direction of the workgroups with z = 0.
    pub direction: u32,
    /// First row of the dispatch.
    pub first_row: u32,
    /// Rows of the whole block.
    pub rows: u32,
    /// Rows that `gates_x` holds for each direction.
    pub gates_rows: u32,
}

pub(crate) struct InputProjectionBuffers {
    pub weights: BufferRef,
    pub x: BufferRef,
    pub bias: BufferRef,
    pub gates_x: BufferRef,
}

impl Named for InputProjectionBuffers {
    fn named(&self, put: &mut dyn FnMut(&'static str, BufferRef)) {
        put("weights", self.weights);
        put("x", self.x);
        put("bias", self.bias);
        put("gates_x", self.gates_x);
    }
}

/// The kernel for one layer's sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputProjection;

impl KernelTypes for InputProjection {
    type Uniform = Block;
    type Buffers = InputProjectionBuffers;
}

impl InputProjection {
    /// `shape` is that of x·W_ihᵀ.
    pub fn pipelines(shape: TileShape, tiles: &Tiles) -> Vec<PipelineSpec> {
        shape.pipelines(&INPUT_PROJECTION, tiles, &[])
    }
}
