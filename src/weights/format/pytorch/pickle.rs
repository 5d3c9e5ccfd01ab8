//! How much memory a pickle can take, computed without building its objects.
//!
//! A pickle is a program for a stack machine. Objects take many times their bytes in the file, an object that is
//! fetched from the memo is copied, and a tensor's name has the keys of every dictionary around it: a few hundred KB
//! can ask for gigabytes. `pytorch-reader` bounds how often and how deeply objects are copied, by constants. Here the
//! bound grows with the file: [`Meter::pickle`] runs the program with a count in place of every object.
//!
//! # Source
//!
//! Python's `pickletools`, for the opcodes and their arguments.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use super::input::{Refusal, Result, byte, line, little_endian, number, skip};

/// Bytes of an object of `pytorch-reader` in a stack or a list, with its place in the memo, rounded up.
const OBJECT: u64 = 128;
/// Bytes of a tensor: its object, shape, strides and reading function.
const TENSOR: u64 = 512;
/// Characters of a list's index in a tensor's name.
const INDEX: u64 = 20;

/// A name is in the tensor, in the reader's map, in the closure that reads the values and in the crate's own tensor.
const COPIES_OF_NAMES: u64 = 4;

/// What every file may take, and how much more for each of its bytes.
const ALWAYS: u64 = 32 << 20;
const PER_BYTE: u64 = 32;

/// What the pickles of a file may still take.
pub(super) struct Meter {
    left: u64,
}

/// What was last in a pickle.
#[derive(Default)]
pub(super) struct Last {
    /// A binary integer.
    pub(super) integer: u64,
    /// The name of a class, without its module.
    pub(super) class: Vec<u8>,
}

/// An object on the stack: upper bounds.
#[derive(Clone, Copy, Default)]
struct Object {
    /// Bytes of the object with all that it contains: what a copy takes.
    bytes: u64,
    /// Tensors in it, and the bytes of their names up to it.
    tensors: u64,
    names: u64,
    /// Characters, if it is a text or a number.
    text: u64,
    memo: Option<u32>,
}

impl Object {
    /// A value of this many bytes in the file.
    fn scalar(payload: u64) -> Self {
        let bytes = OBJECT.saturating_add(payload);
        Self { bytes, text: payload.max(INDEX), ..Self::default() }
    }

    fn tensor() -> Self {
        Self { bytes: TENSOR, tensors: 1, ..Self::default() }
    }

    /// Adds an object that is inside of this one, under a key of so many characters.
    fn contain(&mut self, inner: &Self, key: u64) {
        self.bytes = self.bytes.saturating_add(inner.bytes);
        self.tensors = self.tensors.saturating_add(inner.tensors);
        let keys = inner.tensors.saturating_mul(key.saturating_add(1));
        self.names = self.names.saturating_add(inner.names).saturating_add(keys);
        self.text = 0;
    }

    /// A tuple, a list or a call. The first element can be the key of the others: `OrderedDict([(key, value)])`.
    fn of(items: &[Self]) -> Self {
        let mut object = Self::scalar(0);
        let key = items.first().map_or(INDEX, |first| first.text.max(INDEX));
        items.iter().for_each(|item| object.contain(item, key));
        object
    }

    /// Adds keys and values in turn.
    fn set_items(&mut self, items: &[Self]) {
        for pair in items.chunks(2) {
            pair.iter().for_each(|item| self.contain(item, pair[0].text));
        }
    }
}

impl Meter {
    /// For a file of this many bytes.
    pub(super) fn new(file_len: u64) -> Self {
        Self { left: file_len.saturating_mul(PER_BYTE).saturating_add(ALWAYS) }
    }

    /// Reads one pickle to its end.
    pub(super) fn pickle(&mut self, reader: &mut impl BufRead) -> Result<Last> {
        let (stack, marks, memo) = (Vec::new(), Vec::new(), HashMap::new());
        let mut machine = Machine { meter: self, stack, marks, memo, last: Last::default() };
        while machine.step(reader)? {}
        let root = machine.pop()?;
        let last = machine.last;
        self.spend(root.names.saturating_mul(COPIES_OF_NAMES))?;
        Ok(last)
    }

    fn spend(&mut self, bytes: u64) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(Refusal::TooMuch)?;
        Ok(())
    }
}

/// The stack machine.
struct Machine<'a> {
    meter: &'a mut Meter,
    stack: Vec<Object>,
    /// The stack's length at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Object>,
    last: Last,
}

impl Machine<'_> {
    /// One opcode; whether there is another one.
    fn step(&mut self, reader: &mut impl BufRead) -> Result<bool> {
        match byte(reader)? {
            b'.' => return Ok(false),
            0x80 => skip(reader, 1)?,
            0x95 => skip(reader, 8)?,
            b'(' => self.marks.push(self.stack.len()),
            // Values.
            b'N' | b')' | b']' | b'}' | 0x88 | 0x89 | 0x8f => self.push(Object::scalar(0))?,
            b'K' => self.integer(reader, 1)?,
            b'M' => self.integer(reader, 2)?,
            b'J' => self.integer(reader, 4)?,
            b'G' => self.integer(reader, 8)?,
            b'U' | b'C' | 0x8a | 0x8c => self.sized(reader, 1)?,
            b'T' | b'X' | b'B' | 0x8b => self.sized(reader, 4)?,
            0x8d | 0x8e | 0x96 => self.sized(reader, 8)?,
            b'I' | b'L' | b'F' | b'V' => self.lines(reader, 1)?,
            b'c' => self.lines(reader, 2)?,
            b'P' => {
                line(reader)?;
                self.push(Object::tensor())?;
            }
            b'Q' => {
                self.pop()?;
                self.push(Object::tensor())?;
            }
            opcode => self.combine_or_move(opcode, reader)?,
        }
        Ok(true)
    }

    /// The opcodes that take objects from the stack or the memo.
    fn combine_or_move(&mut self, opcode: u8, reader: &mut impl BufRead) -> Result<()> {
        match opcode {
            0x85 => self.take(1).and_then(|items| self.combine(&items)),
            0x86 | 0x93 | b'R' | 0x81 => self.take(2).and_then(|items| self.combine(&items)),
            0x87 | 0x92 => self.take(3).and_then(|items| self.combine(&items)),
            b'b' => self.build(),
            b't' | b'l' | 0x91 => self.pop_to_mark().and_then(|items| self.combine(&items)),
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Object::scalar(0))?;
                self.top()?.set_items(&items);
                Ok(())
            }
            b'a' => {
                let item = self.pop()?;
                self.top()?.contain(&item, INDEX);
                Ok(())
            }
            b's' => {
                let pair = self.take(2)?;
                self.top()?.set_items(&pair);
                Ok(())
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                let list = self.top()?;
                items.iter().for_each(|item| list.contain(item, INDEX));
                Ok(())
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.top()?.set_items(&items);
                Ok(())
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop().map(|_| ()).ok_or_else(early)
            }
            b'0' => self.pop().map(|_| ()),
            b'1' => self.pop_to_mark().map(|_| ()),
            b'2' => {
                let top = *self.top()?;
                self.push(top)
            }
            b'g' => line(reader).and_then(|text| self.get(number(&text)?)),
            b'h' => byte(reader).and_then(|index| self.get(index.into())),
            b'j' => little_endian(reader, 4).and_then(|index| self.get(index as u32)),
            b'p' => line(reader).and_then(|text| self.put(number(&text)?)),
            b'q' => byte(reader).and_then(|index| self.put(index.into())),
            b'r' => little_endian(reader, 4).and_then(|index| self.put(index as u32)),
            0x94 => self.put(self.memo.len() as u32),
            other => {
                Err(Refusal::Malformed(format!("its pickle has the opcode {other:#04x}, which is not read")))
            }
        }
    }

    /// Pushes an object, which takes memory.
    fn push(&mut self, object: Object) -> Result<()> {
        self.meter.spend(object.bytes)?;
        self.stack.push(object);
        Ok(())
    }

    /// An integer, or a float whose value does not matter.
    fn integer(&mut self, reader: &mut impl Read, width: usize) -> Result<()> {
        self.last.integer = little_endian(reader, width)?;
        self.push(Object::scalar(0))
    }

    /// A value that follows its length.
    fn sized(&mut self, reader: &mut impl Read, width: usize) -> Result<()> {
        let length = little_endian(reader, width)?;
        self.meter.spend(length)?;
        skip(reader, length)?;
        self.push(Object::scalar(length))
    }

    /// A value in so many lines of text.
    fn lines(&mut self, reader: &mut impl BufRead, count: usize) -> Result<()> {
        let mut length = 0;
        for _ in 0..count {
            self.last.class = line(reader)?;
            length += self.last.class.len() as u64;
        }
        self.push(Object::scalar(length))
    }

    /// Pushes an object that contains these, whose own memory is counted already.
    fn combine(&mut self, items: &[Object]) -> Result<()> {
        self.meter.spend(OBJECT)?;
        self.stack.push(Object::of(items));
        Ok(())
    }

    /// Gives an object its state. The copy in the memo gets it too.
    fn build(&mut self) -> Result<()> {
        let items = self.take(2)?;
        self.combine(&items)?;
        items[0].memo.map_or(Ok(()), |index| self.put(index))
    }

    fn get(&mut self, index: u32) -> Result<()> {
        let object = *self.memo.get(&index).ok_or_else(early)?;
        self.push(object)
    }

    fn put(&mut self, index: u32) -> Result<()> {
        let top = self.top()?;
        top.memo = Some(index);
        let object = *top;
        self.meter.spend(object.bytes)?;
        self.memo.insert(index, object);
        Ok(())
    }

    fn pop(&mut self) -> Result<Object> {
        self.take(1).map(|items| items[0])
    }

    /// The last objects, none of which may be below the last mark.
    fn take(&mut self, count: usize) -> Result<Vec<Object>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|&start| start >= floor).ok_or_else(early)?;
        Ok(self.stack.split_off(start))
    }

    fn top(&mut self) -> Result<&mut Object> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(early());
        }
        self.stack.last_mut().ok_or_else(early)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Object>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or_else(early)?;
        Ok(self.stack.split_off(mark))
    }
}

/// An opcode asks for an object that is not there.
fn early() -> Refusal {
    Refusal::Malformed("its pickle takes an object that it does not have".to_owned())
}
