//! Computes the elements of constants.

use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use half::{bf16, f16};

use super::array::{Array, Element, Places, Plan, data_type as of};
use super::messages::TYPED;
use super::wire::{fields, malformed};
use crate::error::Error;

/// The bytes of an array, little-endian.
#[derive(Clone)]
pub(super) enum Values<'a> {
    InFile(&'a [u8]),
    Computed(Rc<Vec<u8>>),
}

impl Deref for Values<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::InFile(bytes) => bytes,
            Self::Computed(bytes) => bytes,
        }
    }
}

impl Values<'_> {
    pub(super) fn into_vec(self) -> Vec<u8> {
        match self {
            Self::InFile(bytes) => bytes.to_vec(),
            Self::Computed(bytes) => Rc::unwrap_or_clone(bytes),
        }
    }
}

/// The elements of an array.
pub(super) fn values<'a>(array: &Rc<Array<'a>>) -> Result<Values<'a>, Error> {
    Computation::default().values(array)
}

/// What was computed already for one array, by the address of its parts: an array can be reached in many ways.
#[derive(Default)]
struct Computation<'a> {
    done: HashMap<*const Array<'a>, Values<'a>>,
}

impl<'a> Computation<'a> {
    /// Recursion ends: an array's level, and so the depth, was limited when it was made.
    fn values(&mut self, array: &Rc<Array<'a>>) -> Result<Values<'a>, Error> {
        if let Plan::Raw(bytes) = array.plan {
            return Ok(Values::InFile(bytes));
        }
        if let Plan::Reshaped(from) = &array.plan {
            return self.values(from);
        }
        if let Some(values) = self.done.get(&Rc::as_ptr(array)) {
            return Ok(values.clone());
        }
        let values = Values::Computed(Rc::new(self.compute(array)?));
        self.done.insert(Rc::as_ptr(array), values.clone());
        Ok(values)
    }

    fn compute(&mut self, array: &Rc<Array<'a>>) -> Result<Vec<u8>, Error> {
        match &array.plan {
            Plan::Raw(bytes) => Ok(bytes.to_vec()),
            Plan::Typed(tensor) => typed(tensor, array.element),
            Plan::External(part) => part.read(),
            Plan::Owned(bytes) => Ok(bytes.clone()),
            Plan::Reshaped(from) => Ok(self.values(from)?.to_vec()),
            Plan::Strided { from, start, strides } => {
                strided(&self.values(from)?, &array.shape, *start, strides, size(array.element)?)
            }
            Plan::Joined { axis, parts } => {
                let parts = parts.iter().map(|part| Ok((part.shape[*axis], self.values(part)?)));
                joined(&parts.collect::<Result<Vec<_>, Error>>()?, &array.shape, *axis, size(array.element)?)
            }
            Plan::Cast(from) => cast(&self.values(from)?, from.element, array.element),
            Plan::Dequantized { from, scale, zero_point, places } => {
                let zero_points = match zero_point {
                    Some(zero_point) => integers(&self.values(zero_point)?, zero_point.element)?.collect(),
                    None => Vec::new(),
                };
                let scales = self.values(scale)?;
                let quantized = self.values(from)?;
                dequantized(integers(&quantized, from.element)?, &scales, &zero_points, *places)
            }
        }
    }
}

fn size(element: Element) -> Result<usize, Error> {
    element.bytes().ok_or_else(inconsistent)
}

/// What can't be, because sizes were checked when the array was made.
fn inconsistent() -> Error {
    malformed("the sizes of its constants contradict each other")
}

/// The numbers of a `TensorProto` in typed form. Types of one or two bytes, the 16-bit floats too, are in
/// `int32_data`, one element a number.
pub(super) fn typed(tensor: &[u8], element: Element) -> Result<Vec<u8>, Error> {
    let (number, size) = (typed_field(element).ok_or_else(inconsistent)?, size(element)?);
    let mut bytes = Vec::with_capacity(typed_count(tensor, element)? * size);
    for field in fields(tensor) {
        let field = field?;
        if field.number != number {
            continue;
        }
        match number {
            4 => field.floats(|float| bytes.extend_from_slice(&float))?,
            10 => field.doubles(|double| bytes.extend_from_slice(&double))?,
            _ => field.integers(|integer| bytes.extend_from_slice(&integer.to_le_bytes()[..size]))?,
        }
    }
    Ok(bytes)
}

/// The number of elements that a `TensorProto` has in typed form.
pub(super) fn typed_count(tensor: &[u8], element: Element) -> Result<usize, Error> {
    let number = typed_field(element).ok_or_else(inconsistent)?;
    let mut count = 0;
    for field in fields(tensor) {
        let field = field?;
        match field.number {
            other if other != number => {}
            4 => field.floats(|_| count += 1)?,
            10 => field.doubles(|_| count += 1)?,
            _ => field.integers(|_| count += 1)?,
        }
    }
    Ok(count)
}

/// The field of a `TensorProto` that has elements of this type.
fn typed_field(element: Element) -> Option<u64> {
    let number = match element {
        Element::Onnx(of::FLOAT) => 4,
        Element::Onnx(of::DOUBLE) => 10,
        Element::Onnx(of::INT64) => 7,
        Element::Onnx(of::UINT32 | of::UINT64) => 11,
        _ => 5,
    };
    element.bytes().map(|_| number).filter(|number| TYPED.contains(number))
}

/// A part of an array, or its axes in another order.
fn strided(
    bytes: &[u8],
    shape: &[usize],
    start: isize,
    strides: &[isize],
    size: usize,
) -> Result<Vec<u8>, Error> {
    let elements: usize = shape.iter().product();
    if elements == 0 {
        return Ok(Vec::new());
    }
    // The last axes whose elements follow each other are copied at once.
    let (mut run, mut outer) = (1, shape.len());
    while outer > 0 && (strides[outer - 1] == run as isize || shape[outer - 1] == 1) {
        run *= shape[outer - 1];
        outer -= 1;
    }
    let mut copy = Vec::with_capacity(elements * size);
    let (mut index, mut place) = (vec![0; outer], start);
    loop {
        let from = usize::try_from(place).ok().and_then(|place| place.checked_mul(size));
        let run = from.and_then(|from| bytes.get(from..from.checked_add(run * size)?));
        copy.extend_from_slice(run.ok_or_else(inconsistent)?);
        let mut axis = outer;
        loop {
            if axis == 0 {
                return Ok(copy);
            }
            axis -= 1;
            index[axis] += 1;
            place += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            place -= strides[axis] * index[axis] as isize;
            index[axis] = 0;
        }
    }
}

/// Arrays side by side along an axis, each with its length along it.
fn joined(
    parts: &[(usize, Values<'_>)],
    shape: &[usize],
    axis: usize,
    size: usize,
) -> Result<Vec<u8>, Error> {
    let (outer, inner): (usize, usize) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
    let elements = shape.iter().product::<usize>();
    let mut bytes = Vec::with_capacity(elements * size);
    if elements == 0 {
        return Ok(bytes);
    }
    // Without the empty ones: they would cost time for every index of the outer axes.
    let parts: Vec<_> = parts.iter().filter(|(length, _)| *length > 0).collect();
    for index in 0..outer {
        for (length, part) in &parts {
            let width = length * inner * size;
            let row = part.get(index * width..(index + 1) * width);
            bytes.extend_from_slice(row.ok_or_else(inconsistent)?);
        }
    }
    Ok(bytes)
}

/// Floats in another precision, rounded to the nearest. F64 goes through F32, as in ONNX Runtime.
fn cast(bytes: &[u8], from: Element, to: Element) -> Result<Vec<u8>, Error> {
    let mut cast = Vec::with_capacity(bytes.len() / size(from)? * size(to)?);
    let mut write = |float: f32| match to {
        Element::Onnx(of::FLOAT16) => cast.extend_from_slice(&f16::from_f32(float).to_le_bytes()),
        Element::Onnx(of::BFLOAT16) => cast.extend_from_slice(&bf16::from_f32(float).to_le_bytes()),
        Element::Onnx(of::DOUBLE) => cast.extend_from_slice(&f64::from(float).to_le_bytes()),
        _ => cast.extend_from_slice(&float.to_le_bytes()),
    };
    match from {
        Element::Onnx(of::FLOAT16) => each(bytes, |element| write(f16::from_le_bytes(element).to_f32())),
        Element::Onnx(of::BFLOAT16) => each(bytes, |element| write(bf16::from_le_bytes(element).to_f32())),
        Element::Onnx(of::DOUBLE) => each(bytes, |element| write(f64::from_le_bytes(element) as f32)),
        _ => each(bytes, |element| write(f32::from_le_bytes(element))),
    }
    Ok(cast)
}

fn each<const N: usize>(bytes: &[u8], read: impl FnMut([u8; N])) {
    bytes.as_chunks().0.iter().copied().for_each(read);
}

/// The elements of an array of integers.
pub(super) fn integers(bytes: &[u8], element: Element) -> Result<impl Iterator<Item = i64>, Error> {
    let Element::Onnx(data_type) = element else { return Err(inconsistent()) };
    let read: fn(&[u8]) -> i64 = match data_type {
        of::INT8 => |bytes| i64::from(i8::from_le_bytes(first(bytes))),
        of::UINT8 => |bytes| i64::from(u8::from_le_bytes(first(bytes))),
        of::INT16 => |bytes| i64::from(i16::from_le_bytes(first(bytes))),
        of::UINT16 => |bytes| i64::from(u16::from_le_bytes(first(bytes))),
        of::INT32 => |bytes| i64::from(i32::from_le_bytes(first(bytes))),
        of::INT64 => |bytes| i64::from_le_bytes(first(bytes)),
        _ => return Err(inconsistent()),
    };
    Ok(bytes.chunks_exact(size(element)?).map(read))
}

/// The first N bytes, of chunks that have N.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// (q − zero point) · scale, the difference exactly and the product in f32, as in ONNX Runtime.
fn dequantized(
    integers: impl Iterator<Item = i64>,
    scales: &[u8],
    zero_points: &[i64],
    places: Places,
) -> Result<Vec<u8>, Error> {
    let scales = scales.as_chunks().0;
    let mut bytes = Vec::with_capacity(integers.size_hint().0 * size_of::<f32>());
    for (index, integer) in integers.enumerate() {
        let place = places.of(index);
        let scale = scales.get(place).copied().map(f32::from_le_bytes).ok_or_else(inconsistent)?;
        let zero_point = zero_points.get(place).copied().unwrap_or(0);
        let float = (integer - zero_point) as f32 * scale;
        bytes.extend_from_slice(&float.to_le_bytes());
    }
    Ok(bytes)
}
