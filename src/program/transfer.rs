//! The edges of a pass: what is uploaded before it, and downloaded after it.

use std::ops::Range;

/// A whole buffer that is uploaded or downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub buffer: usize,
    /// f32 from the buffer's start.
    pub len: usize,
    pub contents: Contents,
}

/// What a transferred buffer holds of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// The input of some time steps, [rows, I padded].
    Input { steps: Range<usize> },
    /// The last layer's output of some time steps, [rows, D, O padded].
    Output { steps: Range<usize> },
    /// h, [L, D, B, O padded].
    Hidden { held: Held },
    /// c, [L, D, B, H].
    Cell,
    /// What a pool copies from and to the slots of its streams: four words a place.
    Entries,
}

/// The sequences whose last state is in a buffer of h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// All: there is no other buffer of h.
    All,
    /// Those whose last step wrote the buffer of this turn.
    At { turn: Turn, turns: Turns },
}

/// Whose turn it is among two buffers that a step reads and writes alternately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Turn {
    First,
    Second,
}

/// Which buffer of h holds a layer's state. Layers come in groups; in a group each is one turn behind the layer below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Turns {
    /// That of the lowest layer of each group, before the first step.
    pub start: Turn,
    pub layers_in_group: usize,
}

/// The host's side of a program's transfers; a call that waits may move to another thread.
pub(crate) trait Host: Send + Sync {
    /// Hands what to upload to `put`, piece by piece; what is missing at the end of a transfer is zeros.
    fn upload(&self, contents: &Contents, put: &mut dyn FnMut(&[f32]));
    /// Takes what was downloaded.
    fn download(&mut self, contents: &Contents, data: &[f32]);
    /// A submission was submitted, and nothing was awaited since.
    fn submitted(&mut self) {}
    /// wgpu refused the last submission: it is not executed.
    fn refused(&mut self) {}
}

impl Transfer {
    pub fn bytes(&self) -> u64 {
        4 * self.len as u64
    }
}

impl Turn {
    /// The turn so many steps later.
    pub fn after(self, steps: usize) -> Self {
        match (self, steps.is_multiple_of(2)) {
            (turn, true) => turn,
            (Self::First, false) => Self::Second,
            (Self::Second, false) => Self::First,
        }
    }
}

impl Turns {
    /// The buffer that holds a layer's state after so many steps of that layer.
    pub fn of(&self, layer: usize, steps: usize) -> Turn {
        self.start.after(steps + layer % self.layers_in_group)
    }
}
