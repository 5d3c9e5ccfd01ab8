//! Whether an LSTM node reads the output of another one as the next layer of PyTorch's LSTM does.

use super::array::Element;
use super::fold::Constants;
use super::layer::Weights;
use super::messages::{Node, value_axes};
use super::model::{Definition, ScopeId};
use super::operands::{axis as place, list};
use super::values::values;

/// The most nodes between two layers. PyTorch writes one or two.
const MAX_BETWEEN: usize = 16;

/// The largest node between two layers, in bytes: it has a few names and axes, and can be read for many layers. So can the
/// input of a graph.
const MAX_NODE: usize = 1 << 16;

/// An axis of Y on its way to the next layer's X.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Time,
    Batch,
    Direction,
    Hidden,
    /// Directions and hidden units in one axis, as PyTorch has them.
    Features,
}
use Axis::{Batch, Direction, Features, Hidden, Time};

/// A node between two layers, by what it does to the axes.
enum Step {
    Nothing,
    CastTo(i64),
    /// `None`: in reverse order.
    Transpose(Option<Vec<i64>>),
    Squeeze(Vec<i64>),
    Reshape(Vec<i64>),
}

/// The nodes between a layer and the one whose first output it reads, from the upper one on. The name is the lower
/// one's output, and the graph the one that defines it.
pub(super) struct Path<'a> {
    pub(super) from: (ScopeId, &'a str),
    steps: Vec<Step>,
    /// If it begins at an input of the graph: the lengths of its axes that the file has.
    input: Option<Vec<Option<i64>>>,
}

/// T and B of a layer's input, where the file has them.
#[derive(Clone, Copy, Default)]
pub(super) struct Lengths {
    pub(super) time: Option<i64>,
    pub(super) batch: Option<i64>,
}

/// The way from X back to a node that is none of those that PyTorch has between layers.
pub(super) fn path<'a>(constants: &mut Constants<'_, 'a>, scope: ScopeId, x: &'a str) -> Option<Path<'a>> {
    let (mut scope, mut name) = (scope, x);
    let mut steps = Vec::new();
    loop {
        let (origin, origin_name, definition) = constants.model.origin(scope, name)?;
        let from = (origin, origin_name);
        let bytes = match definition {
            Definition::Node(bytes) if bytes.len() <= MAX_NODE => bytes,
            Definition::Input(value) if value.len() <= MAX_NODE => {
                return Some(Path { from, steps, input: value_axes(value).ok()? });
            }
            _ => return None,
        };
        let node = Node::read(bytes).ok()?;
        match step(constants, origin, &node) {
            Some(step) if steps.len() < MAX_BETWEEN => steps.push(step),
            _ => return Some(Path { from, steps, input: None }),
        }
        (scope, name) = (origin, node.input(0)?);
    }
}

fn step<'a>(constants: &mut Constants<'_, 'a>, scope: ScopeId, node: &Node<'a>) -> Option<Step> {
    let attributes = constants.model.attributes(scope, node).ok()?;
    let attribute =
        |name: &str| attributes.iter().find(|other| other.0 == name).map(|attribute| &attribute.1);
    let mut integers = |name: &str| match attribute(name) {
        Some(attribute) => Some(attribute.integers.clone()),
        None => list(&constants.constant(scope, node.input(1)?).ok()?).ok(),
    };
    match node.standard()? {
        "Identity" => Some(Step::Nothing),
        // The third input says whether it is training; without it, it is not.
        "Dropout" => match node.input(2) {
            None => Some(Step::Nothing),
            Some(name) => {
                let training = values(&constants.constant(scope, name).ok()?).ok()?;
                training.iter().all(|&byte| byte == 0).then_some(Step::Nothing)
            }
        },
        "Cast" => attribute("to")?.integer.map(Step::CastTo),
        "Transpose" => Some(Step::Transpose(attribute("perm").map(|order| order.integers.clone()))),
        "Squeeze" => integers("axes").map(Step::Squeeze),
        // allowzero changes what a 0 means.
        "Reshape" if attribute("allowzero").and_then(|zero| zero.integer).unwrap_or_default() == 0 => {
            integers("shape").map(Step::Reshape)
        }
        _ => None,
    }
}

impl Path<'_> {
    /// Whether both are layers of one network of PyTorch: they have the same H and D, and the lower node's Y becomes
    /// the upper one's X as there: (T, B, D·H), the directions of a step side by side. `lengths` are the lower one's.
    pub(super) fn stacks(&self, lower: &Weights<'_>, upper: &Weights<'_>, lengths: Lengths) -> bool {
        let directions = lower.options.directions;
        if (upper.options.directions, upper.hidden_size) != (directions, lower.hidden_size) {
            return false;
        }
        let mut axes = match lower.options.batch_first {
            false => vec![Time, Direction, Batch, Hidden],
            true => vec![Batch, Time, Direction, Hidden],
        };
        for step in self.steps.iter().rev() {
            let after = match step {
                Step::Nothing => Some(axes),
                Step::CastTo(to) => (lower.w.element == Element::Onnx(*to)).then_some(axes),
                Step::Transpose(order) => transposed(&axes, order.as_deref()),
                Step::Squeeze(removed) => squeezed(axes, removed, directions),
                Step::Reshape(shape) => reshaped(&axes, shape, directions, lower.hidden_size, lengths),
            };
            let Some(after) = after else { return false };
            axes = after;
        }
        if directions == 1 {
            axes.iter_mut().filter(|axis| **axis == Hidden).for_each(|axis| *axis = Features);
        }
        let order = if upper.options.batch_first { [Batch, Time, Features] } else { [Time, Batch, Features] };
        axes == order && upper.input_size == directions * lower.hidden_size
    }

    /// T and B at the end of the path.
    pub(super) fn lengths(&self, batch_first: bool) -> Lengths {
        let mut lengths = self.input.clone();
        for step in self.steps.iter().rev() {
            lengths = match (step, lengths) {
                (Step::Nothing | Step::CastTo(_), lengths) => lengths,
                (Step::Transpose(order), Some(lengths)) => permuted(&lengths, order.as_deref()),
                (Step::Squeeze(removed), Some(lengths)) => without(lengths, removed),
                (Step::Reshape(shape), lengths) => {
                    let same = |axis: usize| lengths.as_ref()?.get(axis).copied()?;
                    let length = |(axis, &length): (usize, &i64)| match length {
                        0 => same(axis),
                        length => Some(length).filter(|&length| length > 0),
                    };
                    Some(shape.iter().enumerate().map(length).collect())
                }
                (_, None) => None,
            };
        }
        match (lengths.as_deref(), batch_first) {
            (Some(&[time, batch, _]), false) | (Some(&[batch, time, _]), true) => Lengths { time, batch },
            _ => Lengths::default(),
        }
    }
}

fn transposed(axes: &[Axis], order: Option<&[i64]>) -> Option<Vec<Axis>> {
    let moved = permuted(axes, order)?;
    axes.iter().all(|axis| moved.contains(axis)).then_some(moved)
}

/// The items in another order; `None`: in reverse order.
fn permuted<T: Copy>(items: &[T], order: Option<&[i64]>) -> Option<Vec<T>> {
    let Some(order) = order else { return Some(items.iter().rev().copied().collect()) };
    let moved: Option<Vec<_>> =
        order.iter().map(|&axis| items.get(place(axis, items.len())?).copied()).collect();
    moved.filter(|moved| moved.len() == items.len())
}

/// The items without these.
fn without<T: Copy>(items: Vec<T>, removed: &[i64]) -> Option<Vec<T>> {
    let removed: Vec<_> = removed.iter().map(|&axis| place(axis, items.len())).collect::<Option<_>>()?;
    Some(
        items
            .into_iter()
            .enumerate()
            .filter(|(axis, _)| !removed.contains(axis))
            .map(|(_, item)| item)
            .collect(),
    )
}

/// Only the axis of the directions can be removed, if there is one.
fn squeezed(axes: Vec<Axis>, removed: &[i64], directions: usize) -> Option<Vec<Axis>> {
    let &[only] = removed else { return None };
    let is_direction = directions == 1 && axes.get(place(only, axes.len())?) == Some(&Direction);
    if is_direction { without(axes, removed) } else { None }
}

/// To three axes, of which the last is D·H: the first two stay as they are. A length of 0 is that of the input's axis
/// at this place, −1 what is left. One of the first two lengths must be known to be the axis's own: with any other
/// lengths, time and batch would be mixed.
fn reshaped(
    axes: &[Axis],
    shape: &[i64],
    directions: usize,
    hidden_size: usize,
    lengths: Lengths,
) -> Option<Vec<Axis>> {
    let &[first_length, second_length, last_length] = shape else { return None };
    let mut order = axes.to_vec();
    if directions == 1 {
        order.retain(|&axis| axis != Direction);
        order.iter_mut().filter(|axis| **axis == Features).for_each(|axis| *axis = Hidden);
    } else if order.last() == Some(&Features) {
        order.splice(order.len() - 1.., [Direction, Hidden]);
    }
    let features: &[Axis] = if directions == 1 { &[Hidden] } else { &[Direction, Hidden] };
    let [first @ (Time | Batch), second @ (Time | Batch), rest @ ..] = &order[..] else { return None };
    if rest != features
        || (first_length == 0 && axes[0] != *first)
        || (second_length == 0 && axes[1] != *second)
    {
        return None;
    }
    let is_own = |axis: Axis, length: i64| {
        let own = if axis == Time { lengths.time } else { lengths.batch };
        length == 0 || own == Some(length)
    };
    if !is_own(*first, first_length) && !is_own(*second, second_length) {
        return None;
    }
    let width = i64::try_from(directions.checked_mul(hidden_size)?).ok()?;
    let is_whole = last_length == width || (last_length == -1 && first_length == 0 && second_length == 0);
    is_whole.then(|| vec![*first, *second, Features])
}
