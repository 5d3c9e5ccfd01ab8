//! Buffers: whose they are, how long, and how a dispatch refers to one.

use super::Turn;

/// Whose contents a buffer has, and how long they live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// The network's weights: as long as the network.
    Network,
    /// The state of the sequences: from before the first step until after the last, or from one run to the next.
    State(State),
    /// The caller's input and output.
    Caller,
    /// No owner: it is not read after the pass, or the next block of time overwrites it.
    Scratch,
}

/// A part of the state, of every layer and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// One of two buffers of h that take turns. Where h is updated in place, it is the one that holds h at first.
    Hidden(Turn),
    Cell,
    /// h and c of the streams of a pool, at their slots.
    StoredHidden,
    StoredCell,
}

/// A buffer; one of a program holds zeros at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BufferSpec {
    pub owner: Owner,
    /// Its label on the device.
    pub name: String,
    /// Length in words of 32 bits.
    pub len: usize,
}

/// A buffer that a dispatch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BufferRef {
    /// A part of a buffer of the network.
    Resident(ResidentRef),
    /// A whole buffer of the program, by its index.
    Program(usize),
}

/// A part of a buffer that is uploaded once and kept; `start` is aligned as bindings have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResidentRef {
    pub buffer: usize,
    /// In words of 32 bits, as is the length.
    pub start: usize,
    pub len: usize,
}

impl BufferSpec {
    pub fn bytes(&self) -> u64 {
        4 * self.len as u64
    }
}
