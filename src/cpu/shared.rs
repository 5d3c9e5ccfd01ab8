//! Numbers that threads share: one thread writes each, and all read it after a meeting.

use std::sync::atomic::{AtomicU32, Ordering};

/// f32 that any thread may write. Relaxed: a [meeting](super::team::Member::meet) lies between every
/// write and its reads, and orders them.
pub(super) struct Shared(Vec<AtomicU32>);

impl Shared {
    pub(super) fn zeros(len: usize) -> Self {
        Self(std::iter::repeat_with(|| AtomicU32::new(0)).take(len).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes `values` from index `at` on.
    #[inline(always)]
    pub(super) fn write(&self, at: usize, values: &[f32]) {
        for (to, value) in self.0[at..][..values.len()].iter().zip(values) {
            to.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    /// Appends the `len` numbers from index `at` on.
    pub(super) fn read(&self, at: usize, len: usize, to: &mut Vec<f32>) {
        to.extend(self.0[at..][..len].iter().map(|x| f32::from_bits(x.load(Ordering::Relaxed))));
    }

    /// Reads the numbers from index `at` on.
    pub(super) fn read_to(&self, at: usize, to: &mut [f32]) {
        for (from, to) in self.0[at..][..to.len()].iter().zip(to) {
            *to = f32::from_bits(from.load(Ordering::Relaxed));
        }
    }

    /// The numbers themselves, in the same memory.
    pub(super) fn into_vec(self) -> Vec<f32> {
        self.0.into_iter().map(|x| f32::from_bits(x.into_inner())).collect()
    }
}
