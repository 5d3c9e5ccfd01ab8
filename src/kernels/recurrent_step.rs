//! `shaders/recurrent_step.wgsl`.

use super::common::{ACTIVATION, CELL, STEP_CELL, SUM, TILE, TILE_PRODUCT, TIME_STEP, WEIGHTS};
use super::tile::{TileShape, Tiles};
use super::time_step::{TimeStep, step_constants};
use crate::program::{Binding, BufferRef, KernelSpec, KernelTypes, Named, PipelineSpec, Text};

pub(super) const RECURRENT_STEP: KernelSpec = KernelSpec {
    name: "recurrent_step",
    text: &[
        ACTIVATION,
        CELL,
        TIME_STEP,
        STEP_CELL,
        SUM,
        WEIGHTS,
        TILE,
        TILE_PRODUCT,
        Text::Of(include_str!("../../shaders/recurrent_step.wgsl")),
    ],
    bindings: &[
        Binding::uniform::<TimeStep>("time_step"),
        Binding::read("weights"),
        Binding::read("h"),
        Binding::read("gates_x"),
        Binding::read_write("c"),
        Binding::read_write("h_next"),
        Binding::read_write("output"),
    ],
};

pub(crate) struct RecurrentStepBuffers {
    pub weights: BufferRef,
    pub h: BufferRef,
    pub gates_x: BufferRef,
    pub c: BufferRef,
    pub h_next: BufferRef,
    pub output: BufferRef,
}

impl Named for RecurrentStepBuffers {
    fn named(&self, put: &mut dyn FnMut(&'static str, BufferRef)) {
        put("weights", self.weights);
        put("h", self.h);
        put("gates_x", self.gates_x);
        put("c", self.c);
        put("h_next", self.h_next);
        put("output", self.output);
    }
}

/// The kernel for one layer's sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecurrentStep;

impl KernelTypes for RecurrentStep {
    type Uniform = TimeStep;
    type Buffers = RecurrentStepBuffers;
}

impl RecurrentStep {
    /// `shape` is that of h·W_hhᵀ.
    pub fn pipelines(
        shape: TileShape,
        tiles: &Tiles,
        directions: usize,
        projected: bool,
    ) -> Vec<PipelineSpec> {
        shape.pipelines(&RECURRENT_STEP, tiles, &step_constants(shape, directions, projected))
    }
}
