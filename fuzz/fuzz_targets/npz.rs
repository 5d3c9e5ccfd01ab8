//! Archives of NumPy arrays. The first byte says what the others are: a whole archive, or the content of one member,
//! since the checksum of an archive's member hides most changes from the reader.
#![no_main]

mod common;

use std::io::{Cursor, Write};

use common::Bound;
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;

/// What a byte of an archive can become: the reader allows 16 bytes of values, an f16 becomes an f32, and its gates are
/// arranged in a copy. Every archive may ask for 16 MiB of values besides.
const BOUND: Bound = Bound { constant: 32 << 20, growth: 64 };

fuzz_target!(|data: &[u8]| {
    let Some((&choice, content)) = data.split_first() else { return };
    let file = if choice % 2 == 0 { content.to_vec() } else { archive(content) };
    common::list_and_read_bytes(&file, BOUND);
});

/// An archive in which every parameter of a network has this content.
fn archive(content: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"] {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).expect("a member");
        zip.write_all(content).expect("a member");
    }
    zip.finish().expect("an archive").into_inner()
}
