//! Named tensors: what the reader of every file format returns.

use std::borrow::Cow;
use std::rc::Rc;

use half::{bf16, f16};

use crate::error::Error;

/// A tensor with its values: the [`Source`] of its bytes in a file, an array in memory, or `()` for what can be checked
/// without them.
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
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "some formats are features of the crate"))]
pub(super) enum ElementType {
    F16,
    BF16,
    F32,
    F64,
    /// Integers of this type in the file, with scales: the reader returns f32.
    Quantized(Rc<str>),
    /// One that this crate does not read, as the file spells it.
    Other(Rc<str>),
    /// Unknown, as the shape is too: why the tensor can't be read.
    Malformed {
        format: &'static str,
        reason: Rc<str>,
    },
}

/// Where the bytes of a tensor's elements come from: little-endian, row after row, as many elements as the shape says.
#[derive(Clone)]
#[cfg_attr(
    not(any(feature = "pytorch", feature = "onnx", feature = "keras", feature = "npz")),
    allow(dead_code, reason = "some formats are features of the crate")
)]
pub(super) enum Source<'a> {
    /// Part of the file's bytes.
    Bytes(&'a [u8]),
    /// Read, decompressed or computed when they are needed: a file can have much more than the LSTM.
    Read(Rc<dyn Fn() -> Result<Vec<u8>, Error> + 'a>),
}

impl<'a> Source<'a> {
    /// The bytes that this function returns.
    #[cfg_attr(
        not(any(feature = "pytorch", feature = "onnx", feature = "keras", feature = "npz")),
        allow(dead_code, reason = "some formats are features of the crate")
    )]
    pub(super) fn read(read: impl Fn() -> Result<Vec<u8>, Error> + 'a) -> Self {
        Self::Read(Rc::new(read))
    }

    pub(super) fn bytes(&self) -> Result<Cow<'a, [u8]>, Error> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Read(read) => read().map(Cow::Owned),
        }
    }
}

impl ElementType {
    /// Bytes of one element; `None` if this crate does not read the type.
    pub(super) fn bytes(&self) -> Option<usize> {
        match self {
            Self::F16 | Self::BF16 => Some(2),
            Self::F32 | Self::Quantized(_) => Some(4),
            Self::F64 => Some(8),
            Self::Other(_) | Self::Malformed { .. } => None,
        }
    }

    /// The name that files and errors give it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::Quantized(name) | Self::Other(name) => name,
            Self::Malformed { .. } => "unknown",
        }
    }
}

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
        Error::UnexpectedTensor { name: self.name.clone(), reason: reason.to_owned(), found: Vec::new() }
    }

    /// Refuses an element type that this crate does not read.
    pub(super) fn check_element_type(&self) -> Result<(), Error> {
        match &self.element_type {
            ElementType::Other(actual) => {
                Err(Error::TensorType { name: self.name.clone(), actual: actual.to_string() })
            }
            _ => self.check_whole(),
        }
    }

    /// Refuses a tensor that can't be read at all.
    pub(super) fn check_whole(&self) -> Result<(), Error> {
        match &self.element_type {
            ElementType::Malformed { format, reason } => {
                Err(Error::MalformedFile { format, reason: reason.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// The same tensor without its values.
    pub(super) fn outline(&self) -> Tensor<()> {
        Tensor {
            name: self.name.clone(),
            shape: Rc::clone(&self.shape),
            element_type: self.element_type.clone(),
            values: (),
        }
    }
}

impl Tensor<Source<'_>> {
    /// The elements as f32, row after row.
    pub(super) fn into_f32(self) -> Result<Vec<f32>, Error> {
        self.check_element_type()?;
        let bytes = self.values.bytes()?;
        self.check_length(bytes.len())?;
        Ok(match self.element_type {
            ElementType::F16 => elements(&bytes, |element| f16::from_le_bytes(element).to_f32()).collect(),
            ElementType::BF16 => elements(&bytes, |element| bf16::from_le_bytes(element).to_f32()).collect(),
            ElementType::F64 => elements(&bytes, f64::from_le_bytes)
                .map(|number| to_f32(number, &self.name))
                .collect::<Result<_, _>>()?,
            _ => elements(&bytes, f32::from_le_bytes).collect(),
        })
    }

    /// Refuses another number of bytes than the shape and the element type need.
    fn check_length(&self, actual: usize) -> Result<(), Error> {
        let count = self.shape.iter().try_fold(1_usize, |count, &axis| count.checked_mul(axis));
        let expected = count.zip(self.element_type.bytes()).and_then(|(count, size)| count.checked_mul(size));
        if expected == Some(actual) {
            return Ok(());
        }
        let (name, shape, element_type) = (&self.name, &self.shape, self.element_type.name());
        let reason = format!("tensor {name:?} of shape {shape:?} and type {element_type} has {actual} bytes");
        Err(Error::MalformedFile { format: "file", reason })
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
