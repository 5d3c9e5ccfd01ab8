//! The LSTMs of a file: those of its state dict, and the layers and stacks of layers that it describes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::arrangement::{Named, Stored, arrange};
use super::candidate::Candidate;
use super::find::{self, Choice};
use super::format::{Contents, Layer};
use super::parameters::LstmWeights;
use super::precision::Precision;
use super::tensor::Tensor;
use crate::error::{Error, FoundLstm};

/// Joins the names of the layers of a stack to the prefix of the network.
const JOINT: &str = "+";

/// Every LSTM: those under PyTorch's names in the order of the prefixes, then layers in the file's order, a stack
/// before its layers.
pub(super) fn find_all(contents: Contents<'_>) -> Vec<FoundLstm> {
    let outlines: Vec<_> = contents.tensors.iter().map(Tensor::outline).collect();
    let mut found = find::find_lstms(&outlines);
    found.extend(found_layers(contents.layers));
    found
}

/// Reads the chosen network.
pub(super) fn read(contents: Contents<'_>, choice: Choice<'_>) -> Result<LstmWeights, Error> {
    let prefix = choice.prefix;
    let Contents { tensors, duplicates, layers, precision, summary } = contents;
    if let Some(chosen) = layers_named(&layers, prefix) {
        return read_layers(layers, &chosen, choice);
    }
    if let Some(duplicate) = duplicates.into_iter().find(|duplicate| duplicate.name.starts_with(prefix)) {
        return Err(Error::DuplicateTensor { name: duplicate.stored });
    }
    let tensors: Vec<_> = tensors.into_iter().map(Stored::same).collect();
    let result = if tensors.is_empty() && !(layers.is_empty() && summary.is_none()) {
        Err(find::wrong_prefix(prefix, Vec::new(), &[]))
    } else {
        find::read(tensors, choice, precision, Tensor::<Stored<'_>>::into_f32)
    };
    result.map_err(|error| match error {
        Error::WrongPrefix { prefix, mut found, names } => {
            found.extend(found_layers(layers));
            match summary {
                Some(reason) if found.is_empty() => Error::NoLstm { reason },
                _ => {
                    find::sort_by_distance(&mut found, &prefix);
                    Error::WrongPrefix { prefix, found, names }
                }
            }
        }
        mut error => {
            if let Error::MissingTensor { found, .. } | Error::UnexpectedTensor { found, .. } = &mut error {
                let others = found_layers(layers).into_iter().filter(|lstm| lstm.config.is_ok());
                found.extend(others.map(|lstm| lstm.prefix));
            }
            error
        }
    })
}

/// The prefix of the only network of a file, so that nobody has to name it; `None` if there are several, or if one
/// is read under the empty prefix anyway.
pub(super) fn only_prefix(contents: &Contents<'_>) -> Option<String> {
    let outlines: Vec<_> = contents.tensors.iter().map(Tensor::outline).collect();
    let mut prefixes: Vec<String> = find::find_lstms(&outlines).into_iter().map(|lstm| lstm.prefix).collect();
    let stacks = stacks(&contents.layers);
    prefixes.extend(stacks.iter().map(|stack| name_of(&contents.layers, stack)));
    let stacked = prefixes_of_stacks(&contents.layers, &stacks);
    let alone = contents.layers.iter().zip(stacked).filter(|(_, stack)| stack.is_none());
    prefixes.extend(alone.map(|(layer, _)| layer.name.clone()));
    if prefixes.len() == 1 { prefixes.pop() } else { None }
}

/// The layer or the stack of this name.
fn layers_named(layers: &[Layer<'_>], prefix: &str) -> Option<Vec<usize>> {
    match layers.iter().position(|layer| names(layer).any(|name| name == prefix)) {
        Some(layer) => Some(vec![layer]),
        None => stacks(layers).into_iter().find(|stack| is_named(layers, stack, prefix)),
    }
}

fn names<'a>(layer: &'a Layer<'_>) -> impl Iterator<Item = &'a str> {
    std::iter::once(&layer.name).chain(&layer.aliases).map(String::as_str)
}

/// Whether the prefix is a name of each layer of the stack, joined.
fn is_named(layers: &[Layer<'_>], stack: &[usize], prefix: &str) -> bool {
    // What can be left of the prefix after the names so far: a name can have the joint in it.
    let mut rests = BTreeSet::from([prefix]);
    for (index, &layer) in stack.iter().enumerate() {
        let joint = if index == 0 { "" } else { JOINT };
        let joined = rests.into_iter().filter_map(|rest| rest.strip_prefix(joint));
        rests = joined
            .flat_map(|rest| names(&layers[layer]).filter_map(move |name| rest.strip_prefix(name)))
            .collect();
    }
    rests.contains("")
}

fn name_of(layers: &[Layer<'_>], stack: &[usize]) -> String {
    let names: Vec<&str> = stack.iter().map(|&layer| layers[layer].name.as_str()).collect();
    names.join(JOINT)
}

/// Chains of two and more layers, each reading the output of the one before it, which no other layer reads.
fn stacks(layers: &[Layer<'_>]) -> Vec<Vec<usize>> {
    let (mut next, mut read_twice) = (vec![None; layers.len()], Vec::new());
    for (layer, below) in layers.iter().enumerate().filter_map(|(layer, l)| Some((layer, l.below?))) {
        if next.get_mut(below).and_then(|next| next.replace(layer)).is_some() {
            read_twice.push(below);
        }
    }
    read_twice.into_iter().for_each(|layer| next[layer] = None);
    let mut is_first = vec![true; layers.len()];
    next.iter().flatten().for_each(|&layer| is_first[layer] = false);
    // A layer has one below it, so that chains share no layer; those of a circle have no first one.
    let chain = |first| std::iter::successors(Some(first), |&layer: &usize| next[layer]).collect::<Vec<_>>();
    let chains = (0..layers.len()).filter(|&layer| is_first[layer] && next[layer].is_some()).map(chain);
    chains.collect()
}

/// For each layer the prefix of its stack, which is as long as the names of all of its layers: they share it.
fn prefixes_of_stacks(layers: &[Layer<'_>], stacks: &[Vec<usize>]) -> Vec<Option<Arc<str>>> {
    let mut prefixes = vec![None; layers.len()];
    for stack in stacks {
        let prefix: Arc<str> = name_of(layers, stack).into();
        stack.iter().for_each(|&layer| prefixes[layer] = Some(Arc::clone(&prefix)));
    }
    prefixes
}

fn read_layers(layers: Vec<Layer<'_>>, chosen: &[usize], choice: Choice<'_>) -> Result<LstmWeights, Error> {
    let mut layers: Vec<Option<Layer<'_>>> = layers.into_iter().map(Some).collect();
    let chosen = chosen.iter().filter_map(|&layer| layers[layer].take());
    let parameters = chosen.map(|layer| match extended(&layer).filter(|_| !choice.ignore_others) {
        Some(error) => Err(error),
        None => layer.parameters,
    });
    let named = arrange(parameters.collect::<Result<Vec<_>, _>>()?)?;
    Candidate::of(choice.prefix, named).into_weights(Precision::F32, Tensor::<Stored<'_>>::into_f32)
}

/// The error of a layer that is an LSTM but for another tensor.
fn extended(layer: &Layer<'_>) -> Option<Error> {
    let other = layer.other.as_ref().filter(|_| layer.parameters.is_ok())?;
    let reason = format!(
        "it also has the tensor {other:?}, which a plain LSTM does not have, so that the results would be wrong \
         without it; ReadOptions::with_others_ignored leaves it aside"
    );
    Some(Error::UnsupportedLstm { prefix: layer.name.clone(), reason })
}

fn found_layers(layers: Vec<Layer<'_>>) -> Vec<FoundLstm> {
    let stacks = stacks(&layers);
    let mut found = Vec::new();
    for stack in &stacks {
        let parameters: Option<Vec<_>> =
            stack.iter().map(|&layer| layers[layer].parameters.as_ref().ok().cloned()).collect();
        let extended = stack.iter().find_map(|&layer| extended(&layers[layer]));
        // A stack with a layer that is refused is no network; the layer says why.
        if let Some(parameters) = parameters {
            let named = extended.map_or_else(|| arrange(parameters), Err);
            let assumed: BTreeSet<&str> =
                stack.iter().filter_map(|&layer| layers[layer].assumed.as_deref()).collect();
            let assumed = (!assumed.is_empty()).then(|| assumed.into_iter().collect::<Vec<_>>().join("; "));
            found.push(found_network(name_of(&layers, stack), named, assumed));
        }
    }
    let part_of = prefixes_of_stacks(&layers, &stacks);
    for (layer, part_of) in layers.into_iter().zip(part_of) {
        let (named, assumed) = match extended(&layer) {
            Some(error) => (Err(error), None),
            None => (layer.parameters.and_then(|parameters| arrange([parameters])), layer.assumed),
        };
        found.push(FoundLstm { part_of, ..found_network(layer.name, named, assumed) });
    }
    found
}

fn found_network(prefix: String, named: Result<Named<'_>, Error>, assumed: Option<String>) -> FoundLstm {
    match named.map(|named| Candidate::of(&prefix, named)) {
        Ok(candidate) => {
            let (config, element_types) = (candidate.config(), candidate.element_types());
            FoundLstm { prefix, config, element_types, part_of: None, assumed }
        }
        Err(error) => {
            FoundLstm { prefix, config: Err(error), element_types: Vec::new(), part_of: None, assumed }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Layer, layers_named, prefixes_of_stacks, stacks};
    use crate::error::Error;

    fn layers(below: &[Option<usize>]) -> Vec<Layer<'static>> {
        let layer = |(index, &below): (usize, &Option<usize>)| Layer {
            name: index.to_string(),
            aliases: Vec::new(),
            parameters: Err(Error::NoTimeSteps),
            other: None,
            below,
            assumed: None,
        };
        below.iter().enumerate().map(layer).collect()
    }

    #[test]
    fn a_stack_has_the_names_of_its_layers() {
        let mut layers = layers(&[None, Some(0), Some(1)]);
        layers[0].aliases = vec!["a".to_owned(), "a+b".to_owned()];
        layers[1].aliases = vec!["b+c".to_owned()];
        for (prefix, named) in [
            ("0+1+2", true),
            ("a+1+2", true),
            ("a+b+1+2", true),
            ("a+b+c+2", true),
            ("0+1", false),
            ("1+2", false),
            ("0+1+2+", false),
            ("012", false),
            ("", false),
        ] {
            assert_eq!(layers_named(&layers, prefix), named.then(|| vec![0, 1, 2]), "{prefix}");
        }
        assert_eq!(layers_named(&layers, "b+c"), Some(vec![1]));
    }

    /// Copies would take memory in proportion to the square of the number of layers.
    #[test]
    fn the_layers_of_a_stack_share_its_prefix() {
        let layers = layers(&[None, Some(0), Some(1), None]);
        let prefixes = prefixes_of_stacks(&layers, &stacks(&layers));
        let [Some(first), Some(second), Some(third), None] = &prefixes[..] else { panic!("{prefixes:?}") };
        assert_eq!(&**first, "0+1+2");
        assert!(Arc::ptr_eq(first, second) && Arc::ptr_eq(first, third));
    }

    #[test]
    fn a_stack_is_a_chain_that_nothing_else_reads() {
        for (below, expected) in [
            (&[None, Some(0), Some(1)][..], vec![vec![0, 1, 2]]),
            (&[Some(1), None], vec![vec![1, 0]]), // the file's order is any
            (&[None, Some(0), Some(0)], vec![]),  // two layers read the first
            (&[None, Some(0), Some(0), Some(1)], vec![vec![1, 3]]),
            (&[None, Some(0), None, Some(2)], vec![vec![0, 1], vec![2, 3]]),
            (&[Some(1), Some(0)], vec![]), // a circle, as a damaged file can have
            (&[Some(0)], vec![]),
            (&[Some(7), Some(0)], vec![vec![0, 1]]), // no such layer below
            (&[], vec![]),
        ] {
            assert_eq!(stacks(&layers(below)), expected, "{below:?}");
        }
    }

    /// A tensor that one layer has beside its parameters refuses that layer and the stack, unless it is ignored.
    #[cfg(feature = "keras")]
    #[test]
    fn other_tensors_of_a_layer() {
        use super::super::find::Choice;
        use super::super::format::{Contents, KerasCell, Parameters};
        use super::super::tensor::{ElementType, Source, Tensor};

        let bytes = [0; 32];
        let matrix = || Tensor {
            name: "matrix".to_owned(),
            shape: [1, 4].into(),
            element_type: ElementType::F32,
            values: Source::Bytes(&bytes[..16]),
        };
        let contents = || {
            let mut layers = layers(&[None, Some(0)]);
            for layer in &mut layers {
                let cell = KerasCell { kernel: matrix(), recurrent: matrix(), bias: None };
                layer.parameters = Ok(Parameters::Keras(vec![cell]));
            }
            layers[1].other = Some("gamma".to_owned());
            Contents { layers, ..Contents::default() }
        };
        let found = super::find_all(contents());
        let listed: Vec<_> = found.iter().map(|lstm| (&lstm.prefix[..], lstm.config.is_ok())).collect();
        assert_eq!(listed, [("0+1", false), ("0", true), ("1", false)]);
        for (prefix, refused) in [("0+1", true), ("0", false), ("1", true)] {
            let read = super::read(contents(), Choice::of(prefix));
            let named = read.map_err(|error| error.to_string().contains("\"gamma\"")).map(drop);
            assert_eq!(named, if refused { Err(true) } else { Ok(()) }, "{prefix}");
            super::read(contents(), Choice { prefix, ignore_others: true }).unwrap();
        }
    }
}
