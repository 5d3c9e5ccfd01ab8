//! What an operator is applied to, and what it makes.

use std::rc::Rc;

use super::array::{Array, Element, MAX_AXES, Plan, data_type as of};
use super::messages::Attribute;
use super::model::Named;
use super::problem::Problem;
use super::values::{integers, values};
use super::wire::{malformed, short};

pub(super) type Folded<'a> = Result<Made<'a>, Problem>;

/// The result of an operator.
pub(super) enum Made<'a> {
    /// That of an input.
    Same(Rc<Array<'a>>),
    New(Array<'a>),
}

pub(super) fn made<'a>(
    shape: impl Into<Rc<[usize]>>,
    element: Element,
    plan: Plan<'a>,
    level: usize,
) -> Folded<'a> {
    Ok(Made::New(Array { shape: shape.into(), element, level, plan }))
}

/// A node's attributes, and the constants that are its inputs.
pub(super) struct Operands<'c, 'a> {
    pub(super) operator: &'a str,
    pub(super) attributes: &'c [Named<'a>],
    /// `None` for one that is left out.
    pub(super) inputs: Vec<Option<Rc<Array<'a>>>>,
}

impl<'a> Operands<'_, 'a> {
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        find(self.attributes, name)
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.integer
    }

    pub(super) fn optional(&self, index: usize) -> Option<&Rc<Array<'a>>> {
        self.inputs.get(index)?.as_ref()
    }

    pub(super) fn input(&self, index: usize) -> Result<Rc<Array<'a>>, Problem> {
        let operator = short(self.operator);
        let input = self.optional(index).cloned();
        input.ok_or_else(|| malformed(format!("a node {operator:?} has no input {index}")).into())
    }

    /// A list of integers that older operators have as an attribute, and newer ones as an input.
    pub(super) fn list(&self, name: &str, input: usize) -> Result<Option<Vec<i64>>, Problem> {
        if let Some(attribute) = self.attribute(name).filter(|attribute| attribute.integers.len() <= MAX_AXES)
        {
            return Ok(Some(attribute.integers.clone()));
        }
        self.optional(input).map(list).transpose()
    }
}

/// The attribute of this name.
pub(super) fn find<'c, 'a>(attributes: &'c [Named<'a>], name: &str) -> Option<&'c Attribute<'a>> {
    attributes.iter().find(|attribute| attribute.0 == name).map(|attribute| &*attribute.1)
}

/// A short array of integers.
pub(super) fn list(array: &Rc<Array<'_>>) -> Result<Vec<i64>, Problem> {
    if !matches!(array.element, Element::Onnx(of::INT64 | of::INT32)) || array.elements() > MAX_AXES {
        return Err(malformed("a list of axes or indices is not a short tensor of integers").into());
    }
    Ok(integers(&values(array)?, array.element)?.collect())
}

/// The error of an operator whose attributes do not fit its input.
pub(super) fn mismatch<T>(call: &Operands<'_, '_>, from: &Array<'_>) -> Result<T, Problem> {
    Err(malformed(format!(
        "the attributes of {:?} do not fit a tensor of shape {:?}",
        short(call.operator),
        from.shape
    ))
    .into())
}

/// An axis, which is counted from the end if it is negative.
pub(super) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(i64::try_from(rank).ok()?)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}
