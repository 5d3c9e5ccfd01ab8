//! A tick of a pool: the host's side of its program, and where the states of the streams are before and after it.

use ndarray::Array2;

use super::ticks::Sorted;
use crate::chunks::Chunks;
use crate::kernels::Entry;
use crate::layout::Layouts;
use crate::plan::Network;
use crate::program::{Contents, Host, Program, Turn, Turns};

/// Where the states are.
pub(super) struct Company {
    /// The streams whose states are at the places of the batch, in order.
    places: Vec<Place>,
    /// Of each slot, whether its stream begins: nothing is stored there, and it starts from zeros.
    begins: Vec<bool>,
    /// What the last change replaced: the places, and the slots of streams that began.
    before: Vec<Place>,
    began: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// None if the state of the stream is elsewhere now.
    slot: Option<usize>,
    /// Which buffer has its h.
    turns: Turns,
}

impl Company {
    pub fn new(capacity: usize) -> Self {
        Self { places: Vec::new(), begins: vec![true; capacity], before: Vec::new(), began: Vec::new() }
    }

    /// Slots, and places.
    pub fn capacity(&self) -> usize {
        self.begins.len()
    }

    /// Whether the stream in a slot starts from zeros.
    pub fn begins(&self, slot: usize) -> bool {
        self.begins[slot]
    }

    /// The stream in a slot starts from zeros.
    pub fn begin(&mut self, slot: usize) {
        self.leave(slot);
        self.begins[slot] = true;
    }

    /// The state of the stream in a slot is stored there.
    pub fn is_stored(&mut self, slot: usize) {
        self.leave(slot);
        self.begins[slot] = false;
    }

    fn leave(&mut self, slot: usize) {
        self.places.iter_mut().filter(|place| place.slot == Some(slot)).for_each(|place| place.slot = None);
    }

    /// The place of a stream in the batch, and the turn of a layer's h there, if its state is there.
    pub fn place_of(&self, slot: usize, layer: usize) -> Option<(usize, Turn)> {
        let place = self.places.iter().position(|place| place.slot == Some(slot))?;
        Some((place, self.places[place].turns.of(layer, 0)))
    }

    /// The turn from which a tick goes on with the states where they are; None if it must exchange some.
    pub fn goes_on(&self, sorted: &Sorted, layers_in_group: usize) -> Option<Turn> {
        let turns = Turns { layers_in_group, ..self.places.first()?.turns };
        let stays = |(place, slot): (&Place, usize)| *place == Place { slot: Some(slot), turns };
        let all = self.places.len() == sorted.packing.batch()
            && self.places.iter().zip(sorted.slots()).all(stays)
            && sorted.slots().all(|slot| !self.begins[slot]);
        all.then_some(turns.start)
    }

    /// What is copied before a tick from `turns`, of one place.
    fn entry(&self, place: usize, next: Option<usize>) -> Entry {
        let load_from = match next {
            Some(slot) if self.begins[slot] => Entry::ZEROS,
            Some(slot) => slot as u32,
            None => Entry::NO_SLOT,
        };
        match self.places.get(place) {
            Some(&Place { slot: Some(slot), turns }) => Entry {
                store_to: slot as u32,
                turn: u32::from(turns.start == Turn::Second),
                layers_in_group: turns.layers_in_group as u32,
                load_from,
            },
            _ => Entry { load_from, ..Entry::NONE },
        }
    }

    /// The states that were at the places are in the slots.
    fn disperse(&mut self) {
        self.remember();
        self.places.clear();
    }

    /// The streams of a tick have their states after it at the places of its batch.
    fn take(&mut self, sorted: &Sorted, turns_after: impl Fn(usize) -> Turns) {
        self.remember();
        let lengths = sorted.packing.sequences().map(|(_, length)| length);
        let places = sorted.slots().zip(lengths);
        self.places.clear();
        self.places
            .extend(places.map(|(slot, length)| Place { slot: Some(slot), turns: turns_after(length) }));
        for slot in sorted.slots() {
            if std::mem::take(&mut self.begins[slot]) {
                self.began.push(slot);
            }
        }
    }

    fn remember(&mut self) {
        self.before.clone_from(&self.places);
        self.began.clear();
    }

    /// Undoes the last change.
    fn undo(&mut self) {
        std::mem::swap(&mut self.places, &mut self.before);
        for slot in self.began.drain(..) {
            self.begins[slot] = true;
        }
    }
}

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
