//! Files that fuzzing found interesting: each takes another way through a reader. None panics, and what is listed can be
//! read, or is refused with a reason.
//!
//! `tests/data/seeds/TARGET` holds those of `fuzz/fuzz_targets/TARGET.rs`. The first byte of a seed of `npz` and
//! `pytorch` is the target's own: 0 before a whole file. That of `safetensors` selects the prefix. `state_dict_files` are
//! the files that the target `state_dict` makes of its seeds, each after the length of the prefix in a byte and the
//! prefix.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use wgpu_lstm::ndarray::ArrayD;
use wgpu_lstm::{Error, FoundLstm, LstmWeights, find_lstms};

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

/// Files of any format.
#[cfg(feature = "onnx")]
#[test]
fn seeds_of_find_lstms() {
    check_bytes("find_lstms", 0);
}

/// Panics unless the weights that were read are written and read again as the same file: NaN equals nothing.
fn round_trip(path: &Path, weights: &LstmWeights, prefix: &str) {
    let file = weights.to_safetensors(prefix).unwrap();
    let again = LstmWeights::from_safetensors(&file, prefix).unwrap();
    assert_eq!(again.to_safetensors(prefix).unwrap(), file, "{}", path.display());
}

#[test]
fn seeds_of_safetensors() {
    check_bytes("safetensors", 1);
    let seeds = seeds("safetensors");
    let read = seeds.iter().filter(|(path, seed)| {
        let (&choice, file) = seed.split_first().unwrap();
        let prefix = ["", "lstm.", "cell.", "a.module."][usize::from(choice) % 4];
        match LstmWeights::from_safetensors(file, prefix) {
            Ok(weights) => round_trip(path, &weights, prefix),
            Err(error) => {
                assert!(!error.to_string().is_empty(), "{}", path.display());
                return false;
            }
        }
        true
    });
    assert!(read.count() > 0);
}

/// A state dict and its file give the same network, or the same error.
#[test]
fn seeds_of_state_dict() {
    let (mut read, mut refused) = (0, 0);
    for (path, seed) in seeds("state_dict_files") {
        let (&length, rest) = seed.split_first().unwrap();
        let (prefix, file) = rest.split_at(length.into());
        let prefix = str::from_utf8(prefix).unwrap();
        let tensors = SafeTensors::deserialize(file).unwrap();
        let dict = tensors.iter().map(|(name, view)| {
            let numbers = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            (name.to_owned(), ArrayD::from_shape_vec(view.shape(), numbers).unwrap())
        });
        // In the order of the names, as the file is read.
        let mut dict: Vec<_> = dict.collect();
        dict.sort_by(|a, b| a.0.cmp(&b.0));
        match (LstmWeights::from_state_dict(dict, prefix), LstmWeights::from_safetensors(file, prefix)) {
            (Ok(one), Ok(other)) => {
                assert_eq!(one, other, "{}", path.display());
                round_trip(&path, &one, prefix);
                read += 1;
            }
            (Err(one), Err(other)) => {
                assert_eq!(one.to_string(), other.to_string(), "{}", path.display());
                refused += 1;
            }
            other => panic!("{}: {other:?}", path.display()),
        }
    }
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
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
        check(name, wgpu_lstm::find_lstms_in_file(&path), |prefix| LstmWeights::from_file(&path, prefix))
    });
    assert!(with_lstm.count() > 0);
    std::fs::remove_file(&path).unwrap();
}
