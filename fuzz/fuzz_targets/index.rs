//! Safetensors files on disk, which are read by their parts, and the index of a model in several files. The first byte says
//! what the others are: the text of an index, or a safetensors file that is also the only part of an index.
#![no_main]

mod common;

use std::path::PathBuf;
use std::sync::LazyLock;

use common::Bound;
use libfuzzer_sys::fuzz_target;
use wgpu_lstm::{Error, FoundLstm, LstmConfig, LstmWeights, find_lstms, find_lstms_in_file};

/// What a file can become: names and shapes of its header, f16 to f32, twice while gates are arranged.
const BOUND: Bound = Bound { constant: 4 << 20, growth: 64 };

const INDEX: &str = "model.safetensors.index.json";
const PART: &str = "model.safetensors";

/// A folder, in memory where there is a directory for it.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = directory.join(format!("wgpu-lstm-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
});

/// A part for an index.
static NETWORK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let weights = LstmWeights::uniform(&LstmConfig::new(1, 1), 1).expect("a network");
    weights.to_safetensors("lstm.").expect("a file")
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, content)) = data.split_first() else { return };
    let (index, part) = (FOLDER.join(INDEX), FOLDER.join(PART));
    if choice % 2 == 0 {
        std::fs::write(&part, &*NETWORK).expect("a file");
        std::fs::write(&index, content).expect("a file");
        return read(&index, content.len());
    }
    std::fs::write(&part, content).expect("a file");
    std::fs::write(&index, format!(r#"{{"weight_map": {{"lstm.weight_ih_l0": "{PART}"}}}}"#))
        .expect("a file");
    read(&index, content.len());
    same_listing(find_lstms(content), find_lstms_in_file(&part));
    for prefix in ["", "lstm."] {
        match (LstmWeights::from_bytes(content, prefix), LstmWeights::from_file(&part, prefix)) {
            (Ok(at_once), Ok(by_parts)) => {
                let file = |weights: LstmWeights| weights.to_safetensors("").expect("a file");
                assert_eq!(file(at_once), file(by_parts)); // NaN equals nothing
            }
            (at_once, by_parts) => same_error(at_once.map(drop), by_parts.map(drop)),
        }
    }
});

fn read(path: &PathBuf, bytes: usize) {
    let find = || find_lstms_in_file(path);
    common::list_and_read(bytes, BOUND, find, |prefix| LstmWeights::from_file(path, prefix));
}

fn same_listing(at_once: Result<Vec<FoundLstm>, Error>, by_parts: Result<Vec<FoundLstm>, Error>) {
    match (at_once, by_parts) {
        (Ok(at_once), Ok(by_parts)) => assert_eq!(format!("{at_once:?}"), format!("{by_parts:?}")),
        (at_once, by_parts) => same_error(at_once.map(drop), by_parts.map(drop)),
    }
}

/// A PyTorch checkpoint is read from a path alone, and an index names files beside it.
fn same_error(at_once: Result<(), Error>, by_parts: Result<(), Error>) {
    if matches!(&at_once, Err(Error::UnsupportedFile { .. })) {
        return;
    }
    assert_eq!(at_once.map_err(|error| error.to_string()), by_parts.map_err(|error| error.to_string()));
}
