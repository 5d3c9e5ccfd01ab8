//! A model in several safetensors files, and their index, `model.safetensors.index.json`: a JSON object whose
//! `weight_map` says in which file each tensor is.
//!
//! # Source
//!
//! `PreTrainedModel.save_pretrained` and `from_pretrained` of the Python package `transformers`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::contents::{Contents, Duplicate};
use super::safetensors;
use crate::error::Error;
use crate::weights::precision::Precision;

/// An index, whose files are in a directory.
pub(super) struct Index {
    directory: PathBuf,
    weight_map: BTreeMap<String, String>,
}

/// The JSON object; what else it has is for other programs.
#[derive(Deserialize)]
struct Text {
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Reads the text of an index.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedFile`]: it is not valid, or names a file outside of the directory.
    pub(super) fn read(text: &[u8], directory: &Path) -> Result<Self, Error> {
        let Text { weight_map } =
            serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        if weight_map.is_empty() {
            return Err(malformed("its weight_map names no tensor".to_owned()));
        }
        if let Some((name, file)) = weight_map.iter().find(|(_, file)| !is_inside(file)) {
            let reason =
                format!("tensor {name:?} is in {file:?}, which is no file in the index's own directory");
            return Err(malformed(reason));
        }
        Ok(Self { directory: directory.to_owned(), weight_map })
    }

    /// The names of the files, each once.
    fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// The tensors of the files, of which the headers are read. Those that the index does not name are tensors of the
    /// model too, as in `transformers`; a copy in another file than the index says is left out.
    ///
    /// # Errors
    ///
    /// - [`Error::ReadFile`]: a file can't be opened or read;
    /// - [`Error::SafeTensors`]: a file is no safetensors file;
    /// - [`Error::MalformedFile`]: a file has not the tensors that the index says.
    pub(super) fn contents(&self) -> Result<Contents<'static>, Error> {
        let mut all = Contents { precision: Precision::F16, ..Contents::default() };
        let mut places: HashMap<String, &str> = HashMap::new();
        for file in self.files() {
            let part = safetensors::read_file(&self.directory.join(file));
            let part = part.map_err(|error| in_file(error, file))?;
            let is_here = |name: &str| self.weight_map.get(name).is_none_or(|place| place == file);
            for tensor in part.tensors.into_iter().filter(|tensor| is_here(&tensor.name)) {
                if places.insert(tensor.name.clone(), file).is_some_and(|other| other != file) {
                    let name = tensor.name.clone();
                    all.duplicates.push(Duplicate { stored: name.clone(), name });
                }
                all.tensors.push(tensor);
            }
            all.duplicates.extend(part.duplicates.into_iter().filter(|duplicate| is_here(&duplicate.name)));
            if part.precision == Precision::F32 {
                all.precision = Precision::F32;
            }
        }
        if let Some((name, file)) = self.weight_map.iter().find(|(name, _)| !places.contains_key(*name)) {
            return Err(malformed(format!(
                "tensor {name:?} is not in {file:?}, where its weight_map says it is"
            )));
        }
        all.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

/// Whether a name is that of a file in the directory or in one below it.
fn is_inside(file: &str) -> bool {
    let mut components = Path::new(file).components().peekable();
    // A backslash is a part of a name on some systems, and on others it leads to another folder.
    components.peek().is_some()
        && components.all(|part| matches!(part, Component::Normal(_)))
        && !file.contains(['\\', ':'])
}

fn in_file(error: Error, file: &str) -> Error {
    match error {
        Error::SafeTensors { reason } => Error::SafeTensors { reason: format!("in {file:?}: {reason}") },
        other => other,
    }
}

fn malformed(reason: String) -> Error {
    Error::MalformedFile { format: "index of safetensors files", reason }
}
