//! What a program is planned for: sequences, memory, and who keeps their states.

use crate::batch::Packing;
use crate::program::{BindSet, Turn};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub packing: &'a Packing,
    /// Bytes that a block of time steps may take.
    pub budget: u64,
    pub keeper: Keeper,
    /// Bind sets that the program's list begins with: those of programs with the same buffers.
    pub bind_sets: &'a [BindSet],
}

/// Who keeps the states of the sequences, and so what a program transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// The caller, on the host: states and input are uploaded, output and states downloaded.
    Caller,
    /// A pass that is recorded again and again: nothing is transferred. h begins and ends in the first of its buffers.
    Pass,
    /// A pool, which has `places` for sequences in every layer, and h in the buffer of a turn: the input is uploaded and
    /// the output downloaded. Afterwards h is where the last step of each sequence left it. If it `exchanges`, states are
    /// first copied to the slots of their streams and from those of this program's.
    Pool { places: usize, start: Turn, exchanges: bool },
}

impl<'a> Request<'a> {
    /// A call with arrays on the host.
    pub fn call(packing: &'a Packing, budget: u64) -> Self {
        Self { packing, budget, keeper: Keeper::Caller, bind_sets: &[] }
    }

    /// Sequences that the states have place for, in a layer and direction.
    pub fn places(&self) -> usize {
        match self.keeper {
            Keeper::Pool { places, .. } => places,
            Keeper::Caller | Keeper::Pass => self.packing.batch(),
        }
    }

    /// The buffer of h that is read first.
    pub fn start(&self) -> Turn {
        match self.keeper {
            Keeper::Pool { start, .. } => start,
            Keeper::Caller | Keeper::Pass => Turn::First,
        }
    }
}
