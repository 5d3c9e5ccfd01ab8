//! Keras: HDF5 files of a model or of its weights, and the archive of Keras 3 (`.keras`).
//!
//! | file | configuration | tensors |
//! |---|---|---|
//! | `.h5` of a model | attribute `model_config` | below `model_weights`, by name |
//! | `.h5` of weights, Keras 1 and 2 | none | by name |
//! | `.weights.h5` of Keras 3 | none | by place |
//! | `.keras` | `config.json` in the archive | by place, in `model.weights.h5` |
//!
//! By name: the attribute `layer_names` lists the layers' groups, and `weight_names` in each the tensors. By place: each
//! object's group has a group `vars` with its tensors 0, 1, 2… A layer is found by its tensors; the configuration
//! then says whether it computes what `torch.nn.LSTM` does. The optimizer's tensors, which have the same names and shapes,
//! are in groups of their own, which are not entered.

mod archive;
mod by_name;
mod by_place;
mod cell;
mod config;
mod hdf5;
mod layers;
mod metered;
mod settings;

use cell::Cells;
use config::Described;
use hdf5::File;

use super::Contents;
use crate::error::Error;

/// What is in a file of Keras. A layer's prefix is its name, after the names of the models that it is in: `encoder/lstm`.
///
/// # Errors
///
/// [`Error::MalformedFile`]: the file is truncated or corrupt, or needs much more memory than it has bytes.
/// [`Error::UnsupportedFile`]: an archive without HDF5 weights. What is wrong with a single layer is in the layer.
pub(in crate::weights) fn read<'a>(bytes: &'a [u8]) -> Result<Contents<'a>, Error> {
    let (config, weights) = match bytes.starts_with(b"PK") {
        true => archive::open(bytes)?,
        false => (None, bytes.to_vec()),
    };
    let file = File::open(weights, bytes.len())?;
    let root = file.root()?;
    let config = match config {
        Some(config) => Some(config),
        None => file.strings(&root, "model_config")?.map(|config| config.concat().into_bytes()),
    };
    let described = config.as_deref().map(config::layers).transpose()?.unwrap_or_default();
    let weights = file.group(&root, "model_weights")?.unwrap_or_else(|| root.clone());
    let cells = match file.strings(&weights, "layer_names")? {
        Some(layer_names) => Some(by_name::read(&file, &weights, &layer_names, &described)?),
        None => by_place::read(&file, &described)?,
    };
    let summary = summary(&file, cells.as_ref(), &described)?;
    let layers = layers::assemble(&file, cells.unwrap_or_default(), &described);
    Ok(Contents { layers, summary: Some(summary), ..Contents::default() })
}

/// What the file has, as the end of "the file has no LSTM: ".
fn summary(file: &File, cells: Option<&Cells>, described: &[Described]) -> Result<String, Error> {
    let Some(cells) = cells else {
        let names = file.root_names()?.into_iter().map(|name| format!("{name:?}"));
        let names = list(names).unwrap_or_else(|| "nothing".to_owned());
        return Ok(format!("an HDF5 file, but not one of Keras's weights; its root has {names}"));
    };
    let mut classes: Vec<String> = Vec::new();
    for class in described.iter().map(|layer| settings::shown(&layer.class.clone().into())) {
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    Ok(match list(classes.into_iter()) {
        Some(classes) => format!("a Keras model with layers of the classes {classes}"),
        None => match list(cells.all.iter().cloned()) {
            Some(names) => {
                format!("weights of a Keras model, where none of the layers {names} has an LSTM's shapes")
            }
            None => "weights of a Keras model without layers".to_owned(),
        },
    })
}

/// Joins the items, not all of many; `None` if there are none.
fn list(items: impl ExactSizeIterator<Item = String>) -> Option<String> {
    const SHOWN: usize = 12;
    let more = items.len().saturating_sub(SHOWN);
    let shown: Vec<String> = items.take(SHOWN).collect();
    let end = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| format!("{}{end}", shown.join(", ")))
}
