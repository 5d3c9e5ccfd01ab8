//! Finds the constant that a name stands for, through the nodes that only move or convert numbers. Shapes and types
//! are known and checked at once; the elements are computed when they are needed.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::array::{Array, Element, MAX_AXES, Plan, elements, name as type_name};
use super::external::External;
use super::messages::{Node, TensorProto};
use super::model::{Definition, Model, ScopeId};
use super::operands::{Made, Operands};
use super::operators::{self, Operator};
use super::problem::{Problem, unsupported};
use super::values::typed_count;
use super::wire::{malformed, short};
use crate::error::Error;

/// The longest chain of nodes from a constant to a weight. Exporters write three or four.
const MAX_LEVEL: usize = 64;

/// The most bytes that all computed constants take together, beyond [`MAX_COMPUTED_PER_BYTE`] for each of the file.
const MAX_COMPUTED: u64 = 1 << 20;

/// A weight is computed from slices, which are joined, in about three copies.
const MAX_COMPUTED_PER_BYTE: u64 = 16;

/// What is known of a name. Each is searched for once, whatever comes of it.
enum Known<'a> {
    /// It is searched for now: a name can't be computed from itself.
    Searched,
    Constant(Rc<Array<'a>>),
    Not(Problem),
}

/// The constants of a model.
pub(super) struct Constants<'m, 'a> {
    pub(super) model: &'m Model<'a>,
    directory: Option<&'a Path>,
    known: HashMap<(ScopeId, &'a str), Known<'a>>,
    /// Bytes that constants may still take.
    left: u64,
    /// Other files that were named, which count as part of this one.
    files: HashMap<&'a str, u64>,
}

impl<'m, 'a> Constants<'m, 'a> {
    pub(super) fn new(model: &'m Model<'a>, directory: Option<&'a Path>, bytes: usize) -> Self {
        let left = MAX_COMPUTED.saturating_add((bytes as u64).saturating_mul(MAX_COMPUTED_PER_BYTE));
        Self { model, directory, known: HashMap::new(), left, files: HashMap::new() }
    }

    /// Whether a name was searched for, by the graph that defines it.
    pub(super) fn is_known(&self, scope: ScopeId, name: &str) -> bool {
        self.known.contains_key(&(scope, name))
    }

    /// The constant that a name stands for.
    pub(super) fn constant(&mut self, scope: ScopeId, name: &'a str) -> Result<Rc<Array<'a>>, Problem> {
        self.find(scope, name, 0)
    }

    fn find(&mut self, scope: ScopeId, name: &'a str, depth: usize) -> Result<Rc<Array<'a>>, Problem> {
        let Some((scope, name, definition)) = self.model.origin(scope, name) else {
            let name = short(name);
            return unsupported(format!("is {name:?}, which nothing in the file defines"));
        };
        match self.known.get(&(scope, name)) {
            Some(Known::Constant(array)) => return Ok(array.clone()),
            Some(Known::Not(problem)) => return Err(problem.again()),
            Some(Known::Searched) => {
                return Err(malformed(format!("{:?} is computed from itself", short(name))).into());
            }
            None if depth > MAX_LEVEL => return Err(too_deep(name).into()),
            None => {}
        }
        self.known.insert((scope, name), Known::Searched);
        let array = self.define(scope, name, definition, depth);
        let known = match &array {
            Ok(array) => Known::Constant(array.clone()),
            Err(problem) => Known::Not(problem.again()),
        };
        self.known.insert((scope, name), known);
        array
    }

    fn define(
        &mut self,
        scope: ScopeId,
        name: &'a str,
        definition: Definition<'a>,
        depth: usize,
    ) -> Result<Rc<Array<'a>>, Problem> {
        let shown = short(name);
        match definition {
            Definition::Initializer(tensor) => self.tensor(tensor),
            Definition::SparseInitializer => unsupported(format!("is {shown:?}, a sparse tensor")),
            Definition::Input(_) => {
                unsupported(format!("is {shown:?}, an input of the graph: its values are not in the file"))
            }
            Definition::Twice => Err(malformed(format!("{shown:?} is defined twice in one graph")).into()),
            Definition::Alias { .. } => {
                unsupported(format!("is {shown:?}, behind too many calls of functions"))
            }
            Definition::Node(bytes) => {
                let node = Node::read(bytes)?;
                let attributes = self.model.attributes(scope, &node)?;
                let Some(operator) = Operator::of(&node) else {
                    return unsupported(format!(
                        "is {shown:?}, the result of {:?}, which is not computed when weights are read",
                        short(node.operator)
                    ));
                };
                if let Some(tensor) = operator.stored(&attributes) {
                    return self.tensor(tensor);
                }
                let mut inputs = Vec::with_capacity(node.inputs.len());
                for &input in &node.inputs {
                    inputs.push(match input {
                        "" => None,
                        input => Some(self.find(scope, input, depth + 1)?),
                    });
                }
                let operands = Operands { operator: node.operator, attributes: &attributes, inputs };
                match operators::apply(operator, &operands)? {
                    Made::Same(array) => Ok(array),
                    Made::New(array) => self.count(array),
                }
            }
        }
    }

    /// The constant of a `TensorProto`.
    pub(super) fn tensor(&mut self, bytes: &'a [u8]) -> Result<Rc<Array<'a>>, Problem> {
        let proto = TensorProto::read(bytes)?;
        let (name, shape) = (short(proto.name), &proto.shape);
        let element = Element::Onnx(proto.data_type);
        let (Some(count), Some(size)) = (elements(shape), element.bytes()) else {
            if element.bytes().is_none() {
                return unsupported(format!("is {name:?}, of type {}", type_name(proto.data_type)));
            }
            return Err(malformed(format!("tensor {name:?} is too large")).into());
        };
        let plan = match (&proto.external, proto.raw) {
            (Some(entries), _) => {
                let external = External::new(name, entries, count * size, self.directory)?;
                if self.files.insert(external.location, external.file_size()).is_none() {
                    let more = external.file_size().saturating_mul(MAX_COMPUTED_PER_BYTE);
                    self.left = self.left.saturating_add(more);
                }
                Plan::External(external)
            }
            (None, Some(raw)) => Plan::Raw(raw),
            (None, None) => Plan::Typed(proto.bytes),
        };
        let bytes = match &plan {
            Plan::Raw(raw) => raw.len(),
            Plan::Typed(tensor) => typed_count(tensor, element)? * size,
            _ => count * size,
        };
        if bytes != count * size && shape.len() <= MAX_AXES {
            let type_name = type_name(proto.data_type);
            return Err(malformed(format!(
                "tensor {name:?} of shape {shape:?} and type {type_name} has {bytes} bytes"
            ))
            .into());
        }
        self.count(Array { shape: proto.shape, element, level: 0, plan })
    }

    /// Counts the bytes of a constant that is computed, and checks its limits.
    pub(super) fn count(&mut self, array: Array<'a>) -> Result<Rc<Array<'a>>, Problem> {
        let Array { shape, element, level, plan } = &array;
        let bytes = elements(shape).zip(element.bytes()).and_then(|(count, size)| count.checked_mul(size));
        let Some(bytes) = bytes else { return Err(malformed("a constant is too large").into()) };
        if shape.len() > MAX_AXES {
            return Err(malformed(format!("a constant has more than {MAX_AXES} axes")).into());
        }
        if *level > MAX_LEVEL {
            return Err(too_deep("a weight").into());
        }
        if !matches!(plan, Plan::Raw(_) | Plan::Reshaped(_)) {
            let left = self.left.checked_sub(bytes as u64);
            let reason = "the constants that its nodes compute are much larger than the file";
            self.left = left.ok_or_else(|| malformed(reason))?;
        }
        Ok(Rc::new(array))
    }
}

fn too_deep(name: &str) -> Error {
    malformed(format!("{:?} is computed by a chain of more than {MAX_LEVEL} nodes", short(name)))
}
