//! The edges of the passes: what is uploaded before them and downloaded after them.

use super::buffers::Hidden;
use super::call::CallPlan;
use super::request::Keeper;
use crate::program::{Contents, Held, ProgramBuilder, StateCopy, Turn, Turns};

impl CallPlan<'_> {
    pub fn upload_input(&self, block: usize, builder: &mut ProgramBuilder) {
        if self.request.keeper == Keeper::Pass {
            return;
        }
        let steps = self.blocks.steps[block].clone();
        let len = self.network.layouts.input(0).len(self.packing.rows(&steps));
        builder.upload(self.buffers.input(block), len, Contents::Input { steps });
    }

    pub fn download_output(&self, block: usize, builder: &mut ProgramBuilder) {
        if self.request.keeper == Keeper::Pass {
            return;
        }
        let steps = self.blocks.steps[block].clone();
        let len = self.network.layouts.output().len(self.packing.rows(&steps));
        builder.download(self.buffers.output(block), len, Contents::Output { steps });
    }

    fn upload_states(&self, builder: &mut ProgramBuilder) {
        let mut upload = |buffer, contents| builder.upload(buffer, builder.buffer_len(buffer), contents);
        // A shorter sequence's reverse direction starts late, maybe at the second buffer's turn, and the upper of two
        // layers on a diagonal one step after the lower.
        let late = self.network.config.bidirectional() && !self.packing.has_equal_lengths();
        for (buffer, held) in self.hidden_buffers() {
            let is_read_first = match held {
                Held::All => true,
                Held::At { turn, turns } => turns.layers_in_group > 1 || turn == turns.start,
            };
            if late || is_read_first {
                upload(buffer, Contents::Hidden { held });
            }
        }
        upload(self.buffers.cell, Contents::Cell);
    }

    fn download_states(&self, builder: &mut ProgramBuilder) {
        let mut download = |buffer, contents| builder.download(buffer, builder.buffer_len(buffer), contents);
        for (buffer, held) in self.hidden_buffers() {
            let is_written_last = match held {
                Held::All => true,
                // A shorter sequence's forward direction ends early, maybe at the other buffer's turn.
                Held::At { .. } if !self.packing.has_equal_lengths() => true,
                Held::At { turn, turns } => {
                    turns.layers_in_group > 1 || turn == turns.of(0, self.packing.steps())
                }
            };
            if is_written_last {
                download(buffer, Contents::Hidden { held });
            }
        }
        download(self.buffers.cell, Contents::Cell);
    }

    /// Copies the states of layers that begin at the second turn there: a pass has all of them in the first buffer.
    fn spread_states(&self, builder: &mut ProgramBuilder) {
        if let Hidden::InTurns { first, second, turns } = self.buffers.hidden {
            self.copy_layers(
                |layer| turns.of(layer, 0),
                |copy| {
                    builder.copy_before(StateCopy { from: first, to: second, ..copy });
                },
            );
        }
    }

    /// Copies the states of layers that end at the second turn back to the first buffer.
    fn gather_states(&self, builder: &mut ProgramBuilder) {
        let steps = self.packing.steps();
        if let Hidden::InTurns { first, second, turns } = self.buffers.hidden {
            self.copy_layers(
                |layer| turns.of(layer, steps),
                |copy| {
                    builder.copy_after(StateCopy { from: second, to: first, ..copy });
                },
            );
        }
    }

    /// The places of h of the layers that are at the second turn: of neighbours together.
    fn copy_layers(&self, turn: impl Fn(usize) -> Turn, mut copy: impl FnMut(StateCopy)) {
        let len = self.network.layouts.hidden(self.request.places()).len(1);
        let layers: Vec<usize> =
            (0..self.network.config.num_layers()).filter(|&layer| turn(layer) == Turn::Second).collect();
        for run in layers.chunk_by(|a, b| a + 1 == *b) {
            copy(StateCopy { from: 0, to: 0, start: run[0] * len, len: run.len() * len });
        }
    }

    /// The buffers of h, and which states each holds.
    fn hidden_buffers(&self) -> Vec<(usize, Held)> {
        let at = |turn, turns: Turns| Held::At { turn, turns };
        match self.buffers.hidden {
            Hidden::InPlace(buffer) => vec![(buffer, Held::All)],
            Hidden::InTurns { first, second, turns } => {
                vec![(first, at(Turn::First, turns)), (second, at(Turn::Second, turns))]
            }
        }
    }

    /// What comes before the first block, and after the last.
    pub fn begin(&self, builder: &mut ProgramBuilder) {
        match self.request.keeper {
            Keeper::Caller => self.upload_states(builder),
            Keeper::Pass => self.spread_states(builder),
            Keeper::Pool { .. } => {}
        }
    }

    pub fn end(&self, builder: &mut ProgramBuilder) {
        match self.request.keeper {
            Keeper::Caller => self.download_states(builder),
            Keeper::Pass => self.gather_states(builder),
            Keeper::Pool { .. } => {}
        }
    }
}
