//! Keras's own format: a zip archive of the model's configuration and its weights as HDF5.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::Error;

/// What errors call the format.
const FORMAT: &str = "Keras archive";

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";

/// Bytes that the two members may have when they are decompressed: so many times the archive's length, and some more.
/// Keras does not compress them; trained weights hardly can be.
const MEMBERS_TIMES: usize = 4;
const MEMBERS_MORE: usize = 1 << 18;

/// The configuration and the weights.
pub(super) fn open(bytes: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), Error> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| malformed(&error))?;
    let mut most = bytes.len().saturating_mul(MEMBERS_TIMES).saturating_add(MEMBERS_MORE);
    let config = member(&mut archive, CONFIG, &mut most)?;
    match member(&mut archive, WEIGHTS, &mut most)? {
        Some(weights) => Ok((config, weights)),
        None => {
            /// Names that the error shows.
            const SHOWN: usize = 8;
            let names: Vec<String> =
                archive.file_names().flatten().take(SHOWN).map(|name| format!("{name:?}")).collect();
            let reason = format!(
                "it is a zip archive without {WEIGHTS}, where Keras 3 writes a model's weights; it has {}",
                names.join(", ")
            );
            Err(Error::UnsupportedFile { reason })
        }
    }
}

/// The bytes of a member, or `None` if there is no such one. They are taken off `most`.
fn member(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    most: &mut usize,
) -> Result<Option<Vec<u8>>, Error> {
    let member = match archive.by_name(name) {
        Ok(member) => member,
        Err(ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(malformed(&error)),
    };
    let too_large = || {
        let reason = format!("{name} has more than {most} bytes when it is decompressed");
        Error::MalformedFile { format: FORMAT, reason }
    };
    let size = usize::try_from(member.size()).ok().filter(|size| size <= most).ok_or_else(too_large)?;
    let mut bytes = Vec::with_capacity(size);
    let read = member.take(*most as u64 + 1).read_to_end(&mut bytes).map_err(|error| {
        let reason = format!("{name} can't be decompressed: {error}");
        Error::MalformedFile { format: FORMAT, reason }
    })?;
    if read > *most {
        return Err(too_large());
    }
    *most -= read;
    Ok(Some(bytes))
}

fn malformed(error: &ZipError) -> Error {
    Error::MalformedFile { format: FORMAT, reason: error.to_string() }
}
