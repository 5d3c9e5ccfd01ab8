//! The order of summation: how long the blocks are that a reduction axis is cut into. Each is a chain of multiply-adds from
//! zero; their sums are added one after the other. `shaders/common/sum.wgsl` has the same numbers for the kernels.

/// Numbers in a block of an axis of up to [`LONG`].
pub(crate) const BLOCK: usize = 32;

/// Axes of more numbers have blocks twice as long.
pub(crate) const LONG: usize = 1024;

/// Axes of more numbers have blocks four times as long.
pub(crate) const LONGER: usize = 4096;

/// Numbers in a block of an axis of so many: about the root of its length.
pub(crate) fn block_of(length: usize) -> usize {
    if length <= LONG {
        BLOCK
    } else if length <= LONGER {
        2 * BLOCK
    } else {
        4 * BLOCK
    }
}
