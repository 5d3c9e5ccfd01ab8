//! Tensors whose elements are in a second file, beside the model's.

use std::path::{Component, Path};

use super::wire::{malformed, short};
use crate::error::Error;
use crate::weights::format::part::Parts;

/// Part of another file.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct External<'a> {
    /// The other file's name, as the model has it.
    pub(super) location: &'a str,
    file: Parts,
    offset: u64,
    length: usize,
}

impl<'a> External<'a> {
    /// The part that the keys and values of a tensor's `external_data` describe, without reading it. `length` is what
    /// the tensor's shape and type need.
    pub(super) fn new(
        tensor: &str,
        entries: &[(&'a str, &'a str)],
        length: usize,
        directory: Option<&Path>,
    ) -> Result<Self, Error> {
        let value = |key| entries.iter().find(|entry| entry.0 == key).map(|entry| entry.1);
        let location = value("location").unwrap_or_default();
        let directory = directory.ok_or_else(|| Error::UnsupportedFile {
            reason: format!(
                "the values of tensor {tensor:?} are in a second file, {:?}; use LstmWeights::from_file, \
                 which finds that file beside the model's",
                short(location)
            ),
        })?;
        let number = |key, default| {
            value(key).map_or(Some(default), |value| value.parse().ok()).ok_or_else(|| {
                let value = short(value(key).unwrap_or_default());
                malformed(format!(
                    "the {key} of tensor {tensor:?} in a second file is {value:?}, not a number"
                ))
            })
        };
        let needed = length as u64;
        let (offset, stated) = (number("offset", 0)?, number("length", needed)?);
        if stated != needed {
            let reason = format!("tensor {tensor:?} has {stated} bytes in a second file, but needs {needed}");
            return Err(malformed(reason));
        }
        let file = Parts::of(&directory.join(beside(tensor, location)?))?;
        let end = offset.checked_add(needed);
        if end.is_none_or(|end| end > file.len()) {
            let size = file.len();
            return Err(malformed(format!(
                "tensor {tensor:?} has {needed} bytes from byte {offset} on in the second file {:?}, which has \
                 {size} bytes",
                short(location)
            )));
        }
        Ok(Self { location, file, offset, length })
    }

    /// The size of the file when the model was read.
    pub(super) fn file_size(&self) -> u64 {
        self.file.len()
    }

    pub(super) fn read(&self) -> Result<Vec<u8>, Error> {
        self.file.read(self.offset, self.length)
    }
}

/// The location as a path that stays in the model's folder.
fn beside<'a>(tensor: &str, location: &'a str) -> Result<&'a Path, Error> {
    let path = Path::new(location);
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    // A backslash separates folders on some systems only, and a colon can name a drive or a stream of a file there.
    if path.file_name().is_none() || !path.components().all(plain) || location.contains(['\\', ':', '\0']) {
        return Err(malformed(format!(
            "tensor {tensor:?} is in the file {:?}, which is not a path inside the model's folder",
            short(location)
        )));
    }
    Ok(path)
}
