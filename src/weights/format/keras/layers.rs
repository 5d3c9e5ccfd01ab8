//! From cells and the configuration to layers.

use std::collections::{HashMap, HashSet};

use super::cell::{Cell, Cells, Direction, Refused};
use super::config::Described;
use super::hdf5::File;
use super::settings::{Bias, Shapes};
use crate::error::Error;
use crate::weights::format::{Layer, Parameters};

/// The cells of one layer.
struct Group {
    described: Option<usize>,
    name: String,
    cells: Vec<Cell>,
}

/// The LSTM layers, in the order of the configuration, or of the file if there is none.
pub(super) fn assemble(file: &File, cells: Cells, described: &[Described]) -> Vec<Layer<'static>> {
    let mut layers: Vec<(Option<usize>, Layer<'static>)> = Vec::new();
    for Refused { described, name, reason } in cells.refused {
        layers.push((described, refused(name, reason)));
    }
    layers.extend(
        groups(cells.cells, described)
            .into_iter()
            .map(|group| (group.described, layer(file, group, described))),
    );
    let found: HashSet<usize> = layers.iter().filter_map(|&(described, _)| described).collect();
    for (at, layer) in described.iter().enumerate().filter(|(_, layer)| layer.is_lstm()) {
        if !found.contains(&at) {
            let reason = "the file has no tensors of it that have the shapes of an LSTM".to_owned();
            layers.push((Some(at), refused(layer.name(), reason)));
        }
    }
    layers.sort_by_key(|(at, _)| at.unwrap_or(usize::MAX));
    let places: HashMap<usize, usize> =
        layers.iter().enumerate().filter_map(|(place, (at, _))| Some(((*at)?, place))).collect();
    for place in 0..layers.len() {
        let after =
            layers[place].0.and_then(|at| described[at].after).and_then(|at| places.get(&at).copied());
        layers[place].1.below = after.filter(|&below| is_stack(&layers[below].1, &layers[place].1));
    }
    let mut layers: Vec<_> = layers.into_iter().map(|(_, layer)| layer).collect();
    make_unique(&mut layers);
    layers
}

/// Gives every layer a name of its own: that of a second one of the same name ends with `#2`.
fn make_unique(layers: &mut [Layer<'_>]) {
    let mut given = HashSet::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for layer in layers {
        let count = counts.entry(layer.name.clone()).or_default();
        loop {
            *count += 1;
            let name = if *count == 1 { layer.name.clone() } else { format!("{}#{count}", layer.name) };
            if given.insert(name.clone()) {
                layer.name = name;
                break;
            }
        }
    }
}

fn refused(name: String, reason: String) -> Layer<'static> {
    let parameters = Err(Error::UnsupportedLstm { prefix: name.clone(), reason });
    Layer { name, aliases: Vec::new(), parameters, other: None, below: None, assumed: None }
}

/// The cells by layer, in the order of the first cell.
fn groups(cells: Vec<Cell>, described: &[Described]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Result<usize, String>, usize> = HashMap::new();
    for cell in cells {
        let key = cell.described.ok_or_else(|| cell.key.clone());
        let place = *places.entry(key).or_insert_with(|| {
            let name = cell.described.map_or_else(|| cell.name.clone(), |at| described[at].name());
            groups.push(Group { described: cell.described, name, cells: Vec::new() });
            groups.len() - 1
        });
        groups[place].cells.push(cell);
    }
    groups
}

fn layer(file: &File, mut group: Group, described: &[Described]) -> Layer<'static> {
    let described = group.described.map(|at| &described[at]).ok_or(described.is_empty());
    let is_cudnn = group.cells.iter().any(|cell| cell.bias() == Bias::Two);
    let assumed = match described {
        Ok(described) => described.assumed(),
        Err(_) => Some(assumed(group.cells.len(), is_cudnn)),
    };
    let checked = check(&mut group.cells, described).map_err(|reason| {
        let prefix = group.name.clone();
        Error::UnsupportedLstm { prefix, reason }
    });
    let tensors: Vec<_> = group.cells.iter().flat_map(Cell::all_tensors).collect();
    let checked = checked.and_then(|()| file.check_size(&tensors));
    let other = group.cells.iter_mut().find_map(|cell| cell.other.take());
    let cells = group.cells.into_iter().map(|cell| cell.tensors).collect();
    let parameters = checked.map(|()| Parameters::Keras(cells));
    let assumed = assumed.filter(|_| parameters.is_ok());
    Layer { name: group.name, aliases: Vec::new(), parameters, other, below: None, assumed }
}

/// Sorts the cells, forward and backward, and refuses a layer that is no plain LSTM. `described` is the layer's
/// configuration, or whether the file has none of any layer.
fn check(cells: &mut [Cell], described: Result<&Described, bool>) -> Result<(), String> {
    let shapes = Shapes { cells: cells.len(), hidden: cells[0].hidden(), bias: cells[0].bias() };
    match described {
        Ok(described) => described.check(&shapes)?,
        Err(true) => {}
        Err(false) => return Err("the model's configuration has no layer of this name".to_owned()),
    }
    let directions: Vec<_> = cells.iter().map(|cell| cell.direction).collect();
    let (forward, backward) = (Some(Direction::Forward), Some(Direction::Backward));
    match directions[..] {
        [direction] if direction.is_none() || described.is_ok() => {}
        [_] => {
            return Err("it is one half of a Bidirectional layer, whose other half is not found".to_owned());
        }
        [first, second] if (first, second) == (forward, backward) => {}
        // The configuration says that there are two, of which Keras writes the forward one first. A backward_layer of
        // its own can have any name.
        [first, second] if described.is_ok() && first != backward && second != forward => {}
        [first, second] if first == backward && second == forward => cells.reverse(),
        _ => {
            let count = cells.len();
            return Err(format!("it has {count} cells, which are not the halves of a Bidirectional layer"));
        }
    }
    let sizes = |cell: &Cell| (cell.tensors.kernel.shape.clone(), cell.hidden(), cell.bias());
    if cells.iter().any(|cell| sizes(cell) != sizes(&cells[0])) {
        return Err("its halves have different sizes".to_owned());
    }
    Ok(())
}

/// What is assumed of a layer without configuration.
fn assumed(cells: usize, is_cudnn: bool) -> String {
    let mut settings = Vec::new();
    if !is_cudnn {
        settings.extend(["activation tanh", "recurrent_activation sigmoid"]);
    }
    settings.push(if cells == 2 { "merge_mode concat" } else { "go_backwards False" });
    format!("the file does not have the layer's configuration; assumed are {}", settings.join(", "))
}

/// Whether a layer and the one above it have the sizes of one network.
fn is_stack(below: &Layer<'_>, above: &Layer<'_>) -> bool {
    let (Ok(Parameters::Keras(below)), Ok(Parameters::Keras(above))) = (&below.parameters, &above.parameters)
    else {
        return false;
    };
    let (Some(first), Some(second)) = (below.first(), above.first()) else {
        return false;
    };
    let output = first.recurrent.shape.first().and_then(|hidden| hidden.checked_mul(below.len()));
    below.len() == above.len()
        && first.recurrent.shape == second.recurrent.shape
        && first.bias.is_some() == second.bias.is_some()
        && second.kernel.shape.first().copied() == output
}
