//! PyTorch checkpoints: what `torch.save` writes, as a zip archive, as the stream of versions before 1.6, or as the tar
//! archive of versions before 0.1.10; a state dict, dictionaries and lists with one in them, or a whole module.
//!
//! The crate `pytorch-reader` interprets the pickle; nothing in it is executed. A tensor's name is its path in
//! dictionaries and lists, joined by dots; a module has the names of its `state_dict()`. What the crate does not bound
//! by the file's length is checked before: see [`container`], [`pickle`] and [`Budget`].
//!
//! Version 0.22 of the crate reads from a path only.

mod container;
mod errors;
mod input;
mod pickle;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use pytorch_reader::{DType, PickleValue, PytorchReader, Tensor as Stored};

use self::errors::{io_error, malformed, translate, unsupported};
use super::budget::Budget;
use super::contents::{Contents, Duplicate};
use crate::error::Error;
use crate::weights::tensor::{ElementType, Source, Tensor};

/// Why bytes are not read.
pub(super) const FROM_FILE_ALONE: &str =
    "a PyTorch checkpoint is read from a path alone: call LstmWeights::from_file";

/// Reads the names, shapes and types of the tensors. The file stays open as long as their values can be asked for.
///
/// # Errors
///
/// - [`Error::ReadFile`]: the file can't be opened or read;
/// - [`Error::MalformedFile`]: it is corrupt, or takes more memory than its length explains;
/// - [`Error::UnsupportedFile`]: it has another kind of content, or no tensor.
pub(in crate::weights) fn read(path: &Path) -> Result<Contents<'static>, Error> {
    let length = container::check_file(path)?;
    let reader = PytorchReader::new(path).map_err(|error| translate(error, path))?;
    let root = PytorchReader::read_pickle_data(path, None).map_err(|error| translate(error, path))?;
    if reader.is_empty() {
        return Err(unsupported(without_tensors(&root)));
    }
    let budget = Rc::new(Budget::new(length));
    let path: Rc<Path> = path.into();
    let duplicates = if leaves(&root, &is_tensor) == reader.len() { Vec::new() } else { duplicates(&root) };
    let mut tensors: Vec<_> =
        reader.into_tensors().into_values().map(|stored| tensor(stored, &budget, &path)).collect();
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(Contents { tensors, duplicates, ..Contents::default() })
}

fn tensor(stored: Stored, budget: &Rc<Budget>, path: &Rc<Path>) -> Tensor<Source<'static>> {
    let element_type = element_type(stored.dtype());
    let length = stored.byte_len() as u64;
    let size = stored.dtype().size();
    let (name, _, shape, read) = stored.into_parts();
    let (budget, path, taken) = (Rc::clone(budget), Rc::clone(path), Cell::new(false));
    let name_in_error = name.clone();
    let values = Source::read(move || {
        if !budget.take(length, &taken) {
            return Err(malformed(&format!(
                "tensor {name_in_error:?} repeats the numbers of a small storage to {length} bytes"
            )));
        }
        let mut bytes = read().map_err(|error| io_error(error, &path))?;
        // The crate returns the machine's order of bytes.
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        Ok(bytes)
    });
    Tensor { name, shape: shape.into(), element_type, values }
}

fn element_type(dtype: DType) -> ElementType {
    let other = |name: &str| ElementType::Other(name.into());
    match dtype {
        DType::F16 => ElementType::F16,
        DType::BF16 => ElementType::BF16,
        DType::F32 => ElementType::F32,
        DType::F64 => ElementType::F64,
        DType::I8 => other("I8"),
        DType::I16 => other("I16"),
        DType::I32 => other("I32"),
        DType::I64 => other("I64"),
        DType::U8 => other("U8"),
        DType::U16 => other("U16"),
        DType::U32 => other("U32"),
        DType::U64 => other("U64"),
        DType::Bool => other("BOOL"),
    }
}

fn is_tensor(kind: &str) -> bool {
    kind == "torch.Tensor"
}

/// The number of objects that are only known by their Python type, of types that are asked for. The depth is bounded
/// by `pytorch-reader`.
fn leaves(value: &PickleValue, wanted: &impl Fn(&str) -> bool) -> usize {
    match value {
        PickleValue::Unsupported(kind) => usize::from(wanted(kind)),
        PickleValue::List(items) => items.iter().map(|item| leaves(item, wanted)).sum(),
        PickleValue::Dict(items) => items.values().map(|item| leaves(item, wanted)).sum(),
        _ => 0,
    }
}

/// Names that two tensors have: `"a.b"`, and `"b"` in `"a"`.
fn duplicates(root: &PickleValue) -> Vec<Duplicate> {
    fn count(value: &PickleValue, path: &mut Vec<String>, counts: &mut BTreeMap<String, usize>) {
        let mut inner = |key: String, item: &PickleValue| {
            path.push(key);
            count(item, path, counts);
            path.pop();
        };
        match value {
            PickleValue::Dict(items) => items.iter().for_each(|(key, item)| inner(key.clone(), item)),
            PickleValue::List(items) => {
                items.iter().enumerate().for_each(|(index, item)| inner(index.to_string(), item));
            }
            PickleValue::Unsupported(kind) if is_tensor(kind) => {
                *counts.entry(path.join(".")).or_default() += 1;
            }
            _ => {}
        }
    }
    let mut counts = BTreeMap::new();
    count(root, &mut Vec::new(), &mut counts);
    let twice = counts.into_iter().filter(|&(_, count)| count > 1);
    twice.map(|(name, _)| Duplicate { stored: name.clone(), name }).collect()
}

/// What a file without a tensor is.
fn without_tensors(root: &PickleValue) -> &'static str {
    if leaves(root, &|kind| kind.starts_with("numpy.")) > 0 {
        "it has no PyTorch tensor, but NumPy arrays in a pickle; save them with numpy.savez under PyTorch's names"
    } else {
        "it is a pickle without any tensor; save model.state_dict()"
    }
}
