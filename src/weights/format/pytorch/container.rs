//! What is checked before `pytorch-reader` opens a file: what kind of file it is, and that its bytes bound what reading
//! it takes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::errors::{BIG_ENDIAN, io_error, malformed, unsupported};
use super::input::{Refusal, little_endian, skip};
use super::pickle::Meter;
use crate::error::Error;

/// The bytes from which the kind of container is told.
const HEAD: u64 = 262;

/// Checks the file at the path. Returns its length.
pub(super) fn check_file(path: &Path) -> Result<u64, Error> {
    let io = |error| io_error(error, path);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    check(BufReader::new(file), length, path)?;
    Ok(length)
}

/// Checks a file of this length. The path is for errors.
fn check(mut file: impl BufRead + Seek, length: u64, path: &Path) -> Result<(), Error> {
    let io = |error| io_error(error, path);
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head).map_err(io)?;
    file.rewind().map_err(io)?;
    let mut meter = Meter::new(length);
    let checked = if head.starts_with(b"PK") {
        Zip::open(file)?.check(&mut meter)?
    } else if head.get(257..262) == Some(b"ustar") {
        check_tar(file, &mut meter).map_err(|error| Refusal::from(error).into_error(length, path))?
    } else {
        (0..pickles(&head)).try_for_each(|_| meter.pickle(&mut file).map(|_| ()))
    };
    checked.map_err(|refusal| refusal.into_error(length, path))
}

type Checked = Result<(), Refusal>;

impl Refusal {
    fn into_error(self, length: u64, path: &Path) -> Error {
        match self {
            Self::TooMuch => {
                malformed(&format!("its pickle can take much more memory than its {length} bytes explain"))
            }
            Self::Malformed(reason) => malformed(&reason),
            Self::Io(error) => io_error(error, path),
        }
    }
}

/// A zip archive.
struct Zip<R> {
    archive: ZipArchive<R>,
    /// The folder of the members, with a slash at its end.
    root: String,
}

impl<R: Read + Seek> Zip<R> {
    fn open(file: R) -> Result<Self, Error> {
        let archive =
            ZipArchive::new(file).map_err(|error| malformed(&format!("its zip archive: {error}")))?;
        if archive.has_duplicate_names() {
            return Err(malformed("two members of its zip archive have the same name"));
        }
        let names: Vec<_> = archive.file_names().filter_map(Result::ok).collect();
        let has = |end: &str| names.iter().any(|name| name.ends_with(end));
        if has("constants.pkl") && names.iter().any(|name| name.contains("code/")) {
            let what = "it is a TorchScript model, which holds a program; save the state dict of the model that it was \
                made from, or of torch.jit.load(path)";
            return Err(unsupported(what));
        }
        let root = names
            .iter()
            .filter_map(|name| name.strip_suffix("data.pkl"))
            .filter(|root| root.is_empty() || root.ends_with('/'))
            .min_by_key(|root| root.len());
        let Some(root) = root else {
            let what = "it is a zip archive without data.pkl, so torch.save did not write it; save a state dict with \
                torch.save or as safetensors";
            return Err(unsupported(what));
        };
        let root = root.to_owned();
        Ok(Self { archive, root })
    }

    /// Refuses compressed members: they can be much larger than the file, and every tensor of a storage decompresses
    /// it anew.
    fn check(mut self, meter: &mut Meter) -> Result<Checked, Error> {
        for index in 0..self.archive.len() {
            let corrupt = |error| malformed(&format!("its zip archive: {error}"));
            let member = self.archive.by_index_data(index).map_err(corrupt)?;
            let name = member.name().map_err(corrupt)?;
            if name.starts_with(&self.root) && member.compression() != CompressionMethod::Stored {
                let what = format!(
                    "its member {name:?} is compressed, which torch.save never does; extract the archive and pack it \
                     again without compression, or save it again with torch.save"
                );
                return Err(unsupported(&what));
            }
        }
        let byte_order = format!("{}byteorder", self.root);
        if self.archive.index_for_name(&byte_order).is_some() {
            let mut order = Vec::new();
            let member = self.archive.by_name(&byte_order).map_err(|error| malformed(&error.to_string()))?;
            if member.take(8).read_to_end(&mut order).is_ok() && order.starts_with(b"big") {
                return Err(unsupported(BIG_ENDIAN));
            }
        }
        let pickle = self.archive.by_name(&format!("{}data.pkl", self.root));
        let pickle = pickle.map_err(|error| malformed(&format!("its data.pkl: {error}")))?;
        Ok(meter.pickle(&mut BufReader::new(pickle)).map(|_| ()))
    }
}

/// An archive of PyTorch before 0.1.10. A sparse member, which these never have, would be expanded to any length.
fn check_tar(file: impl Read, meter: &mut Meter) -> io::Result<Checked> {
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_gnu_sparse() {
            return Ok(Err(Refusal::Malformed("its tar archive has a sparse member".to_owned())));
        }
        let path = entry.path_bytes().into_owned();
        let mut content = BufReader::new(entry);
        let name = path.strip_prefix(b"./").unwrap_or(&path);
        let checked = match name {
            b"pickle" | b"sys_info" => meter.pickle(&mut content).map(|_| ()),
            b"storages" => check_storages(&mut content, meter),
            b"tensors" => check_tensors(&mut content, meter),
            _ => Ok(()),
        };
        if checked.is_err() {
            return Ok(checked);
        }
    }
    Ok(Ok(()))
}

/// A count, for each storage a pickle, the number of its elements and these, and then the list of views.
fn check_storages(content: &mut impl BufRead, meter: &mut Meter) -> Checked {
    for _ in 0..meter.pickle(content)?.integer {
        let element = match &meter.pickle(content)?.class[..] {
            b"DoubleStorage" | b"LongStorage" => 8,
            b"FloatStorage" | b"IntStorage" => 4,
            b"HalfStorage" | b"BFloat16Storage" | b"ShortStorage" => 2,
            _ => 1,
        };
        let count = little_endian(content, 8)?;
        skip(content, count.saturating_mul(element))?;
    }
    meter.pickle(content).map(|_| ())
}

/// A count, and for each tensor a pickle, its rank in 8 bytes, its shape, strides and offset.
fn check_tensors(content: &mut impl BufRead, meter: &mut Meter) -> Checked {
    for _ in 0..meter.pickle(content)?.integer {
        meter.pickle(content)?;
        let rank = little_endian(content, 4)?;
        skip(content, rank.saturating_mul(16).saturating_add(12))?;
    }
    Ok(())
}

/// The number with which a stream of PyTorch before 1.6 begins, as the protocols write it.
const STREAM_BINARY: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const STREAM_TEXT: &[u8] = b"119547037146038801333356";
/// Where `pytorch-reader` looks for it.
const STREAM_HEAD: usize = 64;

/// The number of pickles in a file that is no archive. A stream has the number above, the version, the machine, the
/// object and the names of the storages, whose bytes follow.
fn pickles(head: &[u8]) -> usize {
    let head = &head[..head.len().min(STREAM_HEAD)];
    let has = |magic: &[u8]| head.windows(magic.len()).any(|bytes| bytes == magic);
    if has(STREAM_BINARY) || has(STREAM_TEXT) { 5 } else { 1 }
}
