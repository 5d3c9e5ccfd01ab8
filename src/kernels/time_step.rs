//! `shaders/common/time_step.wgsl`: the uniform of the kernels that compute one time step.

use bytemuck::{Pod, Zeroable};

use super::tile::TileShape;
use crate::program::{VEC4, padded};

/// Slots of a dispatch at most: with four the uniform is smaller than 256 bytes, the usual alignment of uniforms.
pub(crate) const SLOTS: usize = 4;

/// The uniform `time_step`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct TimeStep {
    pub slots: [Slot; SLOTS],
}

/// A layer and direction of a [`TimeStep`].
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
    /// First elements of the matrices in the bound weights. An element is four numbers.
    pub w_ih: u32,
    pub w_hh: u32,
    pub w_hr: u32,
    /// First element of the bias in the bound biases.
    pub bias: u32,
    /// Row of sequence 0 in the layer's input.
    pub x_row: u32,
    /// vec4f of a row of the layer's input.
    pub x_length: u32,
    /// [`FROM_SEQUENCE`](Self::FROM_SEQUENCE) or [`FROM_STATE`](Self::FROM_STATE).
    pub x_source: u32,
    pub unused: u32,
}

impl Slot {
    /// The dispatch writes no output for this slot.
    pub const NO_OUTPUT: u32 = u32::MAX;
    /// The layer's input is in `x`.
    pub const FROM_SEQUENCE: u32 = 0;
    /// The layer's input is the hidden state of the layer below, in `h`.
    pub const FROM_STATE: u32 = 1;

    /// The fields that a kernel reads, as a line of text.
    pub(super) fn describe(&self, kernel: &str) -> String {
        let Self { running, state, gates_row, w_ih, w_hh, w_hr, bias, x_row, x_length, .. } = self;
        let output_row = match self.output_row {
            Self::NO_OUTPUT => "none".to_owned(),
            row => row.to_string(),
        };
        let rows = format!("running {running}, state {state}, output_row {output_row}");
        let x = if self.x_source == Self::FROM_STATE { "h" } else { "x" };
        match kernel {
            "recurrent_step" => format!("{rows}, gates_row {gates_row}, w_hh {w_hh}"),
            "hidden_projection" => format!("{rows}, w_hr {w_hr}"),
            _ => format!(
                "{rows}, w_ih {w_ih}, w_hh {w_hh}, bias {bias}, input {x_length} vec4f of {x} from row {x_row}"
            ),
        }
    }
}

impl TimeStep {
    /// Fills the slots, no more than [`SLOTS`], and counts them.
    pub fn of(slots: impl IntoIterator<Item = Slot>) -> (Self, usize) {
        let mut step = Self::default();
        let mut count = 0;
        for slot in slots {
            step.slots[count] = slot;
            count += 1;
        }
        (step, count)
    }

    /// Rows of the slot that has most.
    pub fn rows(&self) -> usize {
        self.slots.iter().map(|slot| slot.running as usize).max().unwrap_or(0)
    }
}

/// The constants of a kernel that updates cells.
pub(super) fn step_constants(
    shape: TileShape,
    directions: usize,
    projected: bool,
) -> [(&'static str, f64); 3] {
    let stride = if projected { padded(shape.columns) } else { VEC4 * shape.reduction };
    [
        ("DIRECTIONS", directions as f64),
        ("STRIDE", stride as f64),
        ("PROJECTED", f64::from(u8::from(projected))),
    ]
}
