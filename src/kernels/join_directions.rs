//! `shaders/join_directions.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::COPY_INVOCATIONS;
use crate::program::{Binding, BufferRef, KernelSpec, KernelTypes, Named, PipelineSpec, Text, Variant};

pub(super) const JOIN_DIRECTIONS: KernelSpec = KernelSpec {
    name: "join_directions",
    text: &[Text::Of(include_str!("../../shaders/join_directions.wgsl"))],
    bindings: &[Binding::uniform::<Join>("join"), Binding::read("separate"), Binding::read_write("joined")],
};

/// The uniform `join`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Join {
    pub rows: u32,
    /// D.
    pub directions: u32,
    /// O.
    pub width: u32,
    /// f32 of a direction of `separate`: O padded to vec4f.
    pub padded: u32,
    /// f32 of a row of `joined`: D·O padded to vec4f.
    pub stride: u32,
}

pub(crate) struct JoinDirectionsBuffers {
    pub separate: BufferRef,
    pub joined: BufferRef,
}

impl Named for JoinDirectionsBuffers {
    fn named(&self, put: &mut dyn FnMut(&'static str, BufferRef)) {
        put("separate", self.separate);
        put("joined", self.joined);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinDirections;

impl KernelTypes for JoinDirections {
    type Uniform = Join;
    type Buffers = JoinDirectionsBuffers;
}

impl JoinDirections {
    pub fn pipeline() -> PipelineSpec {
        let constants = vec![("WORKGROUP_SIZE", f64::from(COPY_INVOCATIONS))];
        PipelineSpec { kernel: &JOIN_DIRECTIONS, variant: Variant::default(), constants }
    }
}
