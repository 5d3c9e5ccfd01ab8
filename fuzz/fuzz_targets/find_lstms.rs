//! Bytes of any format that is read from bytes. Seeds: small files of the tests.
#![no_main]

mod common;

use common::Bound;
use libfuzzer_sys::fuzz_target;

/// What a file can become: those of every format.
const BOUND: Bound = Bound { constant: 64 << 20, growth: 128 };

fuzz_target!(|file: &[u8]| {
    common::list_and_read_bytes(file, BOUND);
});
