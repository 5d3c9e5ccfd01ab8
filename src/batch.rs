//! The rows of a batch in memory: packed, as in `torch.nn.utils.rnn.PackedSequence`.
//!
//! Sequences are sorted by falling length, so those that have a time step t are the first
//! `running(t)`. Row r of a packed array is one time step of one sequence; the rows of a time step
//! follow each other, and nothing is stored for steps that a sequence does not have.

use std::ops::Range;

/// Bytes that a sequence takes on the host: its index and length, sorted, packed, in the key of the program, and where
/// dispatches change while they are counted.
pub(crate) const SEQUENCE_BYTES: usize = 128;

/// A batch of sequences, packed. Takes memory for its sequences, and none for their time steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    /// `order[k]` is the caller's index of the sequence at position k.
    order: Vec<usize>,
    /// Length of the sequence at each position, falling.
    lengths: Vec<usize>,
    /// Time steps that the same sequences have, in the order of time. The last entry has no sequences; it marks the
    /// end.
    stretches: Vec<Stretch>,
}

/// Time steps that follow each other and that the same sequences have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    /// The first step.
    start: usize,
    /// Rows before it.
    first_row: usize,
    /// Sequences that have these steps.
    running: usize,
}

impl Packing {
    /// Packs sequences, given as (caller's index, length); there is at least one, and no length is 0.
    pub fn new(mut sequences: Vec<(usize, usize)>) -> Self {
        sequences.sort_by_key(|&(_, length)| std::cmp::Reverse(length)); // stable
        let (order, lengths): (Vec<_>, Vec<_>) = sequences.into_iter().unzip();
        let mut stretches = Vec::new();
        let mut next = Stretch { start: 0, first_row: 0, running: lengths.len() };
        while next.running > 0 {
            stretches.push(next);
            let end = lengths[next.running - 1];
            next = Stretch {
                start: end,
                first_row: next.first_row + (end - next.start) * next.running,
                running: lengths.partition_point(|&length| length > end),
            };
        }
        stretches.push(next);
        Self { order, lengths, stretches }
    }

    /// Packs `batch` sequences of `steps` steps each, in the caller's order.
    pub fn equal(steps: usize, batch: usize) -> Self {
        Self::new((0..batch).map(|b| (b, steps)).collect())
    }

    /// B, the number of sequences.
    pub fn batch(&self) -> usize {
        self.order.len()
    }

    /// T, the longest sequence's length.
    pub fn steps(&self) -> usize {
        self.stretches.last().map_or(0, |end| end.start)
    }

    /// Whether every sequence has all T steps.
    pub fn has_equal_lengths(&self) -> bool {
        self.lengths.last() == self.lengths.first()
    }

    /// The caller's index and the length of each sequence, in packed order.
    pub fn sequences(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.order.iter().copied().zip(self.lengths.iter().copied())
    }

    /// The caller's index of the sequence at each position.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The time and the caller's index of every row of some time steps.
    pub fn each_row(&self, steps: &Range<usize>) -> impl Iterator<Item = (usize, usize)> + '_ {
        steps.clone().flat_map(|t| self.order[..self.running(t)].iter().map(move |&b| (t, b)))
    }

    /// The number of sequences that have time step `t`.
    pub fn running(&self, t: usize) -> usize {
        self.stretch(t).running
    }

    /// Row of time step `t` of the first sequence; for `t` = T the number of rows.
    pub fn first_row(&self, t: usize) -> usize {
        let stretch = self.stretch(t);
        stretch.first_row + (t - stretch.start) * stretch.running
    }

    /// [`running`](Self::running) and [`first_row`](Self::first_row) of a time step.
    pub fn rows_at(&self, t: usize) -> (usize, usize) {
        let stretch = self.stretch(t);
        (stretch.running, stretch.first_row + (t - stretch.start) * stretch.running)
    }

    /// The number of rows of some time steps.
    pub fn rows(&self, steps: &Range<usize>) -> usize {
        self.first_row(steps.end) - self.first_row(steps.start)
    }

    /// The steps before which the number of running sequences changes, of those after the first of a range.
    pub fn changes(&self, steps: &Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let first = self.stretches.partition_point(|stretch| stretch.start <= steps.start);
        let end = self.stretches.partition_point(|stretch| stretch.start < steps.end);
        self.stretches.get(first..end).unwrap_or_default().iter().map(|stretch| stretch.start)
    }

    fn stretch(&self, t: usize) -> &Stretch {
        let after = match self.stretches.len() {
            2 => 1 + usize::from(t == self.stretches[1].start), // of equal lengths
            _ => self.stretches.partition_point(|stretch| stretch.start <= t),
        };
        &self.stretches[after - 1]
    }

    /// Cuts time into blocks of at most `max_rows` rows and `max_steps` steps; a block has one step
    /// at least.
    pub fn blocks(&self, max_rows: usize, max_steps: usize) -> Vec<Range<usize>> {
        let mut blocks = Vec::new();
        let mut start = 0;
        while start < self.steps() {
            // The first end that is too far is beyond `start + 1`.
            let (mut fits, mut too_far) = (start + 1, self.steps().min(start.saturating_add(max_steps)) + 1);
            while fits + 1 < too_far {
                let middle = fits.midpoint(too_far);
                if self.rows(&(start..middle)) <= max_rows {
                    fits = middle;
                } else {
                    too_far = middle;
                }
            }
            blocks.push(start..fits);
            start = fits;
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::Packing;

    #[test]
    fn sorts_by_falling_length_and_keeps_ties_in_order() {
        let packing = Packing::new(vec![(0, 2), (1, 4), (2, 1), (3, 4)]);
        let sequences: Vec<_> = packing.sequences().collect();
        assert_eq!(sequences, [(1, 4), (3, 4), (0, 2), (2, 1)]);
        assert_eq!((packing.batch(), packing.steps()), (4, 4));
        let running: Vec<_> = (0..4).map(|t| packing.running(t)).collect();
        assert_eq!(running, [4, 3, 2, 2]);
        assert_eq!(packing.rows(&(0..4)), 2 + 4 + 1 + 4);
        assert_eq!([0, 1, 2, 3, 4].map(|t| packing.first_row(t)), [0, 4, 7, 9, 11]);
        assert_eq!(packing.changes(&(0..4)).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(packing.changes(&(1..2)).count() + packing.changes(&(2..2)).count(), 0);
        assert_eq!([0, 1, 3].map(|t| packing.rows_at(t)), [(4, 0), (3, 4), (2, 9)]);
        assert!(!packing.has_equal_lengths());
    }

    #[test]
    fn equal_lengths_take_no_memory_for_their_steps() {
        let packing = Packing::new(vec![(0, 1 << 40), (1, 1 << 40)]);
        assert_eq!((packing.steps(), packing.stretches.len()), (1 << 40, 2));
        assert_eq!([0, 7, 1 << 40].map(|t| packing.first_row(t)), [0, 14, 2 << 40]);
        assert_eq!([0, 7, (1 << 40) - 1].map(|t| packing.running(t)), [2; 3]);
        assert!(packing.has_equal_lengths());
        let blocks = packing.blocks(usize::MAX, 1 << 38);
        assert_eq!(blocks, [0..1 << 38, 1 << 38..2 << 38, 2 << 38..3 << 38, 3 << 38..4 << 38]);
    }

    #[test]
    fn blocks_cover_every_step_once_within_the_bounds() {
        let packing = Packing::new(vec![(0, 9), (1, 3), (2, 5)]);
        let blocks = packing.blocks(6, 3);
        assert_eq!(blocks, [0..2, 2..4, 4..7, 7..9]);
        for block in &blocks {
            assert!(packing.rows(block) <= 6 && block.len() <= 3);
        }
        assert_eq!(packing.blocks(1, 100).len(), 9, "a block has one step at least");
    }
}
