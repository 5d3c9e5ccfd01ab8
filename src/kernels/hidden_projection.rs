//! `shaders/hidden_projection.wgsl`.

use super::common::{SUM, TILE, TILE_PRODUCT, TIME_STEP, WEIGHTS};
use super::tile::{TileShape, Tiles};
use super::time_step::TimeStep;
use crate::program::{Binding, BufferRef, KernelSpec, KernelTypes, Named, PipelineSpec, Text};

pub(super) const HIDDEN_PROJECTION: KernelSpec = KernelSpec {
    name: "hidden_projection",
    text: &[
        TIME_STEP,
        SUM,
        WEIGHTS,
        TILE,
        TILE_PRODUCT,
        Text::Of(include_str!("../../shaders/hidden_projection.wgsl")),
    ],
    bindings: &[
        Binding::uniform::<TimeStep>("time_step"),
        Binding::read("weights"),
        Binding::read("unprojected"),
        Binding::read_write("h_next"),
        Binding::read_write("output"),
    ],
};

pub(crate) struct HiddenProjectionBuffers {
    pub weights: BufferRef,
    pub unprojected: BufferRef,
    pub h_next: BufferRef,
    pub output: BufferRef,
}

impl Named for HiddenProjectionBuffers {
    fn named(&self, put: &mut dyn FnMut(&'static str, BufferRef)) {
        put("weights", self.weights);
        put("unprojected", self.unprojected);
        put("h_next", self.h_next);
        put("output", self.output);
    }
}

/// The kernel for one layer's sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HiddenProjection;

impl KernelTypes for HiddenProjection {
    type Uniform = TimeStep;
    type Buffers = HiddenProjectionBuffers;
}

impl HiddenProjection {
    /// `shape` is that of (o ∘ tanh c)·W_hrᵀ, with four outputs a column.
    pub fn pipelines(shape: TileShape, tiles: &Tiles, directions: usize) -> Vec<PipelineSpec> {
        shape.pipelines(&HIDDEN_PROJECTION, tiles, &[("DIRECTIONS", directions as f64)])
    }
}
