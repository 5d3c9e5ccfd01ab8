//! Slices → batches for the device.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, CowArray, Ix3};

use crate::sequences::Sequences;

/// Rows in an order that keeps padding low, and the ranges of it that are computed together.
pub(crate) struct Chunks {
    /// Indices of rows, longest sequence first; rows of equal length keep their order.
    pub(crate) order: Vec<usize>,
    /// Ranges of `order`.
    pub(crate) ranges: Vec<Range<usize>>,
}

impl Chunks {
    /// Cuts the rows so that a chunk's padded input and output take at most `bytes`, or are one row.
    ///
    /// `steps` has each row's time steps, 0 for rows that are not computed; `numbers` is how many f32 a time step takes.
    pub(crate) fn new(steps: &[usize], numbers: usize, bytes: usize) -> Self {
        let mut order: Vec<_> = (0..steps.len()).filter(|&row| steps[row] > 0).collect();
        order.sort_by_key(|&row| std::cmp::Reverse(steps[row]));
        let mut ranges = Vec::new();
        let mut start = 0;
        while start < order.len() {
            let row_bytes = steps[order[start]].saturating_mul(numbers).saturating_mul(size_of::<f32>());
            let end = order.len().min(start + (bytes / row_bytes.max(1)).max(1));
            ranges.push(start..end);
            start = end;
        }
        Self { order, ranges }
    }
}

/// A batch (B, T, I) of rows, longest first: a view of the column's own memory if they are equally long and follow each
/// other there, else a padded copy. `None` if the host has no memory for the copy.
pub(crate) fn batch<'a>(
    sequences: &'a Sequences,
    rows: &[usize],
    width: usize,
) -> Option<CowArray<'a, f32, Ix3>> {
    let longest = sequences.row(*rows.first()?)?.len();
    let shape = (rows.len(), longest / width, width);
    if let Some(values) = sequences.span(rows) {
        return ArrayView3::from_shape(shape, values).ok().map(CowArray::from);
    }
    let len = rows.len().checked_mul(longest)?;
    let mut padded = Vec::new();
    padded.try_reserve_exact(len).ok()?;
    for &row in rows {
        padded.extend_from_slice(sequences.row(row)?);
        padded.resize(padded.len().next_multiple_of(longest), 0.0);
    }
    Array3::from_shape_vec(shape, padded).ok().map(CowArray::from)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, FixedSizeListBuilder, Float32Builder, ListBuilder};

    use super::*;
    use crate::sequences::Expected;

    /// Sequences of so many vectors of 2 values, which count from 0.
    fn sequences(steps: &[usize]) -> Sequences {
        let mut rows = ListBuilder::new(FixedSizeListBuilder::new(Float32Builder::new(), 2));
        let mut value = 0.0;
        for &steps in steps {
            for _ in 0..steps {
                rows.values().values().append_slice(&[value, value + 1.0]);
                rows.values().append(true);
                value += 2.0;
            }
            rows.append(true);
        }
        Sequences::new(&(Arc::new(rows.finish()) as ArrayRef), Expected { model: "m", width: 2 }).unwrap()
    }

    #[test]
    fn equal_neighbours_are_a_view_of_the_column() {
        let sequences = sequences(&[2, 2, 2]);
        let batch = batch(&sequences, &[1, 2], 2).unwrap();
        assert!(batch.is_view() && batch.as_ptr() == sequences.row(1).unwrap().as_ptr());
        assert_eq!(batch.dim(), (2, 2, 2));
        assert_eq!(batch.iter().copied().collect::<Vec<_>>(), [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    }

    #[test]
    fn others_are_padded() {
        let sequences = sequences(&[1, 2, 1]);
        let batch = batch(&sequences, &[1, 0, 2], 2).unwrap();
        assert!(!batch.is_view());
        let values = [2.0, 3.0, 4.0, 5.0, 0.0, 1.0, 0.0, 0.0, 6.0, 7.0, 0.0, 0.0];
        assert_eq!(batch.iter().copied().collect::<Vec<_>>(), values);
    }

    #[test]
    fn chunks_hold_every_row_with_steps_once_longest_first() {
        let steps = [3, 0, 5, 3, 1];
        // A row of 5 steps of 2 numbers takes 40 bytes, and one of 3 takes 24.
        let chunks = Chunks::new(&steps, 2, 48);
        assert_eq!(chunks.order, [2, 0, 3, 4]);
        assert_eq!(chunks.ranges, [0..1, 1..3, 3..4]);
        let alone = Chunks::new(&steps, 2, 1);
        assert_eq!(alone.ranges, [0..1, 1..2, 2..3, 3..4], "a chunk is one row at least");
        assert!(Chunks::new(&[0, 0], 2, 48).ranges.is_empty());
    }
}
