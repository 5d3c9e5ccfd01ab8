//! `shaders/exchange_states.wgsl`.

use bytemuck::{Pod, Zeroable};

use super::COPY_INVOCATIONS;
use crate::program::{Binding, BufferRef, KernelSpec, KernelTypes, Named, PipelineSpec, Text, Variant};

pub(super) const EXCHANGE_STATES: KernelSpec = KernelSpec {
    name: "exchange_states",
    text: &[Text::Of(include_str!("../../shaders/exchange_states.wgsl"))],
    bindings: &[
        Binding::uniform::<Exchange>("exchange"),
        Binding::read("entries"),
        Binding::read_write("h_first"),
        Binding::read_write("h_second"),
        Binding::read_write("c"),
        Binding::read_write("stored_h"),
        Binding::read_write("stored_c"),
    ],
};

/// The uniform `exchange`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Exchange {
    /// 1: to the places, 0: to the slots.
    pub to_places: u32,
    /// L.
    pub layers: u32,
    /// Places of the batch; there are as many slots.
    pub places: u32,
    /// f32 from one row of h to the next, and of c.
    pub h_stride: u32,
    pub c_stride: u32,
    /// Turn of h at the places that are loaded, in the lowest layer of a group: 0 or 1.
    pub turn: u32,
    pub layers_in_group: u32,
}

/// What happens to one place.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Entry {
    /// The slot, or [`NO_SLOT`](Self::NO_SLOT).
    pub store_to: u32,
    /// Turn of h at this place, and its group, as in [`Exchange`].
    pub turn: u32,
    pub layers_in_group: u32,
    /// The slot, [`ZEROS`](Self::ZEROS) or [`NO_SLOT`](Self::NO_SLOT).
    pub load_from: u32,
}

impl Entry {
    /// Nothing is copied.
    pub const NO_SLOT: u32 = u32::MAX;
    /// The stream begins.
    pub const ZEROS: u32 = u32::MAX - 1;
    /// Nothing happens to the place.
    pub const NONE: Self =
        Self { store_to: Self::NO_SLOT, turn: 0, layers_in_group: 1, load_from: Self::NO_SLOT };
}

pub(crate) struct ExchangeStatesBuffers {
    pub entries: BufferRef,
    pub h_first: BufferRef,
    pub h_second: BufferRef,
    pub c: BufferRef,
    pub stored_h: BufferRef,
    pub stored_c: BufferRef,
}

impl Named for ExchangeStatesBuffers {
    fn named(&self, put: &mut dyn FnMut(&'static str, BufferRef)) {
        put("entries", self.entries);
        put("h_first", self.h_first);
        put("h_second", self.h_second);
        put("c", self.c);
        put("stored_h", self.stored_h);
        put("stored_c", self.stored_c);
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ExchangeStates;

impl KernelTypes for ExchangeStates {
    type Uniform = Exchange;
    type Buffers = ExchangeStatesBuffers;
}

impl ExchangeStates {
    pub fn pipeline() -> PipelineSpec {
        let constants = vec![("WORKGROUP_SIZE", f64::from(COPY_INVOCATIONS))];
        PipelineSpec { kernel: &EXCHANGE_STATES, variant: Variant::default(), constants }
    }
}
