//! Constants with equal elements: the branches of an `If` have the same weights twice.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::Rc;

use super::array::{Array, Element};
use super::values::values;
use crate::error::Error;

/// Numbers constants so that equal ones have the same number. Each is read once, and once more if another one has the
/// same hash.
#[derive(Default)]
pub(super) struct Classes<'a> {
    hasher: RandomState,
    /// By address, which stays this constant's as long as it is here.
    numbers: HashMap<*const Array<'a>, (usize, Rc<Array<'a>>)>,
    by_hash: HashMap<u64, Vec<(usize, Rc<Array<'a>>)>>,
    next: usize,
}

impl<'a> Classes<'a> {
    /// The number of a constant.
    pub(super) fn number(&mut self, array: &Rc<Array<'a>>) -> Result<usize, Error> {
        if let Some((number, _)) = self.numbers.get(&Rc::as_ptr(array)) {
            return Ok(*number);
        }
        let values = values(array)?;
        let hash = self.hasher.hash_one((&array.shape, array.element, &*values));
        let same_hash = self.by_hash.entry(hash).or_default();
        let mut number = None;
        for (other_number, other) in same_hash.iter() {
            if outline(other) == outline(array) && *self::values(other)? == *values {
                number = Some(*other_number);
            }
        }
        let number = number.unwrap_or_else(|| {
            self.next += 1;
            same_hash.push((self.next, array.clone()));
            self.next
        });
        self.numbers.insert(Rc::as_ptr(array), (number, array.clone()));
        Ok(number)
    }
}

fn outline<'a>(array: &'a Array<'_>) -> (&'a [usize], Element) {
    (&array.shape, array.element)
}
