//! The order of the chunks of a push.

use crate::batch::Packing;
use crate::chunks::Chunks;

/// The chunks of a tick in the order in which they are computed.
pub(super) struct Sorted {
    /// Slot and time steps of each chunk, in the caller's order.
    chunks: Vec<(usize, usize)>,
    pub packing: Packing,
}

impl Default for Sorted {
    fn default() -> Self {
        Self { chunks: Vec::new(), packing: Packing::new(Vec::new()) }
    }
}

impl Sorted {
    /// By falling length, then by slot: streams that tick together keep their places whatever the caller's order. If
    /// the chunks have the slots and lengths of the last ones, it allocates nothing.
    pub fn sort(&mut self, chunks: Chunks<'_>) {
        let sizes = || chunks.iter().map(|(id, chunk)| (id.slot, chunk.nrows()));
        if self.chunks.iter().copied().eq(sizes()) {
            return;
        }
        self.chunks.clear();
        self.chunks.extend(sizes());
        let mut order: Vec<usize> = (0..chunks.len()).filter(|&k| self.chunks[k].1 > 0).collect();
        order.sort_unstable_by_key(|&k| self.chunks[k].0);
        self.packing = Packing::new(order.into_iter().map(|k| (k, self.chunks[k].1)).collect());
    }

    /// The slots of the sequences, in packed order.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.packing.order().iter().map(|&k| self.chunks[k].0)
    }

    /// Their lengths, falling.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.packing.sequences().map(|(_, length)| length)
    }
}
