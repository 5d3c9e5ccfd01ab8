//! Sorts tensors by how they relate to one LSTM.

use std::collections::BTreeMap;

use super::changed::dropped_outside;
use super::kinds::{self, Kind};
use super::names::{Name, Spelling};
use super::tensor::Tensor;
use crate::error::Error;

/// Tensors, sorted by how they relate to the LSTM under one prefix.
pub(super) struct Sorted<V> {
    /// Parameters under the names of an `LSTM`.
    pub(super) layers: BTreeMap<Name, Tensor<V>>,
    /// Parameters under the names of an `LSTMCell`.
    pub(super) cell: BTreeMap<Name, Tensor<V>>,
    /// The error for the first tensor that replaces a parameter.
    pub(super) changed: Option<Error>,
    /// The error for the first tensor that is refused if there are parameters.
    pub(super) doubtful: Option<Error>,
    /// All others, and the doubtful ones.
    pub(super) others: Vec<Tensor<()>>,
}

impl<V> Sorted<V> {
    /// # Errors
    ///
    /// [`Error::DuplicateTensor`] for two tensors of one parameter.
    pub(super) fn new(tensors: impl IntoIterator<Item = Tensor<V>>, prefix: &str) -> Result<Self, Error> {
        let mut sorted = Self {
            layers: BTreeMap::new(),
            cell: BTreeMap::new(),
            changed: None,
            doubtful: None,
            others: Vec::new(),
        };
        for tensor in tensors {
            let kind = match tensor.name.strip_prefix(prefix).and_then(kinds::split) {
                Some(("", kind)) => Some(kind),
                _ => dropped_outside(prefix, &tensor.name).map(Kind::Doubtful),
            };
            let duplicate = match kind {
                Some(Kind::Param(Spelling::Layers, name)) => sorted.layers.insert(name, tensor),
                Some(Kind::Param(Spelling::Cell, name)) => sorted.cell.insert(name, tensor),
                Some(Kind::Changed(reason) | Kind::Quantized(reason)) => {
                    sorted.changed.get_or_insert_with(|| tensor.unexpected(reason));
                    None
                }
                Some(Kind::Doubtful(reason)) => {
                    sorted.doubtful.get_or_insert_with(|| tensor.unexpected(reason));
                    sorted.others.push(tensor.outline());
                    None
                }
                None => {
                    sorted.others.push(tensor.outline());
                    None
                }
            };
            if let Some(tensor) = duplicate {
                return Err(Error::DuplicateTensor { name: tensor.name });
            }
        }
        Ok(sorted)
    }
}
