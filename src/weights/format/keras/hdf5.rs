//! An HDF5 file: groups, lists of strings in attributes, datasets. A file can make this use memory and time in
//! proportion to its own length only.

use std::collections::HashSet;
use std::sync::Arc;

use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::group::Group;
use hdf5_reader::messages::attribute::AttributeMessage;
use hdf5_reader::{ByteOrder, Dataset, Datatype, Hdf5File, OpenOptions, StringSize, VarLenKind};

use super::metered::{Metered, Shared};
use crate::error::Error;
use crate::weights::tensor::{ElementType, Source, Tensor};

/// What errors call the format.
const FORMAT: &str = "HDF5 file";

/// The largest header of an object. Real ones have at most 64 KiB for each part of a list of names. The parser takes
/// time in proportion to the square of the number of attributes.
const HEADER: usize = 1 << 19;

/// What a cell of a layer costs of the bytes that may be read, whatever its tensors' bytes are.
const CELL: usize = 1 << 11;

/// Groups in each other, and groups in total, when all of them are listed.
const DEPTH: usize = 64;
const GROUPS: usize = 100_000;

/// The longest name of a layer, and path of a group, in bytes: each of their tensors repeats it.
const NAME: usize = 1 << 10;

/// An open file.
pub(super) struct File {
    file: Hdf5File,
    meter: Arc<Metered>,
}

/// The shape and the element type of a dataset, whose values can be read.
pub(super) struct Found {
    pub(super) shape: Vec<u64>,
    pub(super) is_float: bool,
    dataset: Dataset,
}

/// A group and its path.
pub(super) struct Visited {
    pub(super) path: Vec<String>,
    pub(super) group: Group,
    pub(super) datasets: Vec<String>,
}

impl File {
    /// Opens a file whose memory is bounded in proportion to `length`.
    pub(super) fn open(bytes: Vec<u8>, length: usize) -> Result<Self, Error> {
        let meter = Arc::new(Metered::new(bytes, length));
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_chunk_cache_slots(1)
            .with_max_chunk_bytes(meter.most_tensors())
            .with_max_read_bytes(meter.most_tensors())
            .with_max_object_header_bytes(HEADER.min(meter.len()));
        let storage = Arc::new(Shared(Arc::clone(&meter)));
        let file = Hdf5File::from_storage_with_options(storage, options).map_err(malformed)?;
        Ok(Self { file, meter })
    }

    pub(super) fn root(&self) -> Result<Group, Error> {
        self.file.root_group().map_err(malformed)
    }

    /// The names of the groups in the root, for errors.
    pub(super) fn root_names(&self) -> Result<Vec<String>, Error> {
        let (mut groups, datasets) = self.root()?.member_names().map_err(malformed)?;
        groups.extend(datasets);
        Ok(groups)
    }

    /// A group in another one, or `None`.
    pub(super) fn group(&self, group: &Group, name: &str) -> Result<Option<Group>, Error> {
        found(group.group(name))
    }

    /// A dataset at a path below a group, or `None`.
    pub(super) fn dataset(&self, group: &Group, path: &str) -> Result<Option<Found>, Error> {
        let mut names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let (Some(last), true) = (names.pop(), names.len() < DEPTH) else {
            return Ok(None);
        };
        let mut group = group.clone();
        for name in names {
            match self.group(&group, name)? {
                Some(inner) => group = inner,
                None => return Ok(None),
            }
        }
        let dataset = found(group.dataset(last))?;
        Ok(dataset.map(|dataset| Found {
            shape: dataset.shape().to_vec(),
            is_float: matches!(
                dataset.dtype(),
                Datatype::FloatingPoint { .. } | Datatype::Opaque { size: 2, .. }
            ),
            dataset,
        }))
    }

    /// Every group below this one, each once, that is reached through names that `enters` accepts.
    pub(super) fn groups(
        &self,
        root: Group,
        enters: impl Fn(&[String], &str) -> bool,
    ) -> Result<Vec<Visited>, Error> {
        let mut seen = HashSet::from([root.address()]);
        let mut visited: Vec<Visited> = Vec::new();
        let mut waiting = vec![(Vec::new(), root)];
        while let Some((path, group)) = waiting.pop() {
            if visited.len() >= GROUPS || path.len() >= DEPTH {
                let reason = format!("it has more than {GROUPS} groups, or more than {DEPTH} in each other");
                return Err(Error::MalformedFile { format: FORMAT, reason });
            }
            let (groups, datasets) = group.member_names().map_err(malformed)?;
            for name in groups.iter().rev().filter(|name| enters(&path, name)) {
                let Some(inner) = self.group(&group, name)? else { continue };
                if seen.insert(inner.address()) {
                    let mut path = path.clone();
                    path.push(name.clone());
                    check_name(path.iter().map(String::len).sum())?;
                    waiting.push((path, inner));
                }
            }
            visited.push(Visited { path, group, datasets });
        }
        Ok(visited)
    }

    /// Counts a cell, which takes memory even if many cells have the same tensors.
    pub(super) fn count_cell(&self) -> Result<(), Error> {
        self.meter.charge(CELL).map_err(malformed)
    }

    /// The strings of an attribute, or of attributes of this name followed by 0, 1, 2…, into which Keras splits a list
    /// of more than 64 KiB. `None` if there is neither.
    pub(super) fn strings(&self, group: &Group, name: &str) -> Result<Option<Vec<String>>, Error> {
        let attributes = group.raw_attributes().map_err(malformed)?;
        let attribute =
            |name: &str| attributes.iter().map(|raw| raw.message()).find(|message| message.name == name);
        if let Some(attribute) = attribute(name) {
            return self.decode(group, attribute).map(Some);
        }
        let parts = (0..).map_while(|part| attribute(&format!("{name}{part}")));
        let parts = parts.map(|part| self.decode(group, part)).collect::<Result<Vec<_>, _>>()?;
        Ok(if parts.is_empty() { None } else { Some(parts.concat()) })
    }

    fn decode(&self, group: &Group, attribute: &AttributeMessage) -> Result<Vec<String>, Error> {
        let wrong =
            |what: &str| malformed(Hdf5Error::InvalidData(format!("attribute {:?} {what}", attribute.name)));
        self.meter.charge(attribute.raw_data.len()).map_err(malformed)?;
        // h5py writes an empty list as one of numbers.
        let count = attribute.dataspace.num_elements().map_err(|error| malformed(error.into()))?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let size = match &attribute.datatype {
            Datatype::String { size: StringSize::Fixed(size), .. } => *size as usize,
            Datatype::String { size: StringSize::Variable, .. }
            | Datatype::VarLen { kind: VarLenKind::String, .. } => 8 + usize::from(group.offset_size()),
            _ => return Err(wrong("has no strings")),
        };
        let variable = !matches!(attribute.datatype, Datatype::String { size: StringSize::Fixed(_), .. });
        let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
        let elements = length.filter(|_| size > 0).and_then(|length| attribute.raw_data.get(..length));
        let elements =
            elements.ok_or_else(|| wrong("has fewer bytes than its shape says"))?.chunks_exact(size);
        let text = |element: &[u8]| {
            let bytes = if variable {
                let bytes = group.resolve_vlen_reference_bytes(element, 1).map_err(malformed)?;
                self.meter.charge(bytes.len()).map_err(malformed)?;
                bytes
            } else {
                element.to_vec()
            };
            let mut text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
            text.truncate(text.trim_end_matches(['\0', ' ']).len());
            Ok(text)
        };
        elements.map(text).collect()
    }

    /// The dataset as a tensor of this name.
    pub(super) fn tensor(&self, name: String, found: Found) -> Result<Tensor<Source<'static>>, Error> {
        let Found { shape, dataset, .. } = found;
        let shape: Option<Vec<usize>> = shape.iter().map(|&axis| usize::try_from(axis).ok()).collect();
        let shape =
            shape.ok_or_else(|| malformed(Hdf5Error::InvalidData(format!("{name:?} is too large"))))?;
        let (element_type, big_endian) = element_type(&dataset)?;
        let element_bytes = element_type.bytes();
        let meter = Arc::clone(&self.meter);
        let values = Source::read(move || {
            meter.refill();
            let mut bytes = dataset.read_raw_bytes().map_err(malformed)?;
            if let Some(size) = element_bytes.filter(|_| big_endian) {
                bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
            Ok(bytes)
        });
        Ok(Tensor { name, shape: shape.into(), element_type, values })
    }

    /// Refuses tensors that need more memory, all together, than a file of this length can ask for.
    pub(super) fn check_size(&self, tensors: &[&Tensor<Source<'_>>]) -> Result<(), Error> {
        let bytes = |tensor: &Tensor<Source<'_>>| {
            let size = tensor.element_type.bytes().unwrap_or(16);
            tensor.shape.iter().try_fold(size, |bytes, &axis| bytes.checked_mul(axis))
        };
        let total = tensors.iter().try_fold(0_usize, |total, tensor| total.checked_add(bytes(tensor)?));
        if total.is_some_and(|total| total <= self.meter.most_tensors()) {
            return Ok(());
        }
        let shapes: Vec<String> =
            tensors.iter().map(|tensor| format!("{:?} of shape {:?}", tensor.name, tensor.shape)).collect();
        let length = self.meter.len();
        let reason = format!("the file has {length} bytes, too few for {}", shapes.join(", "));
        Err(Error::MalformedFile { format: FORMAT, reason })
    }
}

/// Refuses a name of so many bytes.
pub(super) fn check_name(length: usize) -> Result<(), Error> {
    if length <= NAME {
        return Ok(());
    }
    let reason = format!("the name of a layer or the path of a group has {length} bytes, more than {NAME}");
    Err(Error::MalformedFile { format: FORMAT, reason })
}

/// The element type, and whether the bytes are big-endian.
fn element_type(dataset: &Dataset) -> Result<(ElementType, bool), Error> {
    let other = |name: String| Ok((ElementType::Other(name.into()), false));
    match dataset.dtype() {
        Datatype::FloatingPoint { size, byte_order } => {
            // Class and version, flags, size, bit offset, precision, then place and size of exponent and mantissa.
            let datatype = dataset.raw_datatype().map_err(malformed)?;
            let (exponent, mantissa) = (datatype.get(13).copied(), datatype.get(15).copied());
            let element_type = match (size, exponent, mantissa) {
                (2, Some(5), Some(10)) => ElementType::F16,
                (2, Some(8), Some(7)) => ElementType::BF16,
                (4, Some(8), Some(23)) => ElementType::F32,
                (8, Some(11), Some(52)) => ElementType::F64,
                _ => return other(format!("a float of {size} bytes")),
            };
            Ok((element_type, *byte_order == ByteOrder::BigEndian))
        }
        // How Keras 3 writes bfloat16, with an attribute that names it.
        Datatype::Opaque { size: 2, .. } => {
            let attribute = dataset.attribute("dtype").ok();
            match attribute.and_then(|attribute| attribute.read_string().ok()).as_deref() {
                Some("bfloat16") => Ok((ElementType::BF16, false)),
                _ => other("opaque (2 bytes)".to_owned()),
            }
        }
        Datatype::FixedPoint { size, signed, .. } => {
            other(format!("{}{}", if *signed { "I" } else { "U" }, usize::from(*size) * 8))
        }
        Datatype::Opaque { size, .. } => other(format!("opaque ({size} bytes)")),
        _ => other("of a type that is no number".to_owned()),
    }
}

/// `None` for what the file does not have.
fn found<T>(result: Result<T, Hdf5Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(object) => Ok(Some(object)),
        Err(Hdf5Error::GroupNotFound(_) | Hdf5Error::DatasetNotFound(_)) => Ok(None),
        Err(error) => Err(malformed(error)),
    }
}

/// The parser's error. What is valid HDF5, but not supported, is no corrupt file.
pub(super) fn malformed(error: Hdf5Error) -> Error {
    /// Characters of a message that are shown: it can repeat names of the file.
    const SHOWN: usize = 300;
    let mut innermost = &error;
    while let Hdf5Error::Context { source, .. } = innermost {
        innermost = source;
    }
    let is_unsupported = matches!(
        innermost,
        Hdf5Error::UnsupportedFilter(_)
            | Hdf5Error::UnsupportedEncoding(_)
            | Hdf5Error::UnsupportedLayoutVersion(_)
            | Hdf5Error::UnsupportedLayoutClass(_)
            | Hdf5Error::UnsupportedChunkIndexType(_)
    );
    let text = error.to_string();
    let mut reason: String = text.chars().take(SHOWN).collect();
    if reason.len() < text.len() {
        reason.push('…');
    }
    if is_unsupported {
        let reason = format!("the HDF5 file has a dataset of another kind than Keras writes: {reason}");
        return Error::UnsupportedFile { reason };
    }
    Error::MalformedFile { format: FORMAT, reason }
}
