//! Constants of a model: shape, element type, and how the elements are computed.

use std::rc::Rc;

use super::external::External;
use crate::weights::tensor::ElementType;

/// The most axes of a constant, and elements of a list of axes or indices.
pub(super) const MAX_AXES: usize = 32;

/// ONNX's numbers of the element types that are computed with.
pub(super) mod data_type {
    pub(in super::super) const FLOAT: i64 = 1;
    pub(in super::super) const UINT8: i64 = 2;
    pub(in super::super) const INT8: i64 = 3;
    pub(in super::super) const UINT16: i64 = 4;
    pub(in super::super) const INT16: i64 = 5;
    pub(in super::super) const INT32: i64 = 6;
    pub(in super::super) const INT64: i64 = 7;
    pub(in super::super) const BOOL: i64 = 9;
    pub(in super::super) const FLOAT16: i64 = 10;
    pub(in super::super) const DOUBLE: i64 = 11;
    pub(in super::super) const UINT32: i64 = 12;
    pub(in super::super) const UINT64: i64 = 13;
    pub(in super::super) const BFLOAT16: i64 = 16;
}
use data_type as of;

/// The type of an array's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Element {
    /// By ONNX's number.
    Onnx(i64),
    /// f32, computed from integers of this type with scales.
    Dequantized(i64),
}

impl Element {
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::Onnx(of::FLOAT | of::FLOAT16 | of::BFLOAT16 | of::DOUBLE) | Self::Dequantized(_))
    }

    /// Bytes of one element; `None` if a type is not read.
    pub(super) fn bytes(self) -> Option<usize> {
        Some(match self {
            Self::Onnx(of::UINT8 | of::INT8 | of::BOOL) => 1,
            Self::Onnx(of::UINT16 | of::INT16 | of::FLOAT16 | of::BFLOAT16) => 2,
            Self::Onnx(of::FLOAT | of::INT32 | of::UINT32) | Self::Dequantized(_) => 4,
            Self::Onnx(of::INT64 | of::UINT64 | of::DOUBLE) => 8,
            Self::Onnx(_) => return None,
        })
    }

    pub(super) fn element_type(self) -> ElementType {
        match self {
            Self::Onnx(of::FLOAT) => ElementType::F32,
            Self::Onnx(of::FLOAT16) => ElementType::F16,
            Self::Onnx(of::BFLOAT16) => ElementType::BF16,
            Self::Onnx(of::DOUBLE) => ElementType::F64,
            Self::Onnx(other) => ElementType::Other(name(other).into()),
            Self::Dequantized(from) => ElementType::Quantized(name(from).into()),
        }
    }
}

/// The name of an element type as in other formats, or ONNX's own.
pub(super) fn name(data_type: i64) -> String {
    let name = match data_type {
        of::FLOAT => "F32",
        of::UINT8 => "U8",
        of::INT8 => "I8",
        of::UINT16 => "U16",
        of::INT16 => "I16",
        of::INT32 => "I32",
        of::INT64 => "I64",
        8 => "STRING",
        of::BOOL => "BOOL",
        of::FLOAT16 => "F16",
        of::DOUBLE => "F64",
        of::UINT32 => "U32",
        of::UINT64 => "U64",
        14 => "COMPLEX64",
        15 => "COMPLEX128",
        of::BFLOAT16 => "BF16",
        17 => "FLOAT8E4M3FN",
        18 => "FLOAT8E4M3FNUZ",
        19 => "FLOAT8E5M2",
        20 => "FLOAT8E5M2FNUZ",
        21 => "UINT4",
        22 => "INT4",
        23 => "FLOAT4E2M1",
        other => return format!("ONNX's type {other}"),
    };
    name.to_owned()
}

/// A constant. What it is computed from is shared, since many names can stand for it.
pub(super) struct Array<'a> {
    pub(super) shape: Rc<[usize]>,
    pub(super) element: Element,
    /// The longest chain of arrays that it is computed from.
    pub(super) level: usize,
    pub(super) plan: Plan<'a>,
}

/// How the elements of an array are computed.
pub(super) enum Plan<'a> {
    /// Part of the file: little-endian elements, not aligned.
    Raw(&'a [u8]),
    /// The typed numbers of a `TensorProto`.
    Typed(&'a [u8]),
    /// Part of another file.
    External(External<'a>),
    /// Computed already: numbers of an attribute.
    Owned(Vec<u8>),
    /// The same elements in another shape.
    Reshaped(Rc<Array<'a>>),
    /// Each element from the place in the other array that strides give, in elements: one stride an axis.
    Strided { from: Rc<Array<'a>>, start: isize, strides: Vec<isize> },
    /// Side by side along an axis.
    Joined { axis: usize, parts: Vec<Rc<Array<'a>>> },
    /// Floats in another precision.
    Cast(Rc<Array<'a>>),
    Dequantized {
        from: Rc<Array<'a>>,
        scale: Rc<Array<'a>>,
        zero_point: Option<Rc<Array<'a>>>,
        places: Places,
    },
}

/// Which scale an element has, by the index of the element.
#[derive(Clone, Copy)]
pub(super) enum Places {
    /// All have the same one.
    One,
    /// Each index of an axis has its own; `inner` elements follow each other with the same one.
    Axis { inner: usize, length: usize },
    /// Each index of the first and the last axis has its own; an index of the first has `block` elements, one of the
    /// last comes again after `length`.
    FirstAndLast { block: usize, length: usize },
}

impl Places {
    pub(super) fn of(self, index: usize) -> usize {
        match self {
            Self::One => 0,
            Self::Axis { inner, length } => index / inner % length,
            Self::FirstAndLast { block, length } => index / block * length + index % length,
        }
    }

    /// The number of scales.
    pub(super) fn count(self, elements: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Axis { length, .. } => length,
            Self::FirstAndLast { block, length } => elements / block * length,
        }
    }
}

impl Array<'_> {
    /// The number of elements. That of every array was checked when it was made.
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The number of elements of a shape, if all of its bytes can be addressed.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    // Zeros last: an empty array can have an axis of any length.
    let product =
        shape.iter().filter(|&&axis| axis > 0).try_fold(1_usize, |all, &axis| all.checked_mul(axis))?;
    let product = product.checked_mul(8).filter(|&bytes| isize::try_from(bytes).is_ok())? / 8;
    Some(if shape.contains(&0) { 0 } else { product })
}
