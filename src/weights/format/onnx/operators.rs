//! The operators that only move numbers, convert them to another precision, or dequantize them.
//!
//! # Source
//!
//! <https://onnx.ai/onnx/operators/>

use std::rc::Rc;

use super::array::{Array, Element, MAX_AXES, Places, Plan, data_type as of, elements, name as type_name};
use super::messages::{Attribute, Node};
use super::model::Named;
use super::problem::{Problem, unsupported};
use super::values::{integers, values};
use super::wire::{malformed, short};

type Folded<'a> = Result<Made<'a>, Problem>;

/// The result of an operator.
pub(super) enum Made<'a> {
    /// That of an input.
    Same(Rc<Array<'a>>),
    New(Array<'a>),
}

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

/// A node's attributes, and the constants that are its inputs.
pub(super) struct Operands<'c, 'a> {
    pub(super) operator: &'a str,
    pub(super) attributes: &'c [Named<'a>],
    /// `None` for one that is left out.
    pub(super) inputs: Vec<Option<Rc<Array<'a>>>>,
}

impl<'a> Operands<'_, 'a> {
    pub(super) fn apply(&self, operator: Operator) -> Folded<'a> {
        match operator {
            Operator::Cast => cast(self),
            Operator::Concat => concat(self),
            Operator::Constant => constant(self),
            Operator::DequantizeLinear => dequantize(self),
            Operator::Identity => self.input(0).map(Made::Same),
            Operator::Reshape => reshape(self),
            Operator::Slice => slice(self),
            Operator::Squeeze => squeeze(self),
            Operator::Transpose => transpose(self),
            Operator::Unsqueeze => unsqueeze(self),
        }
    }

    fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        find(self.attributes, name)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.integer
    }

    fn optional(&self, index: usize) -> Option<&Rc<Array<'a>>> {
        self.inputs.get(index)?.as_ref()
    }

    fn input(&self, index: usize) -> Result<Rc<Array<'a>>, Problem> {
        let operator = short(self.operator);
        let input = self.optional(index).cloned();
        input.ok_or_else(|| malformed(format!("a node {operator:?} has no input {index}")).into())
    }

    /// A list of integers that older operators have as an attribute, and newer ones as an input.
    fn list(&self, name: &str, input: usize) -> Result<Option<Vec<i64>>, Problem> {
        if let Some(attribute) = self.attribute(name).filter(|attribute| attribute.integers.len() <= MAX_AXES)
        {
            return Ok(Some(attribute.integers.clone()));
        }
        self.optional(input).map(list).transpose()
    }
}

fn find<'c, 'a>(attributes: &'c [Named<'a>], name: &str) -> Option<&'c Attribute<'a>> {
    attributes.iter().find(|attribute| attribute.0 == name).map(|attribute| &*attribute.1)
}

/// A short array of integers.
pub(super) fn list(array: &Rc<Array<'_>>) -> Result<Vec<i64>, Problem> {
    if !matches!(array.element, Element::Onnx(of::INT64 | of::INT32)) || array.elements() > MAX_AXES {
        return Err(malformed("a list of axes or indices is not a short tensor of integers").into());
    }
    Ok(integers(&values(array)?, array.element)?.collect())
}

fn made<'a>(shape: impl Into<Rc<[usize]>>, element: Element, plan: Plan<'a>, level: usize) -> Folded<'a> {
    Ok(Made::New(Array { shape: shape.into(), element, level, plan }))
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

fn reshaped<'a>(call: &Operands<'_, 'a>, from: Rc<Array<'a>>, shape: Vec<usize>) -> Folded<'a> {
    let (element, level) = (from.element, from.level + 1);
    if elements(&shape) != Some(from.elements()) {
        return mismatch(call, &from);
    }
    made(shape, element, Plan::Reshaped(from), level)
}

/// The error of an operator whose attributes do not fit its input.
fn mismatch<T>(call: &Operands<'_, '_>, from: &Array<'_>) -> Result<T, Problem> {
    Err(malformed(format!(
        "the attributes of {:?} do not fit a tensor of shape {:?}",
        short(call.operator),
        from.shape
    ))
    .into())
}

/// An axis, which is counted from the end if it is negative.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(i64::try_from(rank).ok()?)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

fn reshape<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let from = call.input(0)?;
    let Some(wanted) = call.list("shape", 1)? else { return mismatch(call, &from) };
    let keeps_zeros = call.integer("allowzero").unwrap_or_default() != 0;
    let mut shape = Vec::with_capacity(wanted.len());
    let mut free = None;
    for (index, &length) in wanted.iter().enumerate() {
        shape.push(match usize::try_from(length) {
            Ok(0) if !keeps_zeros => from.shape.get(index).copied().unwrap_or(0),
            Ok(length) => length,
            Err(_) if length == -1 && free.is_none() => *free.insert(1),
            Err(_) => return mismatch(call, &from),
        });
    }
    if let Some(place) = wanted.iter().position(|&length| length == -1) {
        let others = elements(&shape).filter(|&others| others > 0);
        let Some(others) = others else { return mismatch(call, &from) };
        shape[place] = from.elements() / others;
    }
    reshaped(call, from, shape)
}

fn squeeze<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let from = call.input(0)?;
    let rank = from.shape.len();
    let axes = match call.list("axes", 1)? {
        Some(axes) => axes.into_iter().map(|wanted| axis(wanted, rank)).collect::<Option<Vec<_>>>(),
        None => Some((0..rank).filter(|&axis| from.shape[axis] == 1).collect()),
    };
    let Some(axes) = axes else { return mismatch(call, &from) };
    let shape = (0..rank).filter(|axis| !axes.contains(axis)).map(|axis| from.shape[axis]).collect();
    reshaped(call, from, shape)
}

fn unsqueeze<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let from = call.input(0)?;
    let axes = call.list("axes", 1)?.unwrap_or_default();
    let rank = from.shape.len() + axes.len();
    let axes = axes.into_iter().map(|wanted| axis(wanted, rank)).collect::<Option<Vec<_>>>();
    let Some(axes) = axes else { return mismatch(call, &from) };
    let mut lengths = from.shape.iter().copied();
    let shape = (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { lengths.next() });
    let Some(shape) = shape.collect() else { return mismatch(call, &from) };
    reshaped(call, from, shape)
}

/// The distance between neighbours of each axis, in elements.
fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for (axis, &length) in shape.iter().enumerate().rev() {
        strides[axis] = stride as isize;
        stride *= length;
    }
    strides
}

fn strided<'a>(from: Rc<Array<'a>>, shape: Vec<usize>, start: isize, strides: Vec<isize>) -> Folded<'a> {
    let (element, level) = (from.element, from.level + 1);
    made(shape, element, Plan::Strided { from, start, strides }, level)
}

fn transpose<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let from = call.input(0)?;
    let rank = from.shape.len();
    let order = match call.attribute("perm") {
        Some(order) => order.integers.iter().map(|&wanted| axis(wanted, rank)).collect::<Option<Vec<_>>>(),
        None => Some((0..rank).rev().collect()),
    };
    let order = order.filter(|order| order.len() == rank);
    let Some(order) = order.filter(|order| (0..rank).all(|axis| order.contains(&axis))) else {
        return mismatch(call, &from);
    };
    if from.elements() == 0 {
        let shape = order.iter().map(|&axis| from.shape[axis]).collect();
        return reshaped(call, from, shape);
    }
    let old = strides(&from.shape);
    let shape = order.iter().map(|&axis| from.shape[axis]).collect();
    let strides = order.iter().map(|&axis| old[axis]).collect();
    strided(from, shape, 0, strides)
}

fn slice<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
    let from = call.input(0)?;
    let rank = from.shape.len();
    let (Some(starts), Some(ends)) = (call.list("starts", 1)?, call.list("ends", 2)?) else {
        return mismatch(call, &from);
    };
    let axes = match call.list("axes", 3)? {
        Some(axes) => axes.into_iter().map(|wanted| axis(wanted, rank)).collect::<Option<Vec<_>>>(),
        None => Some((0..starts.len()).collect()),
    };
    let steps = call.list("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    let fits = |axes: &Vec<usize>| {
        axes.iter().all(|&axis| axis < rank)
            && [ends.len(), axes.len(), steps.len()].iter().all(|&length| length == starts.len())
    };
    let Some(axes) = axes.filter(fits) else { return mismatch(call, &from) };
    if from.elements() == 0 {
        return mismatch(call, &from); // a weight is never cut out of an empty tensor
    }
    let (mut shape, mut strides, mut start) = (from.shape.to_vec(), strides(&from.shape), 0);
    for (index, &axis) in axes.iter().enumerate() {
        let Some((first, count)) = range(starts[index], ends[index], steps[index], from.shape[axis]) else {
            return mismatch(call, &from);
        };
        if axes[..index].contains(&axis) {
            return mismatch(call, &from);
        }
        shape[axis] = count;
        start += first as isize * strides[axis];
        // With two elements or more the step is shorter than the axis.
        strides[axis] = if count > 1 { strides[axis] * steps[index] as isize } else { 0 };
    }
    strided(from, shape, start, strides)
}

/// The first index and the number of indices of a slice along an axis, with ONNX's rules for ends that lie outside.
fn range(start: i64, end: i64, step: i64, length: usize) -> Option<(usize, usize)> {
    let length = i64::try_from(length).ok()?;
    let from_end = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    let (lowest, highest) = if step < 0 { (0, length - 1) } else { (0, length) };
    let start = from_end(start).clamp(lowest, highest.max(lowest));
    let end = from_end(end).clamp(if step < 0 { -1 } else { 0 }, highest.max(lowest));
    let (distance, step) = match step {
        0 => return None,
        1.. => (end - start, step),
        _ => (start - end, step.checked_neg()?),
    };
    let count = if distance <= 0 { 0 } else { (distance - 1) / step + 1 };
    Some((usize::try_from(start).ok()?, usize::try_from(count).ok()?))
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
