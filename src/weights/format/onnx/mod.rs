//! The ONNX format: a graph of nodes, of which those with the operator `LSTM` are layers.
//!
//! ```text
//! layer, tensors, stack, equal     nodes → layers; what else has a name; layers over layers; equal weights
//! fold                             name → constant, through nodes that only move or convert numbers
//! operators, axes, operands        these nodes, of which axes.rs has those that give an array other axes
//! values, array, external          the numbers of a constant; its shape and type; those in a second file
//! problem                          why a constant is not read
//! model                            graphs in graphs: what each name is, and where the LSTM nodes are
//! messages, wire                   ONNX's messages; protobuf
//! ```
//!
//! The file is read where it is: only names, shapes and places are kept. A message is decoded when it is needed, so that
//! no file can ask for more than a small multiple of its size, and what a file can repeat without having it twice is
//! limited: nesting, calls of functions, LSTM nodes, and what constants are computed from.

mod array;
mod axes;
mod equal;
mod external;
mod fold;
mod layer;
mod messages;
mod model;
mod operands;
mod operators;
mod problem;
mod stack;
mod tensors;
mod values;
mod wire;

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::Path;

use self::equal::Classes;
use self::fold::Constants;
use self::layer::Weights;
use self::messages::Node;
use self::model::{LstmNode, Model, ScopeId};
use self::stack::Lengths;
use super::{Contents, Layer};
use crate::error::Error;

/// Reads a model. `directory` is the folder of its file, which can have the values of tensors in other files.
///
/// # Errors
///
/// [`Error::MalformedFile`]: the bytes are no ONNX model, or it needs more than the limits of this reader. What is
/// wrong with one layer, or one tensor, is an error of that layer or tensor.
pub(in crate::weights) fn read<'a>(
    bytes: &'a [u8],
    directory: Option<&'a Path>,
) -> Result<Contents<'a>, Error> {
    let model = Model::read(bytes)?;
    let mut constants = Constants::new(&model, directory, bytes.len());
    let mut contents = Contents { summary: Some(summary(&model)), ..Contents::default() };
    contents.layers = Layers::default().read(&mut constants)?;
    tensors::add(&mut contents, &constants, directory)?;
    Ok(contents)
}

/// The most operators that the summary counts.
const SHOWN: usize = 8;

/// What the model has, as the end of "the file has no LSTM: ": the other recurrent operators, and the most frequent ones.
fn summary(model: &Model<'_>) -> String {
    let is_recurrent = |operator: &str| matches!(operator, "GRU" | "RNN" | "DynamicQuantizeLSTM" | "LSTM");
    let mut operators: Vec<_> = model.operators.iter().collect();
    operators.sort_by_key(|&(&operator, &count)| (!is_recurrent(operator), std::cmp::Reverse(count)));
    let mut text = format!("an ONNX model of {} nodes", model.nodes);
    for (index, &(operator, count)) in operators.iter().take(SHOWN).enumerate() {
        let separator = if index == 0 { ": " } else { ", " };
        let _ = write!(text, "{separator}{count} {}", wire::short(operator)); // a String can always be written to
    }
    if operators.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// The layers of a model, while they are collected.
#[derive(Default)]
struct Layers<'a> {
    layers: Vec<Layer<'a>>,
    /// Of each layer, by its index.
    weights: Vec<Option<Weights<'a>>>,
    /// The layer of a node and its T and B, by the name of its first output.
    by_output: HashMap<(ScopeId, &'a str), (usize, Lengths)>,
    /// Layers with equal weights are one, if they also read the same layer.
    by_weights: HashMap<([usize; 3], Option<usize>), usize>,
    /// The first layer of I, H, D, and with or without biases.
    first_of_sizes: HashMap<(usize, usize, usize, bool), usize>,
    classes: Classes<'a>,
    names: Names,
}

impl<'a> Layers<'a> {
    fn read(mut self, constants: &mut Constants<'_, 'a>) -> Result<Vec<Layer<'a>>, Error> {
        let model = constants.model;
        for (number, lstm) in model.lstms.iter().enumerate() {
            let node = Node::read(lstm.bytes)?;
            let name = self.names.unique(model.path(lstm.scope), node.name, number);
            self.add(constants, lstm, &node, name);
        }
        Ok(self.layers)
    }

    fn add(&mut self, constants: &mut Constants<'_, 'a>, lstm: &LstmNode<'a>, node: &Node<'a>, name: String) {
        let weights = layer::weights(constants, lstm.scope, node, &name);
        let (below, lengths) = match &weights {
            Ok(weights) => self.below(constants, lstm.scope, node, weights),
            Err(_) => (None, Lengths::default()),
        };
        let twin = weights.as_ref().ok().and_then(|weights| self.twin(weights, below));
        let index = match twin {
            Some(index) => {
                self.layers[index].aliases.push(name);
                index
            }
            None => {
                let (parameters, weights) = match weights {
                    Ok(weights) => (Ok(weights.parameters()), Some(weights)),
                    Err(error) => (Err(error), None),
                };
                let assumed = weights.as_ref().and_then(Weights::assumed);
                self.layers.push(Layer {
                    name,
                    aliases: Vec::new(),
                    parameters,
                    other: None,
                    below,
                    assumed,
                });
                self.weights.push(weights);
                self.layers.len() - 1
            }
        };
        if let Some(output) = node.outputs.first().filter(|output| !output.is_empty()) {
            self.by_output.insert((lstm.scope, output), (index, lengths));
        }
    }

    /// The layer whose output this node's X is, and the lengths of X.
    fn below(
        &self,
        constants: &mut Constants<'_, 'a>,
        scope: ScopeId,
        node: &Node<'a>,
        weights: &Weights<'a>,
    ) -> (Option<usize>, Lengths) {
        let path = node.input(0).and_then(|x| stack::path(constants, scope, x));
        let lower = path.as_ref().and_then(|path| {
            let &(index, lengths) = self.by_output.get(&path.from)?;
            let lower = self.weights[index].as_ref()?;
            path.stacks(lower, weights, lengths).then_some((index, lengths))
        });
        match lower {
            Some((index, lengths)) => (Some(index), lengths),
            None => {
                let lengths = path.map(|path| path.lengths(weights.options.batch_first)).unwrap_or_default();
                (None, Lengths { batch: lengths.batch.or(weights.batch), time: lengths.time })
            }
        }
    }
}

impl<'a> Layers<'a> {
    /// A layer with equal weights over the same layer. Weights are compared only if sizes are equal; if they can't be
    /// read, they are equal to none.
    fn twin(&mut self, weights: &Weights<'a>, below: Option<usize>) -> Option<usize> {
        let sizes =
            (weights.input_size, weights.hidden_size, weights.options.directions, weights.b.is_some());
        let index = self.layers.len();
        let first = *self.first_of_sizes.entry(sizes).or_insert(index);
        if first == index {
            return None;
        }
        // The first one was not compared with any yet.
        if let Some(key) = self.weights[first].as_ref().and_then(|first| key(&mut self.classes, first)) {
            self.by_weights.entry((key, self.layers[first].below)).or_insert(first);
        }
        let key = key(&mut self.classes, weights)?;
        let twin = *self.by_weights.entry((key, below)).or_insert(index);
        (twin != index).then_some(twin)
    }
}

/// Numbers that are equal for equal weights.
fn key<'a>(classes: &mut Classes<'a>, weights: &Weights<'a>) -> Option<[usize; 3]> {
    let b = match &weights.b {
        Some(b) => classes.number(b).ok()?,
        None => 0,
    };
    Some([classes.number(&weights.w).ok()?, classes.number(&weights.r).ok()?, b])
}

/// The prefixes that name layers: each only once.
#[derive(Default)]
struct Names {
    given: HashSet<String>,
    /// How often each name came.
    counts: HashMap<String, usize>,
}

/// The longest name of a node that is used, in bytes: a function's node can come a thousand times.
const MAX_NAME: usize = 1024;

impl Names {
    /// The node's name, after those of the calls of functions around it. A node without a name is `LSTM_` and its number
    /// among all of them; of several with one name, the second is `name_2`.
    fn unique(&mut self, path: &str, name: &str, number: usize) -> String {
        let name = match name.len() {
            1..=MAX_NAME => format!("{path}{name}"),
            _ => format!("{path}LSTM_{number}"),
        };
        let count = self.counts.entry(name.clone()).or_default();
        loop {
            *count += 1;
            let name = if *count == 1 { name.clone() } else { format!("{name}_{count}") };
            if self.given.insert(name.clone()) {
                return name;
            }
        }
    }
}
