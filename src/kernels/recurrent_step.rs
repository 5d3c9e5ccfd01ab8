//! `shaders/recurrent_step.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::tile::{TileShape, Tiling};
use crate::spec::{Binding, KernelSpec, PipelineSpec, VEC4, padded};

pub(super) const RECURRENT_STEP: KernelSpec = KernelSpec {
    name: "recurrent_step",
    portable: concat!(
        include_str!("../../shaders/common/activation.wgsl"),
        include_str!("../../shaders/common/step.wgsl"),
        include_str!("../../shaders/common/tile.wgsl"),
        include_str!("../../shaders/common/tile_product.wgsl"),
        include_str!("../../shaders/recurrent_step.wgsl"),
    ),
    subgroup: concat!(
        include_str!("../../shaders/common/activation.wgsl"),
        include_str!("../../shaders/common/step.wgsl"),
        include_str!("../../shaders/common/tile.wgsl"),
        include_str!("../../shaders/common/tile_product_subgroup.wgsl"),
        include_str!("../../shaders/recurrent_step.wgsl"),
    ),
    bindings: &[
        Binding::uniform::<Step>("time_step"),
        Binding::read("weights"),
        Binding::read("operand"),
        Binding::read("gates_x"),
        Binding::read_write("c"),
        Binding::read_write("h_next"),
        Binding::read_write("output"),
    ],
};

/// The uniform `time_step` of `shaders/common/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Step {
    /// B.
    pub batch: u32,
    /// Direction of the dispatch's first layer of workgroups.
    pub direction: u32,
    /// Per direction: sequences that have this time step.
    pub running: [u32; 2],
    /// Per direction: row of sequence 0 in `gates_x`.
    pub gates_row: [u32; 2],
    /// Per direction: row of sequence 0 in `output`.
    pub output_row: [u32; 2],
}

/// The kernel for one layer's sizes.
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
        let stride = if projected { padded(shape.columns) } else { VEC4 * shape.reduction };
        let more = [
            ("DIRECTIONS", directions as f64),
            ("STRIDE", stride as f64),
            ("PROJECTED", f64::from(u8::from(projected))),
        ];
        shape.pipelines(&RECURRENT_STEP, tiling, &more)
    }
}
