//! The edges of the passes: what is uploaded before them and downloaded after them.

use bytemuck::bytes_of;

use super::buffers::Hidden;
use super::call::CallPlan;
use super::request::Keeper;
use crate::kernels::{COPY_INVOCATIONS, Exchange, ExchangeStatesBuffers, Join, JoinDirectionsBuffers};
use crate::program::{
    BindSet, BufferRef, Contents, Held, Named, ProgramBuilder, StateCopy, Turn, Turns, padded,
};

impl CallPlan<'_> {
    pub fn upload_input(&self, block: usize, builder: &mut ProgramBuilder) {
        if self.request.keeper == Keeper::Pass {
            return;
        }
        let steps = self.blocks.steps[block].clone();
        let len = self.network.layouts.input(0).len(self.packing.rows(&steps));
        builder.upload(self.buffers.input(block), len, Contents::Input { steps });
        // After all uploads of the first submission.
        if let (0, Keeper::Pool { exchanges: true, start, .. }) = (block, self.request.keeper) {
            self.exchange_states(start, builder);
        }
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

    /// Copies the states of a pool's last batch to their slots, then those of this batch from theirs.
    fn exchange_states(&self, start: Turn, builder: &mut ProgramBuilder) {
        let Some(stored) = self.buffers.stored else { return };
        let (layouts, places) = (&self.network.layouts, self.request.places());
        let [h_first, h_second] = stored.turns.map(BufferRef::Program);
        let buffers = ExchangeStatesBuffers {
            entries: BufferRef::Program(stored.entries),
            h_first,
            h_second,
            c: BufferRef::Program(self.buffers.cell),
            stored_h: BufferRef::Program(stored.hidden),
            stored_c: BufferRef::Program(stored.cell),
        };
        let turns = self.buffers.hidden.turns(start);
        let layers = self.network.config.num_layers();
        for to_places in [0, 1] {
            let uniform = Exchange {
                to_places,
                layers: layers as u32,
                places: places as u32,
                h_stride: layouts.hidden(places).stride as u32,
                c_stride: layouts.cell(places).stride as u32,
                turn: u32::from(turns.start == Turn::Second),
                layers_in_group: turns.layers_in_group as u32,
            };
            self.copy(self.network.exchange, &buffers, bytes_of(&uniform), layers * places, builder);
        }
    }

    /// Puts the directions of a pass's output side by side, where they are not.
    fn join_output(&self, builder: &mut ProgramBuilder) {
        let Some(joined) = self.buffers.joined else { return };
        let (config, layouts) = (&self.network.config, &self.network.layouts);
        let rows = self.packing.rows(&(0..self.packing.steps()));
        let uniform = Join {
            rows: rows as u32,
            directions: config.num_directions() as u32,
            width: config.output_size() as u32,
            padded: padded(config.output_size()) as u32,
            stride: layouts.joined_output().stride() as u32,
        };
        let buffers = JoinDirectionsBuffers {
            separate: BufferRef::Program(self.buffers.output(0)),
            joined: BufferRef::Program(joined),
        };
        let workgroups = layouts.joined_output().len(rows).div_ceil(COPY_INVOCATIONS as usize);
        self.copy(self.network.join, &buffers, bytes_of(&uniform), workgroups, builder);
    }

    /// A dispatch of a kernel that copies, whose workgroups share its work however many they are.
    fn copy(
        &self,
        pipeline: usize,
        buffers: &impl Named,
        uniform: &[u8],
        workgroups: usize,
        builder: &mut ProgramBuilder,
    ) {
        let mut bind_set = BindSet { pipeline, buffers: Vec::new() };
        buffers.named(&mut |_, buffer| bind_set.buffers.push(buffer));
        let most = self.network.limits.max_workgroups as usize;
        builder.dispatch(pipeline, &bind_set, uniform, [workgroups.min(most) as u32, 1, 1], 0);
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
            Keeper::Pool { exchanges, .. } => {
                if let Some(stored) = self.buffers.stored.filter(|_| exchanges) {
                    let entries = stored.entries;
                    builder.upload(entries, builder.buffer_len(entries), Contents::Entries);
                }
            }
        }
    }

    pub fn end(&self, builder: &mut ProgramBuilder) {
        match self.request.keeper {
            Keeper::Caller => self.download_states(builder),
            Keeper::Pass => {
                self.join_output(builder);
                self.gather_states(builder);
            }
            Keeper::Pool { .. } => {}
        }
    }
}
