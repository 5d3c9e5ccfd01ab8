//! Keras 3's `.weights.h5`: the tensors of each object are numbered datasets in its group `vars`.

use std::collections::BTreeMap;

use super::cell::{Cell, Cells, Direction, Parts, layer_of};
use super::config::Described;
use super::hdf5::{File, Found, Visited, check_name};
use crate::error::Error;

/// Groups that hold the layers of a model; the second is Keras 2.13's.
const CONTAINERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];
const VARS: &str = "vars";

/// A group `vars`, by the path of its object.
struct Object {
    name: Option<String>,
    visited: Visited,
}

/// The cells of a file, or `None` if it has no group `vars`.
pub(super) fn read(file: &File, described: &[Described]) -> Result<Option<Cells>, Error> {
    let is_optimizer = |path: &[String], name: &str| path.is_empty() && name == "optimizer";
    let visited = file.groups(file.root()?, |path, name| !is_optimizer(path, name))?;
    let mut objects = BTreeMap::new();
    for mut visited in visited {
        if visited.path.pop_if(|name| name == VARS).is_some() {
            let name = file.strings(&visited.group, "name")?.and_then(|mut names| names.pop());
            check_name(name.as_ref().map_or(0, String::len))?;
            objects.insert(visited.path.clone(), Object { name, visited });
        }
    }
    if objects.is_empty() {
        return Ok(None);
    }
    let mut cells = Cells::default();
    let mut before: Option<Vec<String>> = None;
    // From the last path on, so that a cell comes before the layer that it is in.
    for (path, object) in objects.iter().rev() {
        // What a stateful layer has beside its cell are states.
        let is_layer_of_cell = before.as_ref().is_some_and(|cell| cell.starts_with(path));
        let parts = if is_layer_of_cell { None } else { parts(file, path, object)? };
        let Some(parts) = parts.filter(Parts::is_lstm) else { continue };
        before = Some(path.clone());
        let (of_layer, direction) = layer_of(path, |name| half(name, path));
        cells.cells.push(Cell {
            described: described.iter().position(|described| is_in(path, &described.place)),
            key: of_layer.join("/"),
            name: name_of(of_layer, &objects),
            direction,
            tensors: parts.open(file)?,
            other: other(file, path, &objects)?,
        });
    }
    cells.cells.reverse();
    let is_layer = |path: &&Vec<String>| {
        path.iter().rev().nth(1).is_some_and(|name| CONTAINERS.contains(&name.as_str()))
    };
    cells.all =
        objects.keys().filter(is_layer).map(|path| format!("{:?}", name_of(path, &objects))).collect();
    Ok(Some(cells))
}

/// The halves of a Bidirectional layer. A model of a class of its own can have attributes of these names too.
fn half(name: &str, path: &[String]) -> Option<Direction> {
    match name {
        _ if path.first().is_some_and(|first| first == name) => None,
        "forward_layer" => Some(Direction::Forward),
        "backward_layer" => Some(Direction::Backward),
        _ => None,
    }
}

/// The first three tensors of an object.
fn parts(file: &File, path: &[String], object: &Object) -> Result<Option<Parts>, Error> {
    let datasets = &object.visited.datasets;
    let open = |name: &str| -> Result<Option<(String, Found)>, Error> {
        if !datasets.iter().any(|dataset| dataset == name) {
            return Ok(None);
        }
        let found = file.dataset(&object.visited.group, name)?;
        let path = [path, &[VARS.to_owned(), name.to_owned()]].concat().join("/");
        Ok(found.map(|found| (path, found)))
    };
    let (Some(kernel), Some(recurrent)) = (open("0")?, open("1")?) else {
        return Ok(None);
    };
    Ok(Some(Parts { kernel, recurrent, bias: open("2")? }))
}

/// Whether a path is in the place that the configuration gives a layer.
fn is_in(path: &[String], place: &[String]) -> bool {
    let same = |(name, of_place): (&String, &String)| {
        name == of_place || (of_place == CONTAINERS[0] && CONTAINERS.contains(&name.as_str()))
    };
    path.len() >= place.len() && path.iter().zip(place).all(same)
}

/// A tensor of numbers of this cell beyond the three: of its own, or of an object in it. The state of a dropout's random
/// numbers is one of integers.
fn other(
    file: &File,
    cell: &[String],
    objects: &BTreeMap<Vec<String>, Object>,
) -> Result<Option<String>, Error> {
    for (path, object) in objects.range(cell.to_vec()..).take_while(|(path, _)| path.starts_with(cell)) {
        for dataset in &object.visited.datasets {
            let is_own = path == cell && matches!(dataset.as_str(), "0" | "1" | "2");
            if !is_own && file.dataset(&object.visited.group, dataset)?.is_some_and(|found| found.is_float) {
                return Ok(Some([&path[..], &[VARS.to_owned(), dataset.clone()]].concat().join("/")));
            }
        }
    }
    Ok(None)
}

/// The layer's name and those of the models around it, where the file has them; else the names of their groups.
fn name_of(path: &[String], objects: &BTreeMap<Vec<String>, Object>) -> String {
    let names = (1..=path.len()).filter(|&length| !CONTAINERS.contains(&path[length - 1].as_str()));
    let name = |length: usize| {
        let name = objects.get(&path[..length]).and_then(|object| object.name.clone());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| path[length - 1].clone())
    };
    names.map(name).collect::<Vec<_>>().join("/")
}
