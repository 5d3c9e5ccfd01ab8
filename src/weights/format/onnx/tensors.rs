//! The tensors of a model that are no LSTM node's, under their names: exporters that unroll an LSTM keep the names of
//! PyTorch's parameters.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::array::{Element, elements, name as type_name};
use super::external::External;
use super::fold::Constants;
use super::messages::{Node, TensorProto};
use super::model::{Definition, Model, ScopeId};
use super::values::{typed, typed_count};
use super::wire::short;
use crate::error::Error;
use crate::weights::format::contents::{Contents, Duplicate};
use crate::weights::tensor::{ElementType, Source, Tensor};

/// The longest chain of `Identity` nodes from a tensor to a name.
const MAX_IDENTITIES: usize = 64;

/// Adds initializers, constants, and names that stand for one of these, in the order of the names.
pub(super) fn add<'a>(
    contents: &mut Contents<'a>,
    constants: &Constants<'_, 'a>,
    directory: Option<&'a Path>,
) -> Result<(), Error> {
    let model = constants.model;
    let mut names = Vec::new();
    for (scope, graph) in model.scopes.iter().enumerate() {
        let unused = graph.names.keys().filter(|name| !constants.is_known(scope, name));
        names.extend(unused.map(|&name| (name, scope)));
    }
    names.sort_unstable();
    let (mut of_name, mut types): (Vec<&[u8]>, Types) = Default::default();
    let mut last = None;
    for (name, scope) in names {
        let Some(proto) = stored(model, scope, name)? else { continue };
        if last != Some(name) {
            of_name.clear();
            last = Some(name);
        }
        // Two branches can have the same constant under the same name.
        if of_name.first().is_some_and(|&first| same(first, proto)) {
            continue;
        }
        if of_name.len() == 1 {
            contents.duplicates.push(Duplicate { name: name.to_owned(), stored: name.to_owned() });
        }
        of_name.push(proto);
        let tensor = TensorProto::read(proto).and_then(|proto| tensor(name, proto, directory, &mut types));
        contents.tensors.extend(tensor.unwrap_or_else(|error| Some(malformed(name, error))));
    }
    Ok(())
}

/// Whether two tensors are one place of the file, or the same bytes but for what is beside the numbers.
fn same(a: &[u8], b: &[u8]) -> bool {
    std::ptr::eq(a, b) || a == b
}

/// The `TensorProto` that a name stands for.
fn stored<'a>(model: &Model<'a>, scope: ScopeId, name: &'a str) -> Result<Option<&'a [u8]>, Error> {
    let (mut scope, mut name) = (scope, name);
    for _ in 0..MAX_IDENTITIES {
        let Some((origin, _, definition)) = model.origin(scope, name) else { return Ok(None) };
        let node = match definition {
            Definition::Initializer(tensor) => return Ok(Some(tensor)),
            Definition::Node(bytes) => Node::read(bytes)?,
            _ => return Ok(None),
        };
        match (node.standard(), node.input(0)) {
            (Some("Identity"), Some(input)) => (scope, name) = (origin, input),
            (Some("Constant"), _) => {
                let attributes = model.attributes(origin, &node)?;
                return Ok(attributes
                    .iter()
                    .find(|other| other.0 == "value")
                    .and_then(|value| value.1.tensor));
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// The element types that came already, each with whether tensors of it have their values: shared, because a file can
/// have a tensor in ten bytes.
type Types = HashMap<(i64, bool), ElementType>;

/// A tensor that can't be read, which is an error only of the LSTM that needs it.
fn malformed<'a>(name: &str, error: Error) -> Tensor<Source<'a>> {
    let (format, reason) = match error {
        Error::MalformedFile { format, reason } => (format, reason),
        other => ("ONNX model", other.to_string()),
    };
    let reason =
        if reason.starts_with("tensor ") { reason } else { format!("tensor {:?}: {reason}", short(name)) };
    let element_type = ElementType::Malformed { format, reason: reason.into() };
    Tensor { name: name.to_owned(), shape: Rc::default(), element_type, values: Source::Bytes(&[]) }
}

/// A tensor that can be a parameter: not empty, and with at least one axis; of those that are no floats, matrices.
fn tensor<'a>(
    name: &str,
    proto: TensorProto<'a>,
    directory: Option<&'a Path>,
    types: &mut Types,
) -> Result<Option<Tensor<Source<'a>>>, Error> {
    let element = Element::Onnx(proto.data_type);
    let (shape, bytes) = (proto.shape, proto.bytes);
    let least_axes = if element.is_float() { 1 } else { 2 };
    if shape.len() < least_axes || shape.contains(&0) {
        return Ok(None);
    }
    let needed = element.bytes().zip(elements(&shape)).and_then(|(size, count)| count.checked_mul(size));
    let stored = match (&proto.external, proto.raw, element.bytes()) {
        (Some(_), _, _) => needed,
        (None, Some(raw), _) => Some(raw.len()),
        (None, None, Some(size)) if element.is_float() => typed_count(bytes, element)?.checked_mul(size),
        (None, None, _) => None,
    };
    let needed = needed.filter(|_| element.is_float() && needed == stored);
    let element_type = types.entry((proto.data_type, needed.is_some())).or_insert_with(|| {
        if element.is_float() && needed.is_none() {
            ElementType::Other(format!("{} without its values", type_name(proto.data_type)).into())
        } else {
            element.element_type()
        }
    });
    let values = match (proto.external, proto.raw, needed) {
        (_, _, None) => Source::Bytes(&[]), // of a type that is not read
        (Some(entries), _, Some(needed)) => {
            let entries: Rc<[_]> = entries.into();
            let name = short(proto.name);
            Source::read(move || External::new(name, &entries, needed, directory)?.read())
        }
        (None, Some(raw), _) => Source::Bytes(raw),
        (None, None, _) => Source::read(move || typed(bytes, element)),
    };
    Ok(Some(Tensor { name: name.to_owned(), shape, element_type: element_type.clone(), values }))
}
