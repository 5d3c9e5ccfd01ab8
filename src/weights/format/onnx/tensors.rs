//! The tensors of a model that are no LSTM node's, under their names: exporters that unroll an LSTM keep the names of
//! PyTorch's parameters.

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
    let mut of_name: Vec<&[u8]> = Vec::new();
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
        contents.tensors.extend(tensor(name, TensorProto::read(proto)?, directory)?);
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

/// A tensor with at least one axis: parameters have one.
fn tensor<'a>(
    name: &str,
    proto: TensorProto<'a>,
    directory: Option<&'a Path>,
) -> Result<Option<Tensor<Source<'a>>>, Error> {
    let element = Element::Onnx(proto.data_type);
    let (shape, bytes) = (proto.shape, proto.bytes);
    let tensor =
        |element_type, values| Tensor { name: name.to_owned(), shape: shape.clone(), element_type, values };
    let (true, Some(size)) = (element.is_float(), element.bytes()) else {
        let integers = tensor(element.element_type(), Source::Bytes(&[]));
        return Ok(Some(integers).filter(|tensor| !tensor.shape.is_empty()));
    };
    let needed = elements(&shape).and_then(|count| count.checked_mul(size));
    let stored = match (&proto.external, proto.raw) {
        (Some(_), _) => needed,
        (None, Some(raw)) => Some(raw.len()),
        (None, None) => typed_count(bytes, element)?.checked_mul(size),
    };
    let (true, Some(needed)) = (needed == stored, needed) else {
        let stored = stored.unwrap_or_default();
        let what = format!("{} of {stored} bytes, which its shape does not have", type_name(proto.data_type));
        return Ok(Some(tensor(ElementType::Other(what.into()), Source::Bytes(&[]))));
    };
    let values = match (proto.external, proto.raw) {
        (Some(entries), _) => {
            let entries: Rc<[_]> = entries.into();
            let name = short(proto.name);
            Source::read(move || External::new(name, &entries, needed, directory)?.read())
        }
        (None, Some(raw)) => Source::Bytes(raw),
        (None, None) => Source::read(move || typed(bytes, element)),
    };
    Ok(Some(tensor(element.element_type(), values)).filter(|tensor| !tensor.shape.is_empty()))
}
