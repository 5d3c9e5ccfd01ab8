//! The files of `shaders/common/`: functions, and the types and constants that they need. A kernel's text is some of
//! these before its own file.

use crate::program::{Element, Text};

pub(super) const ACTIVATION: Text = Text::Of(include_str!("../../shaders/common/activation.wgsl"));
pub(super) const CELL: Text = Text::Of(include_str!("../../shaders/common/cell.wgsl"));
pub(super) const TIME_STEP: Text = Text::Of(include_str!("../../shaders/common/time_step.wgsl"));
pub(super) const STEP_CELL: Text = Text::Of(include_str!("../../shaders/common/step_cell.wgsl"));
pub(super) const SCAN: Text = Text::Of(include_str!("../../shaders/common/scan.wgsl"));
pub(super) const PERSISTENT: Text = Text::Of(include_str!("../../shaders/common/persistent.wgsl"));
pub(super) const SUM: Text = Text::Of(include_str!("../../shaders/common/sum.wgsl"));
pub(super) const TILE: Text = Text::Of(include_str!("../../shaders/common/tile.wgsl"));
pub(super) const WEIGHTS: Text = Text::Twins {
    choose: |variant| variant.element == Element::F16,
    twins: [
        include_str!("../../shaders/common/weights.wgsl"),
        include_str!("../../shaders/common/weights_f16.wgsl"),
    ],
};
pub(super) const TILE_PRODUCT: Text = Text::Twins {
    choose: |variant| variant.subgroups,
    twins: [
        include_str!("../../shaders/common/tile_product.wgsl"),
        include_str!("../../shaders/common/tile_product_subgroup.wgsl"),
    ],
};
pub(super) const SLAB_PRODUCT: Text = Text::Twins {
    choose: |variant| variant.subgroups,
    twins: [
        include_str!("../../shaders/common/slab.wgsl"),
        include_str!("../../shaders/common/slab_subgroup.wgsl"),
    ],
};
