//! File formats. Each is one module with a function
//!
//! ```text
//! read(bytes, ..) -> Result<Contents, Error>
//! ```
//!
//! (of PyTorch's checkpoints: `read(path)`) that returns what the file [holds](Contents): tensors under their full names, and layers with the tensors of each.
//! Values are read when an LSTM needs them.
//!
//! A reader checks that a tensor has as many elements as its shape says. All that follows is the same for every
//! format: names, shapes, element types, extensions, the errors about them, the conversion to f32, and the
//! arrangement of gates and axes.

#[cfg(any(feature = "npz", feature = "pytorch"))]
mod budget;
mod contents;
mod index;
#[cfg(feature = "keras")]
mod keras;
#[cfg(feature = "npz")]
mod npz;
#[cfg(feature = "onnx")]
mod onnx;
mod part;
#[cfg(feature = "pytorch")]
mod pytorch;
mod recognize;
pub(super) mod safetensors;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(super) use contents::{Contents, KerasCell, Layer, OnnxNode, Parameters};
use index::Index;
#[allow(unused_imports, reason = "every format can be off")]
use recognize::{ENOUGH, Format, Recognized, recognize};

use crate::error::Error;

/// Reads a file's bytes, whatever their format is. Files that it names are in `directory`.
pub(super) fn read<'a>(bytes: &'a [u8], directory: Option<&'a Path>) -> Result<Contents<'a>, Error> {
    let format = match recognize(bytes) {
        Recognized::SafeTensors => return safetensors::read(bytes),
        Recognized::Other(reason) => return Err(Error::UnsupportedFile { reason }),
        Recognized::Known(format) => format,
    };
    match format {
        #[cfg(feature = "npz")]
        Format::Npz => npz::read(bytes),
        #[cfg(feature = "keras")]
        Format::Keras => keras::read(bytes),
        #[cfg(feature = "onnx")]
        Format::Onnx => onnx::read(bytes, directory),
        #[cfg(feature = "pytorch")]
        Format::PyTorch => Err(Error::UnsupportedFile { reason: pytorch::FROM_FILE_ALONE.to_owned() }),
        _ => {
            let _ = directory;
            Err(Error::UnsupportedFile { reason: format.advice() })
        }
    }
}

/// Reads the file at the path and calls `then` with what it holds.
pub(super) fn with_file<T>(
    path: &Path,
    then: impl FnOnce(Contents<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let failed = |source| Error::ReadFile { path: path.to_owned(), source };
    let mut start = Vec::new();
    let mut file = File::open(path).map_err(failed)?;
    file.by_ref().take(ENOUGH as u64).read_to_end(&mut start).map_err(failed)?;
    match recognize(&start) {
        // Only the parts that are needed are read: a checkpoint can have much more than the LSTM.
        #[cfg(feature = "pytorch")]
        Recognized::Known(Format::PyTorch) => then(pytorch::read(path)?),
        Recognized::Known(Format::Index) => {
            let mut text = start;
            file.read_to_end(&mut text).map_err(failed)?;
            let index = Index::read(&text, path.parent().unwrap_or(Path::new("")))?;
            then(index.contents()?)
        }
        // A pipe has no parts that could be read twice.
        Recognized::SafeTensors if file.metadata().map_err(failed)?.is_file() => {
            then(safetensors::read_file(path)?)
        }
        _ => {
            let mut bytes = start;
            file.read_to_end(&mut bytes).map_err(failed)?;
            then(read(&bytes, path.parent())?)
        }
    }
}
