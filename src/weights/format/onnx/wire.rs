//! Protobuf's wire format: a message as the sequence of its fields, whose bytes stay where they are.
//!
//! Nothing is allocated here, and a nested message is a slice until somebody reads it: what a file costs is decided by
//! what is kept of it, and no file can make this code recurse.
//!
//! # Source
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use crate::error::Error;

/// The error of a file that is no ONNX model, or one that needs more than this reader allows.
pub(super) fn malformed(reason: impl Into<String>) -> Error {
    Error::MalformedFile { format: "ONNX model", reason: reason.into() }
}

/// The longest name in a message, in bytes.
const SHOWN: usize = 200;

/// The start of a name. Names can be as long as the file, and a message that has one can be made many times.
pub(super) fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(SHOWN)]
}

/// The value of a field.
#[derive(Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    /// A string, bytes, a message, or numbers in packed form.
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// One field of a message.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    value: Value<'a>,
}

/// The fields of a message, in the order of the file.
pub(super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = field(&mut self.rest);
        if field.is_err() {
            self.rest = &[]; // the end: what follows can't be told from garbage
        }
        Some(field)
    }
}

/// Removes the first field.
fn field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, Error> {
    let key = varint(rest)?;
    let (number, wire_type) = (key >> 3, key & 7);
    if number == 0 || number > MAX_NUMBER {
        return Err(malformed(format!("a field has the number {number}")));
    }
    let value = match wire_type {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Fixed64(array(rest)?),
        2 => {
            let length = usize::try_from(varint(rest)?).unwrap_or(usize::MAX);
            Value::Bytes(take(rest, length)?)
        }
        5 => Value::Fixed32(array(rest)?),
        other => return Err(malformed(format!("field {number} has the wire type {other}"))),
    };
    Ok(Field { number, value })
}

/// The largest number of a field: 29 bits.
const MAX_NUMBER: u64 = (1 << 29) - 1;

/// Removes a number of 7 bits a byte, the lowest first.
fn varint(rest: &mut &[u8]) -> Result<u64, Error> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = array(rest)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(malformed("a number has more than 64 bits"))
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (array, after) = rest.split_first_chunk().ok_or_else(|| too_short(N, rest.len()))?;
    *rest = after;
    Ok(*array)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Error> {
    let (taken, after) = rest.split_at_checked(length).ok_or_else(|| too_short(length, rest.len()))?;
    *rest = after;
    Ok(taken)
}

fn too_short(needed: usize, left: usize) -> Error {
    malformed(format!(
        "it ends where {needed} more bytes are expected and {left} are left; it may be truncated"
    ))
}

impl<'a> Field<'a> {
    pub(super) fn bytes(&self) -> Result<&'a [u8], Error> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.mistyped()),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, Error> {
        str::from_utf8(self.bytes()?)
            .map_err(|_| malformed(format!("the text of field {} is not UTF-8", self.number)))
    }

    pub(super) fn integer(&self) -> Result<i64, Error> {
        match self.value {
            Value::Varint(number) => Ok(number.cast_signed()),
            _ => Err(self.mistyped()),
        }
    }

    pub(super) fn float(&self) -> Result<f32, Error> {
        match self.value {
            Value::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.mistyped()),
        }
    }

    /// Calls this for each element of a repeated number, packed or not.
    pub(super) fn integers(&self, mut each: impl FnMut(i64)) -> Result<(), Error> {
        match self.value {
            Value::Bytes(mut rest) => {
                while !rest.is_empty() {
                    each(varint(&mut rest)?.cast_signed());
                }
                Ok(())
            }
            _ => self.integer().map(each),
        }
    }

    /// Calls this for each element of a repeated float, packed or not.
    pub(super) fn floats(&self, mut each: impl FnMut([u8; 4])) -> Result<(), Error> {
        match self.value {
            Value::Fixed32(bytes) => each(bytes),
            Value::Bytes(bytes) => self.chunks(bytes)?.iter().for_each(|&bytes| each(bytes)),
            _ => return Err(self.mistyped()),
        }
        Ok(())
    }

    /// Calls this for each element of a repeated double, packed or not.
    pub(super) fn doubles(&self, mut each: impl FnMut([u8; 8])) -> Result<(), Error> {
        match self.value {
            Value::Fixed64(bytes) => each(bytes),
            Value::Bytes(bytes) => self.chunks(bytes)?.iter().for_each(|&bytes| each(bytes)),
            _ => return Err(self.mistyped()),
        }
        Ok(())
    }

    fn chunks<const N: usize>(&self, bytes: &'a [u8]) -> Result<&'a [[u8; N]], Error> {
        match bytes.as_chunks() {
            (chunks, []) => Ok(chunks),
            _ => Err(malformed(format!("field {} has a part of a number", self.number))),
        }
    }

    fn mistyped(&self) -> Error {
        malformed(format!("field {} has a value of another type", self.number))
    }
}
