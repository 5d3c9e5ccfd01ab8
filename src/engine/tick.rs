//! A tick of a pool: the host's side of its program.

use ndarray::Array2;

use super::company::Company;
use super::sorted::Sorted;
use crate::chunks::Chunks;
use crate::layout::Layouts;
use crate::plan::Network;
use crate::program::{Contents, Host, Program, Turns};

/// The host's side of a tick.
pub(super) struct Tick<'a> {
    layouts: &'a Layouts,
    sorted: &'a Sorted,
    chunks: Chunks<'a>,
    outputs: &'a mut [Array2<f32>],
    company: &'a mut Company,
    turns: Turns,
    in_place: bool,
    /// Submissions that are left, and of all.
    left: usize,
    all: usize,
}

impl<'a> Tick<'a> {
    /// `turns` are those before the first step; where h is updated in place it stays there.
    pub fn new(
        network: &'a Network,
        program: &Program,
        (turns, in_place): (Turns, bool),
        company: &'a mut Company,
        sorted: &'a Sorted,
        (chunks, outputs): (Chunks<'a>, &'a mut [Array2<f32>]),
    ) -> Self {
        let all = program.needs.submissions;
        Self { layouts: &network.layouts, sorted, chunks, outputs, company, turns, in_place, left: all, all }
    }
}

impl Host for Tick<'_> {
    fn upload(&self, contents: &Contents, put: &mut dyn FnMut(&[f32])) {
        match contents {
            Contents::Input { steps } => {
                let (layout, mut scratch) = (self.layouts.input(0), [0.0; 1024]);
                for (t, k) in self.sorted.packing.each_row(steps) {
                    layout.put(self.chunks[k].1.row(t), &mut scratch, put);
                }
            }
            Contents::Entries => {
                let mut next = self.sorted.slots();
                for place in 0..self.company.capacity() {
                    let entry = self.company.entry(place, next.next());
                    put(bytemuck::cast_slice(&[entry]));
                }
            }
            Contents::Output { .. } | Contents::Hidden { .. } | Contents::Cell => {} // not uploaded
        }
    }

    fn download(&mut self, contents: &Contents, data: &[f32]) {
        if let Contents::Output { steps } = contents {
            let layout = self.layouts.output();
            let rows = self.sorted.packing.each_row(steps);
            for ((t, k), row) in rows.zip(data.chunks_exact(layout.stride())) {
                layout.take(self.outputs[k].row_mut(t), row);
            }
        }
    }

    fn submitted(&mut self) {
        self.left -= 1;
        let Self { turns, in_place, .. } = *self;
        match self.left {
            0 => self.company.take(self.sorted, |length| {
                let steps = if in_place { 0 } else { length };
                Turns { start: turns.start.after(steps), ..turns }
            }),
            // Of a tick of several submissions the first one has stored what was at the places; the states before it stay
            // in the slots until the last.
            left if left + 1 == self.all => self.company.disperse(),
            _ => {}
        }
    }

    fn refused(&mut self) {
        if self.left == 0 || self.left + 1 == self.all {
            self.company.undo();
        }
    }
}
