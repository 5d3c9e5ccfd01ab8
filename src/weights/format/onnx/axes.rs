//! The operators that give an array other axes, or a part of it.

use std::rc::Rc;

use super::array::{Array, Plan, elements};
use super::operands::{Folded, Operands, axis, made, mismatch};

fn reshaped<'a>(call: &Operands<'_, 'a>, from: Rc<Array<'a>>, shape: Vec<usize>) -> Folded<'a> {
    let (element, level) = (from.element, from.level + 1);
    if elements(&shape) != Some(from.elements()) {
        return mismatch(call, &from);
    }
    made(shape, element, Plan::Reshaped(from), level)
}

pub(super) fn reshape<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
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

pub(super) fn squeeze<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
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

pub(super) fn unsqueeze<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
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

pub(super) fn transpose<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
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

pub(super) fn slice<'a>(call: &Operands<'_, 'a>) -> Folded<'a> {
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
