//! HDF5 files of Keras, and its archives. Seeds: small files of the tests.
#![no_main]

mod common;

use common::Bound;
use libfuzzer_sys::{Corpus, fuzz_target};

/// What a file can become: f16 to f32, twice while gates are arranged, and what chunks are decompressed to.
const BOUND: Bound = Bound { constant: 4 << 20, growth: 32 };

fuzz_target!(|file: &[u8]| -> Corpus {
    if !(file.starts_with(b"\x89HDF") || file.starts_with(b"PK")) {
        return Corpus::Reject;
    }
    common::list_and_read_bytes(file, BOUND);
    Corpus::Keep
});
