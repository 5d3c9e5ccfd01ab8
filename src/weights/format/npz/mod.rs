//! NumPy's `.npz`: a zip archive with an array (`.npy`) a member, as `numpy.savez` and `savez_compressed` write it.
//!
//! Members are decompressed when their values are needed. An array's name is the member's without `.npy`.
//!
//! # Source
//!
//! `numpy.lib.format`: "Format Version 1.0" to "3.0".

mod header;

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::rc::Rc;

use ndarray::{ArrayView, IxDyn, ShapeBuilder};
use zip::ZipArchive;
use zip::result::{ZipError, ZipResult};

use self::header::Header;
use super::budget::Budget;
use super::contents::{Contents, Duplicate};
use crate::error::Error;
use crate::weights::tensor::{Source, Tensor};

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Reads the names, shapes and types of the arrays.
///
/// # Errors
///
/// - [`Error::MalformedFile`]: the archive or an array's header is corrupt, an array has another length than its shape
///   says, or members overlap;
/// - [`Error::UnsupportedFile`]: the archive has no array.
pub(in crate::weights) fn read(bytes: &[u8]) -> Result<Contents<'_>, Error> {
    let mut archive = Archive::new(Cursor::new(bytes)).map_err(archive_error)?;
    // Else the same bytes could be decompressed as many arrays.
    if archive.has_overlapping_files().map_err(archive_error)? {
        return Err(malformed("members of its zip archive overlap"));
    }
    if archive.has_duplicate_names() {
        return Err(malformed("two members of its zip archive have the same name"));
    }
    let archive = Rc::new(archive);
    let budget = Rc::new(Budget::new(bytes.len() as u64));
    let mut contents = Contents::default();
    let mut names = HashSet::new();
    for index in 0..archive.len() {
        let Some((name, header, length)) = array(&archive, index)? else { continue };
        if !names.insert(name.clone()) {
            contents.duplicates.push(Duplicate { stored: name.clone(), name: name.clone() });
        }
        let member = Member { archive: Rc::clone(&archive), index, length, name: name.clone() };
        let (shape, element_type) = (header.shape.as_slice().into(), header.element_type());
        let (budget, taken) = (Rc::clone(&budget), Cell::new(false));
        let values = Source::read(move || {
            if !budget.take(length, &taken) {
                return Err(malformed(&format!(
                    "array {:?} is compressed from {length} bytes to almost none",
                    member.name
                )));
            }
            member.values(&header)
        });
        contents.tensors.push(Tensor { name, shape, element_type, values });
    }
    if contents.tensors.is_empty() {
        let reason = "it is a zip archive without any NumPy array (.npy)".to_owned();
        return Err(Error::UnsupportedFile { reason });
    }
    contents.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(contents)
}

/// The name, the header and the length of a member; `None` if it is no array.
fn array(archive: &Rc<Archive<'_>>, index: usize) -> Result<Option<(String, Header, u64)>, Error> {
    let mut archive = Archive::clone(archive);
    let mut member = archive.by_index(index).map_err(archive_error)?;
    let name = member.name().map_err(archive_error)?.into_owned();
    let length = member.size();
    let in_member = |reason: String| malformed(&format!("member {name:?}: {reason}"));
    let Some(header) = Header::read(&mut member).map_err(in_member)? else { return Ok(None) };
    if let Some(expected) = header.length().map_err(in_member)?
        && expected != length
    {
        return Err(in_member(format!(
            "its shape {:?} needs {expected} bytes, but it has {length}",
            header.shape
        )));
    }
    let name = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
    Ok(Some((name, header, length)))
}

/// A member of the archive.
struct Member<'a> {
    archive: Rc<Archive<'a>>,
    index: usize,
    /// Bytes, decompressed.
    length: u64,
    name: String,
}

impl Member<'_> {
    /// The elements, little-endian, row after row.
    fn values(&self, header: &Header) -> Result<Vec<u8>, Error> {
        let in_member = |reason: String| malformed(&format!("array {:?}: {reason}", self.name));
        let mut bytes = self.decompress(header.start).map_err(|error| in_member(error.to_string()))?;
        if bytes.len() as u64 != self.length.saturating_sub(header.start) {
            return Err(in_member("it ends early".to_owned()));
        }
        let size = header.element_bytes();
        if header.big_endian {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if header.fortran_order && header.shape.len() > 1 {
            bytes = match size {
                2 => row_after_row::<2>(&bytes, &header.shape),
                4 => row_after_row::<4>(&bytes, &header.shape),
                _ => row_after_row::<8>(&bytes, &header.shape),
            }
            .ok_or_else(|| in_member("it has another length than its shape".to_owned()))?;
        }
        Ok(bytes)
    }

    /// Everything after the header, to the member's end, where its checksum is compared.
    fn decompress(&self, start: u64) -> ZipResult<Vec<u8>> {
        let mut archive = Archive::clone(&self.archive);
        let mut member = archive.by_index(self.index)?;
        std::io::copy(&mut member.by_ref().take(start), &mut std::io::sink())?;
        let length = self.length.saturating_sub(start);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0)); // within the budget
        // One more byte than there should be: the reader of the archive compares the checksum at the end.
        member.take(length + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The elements of N bytes in another order: from column after column to row after row.
fn row_after_row<const N: usize>(bytes: &[u8], shape: &[usize]) -> Option<Vec<u8>> {
    let (elements, _) = bytes.as_chunks::<N>();
    let array = ArrayView::from_shape(IxDyn(shape).f(), elements).ok()?;
    Some(array.iter().flatten().copied().collect())
}

fn malformed(reason: &str) -> Error {
    Error::MalformedFile { format: "NumPy archive (.npz)", reason: reason.chars().take(300).collect() }
}

fn archive_error(error: ZipError) -> Error {
    if let ZipError::UnsupportedArchive(what) = error {
        let reason = format!("it is a zip archive of a kind that NumPy does not write ({what})");
        return Error::UnsupportedFile { reason };
    }
    malformed(&format!("its zip archive: {error}"))
}
