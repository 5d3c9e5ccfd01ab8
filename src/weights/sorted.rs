//! Sorts tensors by how they relate to one LSTM.

use std::collections::BTreeMap;

use super::changed::dropped_outside;
use super::kinds::{self, Kind};
use super::names::{Name, Spelling};
use super::tensor::Tensor;
use crate::error::Error;

/// Tensors, sorted by how they relate to the LSTM under one prefix.
pub(super) struct Sorted<V> {
    pub(super) layers: BTreeMap<Name, Tensor<V>>,
    pub(super) cell: BTreeMap<Name, Tensor<V>>,
    /// The first one that stands in place of a parameter.
    pub(super) changed: Option<Error>,
    /// The first one that is refused beside parameters.
    pub(super) doubtful: Option<Error>,
    pub(super) others: Vec<Tensor<()>>,
}

impl<V> Sorted<V> {
    /// Refuses a parameter that is given twice.
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
            let same_spelling = match kind {
                Some(Kind::Param(Spelling::Layers, name)) => Some((&mut sorted.layers, name)),
                Some(Kind::Param(Spelling::Cell, name)) => Some((&mut sorted.cell, name)),
                Some(Kind::Changed(reason) | Kind::Packed(reason)) => {
                    sorted.changed.get_or_insert_with(|| tensor.unexpected(reason));
                    continue;
                }
                Some(Kind::Doubtful(reason)) => {
                    sorted.doubtful.get_or_insert_with(|| tensor.unexpected(reason));
                    None
                }
                None => None,
            };
            let Some((params, name)) = same_spelling else {
                sorted.others.push(tensor.outline());
                continue;
            };
            if let Some(twin) = params.insert(name, tensor) {
                return Err(Error::DuplicateTensor { name: twin.name });
            }
        }
        Ok(sorted)
    }
}
