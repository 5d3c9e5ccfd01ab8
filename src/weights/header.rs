//! What the `safetensors` crate does not look at in a file's header.

use std::collections::BTreeSet;
use std::fmt;

use safetensors::SafeTensorError;
use safetensors::tensor::TensorInfo;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::error::Error;

/// The bytes of the header's length, a little-endian u64 at the start of the file.
const LENGTH_BYTES: usize = 8;

/// Refuses a name under the prefix that is there twice, of which `safetensors` keeps the last,
/// and tensors that end past the file, whose sizes it adds up without looking for overflow.
///
/// Everything else that can be wrong is left to `safetensors`.
pub(super) fn check(bytes: &[u8], prefix: &str) -> Result<(), Error> {
    let Some(header) = header(bytes) else {
        return Ok(());
    };
    let Entries(entries) = serde_json::from_slice(header)
        .map_err(SafeTensorError::InvalidHeaderDeserialization)
        .map_err(Error::safetensors)?;
    let mut seen = BTreeSet::new();
    for (name, _) in &entries {
        if name.starts_with(prefix) && !seen.insert(name) {
            return Err(Error::DuplicateTensor { name: name.clone() });
        }
    }
    for (name, end) in entries {
        if end > bytes.len() {
            return Err(Error::safetensors(SafeTensorError::InvalidOffset(name)));
        }
    }
    Ok(())
}

/// The header's JSON, if the file is long enough to hold what it says.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Each tensor's name and where it ends, in the order and as often as the header has them.
struct Entries(Vec<(String, usize)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from names to tensors")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
            } else {
                let info: TensorInfo = map.next_value()?;
                entries.push((name, info.data_offsets.1));
            }
        }
        Ok(Entries(entries))
    }
}
