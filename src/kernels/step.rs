//! `shaders/recurrent_step.wgsl`, `shaders/fused_step.wgsl` and `shaders/hidden_projection.wgsl`: the kernels of
//! one time step, which take the same parameters.

use bytemuck::{Pod, Zeroable};

use super::tile::{CHAIN, PRODUCT, TILE, TileShape, Tiling, WEIGHTS};
use crate::program::{Binding, KernelSpec, PipelineSpec, Text, VEC4, padded};

pub(super) const ACTIVATION: Text = Text::Of(include_str!("../../shaders/common/activation.wgsl"));
pub(super) const CELL: Text = Text::Of(include_str!("../../shaders/common/cell.wgsl"));
const STEP: Text = Text::Of(include_str!("../../shaders/common/step.wgsl"));
const STEP_CELL: Text = Text::Of(include_str!("../../shaders/common/step_cell.wgsl"));

pub(super) const RECURRENT_STEP: KernelSpec = KernelSpec {
    name: "recurrent_step",
    text: &[
        ACTIVATION,
        CELL,
        STEP,
        STEP_CELL,
        CHAIN,
        WEIGHTS,
        TILE,
        PRODUCT,
        Text::Of(include_str!("../../shaders/recurrent_step.wgsl")),
    ],
    bindings: &[
        Binding::uniform::<Step>("time_step"),
        Binding::read("weights"),
        Binding::read("h"),
        Binding::read("gates_x"),
        Binding::read_write("c"),
        Binding::read_write("h_next"),
        Binding::read_write("output"),
    ],
};

pub(super) const FUSED_STEP: KernelSpec = KernelSpec {
    name: "fused_step",
    text: &[
        ACTIVATION,
        CELL,
        STEP,
        STEP_CELL,
        CHAIN,
        WEIGHTS,
        TILE,
        PRODUCT,
        Text::Of(include_str!("../../shaders/fused_step.wgsl")),
    ],
    bindings: &[
        Binding::uniform::<Step>("time_step"),
        Binding::read("weights"),
        Binding::read("h"),
        Binding::read("bias"),
        Binding::read_write("c"),
        Binding::read_write("h_next"),
        Binding::read_write("output"),
        Binding::read("x"),
    ],
};

pub(super) const HIDDEN_PROJECTION: KernelSpec = KernelSpec {
    name: "hidden_projection",
    text: &[
        STEP,
        CHAIN,
        WEIGHTS,
        TILE,
        PRODUCT,
        Text::Of(include_str!("../../shaders/hidden_projection.wgsl")),
    ],
    bindings: &[
        Binding::uniform::<Step>("time_step"),
        Binding::read("weights"),
        Binding::read("unprojected"),
        Binding::read_write("h_next"),
        Binding::read_write("output"),
    ],
};

/// Slots that one dispatch has at most: with four a step's uniform is smaller than the 256 bytes that its
/// place takes.
pub(crate) const SLOTS: usize = 4;

/// The uniform `time_step` of `shaders/common/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Step {
    pub slots: [Slot; SLOTS],
}

/// A layer and direction of a [`Step`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Slot {
    /// Sequences that have this time step.
    pub running: u32,
    /// Row of sequence 0 in the states.
    pub state: u32,
    /// Row of sequence 0 in `gates_x`.
    pub gates_row: u32,
    /// Row of sequence 0 in `output`, of rows·D, or [`NO_OUTPUT`](Self::NO_OUTPUT).
    pub output_row: u32,
    /// Where the matrices begin in the bound weights, in elements of four numbers.
    pub w_ih: u32,
    pub w_hh: u32,
    pub w_hr: u32,
    /// Where the biases begin, likewise.
    pub bias: u32,
    /// Row of sequence 0 in what enters the layer.
    pub x_row: u32,
    /// vec4f of such a row.
    pub x_length: u32,
    /// [`FROM_SEQUENCE`](Self::FROM_SEQUENCE) or [`FROM_STATE`](Self::FROM_STATE).
    pub x_source: u32,
    pub unused: u32,
}

impl Slot {
    pub const NO_OUTPUT: u32 = u32::MAX;
    pub const FROM_SEQUENCE: u32 = 0;
    pub const FROM_STATE: u32 = 1;
}

/// `recurrent_step` for one layer's sizes.
pub(crate) struct RecurrentStep;

impl RecurrentStep {
    /// h·W_hhᵀ: `output` f32 in (padded), four gates for each of `hidden` units out.
    pub fn shape(output: usize, hidden: usize) -> TileShape {
        TileShape { reduction: padded(output) / VEC4, columns: hidden }
    }

    pub fn pipelines(
        shape: TileShape,
        tiling: &Tiling,
        directions: usize,
        projected: bool,
    ) -> Vec<PipelineSpec> {
        shape.pipelines(&RECURRENT_STEP, tiling, &step_constants(shape, directions, projected))
    }
}

/// `fused_step` for a network's sizes: one pipeline serves all of its layers.
pub(crate) struct FusedStep;

impl FusedStep {
    /// As [`RecurrentStep::shape`]: what enters the layer comes on top of it.
    pub fn pipelines(
        shape: TileShape,
        tiling: &Tiling,
        directions: usize,
        projected: bool,
    ) -> Vec<PipelineSpec> {
        shape.pipelines(&FUSED_STEP, tiling, &step_constants(shape, directions, projected))
    }
}

fn step_constants(shape: TileShape, directions: usize, projected: bool) -> [(&'static str, f64); 3] {
    let stride = if projected { padded(shape.columns) } else { VEC4 * shape.reduction };
    [
        ("DIRECTIONS", directions as f64),
        ("STRIDE", stride as f64),
        ("PROJECTED", f64::from(u8::from(projected))),
    ]
}

/// `hidden_projection` for one layer's sizes.
pub(crate) struct HiddenProjection;

impl HiddenProjection {
    /// (o ∘ tanh c)·W_hrᵀ: `hidden` f32 in (padded), `projection` f32 out (padded), four a column.
    pub fn shape(hidden: usize, projection: usize) -> TileShape {
        TileShape { reduction: padded(hidden) / VEC4, columns: padded(projection) / VEC4 }
    }

    pub fn pipelines(shape: TileShape, tiling: &Tiling, directions: usize) -> Vec<PipelineSpec> {
        shape.pipelines(&HIDDEN_PROJECTION, tiling, &[("DIRECTIONS", directions as f64)])
    }
}
