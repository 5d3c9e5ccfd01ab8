//! The header of a `.npy` array: a magic number, a version, a length, and a Python dictionary as text, such as
//! `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.

use std::io::{ErrorKind, Read};

use crate::weights::tensor::ElementType;

const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest dictionary, as in NumPy (`_MAX_HEADER_SIZE`).
const MAX_BYTES: usize = 10_000;

/// The most axes that an array has, as in NumPy 2.
const MAX_AXES: usize = 64;

/// What an array's header says.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// The element type, as NumPy spells it, without the order of bytes if this crate reads it.
    kind: String,
    pub(super) big_endian: bool,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
    /// Bytes before the first element.
    pub(super) start: u64,
}

impl Header {
    /// Reads the header; `None` if this is no array.
    pub(super) fn read(member: &mut impl Read) -> Result<Option<Self>, String> {
        let mut magic = Vec::new();
        let begins = member.by_ref().take(8).read_to_end(&mut magic);
        if !magic.starts_with(MAGIC) {
            return begins.map(|_| None).map_err(|error| error.to_string());
        }
        let length_bytes = match magic[MAGIC.len()..] {
            [1, 0] => 2,
            [2 | 3, 0] => 4,
            [major, minor] => return Err(format!("version {major}.{minor} of the array format is not read")),
            _ => return Err("it ends early".to_owned()),
        };
        let mut length = [0; 4];
        exact(member, &mut length[..length_bytes])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_BYTES {
            return Err(format!("its header has {length} bytes, more than {MAX_BYTES}"));
        }
        let mut text = vec![0; length];
        exact(member, &mut text)?;
        // Versions 1 and 2 are Latin-1, 3 is UTF-8; what is not ASCII is in names of fields only.
        let text = String::from_utf8_lossy(&text);
        let start = (magic.len() + length_bytes + length) as u64;
        let header = Parser { rest: &text }.dictionary(start);
        header.map(Some).ok_or_else(|| format!("its header {:?} is not valid", text.trim_end()))
    }

    fn new(descr: &str, fortran_order: bool, shape: Vec<usize>, start: u64) -> Self {
        let (order, kind) = descr.split_at_checked(1).unwrap_or(("", ""));
        let known = matches!((order, kind), ("<" | ">", "f2" | "f4" | "f8"));
        let kind = if known { kind } else { descr };
        Self { kind: kind.to_owned(), big_endian: known && order == ">", fortran_order, shape, start }
    }

    pub(super) fn element_type(&self) -> ElementType {
        match self.kind.as_str() {
            "f2" => ElementType::F16,
            "f4" => ElementType::F32,
            "f8" => ElementType::F64,
            "|O" => ElementType::Other("|O (Python objects in a pickle)".into()),
            other => ElementType::Other(other.into()),
        }
    }

    /// Bytes of an element, of a type that this crate reads.
    pub(super) fn element_bytes(&self) -> usize {
        self.element_type().bytes().unwrap_or(1)
    }

    /// The bytes of the member; `None` for a type that this crate does not read.
    pub(super) fn length(&self) -> Result<Option<u64>, String> {
        let Some(size) = self.element_type().bytes() else { return Ok(None) };
        let bytes = self.shape.iter().try_fold(size as u64, |bytes, &axis| bytes.checked_mul(axis as u64));
        let length = bytes.and_then(|bytes| bytes.checked_add(self.start));
        length
            .map(Some)
            .ok_or_else(|| format!("its shape {:?} needs more bytes than there can be", self.shape))
    }
}

fn exact(member: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    member.read_exact(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => "it ends early".to_owned(),
        _ => error.to_string(),
    })
}

/// Reads the dictionary, whose keys can come in any order. It has no loop but over the text, and no recursion.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn dictionary(mut self, start: u64) -> Option<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.skip('}') {
            let key = self.string()?;
            self.expect(':')?;
            let is_new = match key {
                "descr" => descr.replace(self.value()?).is_none(),
                "fortran_order" => fortran_order.replace(self.boolean()?).is_none(),
                "shape" => shape.replace(self.tuple()?).is_none(),
                _ => false,
            };
            let more = self.skip(',');
            if !is_new || !more && !self.rest.trim_start().starts_with('}') {
                return None;
            }
        }
        let ended = self.rest.trim().is_empty();
        ended.then_some(Header::new(descr?, fortran_order?, shape?, start))
    }

    /// Skips spaces, and the character if it is next.
    fn skip(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, c: char) -> Option<()> {
        self.skip(c).then_some(())
    }

    /// Takes so many bytes, which end between characters.
    fn take(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        let quote = if self.skip('\'') { '\'' } else { self.skip('"').then_some('"')? };
        let text = self.take(self.rest.find(quote)?)?;
        self.expect(quote)?;
        (!text.contains('\\')).then_some(text)
    }

    /// A string, or a list as it is written: the fields of a record.
    fn value(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        if !self.rest.starts_with('[') {
            return self.string();
        }
        let (mut depth, mut quote) = (0_usize, None);
        for (at, c) in self.rest.char_indices() {
            match (c, quote) {
                (c, Some(open)) if c == open => quote = None,
                ('\'' | '"', None) => quote = Some(c),
                ('[', None) => depth += 1,
                (']', None) if depth == 1 => return self.take(at + 1),
                (']', None) => depth -= 1,
                _ => {}
            }
        }
        None
    }

    fn boolean(&mut self) -> Option<bool> {
        self.rest = self.rest.trim_start();
        let value = self.rest.starts_with("True");
        if !value && !self.rest.starts_with("False") {
            return None;
        }
        self.take(if value { 4 } else { 5 })?;
        Some(value)
    }

    /// Lengths of axes: `()`, `(3,)`, `(3, 4)`, and `(3L, 4L)` of Python 2.
    fn tuple(&mut self) -> Option<Vec<usize>> {
        self.expect('(')?;
        let mut axes = Vec::new();
        let mut comma = true;
        while !self.skip(')') {
            let digits = self.rest.find(|c: char| !c.is_ascii_digit())?;
            axes.push(self.take(digits)?.parse().ok().filter(|_| comma && axes.len() < MAX_AXES)?);
            let _ = self.rest.starts_with('L') && self.skip('L');
            comma = self.skip(',');
        }
        // `(3)` is a number, no tuple.
        (axes.len() != 1 || comma).then_some(axes)
    }
}
