//! Whether an LSTM node reads the output of another one as the next layer of PyTorch's LSTM does.

use super::array::Element;
use super::fold::Constants;
use super::layer::Weights;
use super::messages::Node;
use super::model::{Definition, ScopeId};
use super::operands::{axis as place, list};
use super::values::values;

/// The most nodes between two layers. PyTorch writes one or two.
const MAX_BETWEEN: usize = 16;

/// The largest node between two layers, in bytes: it has a few names and axes, and can be read for many layers.
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
}

/// The way from X back to a node that is none of those that PyTorch has between layers.
pub(super) fn path<'a>(constants: &mut Constants<'_, 'a>, scope: ScopeId, x: &'a str) -> Option<Path<'a>> {
    let (mut scope, mut name) = (scope, x);
    let mut steps = Vec::new();
    loop {
        let (origin, origin_name, definition) = constants.model.origin(scope, name)?;
        let Definition::Node(bytes) = definition else { return None };
        if bytes.len() > MAX_NODE {
            return None;
        }
        let node = Node::read(bytes).ok()?;
        match step(constants, origin, &node) {
            Some(step) if steps.len() < MAX_BETWEEN => steps.push(step),
            _ => return Some(Path { from: (origin, origin_name), steps }),
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
    /// the upper one's X as there: (T, B, D·H), the directions of a step side by side.
    pub(super) fn stacks(&self, lower: &Weights<'_>, upper: &Weights<'_>) -> bool {
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
                Step::Reshape(shape) => reshaped(&axes, shape, directions, lower.hidden_size),
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
}

fn transposed(axes: &[Axis], order: Option<&[i64]>) -> Option<Vec<Axis>> {
    let Some(order) = order else { return Some(axes.iter().rev().copied().collect()) };
    let moved: Option<Vec<_>> =
        order.iter().map(|&axis| axes.get(place(axis, axes.len())?).copied()).collect();
    moved.filter(|moved| moved.len() == axes.len() && axes.iter().all(|axis| moved.contains(axis)))
}

/// Only the axis of the directions can be removed, if there is one.
fn squeezed(axes: Vec<Axis>, removed: &[i64], directions: usize) -> Option<Vec<Axis>> {
    let [removed] = *removed else { return None };
    let removed = place(removed, axes.len())?;
    if directions != 1 || axes.get(removed) != Some(&Direction) {
        return None;
    }
    Some(axes.into_iter().filter(|&axis| axis != Direction).collect())
}

/// To three axes, of which the last is D·H: the first two stay as they are. A length of 0 is that of the input's axis
/// at this place, −1 what is left.
fn reshaped(axes: &[Axis], shape: &[i64], directions: usize, hidden_size: usize) -> Option<Vec<Axis>> {
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
    let width = i64::try_from(directions.checked_mul(hidden_size)?).ok()?;
    let is_whole = last_length == width || (last_length == -1 && first_length == 0 && second_length == 0);
    is_whole.then(|| vec![*first, *second, Features])
}
