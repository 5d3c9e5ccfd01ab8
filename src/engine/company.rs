//! Where the states of a pool's streams are: at the places of a batch, or in the slots.

use super::sorted::Sorted;
use crate::kernels::Entry;
use crate::program::{Turn, Turns};

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
    pub fn entry(&self, place: usize, next: Option<usize>) -> Entry {
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
    pub fn disperse(&mut self) {
        self.remember();
        self.places.clear();
    }

    /// The streams of a tick have their states after it at the places of its batch.
    pub fn take(&mut self, sorted: &Sorted, turns_after: impl Fn(usize) -> Turns) {
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
    pub fn undo(&mut self) {
        std::mem::swap(&mut self.places, &mut self.before);
        for slot in self.began.drain(..) {
            self.begins[slot] = true;
        }
    }
}
