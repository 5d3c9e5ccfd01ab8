//! Numbers and texts of a pickle, from a stream, and why one is not read.

use std::io::{self, BufRead, Read};

/// Why a pickle is not read.
pub(super) enum Refusal {
    /// Its objects can take more memory than a file of this length may.
    TooMuch,
    /// It ends early, or its opcodes contradict each other.
    Malformed(String),
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Malformed("its pickle ends early".to_owned())
        } else {
            Self::Io(error)
        }
    }
}

pub(super) type Result<T> = std::result::Result<T, Refusal>;

/// The longest line that is read.
const LINE: u64 = 1 << 20;

pub(super) fn byte(reader: &mut impl Read) -> Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// An unsigned number of at most 8 bytes.
pub(super) fn little_endian(reader: &mut impl Read, width: usize) -> Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes[..width])?;
    Ok(u64::from_le_bytes(bytes))
}

pub(super) fn skip(reader: &mut impl Read, length: u64) -> Result<()> {
    let skipped = io::copy(&mut reader.take(length), &mut io::sink())?;
    if skipped == length { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
}

pub(super) fn line(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    reader.take(LINE).read_until(b'\n', &mut text)?;
    match text.pop() {
        Some(b'\n') => Ok(text),
        _ => Err(Refusal::Malformed("its pickle has a line of text without an end".to_owned())),
    }
}

/// An index of the memo in decimal.
pub(super) fn number(text: &[u8]) -> Result<u32> {
    let number = str::from_utf8(text).ok().and_then(|text| text.trim_end_matches('\r').parse().ok());
    number.ok_or_else(|| Refusal::Malformed("its pickle has an index that is no number".to_owned()))
}
