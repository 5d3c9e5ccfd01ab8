//! ONNX's messages, as far as weights need them. Each is read out of its bytes when it is needed.
//!
//! # Source
//!
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>

use std::rc::Rc;

use super::wire::{fields, malformed, short};
use crate::error::Error;

/// `ModelProto`: its graph, and the functions that its nodes can call.
pub(super) struct ModelProto<'a> {
    pub(super) graph: &'a [u8],
    pub(super) functions: Vec<&'a [u8]>,
}

impl<'a> ModelProto<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let (mut graph, mut functions) = (None, Vec::new());
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                7 if graph.is_some() => return Err(malformed("it has two graphs")),
                7 => graph = Some(field.bytes()?),
                25 => functions.push(field.bytes()?),
                _ => {}
            }
        }
        Ok(Self { graph: graph.ok_or_else(|| malformed("it has no graph"))?, functions })
    }
}

/// `NodeProto`.
#[derive(Default)]
pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) operator: &'a str,
    pub(super) domain: &'a str,
    pub(super) overload: &'a str,
    /// An input or output that is left out has an empty name.
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<&'a [u8]>,
    /// The fields that were read.
    pub(super) work: usize,
}

impl<'a> Node<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut node = Self::default();
        for field in fields(bytes) {
            let field = field?;
            node.work += 1;
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                3 => node.name = field.text()?,
                4 => node.operator = field.text()?,
                5 => node.attributes.push(field.bytes()?),
                7 => node.domain = field.text()?,
                8 => node.overload = field.text()?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// The name of ONNX's own operator; `None` for one of another domain.
    pub(super) fn standard(&self) -> Option<&'a str> {
        matches!(self.domain, "" | "ai.onnx").then_some(self.operator)
    }

    /// The name of an input, unless it is left out.
    pub(super) fn input(&self, index: usize) -> Option<&'a str> {
        self.inputs.get(index).copied().filter(|name| !name.is_empty())
    }
}

/// `AttributeProto`.
#[derive(Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    /// In a function's body: the attribute of the call that this one stands for.
    pub(super) refers_to: &'a str,
    pub(super) float: Option<f32>,
    pub(super) integer: Option<i64>,
    pub(super) text: Option<&'a [u8]>,
    pub(super) tensor: Option<&'a [u8]>,
    pub(super) graphs: Vec<&'a [u8]>,
    pub(super) floats: Vec<f32>,
    pub(super) integers: Vec<i64>,
    pub(super) texts: Vec<&'a [u8]>,
    /// The fields and numbers that were read.
    pub(super) work: usize,
}

impl<'a> Attribute<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut attribute = Self::default();
        for field in fields(bytes) {
            let field = field?;
            attribute.work += 1;
            match field.number {
                1 => attribute.name = field.text()?,
                2 => attribute.float = Some(field.float()?),
                3 => attribute.integer = Some(field.integer()?),
                4 => attribute.text = Some(field.bytes()?),
                5 => attribute.tensor = Some(field.bytes()?),
                6 | 11 => attribute.graphs.push(field.bytes()?),
                7 => field.floats(|float| attribute.floats.push(f32::from_le_bytes(float)))?,
                8 => field.integers(|integer| attribute.integers.push(integer))?,
                9 => attribute.texts.push(field.bytes()?),
                21 => attribute.refers_to = field.text()?,
                _ => {}
            }
        }
        attribute.work += attribute.floats.len() + attribute.integers.len();
        Ok(attribute)
    }
}

/// `FunctionProto`.
#[derive(Default)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) domain: &'a str,
    pub(super) overload: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) nodes: Vec<&'a [u8]>,
    /// Values of attributes that a call leaves out.
    pub(super) defaults: Vec<&'a [u8]>,
}

impl<'a> Function<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut function = Self::default();
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => function.name = field.text()?,
                4 => function.inputs.push(field.text()?),
                5 => function.outputs.push(field.text()?),
                7 => function.nodes.push(field.bytes()?),
                10 => function.domain = field.text()?,
                11 => function.defaults.push(field.bytes()?),
                13 => function.overload = field.text()?,
                _ => {}
            }
        }
        Ok(function)
    }
}

/// The name of a `TensorProto` or a `ValueInfoProto`, and how many fields were read: the name is the field of this
/// number. What is malformed after the name is an error where the message is needed.
pub(super) fn name_of(bytes: &[u8], number: u64) -> Result<(&str, usize), Error> {
    let (mut name, mut work) = ("", 0);
    for field in fields(bytes) {
        let field = match field {
            Err(_) if !name.is_empty() => break,
            field => field?,
        };
        work += 1;
        if field.number == number {
            name = field.text()?;
        }
    }
    Ok((name, work))
}

/// The axes of a `ValueInfoProto` that is a tensor, each with its length if the file has it as a number; `None` if the
/// file does not say how many there are.
pub(super) fn value_axes(bytes: &[u8]) -> Result<Option<Vec<Option<i64>>>, Error> {
    // ValueInfoProto.type, TypeProto.tensor_type, TypeProto.Tensor.shape, TensorShapeProto.dim, its dim_value.
    let Some(shape) = last(bytes, &[2, 1, 2])? else { return Ok(None) };
    let mut axes = Vec::new();
    for field in fields(shape) {
        let field = field?;
        if field.number == 1 {
            let length = fields(field.bytes()?).find(|field| field.as_ref().map_or(true, |f| f.number == 1));
            let length = length.map(|length| length?.integer()).transpose()?;
            axes.push(length.filter(|&length| length > 0));
        }
    }
    Ok(Some(axes))
}

/// The message in a message in this one, by the numbers of the fields.
fn last<'a>(mut bytes: &'a [u8], numbers: &[u64]) -> Result<Option<&'a [u8]>, Error> {
    for &number in numbers {
        let mut inner = None;
        for field in fields(bytes) {
            let field = field?;
            if field.number == number {
                inner = Some(field.bytes()?);
            }
        }
        match inner {
            Some(inner) => bytes = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(bytes))
}

/// The name of a `SparseTensorProto`, which is that of its values, and how many fields were read.
pub(super) fn sparse_name(bytes: &[u8]) -> Result<(&str, usize), Error> {
    let mut work = 0;
    for field in fields(bytes) {
        let field = field?;
        work += 1;
        if field.number == 1 {
            let (name, of_values) = name_of(field.bytes()?, TENSOR_NAME)?;
            return Ok((name, work + of_values));
        }
    }
    Ok(("", work))
}

/// The field of a `TensorProto` that is its name.
pub(super) const TENSOR_NAME: u64 = 8;

/// The field of a `ValueInfoProto` that is its name.
pub(super) const VALUE_NAME: u64 = 1;

/// The fields of a `TensorProto` that have numbers in typed form: `float_data`, `int32_data`, `int64_data`,
/// `double_data`, `uint64_data`.
pub(super) const TYPED: [u64; 5] = [4, 5, 7, 10, 11];

/// `TensorProto`, without its numbers.
pub(super) struct TensorProto<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) name: &'a str,
    pub(super) shape: Rc<[usize]>,
    pub(super) data_type: i64,
    /// Little-endian elements, not aligned.
    pub(super) raw: Option<&'a [u8]>,
    /// Keys and values of data in another file.
    pub(super) external: Option<Vec<(&'a str, &'a str)>>,
}

impl<'a> TensorProto<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut tensor =
            Self { bytes, name: "", shape: Rc::default(), data_type: 0, raw: None, external: None };
        let (mut axes, mut entries, mut is_external) = (Vec::new(), Vec::new(), false);
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => field.integers(|axis| axes.push(axis))?,
                2 => tensor.data_type = field.integer()?,
                3 => return Err(malformed("a tensor is one segment of a larger one")),
                TENSOR_NAME => tensor.name = field.text()?,
                9 => tensor.raw = Some(field.bytes()?),
                13 => entries.push(entry(field.bytes()?)?),
                14 => is_external = field.integer()? == 1,
                _ => {}
            }
        }
        let shape = axes.into_iter().map(|axis| usize::try_from(axis).ok()).collect::<Option<_>>();
        tensor.shape =
            shape.ok_or_else(|| malformed(format!("tensor {:?} has a negative axis", short(tensor.name))))?;
        tensor.external = is_external.then_some(entries);
        Ok(tensor)
    }
}

/// `StringStringEntryProto`: a key and its value.
fn entry(bytes: &[u8]) -> Result<(&str, &str), Error> {
    let mut entry = ("", "");
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => entry.0 = field.text()?,
            2 => entry.1 = field.text()?,
            _ => {}
        }
    }
    Ok(entry)
}
