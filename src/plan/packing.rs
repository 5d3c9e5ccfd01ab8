//! How the sequences of a batch lie in memory: packed, as in `torch.nn.utils.rnn.PackedSequence`.
//!
//! Sequences are sorted by falling length, so those that have a time step t are the first
//! `running(t)`. Row r of a packed array is one time step of one sequence; the rows of a time step
//! follow each other, and nothing is stored for steps that a sequence does not have.

use std::ops::Range;

/// A batch of sequences, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    /// `order[k]` is the caller's index of the sequence at position k.
    order: Vec<usize>,
    /// Length of the sequence at each position, falling.
    lengths: Vec<usize>,
    /// Rows before time step t, for t in 0..=T.
    first_row: Vec<usize>,
}

impl Packing {
    /// Packs sequences, given as (caller's index, length); there is at least one, and no length is 0.
    pub fn new(mut sequences: Vec<(usize, usize)>) -> Self {
        sequences.sort_by_key(|&(_, length)| std::cmp::Reverse(length)); // stable
        let (order, lengths): (Vec<_>, Vec<_>) = sequences.into_iter().unzip();
        let steps = lengths.first().copied().unwrap_or(0);
        let mut first_row = Vec::with_capacity(steps + 1);
        let mut rows = 0;
        let mut running = lengths.len();
        for t in 0..steps {
            first_row.push(rows);
            while lengths[running - 1] <= t {
                running -= 1;
            }
            rows += running;
        }
        first_row.push(rows);
        Self { order, lengths, first_row }
    }

    /// B, the number of sequences.
    pub fn batch(&self) -> usize {
        self.order.len()
    }

    /// T, the longest sequence's length.
    pub fn steps(&self) -> usize {
        self.first_row.len() - 1
    }

    /// Whether every sequence has all T steps.
    pub fn is_uniform(&self) -> bool {
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
        self.first_row[t + 1] - self.first_row[t]
    }

    /// Row of time step `t` of the first sequence; for `t` = T the number of rows.
    pub fn first_row(&self, t: usize) -> usize {
        self.first_row[t]
    }

    /// The number of rows of some time steps.
    pub fn rows(&self, steps: &Range<usize>) -> usize {
        self.first_row[steps.end] - self.first_row[steps.start]
    }

    /// Cuts time into blocks of at most `max_rows` rows and `max_steps` steps; a block has one step
    /// at least.
    pub fn blocks(&self, max_rows: usize, max_steps: usize) -> Vec<Range<usize>> {
        let mut blocks = Vec::new();
        let mut start = 0;
        while start < self.steps() {
            let fits = |&end: &usize| self.rows(&(start..end)) <= max_rows && end - start <= max_steps;
            let end = (start + 2..=self.steps()).take_while(fits).last().unwrap_or(start + 1);
            blocks.push(start..end);
            start = end;
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
        assert_eq!(packing.first_row(2), 7);
        assert!(!packing.is_uniform());
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
