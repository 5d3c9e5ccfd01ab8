//! The weights of one cell: what both layouts of Keras's files are read into.

use super::hdf5::{File, Found};
use super::settings::Bias;
use crate::error::Error;
use crate::weights::format::KerasCell;
use crate::weights::tensor::Source;
use crate::weights::tensor::Tensor;

/// A cell with an LSTM's shapes.
pub(super) struct Cell {
    /// The layer in the configuration that it belongs to.
    pub(super) described: Option<usize>,
    /// Equal for the cells of one layer.
    pub(super) key: String,
    /// What the layer is called if the configuration does not say it.
    pub(super) name: String,
    pub(super) direction: Option<Direction>,
    pub(super) tensors: KerasCell<'static>,
    /// Another tensor of numbers that belongs to the cell.
    pub(super) other: Option<String>,
}

/// A half of a Bidirectional layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// A layer that is known to be refused before its shapes are compared.
pub(super) struct Refused {
    pub(super) described: Option<usize>,
    pub(super) name: String,
    pub(super) reason: String,
}

/// What a layout's reader finds.
#[derive(Default)]
pub(super) struct Cells {
    pub(super) cells: Vec<Cell>,
    pub(super) refused: Vec<Refused>,
    /// Names of all layers, each with what its shapes are if they are another kind of layer's.
    pub(super) all: Vec<String>,
}

/// The tensors of a cell, before their shapes are compared.
pub(super) struct Parts {
    pub(super) kernel: (String, Found),
    pub(super) recurrent: (String, Found),
    pub(super) bias: Option<(String, Found)>,
}

impl Parts {
    /// Whether kernel (I, 4H), recurrent kernel (H, 4H) and bias (4H) or (8H) are an LSTM's.
    pub(super) fn is_lstm(&self) -> bool {
        self.gates() == Some(4)
    }

    /// What other layer has such shapes.
    pub(super) fn other_kind(&self) -> Option<&'static str> {
        match self.gates() {
            Some(1) => Some("a simple RNN's shapes"),
            Some(3) => Some("a GRU's shapes"),
            _ => None,
        }
    }

    fn gates(&self) -> Option<u64> {
        let (&[_, columns], &[hidden, width]) = (&self.kernel.1.shape[..], &self.recurrent.1.shape[..])
        else {
            return None;
        };
        let gates = width.checked_div(hidden)?;
        let fits = columns == width && hidden.checked_mul(gates) == Some(width);
        let bias = self.bias.as_ref().map(|(_, bias)| &bias.shape[..]);
        let fits = fits
            && match bias {
                None => true,
                Some(&[length]) => length == width || (gates == 4 && Some(length) == width.checked_mul(2)),
                Some(&[2, length]) => gates == 3 && length == width,
                Some(_) => false,
            };
        fits.then_some(gates)
    }

    /// The tensors, without their values.
    pub(super) fn open(self, file: &File) -> Result<KerasCell<'static>, Error> {
        file.count_cell()?;
        let tensor = |(name, found)| file.tensor(name, found);
        Ok(KerasCell {
            kernel: tensor(self.kernel)?,
            recurrent: tensor(self.recurrent)?,
            bias: self.bias.map(tensor).transpose()?,
        })
    }
}

impl Cell {
    /// H.
    pub(super) fn hidden(&self) -> usize {
        self.tensors.recurrent.shape.first().copied().unwrap_or(0)
    }

    pub(super) fn bias(&self) -> Bias {
        match self.tensors.bias.as_ref().and_then(|bias| bias.shape.first()) {
            None => Bias::None,
            Some(&length) if length == self.hidden().saturating_mul(4) => Bias::One,
            Some(_) => Bias::Two,
        }
    }

    pub(super) fn all_tensors(&self) -> impl Iterator<Item = &Tensor<Source<'static>>> {
        [&self.tensors.kernel, &self.tensors.recurrent].into_iter().chain(&self.tensors.bias)
    }
}

/// The path of the layer that the cell at this path belongs to, and which half of it the cell is. `half` tells a half of a
/// Bidirectional layer by the name of its group.
pub(super) fn layer_of(
    path: &[String],
    half: impl Fn(&str) -> Option<Direction>,
) -> (&[String], Option<Direction>) {
    for (at, name) in path.iter().enumerate().rev() {
        if let Some(direction) = half(name) {
            return (&path[..at], Some(direction));
        }
    }
    // StackedRNNCells has its cells in `cell/cells`.
    let path = match path.iter().position(|name| name == "cells") {
        Some(at) => &path[..at],
        None => path,
    };
    match path {
        [layer @ .., last] if !layer.is_empty() && (last == "cell" || last.starts_with("lstm_cell")) => {
            (layer, None)
        }
        _ => (path, None),
    }
}
