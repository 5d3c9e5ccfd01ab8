//! The safetensors format.
//!
//! The header is read more leniently than by the `safetensors` crate, which fails on a whole file for one element
//! type that it does not know; here that is an error only in a parameter of the LSTM. The crate checks sizes,
//! offsets and the file's length.

use std::collections::{BTreeMap, HashMap, btree_map};
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use half::f16;
use ndarray::ArrayViewD;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensorError};
use serde::Deserialize;
use serde::de::value::{Error as NoDtype, StrDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};

use super::contents::{Contents, Duplicate};
use super::part::Parts;
use super::recognize::{ENOUGH, what_else};
use crate::error::Error;
use crate::weights::precision::Precision;
use crate::weights::tensor::{ElementType, Source, Tensor};

/// The number of bytes of the header's length, a little-endian u64 at the start of the file.
const LENGTH_BYTES: usize = 8;

/// The longest header, as in the `safetensors` crate (`MAX_HEADER_SIZE`).
const MAX_HEADER_BYTES: usize = 100_000_000;

/// The key of the metadata whose value is the [`Precision`] of the network in the file.
const PRECISION_KEY: &str = "wgpu_lstm.precision";

/// Its value for [`Precision::F16`]; a file without the key is F32.
const F16: &str = "F16";

/// Reads the tensors of a file's bytes.
///
/// # Errors
///
/// [`Error::SafeTensors`]: the bytes are no safetensors file.
pub(in crate::weights) fn read(bytes: &[u8]) -> Result<Contents<'_>, Error> {
    let header = split(bytes).and_then(|(header, data)| Ok((Header::read(header, data.len())?, data)));
    let (header, data) = header.map_err(|error| invalid(error, bytes))?;
    Ok(header.contents(|(start, end)| Source::Bytes(&data[start..end])))
}

/// Reads the header of a file. The values of a tensor are read when they are needed.
///
/// # Errors
///
/// [`Error::ReadFile`]; and [`Error::SafeTensors`], as by [`read`].
pub(super) fn read_file(path: &Path) -> Result<Contents<'static>, Error> {
    let file = Rc::new(Parts::of(path)?);
    let start =
        |length: usize| file.read(0, usize::try_from(file.len()).map_or(length, |len| len.min(length)));
    let refused = |error| start(ENOUGH).map_or_else(|failed| failed, |bytes| invalid(error, &bytes));
    let length = header_bytes(&start(LENGTH_BYTES)?, file.len()).map_err(refused)?;
    let json = file.read(LENGTH_BYTES as u64, length)?;
    let data_start = (LENGTH_BYTES + length) as u64;
    let data_len = usize::try_from(file.len() - data_start).unwrap_or(usize::MAX);
    let header = Header::read(&json, data_len).map_err(refused)?;
    Ok(header.contents(|(start, end)| {
        let file = Rc::clone(&file);
        Source::read(move || file.read(data_start + start as u64, end - start))
    }))
}

/// Writes a file of the tensors, each with its name, values and the precision it is written in. `precision` is
/// that of the network.
pub(in crate::weights) fn write<'a>(
    tensors: impl Iterator<Item = (String, ArrayViewD<'a, f32>, Precision)>,
    precision: Precision,
) -> Result<Vec<u8>, Error> {
    let entries: Vec<_> = tensors
        .map(|(name, values, precision)| {
            let (dtype, bytes): (_, Vec<u8>) = match precision {
                Precision::F16 => {
                    (Dtype::F16, values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect())
                }
                Precision::F32 => (Dtype::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
            };
            (name, dtype, values.shape().to_vec(), bytes)
        })
        .collect();
    let views = entries
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            Ok((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(Error::safetensors)?))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    // At most one key: the crate writes several in random order.
    let metadata =
        (precision == Precision::F16).then(|| HashMap::from([(PRECISION_KEY.to_owned(), F16.to_owned())]));
    safetensors::serialize(views, metadata).map_err(Error::safetensors)
}

/// The error of bytes that are not a safetensors file: what they are instead, if their format is recognized.
fn invalid(error: SafeTensorError, bytes: &[u8]) -> Error {
    match what_else(bytes) {
        Some(reason) => Error::SafeTensors { reason },
        None => Error::safetensors(error),
    }
}

/// The entries by name, and the names that come twice. Of these the last entry is kept, as JSON parsers do.
fn unique(entries: Vec<(String, Entry)>) -> (BTreeMap<String, Entry>, Vec<Duplicate>) {
    let (mut unique, mut duplicates) = (BTreeMap::new(), Vec::new());
    for (name, entry) in entries {
        match unique.entry(name) {
            btree_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
            btree_map::Entry::Occupied(mut place) => {
                duplicates.push(Duplicate { name: place.key().clone(), stored: place.key().clone() });
                place.insert(Entry { is_duplicate: true, ..entry });
            }
        }
    }
    (unique, duplicates)
}

/// Tensors that are stored under another name. PyTorch's `save_model` writes a tensor of several names once, and a
/// pair of metadata for each other name: that name and the stored one.
///
/// # Source
///
/// `safetensors.torch.save_model`
fn tied(entries: &BTreeMap<String, Entry>, metadata: &BTreeMap<String, String>) -> Vec<(String, Entry)> {
    let names = metadata.iter().filter(|(name, _)| !entries.contains_key(*name));
    // Other pairs of metadata name no tensor.
    names.filter_map(|(name, stored)| Some((name.clone(), entries.get(stored)?.clone()))).collect()
}

/// The header's JSON and the tensors' bytes.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), SafeTensorError> {
    let length = header_bytes(bytes, bytes.len() as u64)?;
    Ok(bytes[LENGTH_BYTES..].split_at(length))
}

/// The length of the header that these first bytes of a file state.
fn header_bytes(start: &[u8], file_len: u64) -> Result<usize, SafeTensorError> {
    let (length, _) = start.split_first_chunk::<LENGTH_BYTES>().ok_or(SafeTensorError::HeaderTooSmall)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_HEADER_BYTES {
        return Err(SafeTensorError::HeaderTooLarge);
    }
    let fits = (LENGTH_BYTES + length) as u64 <= file_len;
    if fits { Ok(length) } else { Err(SafeTensorError::InvalidHeaderLength) }
}

/// Refuses tensors that do not lie side by side from the first byte to the last, or that have another number of
/// bytes than their type and shape need. An entry that comes twice is one tensor.
fn check(entries: &[(String, Entry)], len: usize) -> Result<(), SafeTensorError> {
    let mut infos = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let (start, end) = entry.data_offsets;
        let (dtype, shape) = match entry.dtype {
            EntryType::Known(dtype) => (dtype, entry.shape.to_vec()),
            // The size of an element is not known: any number of bytes is accepted.
            EntryType::Unknown(_) => {
                let bytes = end.checked_sub(start);
                (Dtype::U8, vec![bytes.ok_or_else(|| SafeTensorError::InvalidOffset(name.clone()))?])
            }
        };
        infos.push((name.clone(), TensorInfo { dtype, shape, data_offsets: entry.data_offsets }));
    }
    infos.sort_by(|(name, info), (other, of_other)| {
        (info.data_offsets, name).cmp(&(of_other.data_offsets, other))
    });
    infos.dedup_by(|(name, info), (other, of_other)| {
        name == other && info.data_offsets == of_other.data_offsets && info.shape == of_other.shape
    });
    let metadata = Metadata::new(None, infos)?;
    if metadata.data_len() == len { Ok(()) } else { Err(SafeTensorError::MetadataIncompleteBuffer) }
}

/// What the header says of a tensor: `safetensors::tensor::TensorInfo` with any element type. It is cheap to
/// clone, because many names can be tied to one tensor.
#[derive(Clone, Deserialize)]
#[serde(expecting = "a tensor's dtype, shape and data_offsets")]
struct Entry {
    dtype: EntryType,
    #[serde(deserialize_with = "shape")]
    shape: Rc<[usize]>,
    data_offsets: (usize, usize),
    /// Whether the header has another entry of the same name.
    #[serde(skip)]
    is_duplicate: bool,
}

fn shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rc<[usize]>, D::Error> {
    Vec::deserialize(deserializer).map(Rc::from)
}

#[derive(Clone)]
enum EntryType {
    Known(Dtype),
    /// One that the `safetensors` crate does not know, as the file spells it.
    Unknown(Rc<str>),
}

impl EntryType {
    fn element_type(&self) -> ElementType {
        match self {
            Self::Known(Dtype::F16) => ElementType::F16,
            Self::Known(Dtype::BF16) => ElementType::BF16,
            Self::Known(Dtype::F32) => ElementType::F32,
            Self::Known(Dtype::F64) => ElementType::F64,
            Self::Known(other) => ElementType::Other(other.to_string().into()),
            Self::Unknown(name) => ElementType::Other(name.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for EntryType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known: StrDeserializer<'_, NoDtype> = name.as_str().into_deserializer();
        Ok(Dtype::deserialize(known).map_or_else(|_| Self::Unknown(name.as_str().into()), Self::Known))
    }
}

/// The header's entries in their order in the file, duplicate names included.
struct Header {
    entries: Vec<(String, Entry)>,
    metadata: BTreeMap<String, String>,
}

impl Header {
    /// From its JSON. `data_len` is the number of bytes that follow it.
    fn read(json: &[u8], data_len: usize) -> Result<Self, SafeTensorError> {
        let header: Self =
            serde_json::from_slice(json).map_err(SafeTensorError::InvalidHeaderDeserialization)?;
        check(&header.entries, data_len)?;
        Ok(header)
    }

    /// What the file holds. `values` are those of a tensor from its first byte after the header to its last one.
    fn contents<'a>(self, values: impl Fn((usize, usize)) -> Source<'a>) -> Contents<'a> {
        let Self { entries, metadata } = self;
        let (mut entries, mut duplicates) = unique(entries);
        let tied = tied(&entries, &metadata);
        duplicates.extend(
            tied.iter()
                .filter(|(_, entry)| entry.is_duplicate)
                .map(|(name, _)| Duplicate { name: name.clone(), stored: metadata[name].clone() }),
        );
        entries.extend(tied);
        let tensors = entries.into_iter().map(|(name, entry)| {
            let values = values(entry.data_offsets);
            Tensor { name, shape: entry.shape, element_type: entry.dtype.element_type(), values }
        });
        let tensors = tensors.collect();
        let is_f16 = metadata.get(PRECISION_KEY).is_some_and(|precision| precision == F16);
        let precision = if is_f16 { Precision::F16 } else { Precision::F32 };
        Contents { tensors, duplicates, precision, ..Contents::default() }
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from names to tensors")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Header, M::Error> {
        let mut entries = Vec::new();
        let mut metadata = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != "__metadata__" {
                entries.push((name, map.next_value()?));
            } else if metadata.replace(map.next_value::<Option<_>>()?).is_some() {
                return Err(M::Error::duplicate_field("__metadata__"));
            }
        }
        Ok(Header { entries, metadata: metadata.flatten().unwrap_or_default() })
    }
}
