//! How many bytes of values a file may ask for.

use std::cell::Cell;

/// Bytes of values that a file may still ask for. Compression and views that repeat numbers let a small file ask for
/// much more than it has.
pub(super) struct Budget(Cell<u64>);

/// Bytes for each byte of the file: more than weights are ever compressed, arrays of one number apart.
const PER_BYTE: u64 = 16;
/// Bytes that every file may ask for: a network of zeros is compressed a thousandfold.
const ALWAYS: u64 = 16 << 20;

impl Budget {
    /// For a file of this many bytes.
    pub(super) fn new(file_len: u64) -> Self {
        Self(Cell::new(file_len.saturating_mul(PER_BYTE).saturating_add(ALWAYS)))
    }

    /// Takes this many bytes; whether there are enough left. A tensor whose values are read again (`taken`) takes
    /// none.
    pub(super) fn take(&self, bytes: u64, taken: &Cell<bool>) -> bool {
        if taken.get() {
            return true;
        }
        let left = self.0.get().checked_sub(bytes);
        left.inspect(|&left| {
            self.0.set(left);
            taken.set(true);
        })
        .is_some()
    }
}
