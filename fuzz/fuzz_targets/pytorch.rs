//! PyTorch checkpoints, which are read from a path. The first byte says what the others are: a whole file, or the pickle
//! of an archive, since the checksum of an archive's member hides most changes from the reader.
#![no_main]

mod common;

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::LazyLock;

use common::Bound;
use libfuzzer_sys::fuzz_target;
use wgpu_lstm::{LstmWeights, find_lstms_in_file};
use zip::write::SimpleFileOptions;

/// What a byte of a file can become: the reader allows 32 bytes for the pickle's objects, and 16 of values, where an f16
/// becomes an f32. Every file may ask for 32 MiB of objects and 16 MiB of values besides.
const BOUND: Bound = Bound { constant: 64 << 20, growth: 128 };

/// In memory where there is a directory for it.
static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    directory.join(format!("wgpu-lstm-fuzz-{}.pt", std::process::id()))
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, content)) = data.split_first() else { return };
    let file = if choice % 2 == 0 { content.to_vec() } else { archive(content) };
    std::fs::write(&*PATH, &file).expect("a file");
    let bytes = file.len();
    common::list_and_read(
        bytes,
        BOUND,
        || find_lstms_in_file(&*PATH),
        |prefix| LstmWeights::from_file(&*PATH, prefix),
    );
});

/// A checkpoint of this pickle, with storages of 1 KiB.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut member = |name: &str, content: &[u8]| {
        zip.start_file(format!("a/{name}"), SimpleFileOptions::default()).expect("a member");
        zip.write_all(content).expect("a member");
    };
    member("data.pkl", pickle);
    member("byteorder", b"little");
    for storage in 0..4 {
        member(&format!("data/{storage}"), &[0x3f; 1024]);
    }
    member("version", b"3\n");
    zip.finish().expect("an archive").into_inner()
}
