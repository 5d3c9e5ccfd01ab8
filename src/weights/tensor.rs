//! Named tensors: what the reader of every file format returns.

use std::rc::Rc;

use half::{bf16, f16};

use super::precision::Precision;
use crate::error::Error;

/// The tensors of a file.
pub(super) struct NamedTensors<'a> {
    /// In the order of their names.
    pub(super) tensors: Vec<Tensor<Bytes<'a>>>,
    /// The precision that the file says its network has. F32 in a file that says nothing, whatever the element
    /// types are.
    pub(super) precision: Precision,
}

/// A tensor with its values: [`Bytes`] of a file, an array in memory, or `()` for what can be checked without them.
#[derive(Clone)]
pub(super) struct Tensor<V> {
    /// Full name, prefix included.
    pub(super) name: String,
    /// Shared, because several names can stand for one tensor.
    pub(super) shape: Rc<[usize]>,
    pub(super) element_type: ElementType,
    pub(super) values: V,
}

/// The type of a tensor's elements.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum ElementType {
    F16,
    BF16,
    F32,
    F64,
    /// One that this crate does not read, as the file spells it.
    Other(Rc<str>),
}

/// A tensor's elements in a file: little-endian, row after row, as many as the shape says. A format's reader checks
/// their number.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<V> Tensor<V> {
    /// The shape as two axes with at least one element each. `expected` is the shape that the error names.
    pub(super) fn matrix(&self, expected: &str) -> Result<(usize, usize), Error> {
        match self.shape[..] {
            [rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns)),
            _ => Err(self.misshapen(expected.to_owned())),
        }
    }

    pub(super) fn misshapen(&self, expected: String) -> Error {
        Error::TensorShape { name: self.name.clone(), expected, actual: self.shape.to_vec() }
    }

    pub(super) fn unexpected(&self, reason: &str) -> Error {
        Error::UnexpectedTensor { name: self.name.clone(), reason: reason.to_owned() }
    }

    /// Refuses an element type that this crate does not read.
    pub(super) fn check_element_type(&self) -> Result<(), Error> {
        match &self.element_type {
            ElementType::Other(actual) => {
                Err(Error::TensorType { name: self.name.clone(), actual: actual.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// The same tensor without its values.
    pub(super) fn outline(self) -> Tensor<()> {
        Tensor { name: self.name, shape: self.shape, element_type: self.element_type, values: () }
    }
}

impl Tensor<Bytes<'_>> {
    /// The elements as f32, row after row.
    pub(super) fn into_f32(self) -> Result<Vec<f32>, Error> {
        self.check_element_type()?;
        let Bytes(bytes) = self.values;
        Ok(match self.element_type {
            ElementType::F16 => elements(bytes, |element| f16::from_le_bytes(element).to_f32()).collect(),
            ElementType::BF16 => elements(bytes, |element| bf16::from_le_bytes(element).to_f32()).collect(),
            ElementType::F64 => elements(bytes, f64::from_le_bytes)
                .map(|number| to_f32(number, &self.name))
                .collect::<Result<_, _>>()?,
            ElementType::F32 | ElementType::Other(_) => elements(bytes, f32::from_le_bytes).collect(),
        })
    }
}

/// Elements of N bytes each; the bytes need not be aligned.
fn elements<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    let (elements, _) = bytes.as_chunks::<N>();
    elements.iter().map(move |&element| read(element))
}

/// The nearest f32. A finite number that would become infinite is refused.
fn to_f32(number: f64, name: &str) -> Result<f32, Error> {
    let narrow = number as f32;
    if narrow.is_infinite() && number.is_finite() {
        return Err(Error::PrecisionRange { name: name.to_owned(), value: number, largest: f32::MAX.into() });
    }
    Ok(narrow)
}
