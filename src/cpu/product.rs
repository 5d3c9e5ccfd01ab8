//! rows × panels: the product in which an LSTM spends its time.
//!
//! Every sum is one chain of multiply-adds over the reduction axis in ascending order, for every number of rows, so
//! the grouping of rows changes no bit.

use pulp::{Simd, WithSimd};

use super::panels::{Panels, VECTORS};

/// The sums of one row in a panel.
pub(super) type Sums<S> = [<S as Simd>::f32s; VECTORS];

/// The first operation of a product's sums, and the last.
pub(super) trait Ends {
    fn start<S: Simd>(&self, simd: S, panel: usize, row: usize) -> Sums<S>;
    fn finish<S: Simd>(&mut self, simd: S, panel: usize, row: usize, sums: Sums<S>);
}

/// sums\[row\]\[panel\] = start + rows · panels.
pub(super) struct Product<'a, E> {
    pub(super) weights: &'a Panels,
    /// [rows, depth].
    pub(super) rows: &'a [f32],
    pub(super) depth: usize,
    pub(super) ends: E,
}

/// The most rows of a tile: their sums, a panel's weights and an element of a row fill 32 registers.
const MOST_ROWS: usize = 6;

impl<E: Ends> WithSimd for Product<'_, E> {
    type Output = ();

    /// Panels are the outer loop: each is read from memory once, and stays in the cache for all rows.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // (16 − 4) / 4 = 3 rows where there are 16 registers.
        let most = if S::REGISTER_COUNT >= 32 { MOST_ROWS } else { 3 };
        let rows = self.rows.len() / self.depth;
        for panel in 0..self.weights.count() {
            let mut row = 0;
            while row < rows {
                // Heights are as equal as possible: 8 rows are 4 and 4, not 6 and 2.
                let left = rows - row;
                let height = left.div_ceil(left.div_ceil(most));
                match height {
                    1 => self.tile::<S, 1>(simd, panel, row),
                    2 => self.tile::<S, 2>(simd, panel, row),
                    3 => self.tile::<S, 3>(simd, panel, row),
                    4 => self.tile::<S, 4>(simd, panel, row),
                    5 => self.tile::<S, 5>(simd, panel, row),
                    _ => self.tile::<S, MOST_ROWS>(simd, panel, row),
                }
                row += height;
            }
        }
    }
}

/// Links of every chain that are added in one turn of a tile's loop.
const LINKS: usize = 4;

/// Adds link `m` to the chain of each row and output of a panel.
#[inline(always)]
fn add_links<S: Simd, const R: usize>(
    simd: S,
    sums: &mut [Sums<S>; R],
    rows: &[&[f32]; R],
    m: usize,
    weights: &Sums<S>,
) {
    for (sums, row) in sums.iter_mut().zip(rows) {
        let x = simd.splat_f32s(row[m]);
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum = simd.mul_add_e_f32s(weight, x, *sum);
        }
    }
}

impl<E: Ends> Product<'_, E> {
    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, panel: usize, row: usize) {
        let (weights, _) = S::as_simd_f32s(self.weights.panel(panel));
        let (weights, _) = weights.as_chunks::<VECTORS>();
        let depth = weights.len();
        let rows: [&[f32]; R] = std::array::from_fn(|r| &self.rows[(row + r) * depth..][..depth]);
        let mut sums: [Sums<S>; R] = std::array::from_fn(|r| self.ends.start(simd, panel, row + r));
        // Unrolled for one row: a turn of one link is then so short that its speed depends on where the linker puts it.
        let (turns, rest) = weights.as_chunks::<LINKS>();
        let (turns, rest) = if R == 1 { (turns, rest) } else { (&turns[..0], weights) };
        for (turn, weights) in turns.iter().enumerate() {
            for (k, weights) in weights.iter().enumerate() {
                add_links(simd, &mut sums, &rows, turn * LINKS + k, weights);
            }
        }
        for (k, weights) in rest.iter().enumerate() {
            add_links(simd, &mut sums, &rows, turns.len() * LINKS + k, weights);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            self.ends.finish(simd, panel, row + r, sums);
        }
    }
}
