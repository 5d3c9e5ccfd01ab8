//! The edges of the passes: what is uploaded before them and downloaded after them.

use std::ops::Range;

use super::buffers::{Group, Hidden};
use super::call::CallPlan;
use crate::program::{Contents, Held, ProgramBuilder, Turn};

impl CallPlan<'_> {
    pub fn upload_input(&self, block: usize, builder: &mut ProgramBuilder) {
        let steps = self.blocks.steps[block].clone();
        let len = self.network.layouts.input(0).len(self.packing.rows(&steps));
        builder.upload(self.buffers.input(block), len, Contents::Input { steps });
    }

    pub fn download_output(&self, block: usize, builder: &mut ProgramBuilder) {
        let steps = self.blocks.steps[block].clone();
        let len = self.network.layouts.output().len(self.packing.rows(&steps));
        builder.download(self.buffers.output(block), len, Contents::Output { steps });
    }

    pub fn upload_states(&self, builder: &mut ProgramBuilder) {
        let mut upload = |buffer, contents| builder.upload(buffer, builder.buffer_len(buffer), contents);
        for Group { layers, hidden, cell } in &self.buffers.groups {
            for (buffer, held) in hidden_buffers(*hidden) {
                // A shorter sequence's reverse direction starts late, maybe at the second buffer's turn, and the
                // upper of two layers on a diagonal one step after the lower.
                let late = self.network.config.bidirectional() && !self.packing.has_equal_lengths();
                if late || layers.len() > 1 || held != Held::Turn(Turn::Second) {
                    upload(buffer, hidden_contents(layers, held));
                }
            }
            upload(*cell, Contents::Cell { layers: layers.clone() });
        }
    }

    pub fn download_states(&self, builder: &mut ProgramBuilder) {
        let mut download = |buffer, contents| builder.download(buffer, builder.buffer_len(buffer), contents);
        let last = Held::Turn(Turn::after(self.packing.steps()));
        for Group { layers, hidden, cell } in &self.buffers.groups {
            for (buffer, held) in hidden_buffers(*hidden) {
                // A shorter sequence's forward direction ends early, maybe at the other buffer's turn.
                let both = !self.packing.has_equal_lengths() || layers.len() > 1;
                if both || held == Held::All || held == last {
                    download(buffer, hidden_contents(layers, held));
                }
            }
            download(*cell, Contents::Cell { layers: layers.clone() });
        }
    }
}

fn hidden_contents(layers: &Range<usize>, held: Held) -> Contents {
    Contents::Hidden { layers: layers.clone(), held }
}

/// The buffers of h, and which states each holds.
fn hidden_buffers(hidden: Hidden) -> Vec<(usize, Held)> {
    match hidden {
        Hidden::InPlace(buffer) => vec![(buffer, Held::All)],
        Hidden::InTurns { first, second } => {
            vec![(first, Held::Turn(Turn::First)), (second, Held::Turn(Turn::Second))]
        }
    }
}
