//! The operators that only move numbers, convert them to another precision, or dequantize them.
//!
//! # Source
//!
//! <https://onnx.ai/onnx/operators/>

use std::rc::Rc;

use super::array::{Array, Element, Places, Plan, data_type as of, name as type_name};
use super::axes;
use super::messages::Node;
use super::model::Named;
use super::operands::{Folded, Made, Operands, axis, find, made, mismatch};
use super::problem::{Problem, unsupported};
use super::wire::malformed;

#[derive(Clone, Copy)]
pub(super) enum Operator {
    Cast,
    Concat,
    Constant,
    DequantizeLinear,
    Identity,
    Reshape,
    Slice,
    Squeeze,
    Transpose,
    Unsqueeze,
}

impl Operator {
    /// The operator of a node, if it is one of these. ONNX Runtime has a DequantizeLinear of its own for types that
    /// older versions of ONNX do not have.
    pub(super) fn of(node: &Node<'_>) -> Option<Self> {
        if (node.domain, node.operator) == ("com.microsoft", "DequantizeLinear") {
            return Some(Self::DequantizeLinear);
        }
        Some(match node.standard()? {
            "Cast" => Self::Cast,
            "Concat" => Self::Concat,
            "Constant" => Self::Constant,
            "DequantizeLinear" => Self::DequantizeLinear,
            "Identity" => Self::Identity,
            "Reshape" => Self::Reshape,
            "Slice" => Self::Slice,
            "Squeeze" => Self::Squeeze,
            "Transpose" => Self::Transpose,
            "Unsqueeze" => Self::Unsqueeze,
            _ => return None,
        })
    }

    /// The tensor of a `Constant` that has one.
    pub(super) fn stored<'a>(self, attributes: &[Named<'a>]) -> Option<&'a [u8]> {
        match self {
            Self::Constant => find(attributes, "value")?.tensor,
            _ => None,
        }
    }
}

pub(super) fn apply<'a>(operator: Operator, call: &Operands<'_, 'a>) -> Folded<'a> {
    match operator {
        Operator::Cast => cast(call),
        Operator::Concat => concat(call),
        Operator::Constant => constant(call),
        Operator::DequantizeLinear => dequantize(call),
        Operator::Identity => call.input(0).map(Made::Same),
        Operator::Reshape => axes::reshape(call),
        Operator::Slice => axes::slice(call),
        Operator::Squeeze => axes::squeeze(call),
        Operator::Transpose => axes::transpose(call),
        Operator::Unsqueeze => axes::unsqueeze(call),
    }
}

fn constant<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let (shape, element, bytes): (Vec<usize>, _, Vec<u8>) =
        if let Some(values) = call.attribute("value_floats") {
            let bytes = values.floats.iter().flat_map(|float| float.to_le_bytes()).collect();
            (vec![values.floats.len()], of::FLOAT, bytes)
        } else if let Some(values) = call.attribute("value_ints") {
            let bytes = values.integers.iter().flat_map(|integer| integer.to_le_bytes()).collect();
            (vec![values.integers.len()], of::INT64, bytes)
        } else if let Some(float) = call.attribute("value_float").and_then(|attribute| attribute.float) {
            (Vec::new(), of::FLOAT, float.to_le_bytes().to_vec())
        } else if let Some(integer) = call.integer("value_int") {
            (Vec::new(), of::INT64, integer.to_le_bytes().to_vec())
        } else {
            return unsupported("is a constant that is no dense tensor of numbers");
        };
    made(shape, Element::Onnx(element), Plan::Owned(bytes), 0)
}

fn cast<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let from = call.input(0)?;
    let to = Element::Onnx(call.integer("to").unwrap_or_default());
    // Dequantized numbers are f32 already.
    if to == from.element
        || (to == Element::Onnx(of::FLOAT) && matches!(from.element, Element::Dequantized(_)))
    {
        return Ok(Made::Same(from));
    }
    if !(to.is_float() && from.element.is_float()) {
        let name = |element| match element {
            Element::Onnx(data_type) => type_name(data_type),
            Element::Dequantized(_) => type_name(of::FLOAT),
        };
        return unsupported(format!("is cast from {} to {}", name(from.element), name(to)));
    }
    let (shape, level) = (from.shape.clone(), from.level + 1);
    made(shape, to, Plan::Cast(from), level)
}

fn concat<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let parts = (0..call.inputs.len()).map(|index| call.input(index)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = parts.first().cloned() else {
        return Err(malformed("a node \"Concat\" has no input").into());
    };
    let Some(axis) = call.integer("axis").and_then(|wanted| axis(wanted, first.shape.len())) else {
        return mismatch(call, &first);
    };
    let mut shape = first.shape.to_vec();
    shape[axis] = 0;
    for part in &parts {
        let same = |(other, length): (usize, usize)| other == axis || first.shape[other] == length;
        let fits = part.element == first.element
            && part.shape.len() == shape.len()
            && part.shape.iter().copied().enumerate().all(same);
        if !fits {
            return mismatch(call, part);
        }
        shape[axis] = shape[axis].saturating_add(part.shape[axis]);
    }
    let level = parts.iter().map(|part| part.level).max().unwrap_or_default() + 1;
    made(shape, first.element, Plan::Joined { axis, parts }, level)
}

fn dequantize<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let (from, scale) = (call.input(0)?, call.input(1)?);
    let zero_point = call.optional(2).cloned();
    if call.integer("block_size").unwrap_or_default() != 0 {
        return unsupported("is quantized in blocks");
    }
    let rank = from.shape.len();
    let places = if scale.elements() == 1 && scale.shape.len() <= 1 {
        Places::One
    } else {
        match axis(call.integer("axis").unwrap_or(1), rank) {
            Some(axis) if *scale.shape == [from.shape[axis]] && from.elements() > 0 => {
                Places::Axis { inner: from.shape[axis + 1..].iter().product(), length: from.shape[axis] }
            }
            _ => return mismatch(call, &scale),
        }
    };
    dequantized(from, scale, zero_point, places).map(Made::New)
}

/// (q − zero point) · scale. Element types and the number of scales are checked.
pub(super) fn dequantized<'a>(
    from: Rc<Array<'a>>,
    scale: Rc<Array<'a>>,
    zero_point: Option<Rc<Array<'a>>>,
    places: Places,
) -> Result<Array<'a>, Problem> {
    let Element::Onnx(from_type @ (of::INT8 | of::UINT8 | of::INT16 | of::UINT16 | of::INT32)) = from.element
    else {
        return unsupported(format!("is quantized to {}", from.element.element_type().name()));
    };
    if scale.element != Element::Onnx(of::FLOAT) {
        return unsupported(format!("has scales of type {}", scale.element.element_type().name()));
    }
    let count = places.count(from.elements());
    let fits = |array: &Array<'_>| array.elements() == count;
    if !fits(&scale) || zero_point.as_ref().is_some_and(|array| !fits(array) || array.element != from.element)
    {
        let reason = "scales and zero points do not fit the tensor that is quantized with them";
        return Err(malformed(reason).into());
    }
    let level =
        [Some(&scale), Some(&from), zero_point.as_ref()].into_iter().flatten().map(|array| array.level);
    let (level, shape) = (level.max().unwrap_or_default() + 1, from.shape.clone());
    let plan = Plan::Dequantized { from, scale, zero_point, places };
    Ok(Array { shape, element: Element::Dequantized(from_type), level, plan })
}
