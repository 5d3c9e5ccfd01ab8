//! Files of Keras 1 and 2, and Keras 3's `.h5`: each layer's group lists its tensors in the attribute `weight_names`.

use std::collections::{BTreeSet, HashMap};

use hdf5_reader::group::Group;

use super::cell::{Cell, Cells, Direction, Parts, Refused, layer_of};
use super::config::Described;
use super::hdf5::{File, check_name};
use crate::error::Error;

/// The tensors of one path in the order of the file: a cell, or another layer's.
#[derive(Default)]
struct Tensors<'n> {
    kernel: Option<&'n str>,
    recurrent: Option<&'n str>,
    bias: Option<&'n str>,
    others: Vec<&'n str>,
    /// Whether it is the second cell of its path.
    is_second: bool,
}

/// The cells of the layers of these names, whose groups are in `weights`.
pub(super) fn read(
    file: &File,
    weights: &Group,
    layer_names: &[String],
    described: &[Described],
) -> Result<Cells, Error> {
    let mut cells = Cells::default();
    let mut seen = BTreeSet::new();
    for layer in layer_names.iter().filter(|&layer| seen.insert(layer)) {
        check_name(layer.len())?;
        let mut group = weights.clone();
        for name in layer.split('/').filter(|name| !name.is_empty()) {
            group = file.group(&group, name)?.ok_or_else(|| Error::MalformedFile {
                format: "Keras file",
                reason: format!("the attribute layer_names has {layer:?}, but there is no such group"),
            })?;
        }
        let names = file.strings(&group, "weight_names")?.unwrap_or_default();
        read_layer(file, &group, layer, &names, described, &mut cells)?;
    }
    Ok(cells)
}

fn read_layer(
    file: &File,
    group: &Group,
    layer: &str,
    weight_names: &[String],
    described: &[Described],
    cells: &mut Cells,
) -> Result<(), Error> {
    if weight_names.iter().any(|name| name.ends_with("_W_i"))
        && weight_names.iter().any(|name| name.ends_with("_U_i"))
    {
        let reason =
            "it has a matrix for each gate, as Keras 1 writes it; load and save it with Keras 2".to_owned();
        let described = described.iter().position(|described| described.names == [layer]);
        cells.refused.push(Refused { described, name: layer.to_owned(), reason });
    }
    let first = cells.cells.len();
    let mut kind = None;
    let sorted: BTreeSet<&str> = weight_names.iter().map(String::as_str).collect();
    for (full, tensors) in by_path(weight_names) {
        let open = |name: &str| -> Result<_, Error> {
            let found = file.dataset(group, name)?.ok_or_else(|| missing(layer, name))?;
            Ok((format!("{layer}/{name}"), found))
        };
        let (Some(kernel), Some(recurrent)) = (tensors.kernel, tensors.recurrent) else { continue };
        let bias = tensors.bias.map(open).transpose()?;
        let parts = Parts { kernel: open(kernel)?, recurrent: open(recurrent)?, bias };
        if !parts.is_lstm() {
            kind = parts.other_kind().or(kind);
            continue;
        }
        let path: Vec<String> = full.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let (of_layer, direction) = layer_of(&path, |name| half(layer, name));
        let mut other = None;
        for name in beside(&tensors, full, &sorted) {
            if file.dataset(group, name)?.is_some_and(|found| found.is_float) {
                other = Some(format!("{layer}/{name}"));
                break;
            }
        }
        cells.cells.push(Cell {
            described: find(described, layer, &path),
            key: format!("{layer}\0{}", of_layer.join("/")),
            name: name_in(layer, of_layer),
            direction,
            tensors: parts.open(file)?,
            other,
        });
    }
    // A layer of its own has the group's name, whatever the path of its tensors is.
    let of_group = &mut cells.cells[first..];
    if of_group.iter().map(|cell| &cell.key).collect::<BTreeSet<_>>().len() == 1 {
        of_group.iter_mut().for_each(|cell| layer.clone_into(&mut cell.name));
    }
    cells.all.push(kind.map_or_else(|| format!("{layer:?}"), |kind| format!("{layer:?} ({kind})")));
    Ok(())
}

/// The halves of a Bidirectional layer are called as the layer in it, after these words.
fn half(layer: &str, name: &str) -> Option<Direction> {
    match name.split_once('_')?.0 {
        _ if name == layer => None,
        "forward" => Some(Direction::Forward),
        "backward" => Some(Direction::Backward),
        _ => None,
    }
}

fn missing(layer: &str, name: &str) -> Error {
    let reason =
        format!("the attribute weight_names of {layer:?} has {name:?}, but there is no such dataset");
    Error::MalformedFile { format: "Keras file", reason }
}

/// The names by the path before their last part, in the order of the file. A second kernel in one path begins a second
/// cell, which is the last one.
fn by_path(weight_names: &[String]) -> Vec<(&str, Tensors<'_>)> {
    let mut all: Vec<(&str, Tensors<'_>)> = Vec::new();
    let mut latest_of: HashMap<&str, usize> = HashMap::new();
    for name in weight_names {
        let (path, last) = name.rsplit_once('/').unwrap_or(("", name));
        let what = kind(last);
        let latest = latest_of.get(path).copied();
        let is_second = |&at: &usize| what == "kernel" && all[at].1.kernel.is_some() && !all[at].1.is_second;
        let at = match latest.filter(|at| !is_second(at)) {
            Some(at) => at,
            None => {
                all.push((path, Tensors { is_second: latest.is_some(), ..Tensors::default() }));
                latest_of.insert(path, all.len() - 1);
                all.len() - 1
            }
        };
        let tensors = &mut all[at].1;
        let place = match what {
            "kernel" => &mut tensors.kernel,
            "recurrent_kernel" => &mut tensors.recurrent,
            "bias" => &mut tensors.bias,
            _ => {
                tensors.others.push(name);
                continue;
            }
        };
        if place.is_some() {
            tensors.others.push(name);
        } else {
            *place = Some(name);
        }
    }
    all
}

/// The last part of a name without TensorFlow's `:0`, and without the number that makes names different.
fn kind(last: &str) -> &str {
    let name = last.split_once(':').map_or(last, |(name, _)| name);
    match name.rsplit_once('_') {
        Some((kind, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            kind
        }
        _ => name,
    }
}

/// Tensors that are part of a cell, but of no plain LSTM: of its own path, or below it.
fn beside<'n>(
    tensors: &Tensors<'n>,
    path: &'n str,
    sorted: &BTreeSet<&'n str>,
) -> impl Iterator<Item = &'n str> {
    let start = format!("{path}/");
    let is_below = move |name: &&str| name.strip_prefix(&start).is_some_and(|rest| rest.contains('/'));
    let below = sorted.range(path..).copied().take_while(move |name| name.starts_with(path));
    tensors.others.clone().into_iter().chain(below.filter(is_below))
}

/// The layer in the configuration whose cell has this path in the group `layer`.
fn find(described: &[Described], layer: &str, path: &[String]) -> Option<usize> {
    let of_group: Vec<usize> = (0..described.len())
        .filter(|&at| described[at].names.first().is_some_and(|name| name == layer))
        .collect();
    // The names of the models around it as well, if there are several of its own.
    let has = |at: usize, names: usize| {
        described[at].names.iter().rev().take(names).all(|name| path.contains(name))
    };
    match of_group[..] {
        [only] if described[only].names.len() == 1 => Some(only),
        _ => (1..=MODELS).find_map(|names| {
            let mut found = of_group.iter().copied().filter(|&at| has(at, names));
            found.next().filter(|_| found.next().is_none())
        }),
    }
}

/// Models in each other whose names are compared.
const MODELS: usize = 4;

/// The name of a layer of a model that is itself a layer.
fn name_in(model: &str, path: &[String]) -> String {
    let inner = match path.iter().position(|name| name == model) {
        Some(at) => &path[at + 1..],
        None => path,
    };
    [&[model.to_owned()], inner].concat().join("/")
}
