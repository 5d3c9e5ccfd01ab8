//! rows × panels: the product in which an LSTM spends its time.
//!
//! The reduction axis is cut into blocks of [`BLOCK`] elements, or more if it is long. The products of a block are one chain of multiply-adds
//! in ascending order. A total starts from the bias, the gates so far or zero, and the blocks' sums are added to it
//! one after the other. So errors grow with the length of a block and the number of blocks, not with their product.
//! The order is the same for every number of rows, so the grouping of rows changes no bit.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::panels::{GUARD, Panels, VECTORS};
use crate::sum::{BLOCK, block_of};

/// The sums of one row in a panel.
pub(super) type Sums<S> = [<S as Simd>::f32s; VECTORS];

/// The first operation of a product's sums, and the last ones.
pub(super) trait Ends {
    fn start<S: Simd>(&self, simd: S, panel: usize, row: usize) -> Sums<S>;

    fn finish<S: Simd>(&mut self, simd: S, panel: usize, row: usize, sums: Sums<S>);

    /// Takes the sums of a row and the next one.
    #[inline(always)]
    fn finish_two<S: Simd>(&mut self, simd: S, panel: usize, row: usize, [first, second]: [Sums<S>; 2]) {
        self.finish(simd, panel, row, first);
        self.finish(simd, panel, row + 1, second);
    }
}

/// sums\[row\]\[panel\] = start + rows · panels.
pub(super) struct Product<'a, E> {
    pub(super) weights: &'a Panels,
    /// Those of the weights that are multiplied.
    pub(super) panels: Range<usize>,
    /// [rows, depth].
    pub(super) rows: &'a [f32],
    pub(super) depth: usize,
    /// From the last panel to the first. A product that goes the other way than the one before finds in the cache what
    /// that one read last, where a matrix is as large as the cache.
    pub(super) backwards: bool,
    pub(super) ends: E,
}

/// The most rows of a tile. 16 chains fill two units of a latency of 4 cycles, and each weight that is loaded serves
/// four multiply-adds. The chains, a panel's weights and an element of a row take 21 of 32 registers, and the
/// totals the others. 6 rows took a tenth longer (Zen 4): they store their totals after every block.
const MOST_ROWS: usize = 4;

/// The same with 16 registers, of which 3 rows would need 17.
const MOST_ROWS_OF_16_REGISTERS: usize = 2;

impl<E: Ends> WithSimd for Product<'_, E> {
    type Output = ();

    /// Panels are the outer loop: each is read from memory once, and stays in the cache for all rows.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let most = if S::REGISTER_COUNT >= 32 { MOST_ROWS } else { MOST_ROWS_OF_16_REGISTERS };
        let rows = self.rows.len() / self.depth;
        let Range { start, end } = self.panels;
        let (mut panel, next) = if self.backwards { (end.wrapping_sub(1), usize::MAX) } else { (start, 1) };
        for _ in start..end {
            let mut row = 0;
            while row < rows {
                // Heights are as equal as possible: 6 rows are 3 and 3, not 4 and 2.
                let left = rows - row;
                let height = left.div_ceil(left.div_ceil(most));
                match height {
                    1 => self.tile::<S, 1>(simd, panel, row),
                    2 => self.tile::<S, 2>(simd, panel, row),
                    3 => self.tile::<S, 3>(simd, panel, row),
                    _ => self.tile::<S, MOST_ROWS>(simd, panel, row),
                }
                row += height;
            }
            panel = panel.wrapping_add(next);
        }
    }
}

impl<E: Ends> Product<'_, E> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, panel: usize, row: usize) {
        let mut totals = [[simd.splat_f32s(0.0); VECTORS]; R];
        for (r, totals) in totals.iter_mut().enumerate() {
            *totals = self.ends.start(simd, panel, row + r);
        }
        let (weights, _) = S::as_simd_f32s(self.weights.panel(panel));
        let (weights, _) = weights.as_chunks::<VECTORS>();
        let length = block_of(self.depth);
        // With a constant length the loop has no checks of bounds.
        let (blocks, rest) = if length == BLOCK { weights.as_chunks::<BLOCK>() } else { (&[][..], weights) };
        for (block, weights) in blocks.iter().enumerate() {
            add_block(simd, &mut totals, weights, self.elements(row, block * BLOCK, BLOCK));
        }
        let first = blocks.len() * BLOCK;
        for (block, weights) in rest.chunks(length).enumerate() {
            add_block(simd, &mut totals, weights, self.elements(row, first + block * length, weights.len()));
        }
        // No loop, which would keep the totals in memory.
        if R >= 2 {
            self.ends.finish_two(simd, panel, row, [totals[0], totals[1]]);
        }
        if R >= 4 {
            self.ends.finish_two(simd, panel, row + 2, [totals[2], totals[3]]);
        }
        if R % 2 == 1 {
            self.ends.finish(simd, panel, row + R - 1, totals[R - 1]);
        }
    }

    /// The elements of `R` rows, `len` of each.
    #[inline(always)]
    fn elements<const R: usize>(&self, row: usize, first: usize, len: usize) -> [&[f32]; R] {
        let mut rows: [&[f32]; R] = [&[]; R];
        // Not `from_fn`, which may be compiled on its own, and then neither knows a constant length nor uses vectors.
        for (r, elements) in rows.iter_mut().enumerate() {
            *elements = &self.rows[(row + r) * self.depth + first..][..len];
        }
        rows
    }
}

/// Adds a block's sums to the totals of each row in a panel.
#[inline(always)]
fn add_block<S: Simd, const R: usize>(
    simd: S,
    totals: &mut [Sums<S>; R],
    weights: &[Sums<S>],
    rows: [&[f32]; R],
) {
    let guard = simd.splat_f32s(GUARD);
    let mut sums = [[guard; VECTORS]; R];
    for (m, weights) in weights.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let x = simd.splat_f32s(row[m]);
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum = simd.mul_add_e_f32s(weight, x, *sum);
            }
        }
    }
    for (totals, sums) in totals.iter_mut().zip(sums) {
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = simd.add_f32s(*total, simd.sub_f32s(sum, guard));
        }
    }
}
