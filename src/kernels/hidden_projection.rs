//! `shaders/hidden_projection.wgsl`.

use super::recurrent_step::Step;
use super::tile::{TileShape, Tiling};
use crate::spec::{Binding, KernelSpec, PipelineSpec, VEC4, padded};

pub(super) const HIDDEN_PROJECTION: KernelSpec = KernelSpec {
    name: "hidden_projection",
    portable: concat!(
        include_str!("../../shaders/common/step.wgsl"),
        include_str!("../../shaders/common/tile.wgsl"),
        include_str!("../../shaders/common/tile_product.wgsl"),
        include_str!("../../shaders/hidden_projection.wgsl"),
    ),
    subgroup: concat!(
        include_str!("../../shaders/common/step.wgsl"),
        include_str!("../../shaders/common/tile.wgsl"),
        include_str!("../../shaders/common/tile_product_subgroup.wgsl"),
        include_str!("../../shaders/hidden_projection.wgsl"),
    ),
    bindings: &[
        Binding::uniform::<Step>("time_step"),
        Binding::read("weights"),
        Binding::read("operand"),
        Binding::read_write("h_next"),
        Binding::read_write("output"),
    ],
};

/// The kernel for one layer's sizes.
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
