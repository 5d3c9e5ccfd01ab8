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
        return read_layers(layers, &chosen, prefix);
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

fn read_layers(layers: Vec<Layer<'_>>, chosen: &[usize], prefix: &str) -> Result<LstmWeights, Error> {
    let mut layers: Vec<Option<Layer<'_>>> = layers.into_iter().map(Some).collect();
    let parameters = chosen.iter().filter_map(|&layer| layers[layer].take()).map(|layer| layer.parameters);
    let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
    Candidate::of(prefix, arrange(parameters)?).into_weights(Precision::F32, Tensor::<Stored<'_>>::into_f32)
}

fn found_layers(layers: Vec<Layer<'_>>) -> Vec<FoundLstm> {
    let stacks = stacks(&layers);
    let mut found = Vec::new();
    for stack in &stacks {
        let parameters: Option<Vec<_>> =
            stack.iter().map(|&layer| layers[layer].parameters.as_ref().ok().cloned()).collect();
        // A stack with a layer that is refused is no network; the layer says why.
        if let Some(parameters) = parameters {
            found.push(found_network(name_of(&layers, stack), arrange(parameters), None));
        }
    }
    let part_of = prefixes_of_stacks(&layers, &stacks);
    for (layer, part_of) in layers.into_iter().zip(part_of) {
        let named = layer.parameters.and_then(|parameters| arrange([parameters]));
        found.push(FoundLstm { part_of, ..found_network(layer.name, named, layer.assumed) });
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
}
