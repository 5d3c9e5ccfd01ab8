//! Weights: the reduction axis outermost and, innermost, the four gates of a hidden unit side by side, so that
//! neighbouring invocations read neighbouring elements. Subnormal ones are zeros.

use half::f16;
use ndarray::ArrayView2;

use crate::program::{Element, padded};
use crate::subnormal::flush;

/// [D, rows, columns] elements of four numbers. Rows are the reduction axis, padded; a column is a hidden unit, whose
/// numbers are its gates (i, f, g, o), or four neighbouring outputs of the hidden projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    pub directions: usize,
    pub rows: usize,
    pub columns: usize,
    pub element: Element,
}

/// One value for each of a layer's weights, all directions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PerWeight<T> {
    pub w_ih: T,
    /// b_ih + b_hh.
    pub bias: T,
    pub w_hh: T,
    /// Where there is a projection.
    pub w_hr: Option<T>,
}

impl<T> PerWeight<T> {
    /// The values in the order of upload.
    pub fn all(self) -> impl Iterator<Item = T> {
        [self.w_ih, self.bias, self.w_hh].into_iter().chain(self.w_hr)
    }
}

impl Matrix {
    /// Words of 32 bits; `None` if they are more than can be counted.
    pub fn words(&self) -> Option<usize> {
        let elements = self.directions.checked_mul(self.rows)?.checked_mul(self.columns)?;
        elements.checked_mul(self.element.words())
    }

    /// The first element of a direction. Buffers are bound whole, which bounds this below 2³².
    pub fn first(&self, direction: usize) -> usize {
        direction * self.rows * self.columns
    }
}

/// The words of numbers, whole elements of them. Of two f16 in a word the first is in the low half, where
/// `unpack2x16float` reads it.
pub(crate) fn stored(element: Element, numbers: Vec<f32>) -> Vec<u32> {
    let half = |number: f32| u32::from(f16::from_f32(number).to_bits());
    match element {
        Element::F32 => bytemuck::cast_vec(numbers),
        Element::F16 => numbers.chunks_exact(2).map(|pair| half(pair[0]) | half(pair[1]) << 16).collect(),
    }
}

/// W_ih or W_hh of one direction: (4H, n·width), gates stacked i, f, g, o, to `[n·width padded, H]` of (i, f, g, o).
pub(crate) fn gates(matrix: ArrayView2<'_, f32>, width: usize) -> Vec<f32> {
    let (rows, columns) = matrix.dim();
    let hidden = rows / 4;
    let mut laid_out = vec![0.0; columns / width * padded(width) * rows];
    for (m, column) in matrix.columns().into_iter().enumerate() {
        let m = m / width * padded(width) + m % width;
        let to = &mut laid_out[m * rows..][..rows];
        for (gate_unit, &weight) in column.iter().enumerate() {
            let (gate, unit) = (gate_unit / hidden, gate_unit % hidden);
            to[4 * unit + gate] = flush(weight);
        }
    }
    laid_out
}

/// b_ih + b_hh of one direction: (4H) each, to `[H]` of (i, f, g, o).
pub(crate) fn bias<'a>(
    hidden: usize,
    b_ih: impl IntoIterator<Item = &'a f32>,
    b_hh: impl IntoIterator<Item = &'a f32>,
) -> Vec<f32> {
    let mut laid_out = vec![0.0; 4 * hidden];
    for (gate_unit, (a, b)) in b_ih.into_iter().zip(b_hh).enumerate() {
        laid_out[4 * (gate_unit % hidden) + gate_unit / hidden] = flush(a + b);
    }
    laid_out
}

/// W_hr of one direction: (P, H), to `[H padded, P padded / 4]` of four neighbouring outputs.
pub(crate) fn projection(matrix: ArrayView2<'_, f32>) -> Vec<f32> {
    let (projection, hidden) = matrix.dim();
    let mut laid_out = vec![0.0; padded(hidden) * padded(projection)];
    for ((p, m), &weight) in matrix.indexed_iter() {
        laid_out[m * padded(projection) + p] = flush(weight);
    }
    laid_out
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::{Element, gates, projection, stored};

    #[test]
    fn puts_the_four_gates_of_a_unit_side_by_side() {
        // H = 2, one input: rows are i0 i1 f0 f1 g0 g1 o0 o1.
        let matrix = Array2::from_shape_fn((8, 1), |(row, _)| row as f32 + 1.0);
        let laid_out = gates(matrix.view(), 1);
        assert_eq!(laid_out[..8], [1.0, 3.0, 5.0, 7.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(laid_out[8..], [0.0; 24], "the reduction axis is padded to 4");
    }

    #[test]
    fn pads_the_part_of_each_direction() {
        // H = 1, two directions of one output each.
        let matrix = array![[1.0, 5.0], [2.0, 6.0], [3.0, 7.0], [4.0, 8.0]];
        let laid_out = gates(matrix.view(), 1);
        assert_eq!(laid_out[..4], [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(laid_out[4..16], [0.0; 12]);
        assert_eq!(laid_out[16..20], [5.0, 6.0, 7.0, 8.0]);
    }

    #[test]
    fn transposes_the_projection() {
        let laid_out = projection(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].view());
        assert_eq!(laid_out[..8], [1.0, 4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 0.0]);
        assert_eq!(laid_out[8..], [3.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn two_halves_are_in_a_word() {
        assert_eq!(stored(Element::F16, vec![1.0, -2.0, 0.5, 0.0]), [0xc000_3c00, 0x3800]);
    }
}
