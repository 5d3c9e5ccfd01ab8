//! `shaders/fused_step.wgsl`.

use super::common::{ACTIVATION, CELL, STEP_CELL, SUM, TILE, TILE_PRODUCT, TIME_STEP, WEIGHTS};
use super::tile::{TileShape, Tiles};
use super::time_step::{TimeStep, step_constants};
use crate::program::{Binding, BufferRef, KernelSpec, KernelTypes, Named, PipelineSpec, Text};

pub(super) const FUSED_STEP: KernelSpec = KernelSpec {
    name: "fused_step",
    text: &[
        ACTIVATION,
        CELL,
        TIME_STEP,
        STEP_CELL,
        SUM,
        WEIGHTS,
        TILE,
        TILE_PRODUCT,
        Text::Of(include_str!("../../shaders/fused_step.wgsl")),
    ],
    bindings: &[
        Binding::uniform::<TimeStep>("time_step"),
        Binding::read("weights"),
        Binding::read("h"),
        Binding::read("bias"),
        Binding::read_write("c"),
        Binding::read_write("h_next"),
        Binding::read_write("output"),
        Binding::read("x"),
    ],
};

pub(crate) struct FusedStepBuffers {
    pub weights: BufferRef,
    pub h: BufferRef,
    pub bias: BufferRef,
    pub c: BufferRef,
    pub h_next: BufferRef,
    pub output: BufferRef,
    pub x: BufferRef,
}

impl Named for FusedStepBuffers {
    fn named(&self, put: &mut dyn FnMut(&'static str, BufferRef)) {
        put("weights", self.weights);
        put("h", self.h);
        put("bias", self.bias);
        put("c", self.c);
        put("h_next", self.h_next);
        put("output", self.output);
        put("x", self.x);
    }
}

/// The kernel for a network's sizes: one pipeline serves all of its layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusedStep;

impl KernelTypes for FusedStep {
    type Uniform = TimeStep;
    type Buffers = FusedStepBuffers;
}

impl FusedStep {
    /// `shape` is that of the hidden state's product, as for [`RecurrentStep`](super::RecurrentStep); a slot says how
    /// long a row of the layer's input is.
    pub fn pipelines(
        shape: TileShape,
        tiles: &Tiles,
        directions: usize,
        projected: bool,
    ) -> Vec<PipelineSpec> {
        shape.pipelines(&FUSED_STEP, tiles, &step_constants(shape, directions, projected))
    }
}
