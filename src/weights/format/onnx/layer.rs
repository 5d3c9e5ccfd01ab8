//! An LSTM node as a layer: its weights, or in what it differs from PyTorch's LSTM.
//!
//! What a node does with sequences is the caller's: `sequence_lens`, `initial_h` and `initial_c` are other inputs of
//! it, and `layout` says which axis of X and Y is the batch. The weights are the same.
//!
//! # Source
//!
//! <https://onnx.ai/onnx/operators/onnx__LSTM.html>, and ONNX Runtime's `com.microsoft.DynamicQuantizeLSTM`

use std::rc::Rc;

use super::array::{Array, Places, Plan};
use super::fold::Constants;
use super::messages::{Attribute, Node};
use super::model::{ScopeId, is_quantized};
use super::operators::dequantized;
use super::problem::{Problem, unsupported};
use super::values::values;
use super::wire::{malformed, short};
use crate::error::Error;
use crate::weights::format::{OnnxNode, Parameters};
use crate::weights::tensor::{Source, Tensor};

/// The inputs' places.
const W: usize = 1;
const R: usize = 2;
const B: usize = 3;
const INITIAL: [(usize, &str); 2] = [(5, "initial_h"), (6, "initial_c")];
const PEEPHOLES: usize = 7;
const W_SCALE: usize = 8;
const R_SCALE: usize = 10;

/// The weights of a node.
pub(super) struct Weights<'a> {
    pub(super) w: Rc<Array<'a>>,
    pub(super) r: Rc<Array<'a>>,
    pub(super) b: Option<Rc<Array<'a>>>,
    pub(super) options: Options,
    pub(super) input_size: usize,
    pub(super) hidden_size: usize,
    pub(super) transposed: bool,
    /// The initial states that the model has, other than zeros.
    starts: Vec<&'static str>,
    /// B, if the model has an initial state.
    pub(super) batch: Option<i64>,
    /// Of W, R and B, for errors.
    names: [&'a str; 3],
}

/// What a node's attributes say.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) directions: usize,
    hidden_size: Option<i64>,
    /// Whether X and Y have the batch first.
    pub(super) batch_first: bool,
}

/// The layer of a node, under this prefix.
pub(super) fn weights<'a>(
    constants: &mut Constants<'_, 'a>,
    scope: ScopeId,
    node: &Node<'a>,
    prefix: &str,
) -> Result<Weights<'a>, Error> {
    find(constants, scope, node).map_err(|problem| match problem {
        Problem::Error(error) => error,
        Problem::Unsupported(reason) => Error::UnsupportedLstm { prefix: prefix.to_owned(), reason },
    })
}

fn find<'a>(
    constants: &mut Constants<'_, 'a>,
    scope: ScopeId,
    node: &Node<'a>,
) -> Result<Weights<'a>, Problem> {
    let options = options(&constants.model.attributes(scope, node)?)?;
    if node.input(PEEPHOLES).is_some() {
        return unsupported("it has peepholes (input P)");
    }
    let transposed = is_quantized(node);
    let (w, r) = if transposed {
        (quantized(constants, scope, node, W, W_SCALE)?, quantized(constants, scope, node, R, R_SCALE)?)
    } else {
        (constant(constants, scope, node, W)?, constant(constants, scope, node, R)?)
    };
    let b = if node.input(B).is_some() { Some(constant(constants, scope, node, B)?) } else { None };
    let names = [W, R, B].map(|index| node.input(index).map(short).unwrap_or_default());
    let (input_size, hidden_size) = sizes(&w, &r, b.as_deref(), &options, transposed, names)?;
    let (mut starts, mut batch) = (Vec::new(), None);
    for (index, what) in INITIAL {
        let Some(state) = state(constants, scope, node, index, what, hidden_size)? else { continue };
        // Of zeros in every element type all bytes are 0, but for the sign.
        if values(&state)?.iter().any(|&byte| byte & 0x7f != 0) {
            starts.push(what);
        }
        if let &[first, second, _] = &state.shape[..] {
            batch = i64::try_from(if options.batch_first { first } else { second }).ok();
        }
    }
    Ok(Weights { w, r, b, options, input_size, hidden_size, transposed, starts, batch, names })
}

const INPUTS: [&str; 12] = [
    "X",
    "W",
    "R",
    "B",
    "sequence_lens",
    "initial_h",
    "initial_c",
    "P",
    "W_scale",
    "W_zero_point",
    "R_scale",
    "R_zero_point",
];

/// The constant that is an input of the node.
fn constant<'a>(
    constants: &mut Constants<'_, 'a>,
    scope: ScopeId,
    node: &Node<'a>,
    index: usize,
) -> Result<Rc<Array<'a>>, Problem> {
    let what = INPUTS[index];
    let Some(name) = node.input(index) else {
        return Err(malformed(format!("an LSTM node has no input {what}")).into());
    };
    constants.constant(scope, name).map_err(|problem| match problem {
        Problem::Unsupported(reason) => Problem::Unsupported(format!("its input {what} {reason}")),
        error => error,
    })
}

/// A matrix of `DynamicQuantizeLSTM` as f32. A direction, or a direction and row of 4H, has a scale and a zero point.
fn quantized<'a>(
    constants: &mut Constants<'_, 'a>,
    scope: ScopeId,
    node: &Node<'a>,
    matrix: usize,
    scale: usize,
) -> Result<Rc<Array<'a>>, Problem> {
    let what = INPUTS[matrix];
    let zero_point = match node.input(scale + 1) {
        Some(_) => Some(constant(constants, scope, node, scale + 1)?),
        None => None,
    };
    let (matrix, scale) =
        (constant(constants, scope, node, matrix)?, constant(constants, scope, node, scale)?);
    let places = match (&matrix.shape[..], &scale.shape[..]) {
        _ if matrix.elements() == 0 => None,
        (&[1, _, _], []) => Some(Places::One),
        (&[directions, inputs, columns], &[scales]) if scales == directions => {
            Some(Places::Axis { inner: inputs * columns, length: directions })
        }
        (&[directions, inputs, columns], &[rows, scales]) if (rows, scales) == (directions, columns) => {
            Some(Places::FirstAndLast { block: inputs * columns, length: columns })
        }
        _ => None,
    };
    let Some(places) = places else {
        let shapes = format!("{:?} with scales of shape {:?}", matrix.shape, scale.shape);
        return Err(malformed(format!("the input {what} of a DynamicQuantizeLSTM has shape {shapes}")).into());
    };
    let array = dequantized(matrix, scale, zero_point, places).map_err(|problem| match problem {
        Problem::Unsupported(reason) => Problem::Unsupported(format!("its input {what} {reason}")),
        error => error,
    })?;
    constants.count(array)
}

/// I and H, by the shapes of W and R, which must fit each other and the attributes.
fn sizes(
    w: &Array<'_>,
    r: &Array<'_>,
    b: Option<&Array<'_>>,
    options: &Options,
    transposed: bool,
    names: [&str; 3],
) -> Result<(usize, usize), Problem> {
    let d = options.directions;
    let misshapen = |name: &str, expected: String, array: &Array<'_>| Error::TensorShape {
        name: name.to_owned(),
        expected,
        actual: array.shape.to_vec(),
    };
    let gates = |hidden_size: usize| hidden_size.checked_mul(4);
    // As in a node that is not transposed.
    let sizes = |array: &Array<'_>| match array.shape[..] {
        [directions, inputs, gates] if transposed => Some((directions, gates, inputs)),
        [directions, gates, inputs] => Some((directions, gates, inputs)),
        _ => None,
    };
    let shape = |inputs: &str| match transposed {
        true => format!("[{d}, {inputs}, 4H]"),
        false => format!("[{d}, 4H, {inputs}]"),
    };
    let (_, rows, hidden_size) = sizes(r)
        .filter(|&(directions, rows, hidden)| directions == d && hidden > 0 && gates(hidden) == Some(rows))
        .ok_or_else(|| misshapen(names[1], shape("H"), r))?;
    if options.hidden_size.is_some_and(|stated| usize::try_from(stated) != Ok(hidden_size)) {
        let stated = options.hidden_size.unwrap_or_default();
        return unsupported(format!("its hidden_size is {stated}, but R has shape {:?}", r.shape));
    }
    let (_, _, input_size) = sizes(w)
        .filter(|&(directions, gates, inputs)| directions == d && inputs > 0 && gates == rows)
        .ok_or_else(|| misshapen(names[0], shape("I"), w))?;
    if let Some(b) = b.filter(|b| b.shape[..] != [d, 2 * rows]) {
        return Err(misshapen(names[2], format!("[{d}, {}]", 2 * rows), b).into());
    }
    Ok((input_size, hidden_size))
}

/// An initial state that is a constant: (D, B, H), or (B, D, H) with the batch first. PyTorch's exporter writes a network
/// with `proj_size` as one whose hidden size is `proj_size`, with a part of the weights; nothing but the H columns of the
/// initial cell state shows it.
fn state<'a>(
    constants: &mut Constants<'_, 'a>,
    scope: ScopeId,
    node: &Node<'a>,
    index: usize,
    what: &str,
    hidden_size: usize,
) -> Result<Option<Rc<Array<'a>>>, Problem> {
    let Some(name) = node.input(index) else { return Ok(None) };
    match constants.constant(scope, name) {
        Ok(state) if state.shape.last() != Some(&hidden_size) => unsupported(format!(
            "its {what} has shape {:?}, but the hidden size is {hidden_size}: PyTorch's exporter loses proj_size; \
             read the state dict instead",
            state.shape
        )),
        state => Ok(state.ok()),
    }
}

/// What the attributes say, or the one that makes the node something else than PyTorch's LSTM.
fn options(attributes: &[(&str, Rc<Attribute<'_>>)]) -> Result<Options, Problem> {
    let mut options = Options { directions: 1, hidden_size: None, batch_first: false };
    let mut activations = None;
    for (name, attribute) in attributes {
        let integer = attribute.integer.unwrap_or_default();
        match *name {
            "hidden_size" => options.hidden_size = Some(integer),
            "direction" => options.directions = directions(attribute.text.unwrap_or_default())?,
            "layout" if integer == 0 || integer == 1 => options.batch_first = integer == 1,
            "activations" => activations = Some(&attribute.texts),
            "activation_alpha" | "activation_beta" if attribute.floats.is_empty() => {}
            "activation_alpha" | "activation_beta" => {
                let shown = &attribute.floats[..attribute.floats.len().min(6)];
                return unsupported(format!(
                    "{name} is {shown:?}, but sigmoid and tanh have no such parameter"
                ));
            }
            "clip" => match attribute.float.unwrap_or_default() {
                f32::MAX.. => {}
                clip => return unsupported(format!("clip is {clip}")),
            },
            "input_forget" if integer == 0 => {}
            "input_forget" | "layout" => return unsupported(format!("{name} is {integer}")),
            "output_sequence" => {} // of version 1: whether Y is computed
            other => return unsupported(format!("it has the attribute {:?}", short(other))),
        }
    }
    if let Some(activations) = activations {
        check_activations(activations, options.directions)?;
    }
    Ok(options)
}

fn directions(direction: &[u8]) -> Result<usize, Problem> {
    match direction {
        b"forward" => Ok(1),
        b"bidirectional" => Ok(2),
        b"reverse" => {
            unsupported("direction is \"reverse\": PyTorch's LSTM has no layer that reads backwards only")
        }
        other => unsupported(format!("direction is {:?}", text(other))),
    }
}

/// PyTorch's activations: of the gates, of the cell's input, of its output.
const ACTIVATIONS: [&str; 3] = ["Sigmoid", "Tanh", "Tanh"];

fn check_activations(activations: &[&[u8]], directions: usize) -> Result<(), Problem> {
    let same = |(given, expected): (&&[u8], &&str)| given.eq_ignore_ascii_case(expected.as_bytes());
    let all = activations.iter().zip(ACTIVATIONS.iter().cycle()).all(same);
    if all && activations.len() == ACTIVATIONS.len() * directions {
        return Ok(());
    }
    let shown: Vec<_> = activations.iter().take(6).map(|name| text(name)).collect();
    unsupported(format!("activations are {shown:?}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned()
}

impl<'a> Weights<'a> {
    /// What a caller has to know to compute what the model does.
    pub(super) fn assumed(&self) -> Option<String> {
        let states = self.starts.join(" and ");
        (!self.starts.is_empty()).then(|| {
            format!("the model starts from its own {states}, which are not read: pass them as an LstmState")
        })
    }

    pub(super) fn parameters(&self) -> Parameters<'a> {
        let [w, r, b] = self.names;
        Parameters::Onnx(Box::new(OnnxNode {
            w: tensor(w, &self.w),
            r: tensor(r, &self.r),
            b: self.b.as_ref().map(|array| tensor(b, array)),
            directions: self.options.directions,
            hidden_size: self.hidden_size,
            transposed: self.transposed,
        }))
    }
}

fn tensor<'a>(name: &str, array: &Rc<Array<'a>>) -> Tensor<Source<'a>> {
    Tensor {
        name: name.to_owned(),
        shape: array.shape.clone(),
        element_type: array.element.element_type(),
        values: source(array),
    }
}

fn source<'a>(array: &Rc<Array<'a>>) -> Source<'a> {
    match &array.plan {
        Plan::Raw(bytes) => Source::Bytes(bytes),
        Plan::Reshaped(from) => source(from),
        _ => {
            let array = array.clone();
            Source::read(move || Ok(values(&array)?.into_vec()))
        }
    }
}
