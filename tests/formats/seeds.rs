//! Files that fuzzing found interesting: each takes another way through a reader. None panics, and what is listed can be
//! read, or is refused with a reason.
//!
//! `tests/data/seeds/TARGET` holds those of `fuzz/fuzz_targets/TARGET.rs`. The first byte of a seed of `npz` and
//! `pytorch` is the target's own: 0 before a whole file.

use std::path::{Path, PathBuf};

use wgpu_lstm::{Error, FoundLstm, LstmWeights, find_lstms, find_lstms_in_file};

/// The seeds of a target, each with its name.
fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/seeds").join(target);
    let mut paths: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "{}: {} seeds", folder.display(), paths.len());
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn check(
    path: &Path,
    found: Result<Vec<FoundLstm>, Error>,
    read: impl Fn(&str) -> Result<LstmWeights, Error>,
) -> bool {
    let path = path.display();
    if let Err(error) = read("") {
        assert!(!error.to_string().is_empty(), "{path}");
    }
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{path}");
            return false;
        }
    };
    for lstm in &found {
        match (&lstm.config, read(&lstm.prefix)) {
            (Ok(config), Ok(weights)) => assert_eq!(weights.config(), config, "{path}"),
            (_, Err(error)) => assert!(!error.to_string().is_empty(), "{path}"),
            (Err(listed), Ok(_)) => panic!("{path}: {:?} was refused: {listed}, and is read", lstm.prefix),
        }
    }
    found.iter().any(|lstm| lstm.config.is_ok())
}

/// Checks every seed; some of them have an LSTM.
fn check_bytes(target: &str, own_bytes: usize) {
    let seeds = seeds(target);
    let with_lstm = seeds.iter().filter(|(path, seed)| {
        let file = &seed[own_bytes.min(seed.len())..];
        check(path, find_lstms(file), |prefix| LstmWeights::from_bytes(file, prefix))
    });
    assert!(with_lstm.count() > 0, "{target}");
}

#[cfg(feature = "onnx")]
#[test]
fn seeds_of_onnx() {
    check_bytes("onnx", 0);
}

#[cfg(feature = "keras")]
#[test]
fn seeds_of_keras() {
    check_bytes("keras", 0);
}

#[cfg(feature = "npz")]
#[test]
fn seeds_of_npz() {
    check_bytes("npz", 1);
}

#[cfg(feature = "pytorch")]
#[test]
fn seeds_of_pytorch() {
    let path = std::env::temp_dir().join(format!("wgpu-lstm-seeds-{}.pt", std::process::id()));
    let seeds = seeds("pytorch");
    let with_lstm = seeds.iter().filter(|(name, seed)| {
        std::fs::write(&path, seed.get(1..).unwrap_or_default()).unwrap();
        check(name, find_lstms_in_file(&path), |prefix| LstmWeights::from_file(&path, prefix))
    });
    assert!(with_lstm.count() > 0);
    std::fs::remove_file(&path).unwrap();
}
