//! A safetensors file's header, read more leniently than the `safetensors` crate does: an element type that
//! it does not know fails the whole file there; here it is an error only in a parameter of the LSTM.
//! Sizes, offsets and the file's length are checked by the crate.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::fmt;
use std::rc::Rc;

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensorError};
use serde::Deserialize;
use serde::de::value::{Error as NoDtype, StrDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};

use crate::error::Error;

/// The bytes of the header's length, a little-endian u64 at the start of the file.
const LENGTH_BYTES: usize = 8;

/// The longest header, as in the `safetensors` crate (`MAX_HEADER_SIZE`).
const MAX_HEADER_BYTES: usize = 100_000_000;

/// A file's tensors, in the order of their names, and its `__metadata__`.
pub(super) struct File<'a> {
    pub(super) tensors: BTreeMap<String, Stored<'a>>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// A tensor as it is stored. It is cheap to copy, whatever the header says: many names can be tied to it.
#[derive(Clone)]
pub(super) struct Stored<'a> {
    pub(super) dtype: ElementType,
    pub(super) shape: Rc<[usize]>,
    pub(super) bytes: &'a [u8],
    /// Whether the header has the name twice. The last one is kept, as JSON parsers do.
    twice: bool,
}

/// The type of a tensor's elements.
#[derive(Clone)]
pub(super) enum ElementType {
    Known(Dtype),
    /// One that the `safetensors` crate does not know, as the file spells it.
    Unknown(Rc<str>),
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(dtype) => dtype.fmt(f),
            Self::Unknown(name) => name.fmt(f),
        }
    }
}

/// Reads the header and cuts the file into tensors.
///
/// A name under the prefix that comes twice is refused: the two may differ.
pub(super) fn read<'a>(bytes: &'a [u8], prefix: &str) -> Result<File<'a>, Error> {
    let (header, data) = split(bytes).map_err(Error::safetensors)?;
    let Header { entries, metadata } = serde_json::from_slice(header)
        .map_err(SafeTensorError::InvalidHeaderDeserialization)
        .map_err(Error::safetensors)?;
    let mut unique = BTreeMap::new();
    for (name, info) in entries {
        match unique.entry(name) {
            Place::Vacant(place) => {
                place.insert((info, false));
            }
            Place::Occupied(place) if place.key().starts_with(prefix) => {
                return Err(Error::DuplicateTensor { name: place.key().clone() });
            }
            Place::Occupied(mut place) => {
                place.insert((info, true));
            }
        }
    }
    check(&unique, data.len()).map_err(Error::safetensors)?;
    let mut tensors: BTreeMap<_, _> = unique
        .into_iter()
        .map(|(name, (info, twice))| {
            let (start, end) = info.data_offsets;
            (name, Stored { dtype: info.dtype, shape: info.shape.into(), bytes: &data[start..end], twice })
        })
        .collect();
    let tied = tied(&tensors, &metadata, prefix)?;
    tensors.extend(tied);
    Ok(File { tensors, metadata })
}

/// The tensors that are not stored, but share another one's values. PyTorch's `save_model` writes a tensor
/// of several names once, and for each other name a pair of metadata: that name and the one that is stored.
///
/// # Source
///
/// `safetensors.torch.save_model`
fn tied<'a>(
    tensors: &BTreeMap<String, Stored<'a>>,
    metadata: &BTreeMap<String, String>,
    prefix: &str,
) -> Result<Vec<(String, Stored<'a>)>, Error> {
    let mut tied = Vec::new();
    for (name, kept) in metadata.iter().filter(|(name, _)| !tensors.contains_key(*name)) {
        match tensors.get(kept) {
            Some(stored) if stored.twice && name.starts_with(prefix) => {
                return Err(Error::DuplicateTensor { name: kept.clone() });
            }
            Some(stored) => tied.push((name.clone(), stored.clone())),
            None => {} // metadata of another kind
        }
    }
    Ok(tied)
}

/// The header's JSON and the tensors' bytes.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), SafeTensorError> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(SafeTensorError::HeaderTooSmall)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_HEADER_BYTES {
        return Err(SafeTensorError::HeaderTooLarge);
    }
    rest.split_at_checked(length).ok_or(SafeTensorError::InvalidHeaderLength)
}

/// Refuses tensors that don't lie side by side from the first byte to the last, or whose bytes are not as
/// many as type and shape say.
fn check(tensors: &BTreeMap<String, (Info, bool)>, len: usize) -> Result<(), SafeTensorError> {
    let mut infos = Vec::with_capacity(tensors.len());
    for (name, (info, _)) in tensors {
        let (start, end) = info.data_offsets;
        let (dtype, shape) = match info.dtype {
            ElementType::Known(dtype) => (dtype, info.shape.clone()),
            // How many bits an element has is not known: that many bytes, then.
            ElementType::Unknown(_) => {
                let bytes = end.checked_sub(start);
                (Dtype::U8, vec![bytes.ok_or_else(|| SafeTensorError::InvalidOffset(name.clone()))?])
            }
        };
        infos.push((name.clone(), TensorInfo { dtype, shape, data_offsets: info.data_offsets }));
    }
    infos.sort_by_key(|(_, info)| info.data_offsets);
    let metadata = Metadata::new(None, infos)?;
    if metadata.data_len() == len { Ok(()) } else { Err(SafeTensorError::MetadataIncompleteBuffer) }
}

impl<'de> Deserialize<'de> for ElementType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known: StrDeserializer<'_, NoDtype> = name.as_str().into_deserializer();
        Ok(Dtype::deserialize(known).map_or_else(|_| Self::Unknown(name.as_str().into()), Self::Known))
    }
}

/// `safetensors::tensor::TensorInfo` with any element type.
#[derive(Deserialize)]
struct Info {
    dtype: ElementType,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The header's entries, in its order, with those whose name comes twice.
struct Header {
    entries: Vec<(String, Info)>,
    metadata: BTreeMap<String, String>,
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
