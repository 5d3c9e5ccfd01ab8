//! The errors of `pytorch-reader` in this crate's words: what the file is, and what to do.

use std::io;
use std::path::Path;

use pytorch_reader::{PickleError, PytorchError};

use crate::error::Error;

/// The longest reason that an error gives: a file chooses the names and shapes in it.
const REASON_CHARS: usize = 300;

pub(super) const BIG_ENDIAN: &str = "a machine with big-endian numbers wrote it; load it in PyTorch and save it again on \
    a little-endian one";

pub(super) fn malformed(reason: &str) -> Error {
    Error::MalformedFile { format: "PyTorch checkpoint", reason: reason.chars().take(REASON_CHARS).collect() }
}

pub(super) fn unsupported(reason: &str) -> Error {
    Error::UnsupportedFile { reason: reason.chars().take(REASON_CHARS).collect() }
}

/// An error of the operating system, or one that the file's content causes.
pub(super) fn io_error(error: io::Error, path: &Path) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match error.kind() {
        UnexpectedEof if error.get_ref().is_none() => malformed("the file ends early"),
        InvalidData | InvalidInput | Other | UnexpectedEof if error.raw_os_error().is_none() => {
            malformed(&error.to_string())
        }
        _ => Error::ReadFile { path: path.to_owned(), source: error },
    }
}

pub(super) fn translate(error: PytorchError, path: &Path) -> Error {
    match error {
        PytorchError::Io(error) | PytorchError::Tar(error) => io_error(error, path),
        PytorchError::Pickle(error) => pickle(error, path),
        PytorchError::InvalidFormat(reason) if reason.starts_with("Big-endian") => unsupported(BIG_ENDIAN),
        PytorchError::InvalidFormat(reason) => match reason.split_once("root of the PyTorch file, found ") {
            Some((_, found)) => unsupported(&format!(
                "it holds no dictionary of tensors, but an object of the Python type {found}; save model.state_dict()"
            )),
            None => malformed(&reason),
        },
        other => malformed(&other.to_string()),
    }
}

fn pickle(error: PickleError, path: &Path) -> Error {
    match error {
        PickleError::Io(error) => io_error(error, path),
        PickleError::UnsupportedType(name) => unsupported(&unsupported_type(&name)),
        // What pickle.dump makes of a tensor: a call in place of a storage.
        PickleError::InvalidData(reason) if reason.ends_with("expected a storage, got object") => {
            unsupported(
                "Python's pickle.dump wrote its tensors, and not torch.save; load it in Python and save the state dict with \
             torch.save or as safetensors",
            )
        }
        // The class of a module is an object of its own in the old format.
        PickleError::InvalidData(reason) if reason.starts_with("storage persistent id has 4 fields") => {
            unsupported(
                "it holds a whole module in the format of PyTorch before 1.6; load it in PyTorch and save \
             model.state_dict()",
            )
        }
        PickleError::NoDataSource => unsupported(
            "it is a pickle that refers to tensors outside of the file; save a state dict with torch.save",
        ),
        other => malformed(&other.to_string()),
    }
}

/// What a tensor or an object of this Python type is, and what to do.
fn unsupported_type(name: &str) -> String {
    const ONLY: &str = "which this crate does not read; save the state dict of the LSTM alone";
    let is = |part: &str| name.contains(part);
    if is("qtensor") || is("qint") || is("QInt") || is("quint") || is("QUInt") {
        "it has a quantized tensor; save the network before it is quantized".to_owned()
    } else if is("sparse") {
        format!("it has a sparse tensor, {ONLY}")
    } else if is("nested_tensor") {
        format!("it has a nested tensor, {ONLY}")
    } else if name.starts_with("torch.") && !name.starts_with("torch._") {
        format!("it has a tensor of the type {name}, {ONLY}")
    } else {
        format!("it has an object of the Python type {name} with tensors in it, {ONLY}")
    }
}
