//! Recognizes other networks under an LSTM's names, by their shapes.

use std::fmt;

use super::names::{Name, Param};

/// Another recurrent network, or an LSTM with its axes in another order.
pub(super) struct OtherNetwork {
    /// The number of blocks of H rows in a matrix.
    gates: usize,
    hidden: usize,
    /// Whether the matrices are (in, out), as Keras has them.
    transposed: bool,
}

impl OtherNetwork {
    /// The network whose first weight_hh has this shape.
    pub(super) fn of(w_hh: &[usize]) -> Option<Self> {
        let &[rows, columns] = w_hh else {
            return None;
        };
        let is = |hidden: usize, gates: usize, other: usize| {
            hidden > 0 && hidden.checked_mul(gates) == Some(other)
        };
        if is(rows, 4, columns) {
            Some(Self { gates: 4, hidden: rows, transposed: true })
        } else {
            let gates = [3, 1].into_iter().find(|&gates| is(columns, gates, rows))?;
            Some(Self { gates, hidden: columns, transposed: false })
        }
    }

    /// Whether it has a parameter of this name and shape.
    pub(super) fn has(&self, name: Name, shape: &[usize], directions: usize) -> bool {
        let out = self.gates * self.hidden;
        let matrix = |input: usize| if self.transposed { [input, out] } else { [out, input] };
        match name.param {
            Param::WeightIh if name.layer == 0 => {
                let input = shape.get(usize::from(!self.transposed));
                input.is_some_and(|&input| shape == matrix(input))
            }
            Param::WeightIh => {
                self.hidden.checked_mul(directions).is_some_and(|input| shape == matrix(input))
            }
            Param::WeightHh => shape == matrix(self.hidden),
            Param::BiasIh | Param::BiasHh => shape == [out],
            Param::WeightHr => false,
        }
    }
}

impl fmt::Display for OtherNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gates, hidden, transposed } = self;
        if *transposed {
            write!(f, "the axes of the matrices are exchanged, as Keras has them; transpose each matrix")
        } else if *gates == 3 {
            write!(f, "they have a GRU's 3 gates of {hidden} rows, where an LSTM has 4")
        } else {
            write!(
                f,
                "they have a plain RNN's {hidden} rows, where an LSTM has 4 gates of that many rows each"
            )
        }
    }
}
