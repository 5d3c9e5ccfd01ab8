//! A file is read by the parts that the LSTM needs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use wgpu_lstm::{Error, LstmConfig, LstmWeights, find_lstms_in_file};

use crate::support::{file_of, state_dict};

fn folder(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("large_files").join(test);
    let _ = std::fs::remove_dir_all(&folder); // there may be none yet
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn config() -> LstmConfig {
    LstmConfig::new(3, 2)
}

/// The bytes of `embedding.weight`: more than any memory has.
const LARGE: u64 = 1 << 40;

/// Writes the network `lstm.` and, after it, a large tensor, which takes no room on the disk.
fn write_large(path: &Path) {
    let plain = file_of(Dtype::F32, &state_dict(&config(), "lstm."));
    let (length, rest) = plain.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = str::from_utf8(header).unwrap().trim_end().strip_suffix('}').unwrap();
    let (start, end) = (data.len() as u64, data.len() as u64 + LARGE);
    let header = format!(
        r#"{header},"embedding.weight":{{"dtype":"U8","shape":[{LARGE}],"data_offsets":[{start},{end}]}}}}"#
    );
    let mut file = File::create(path).unwrap();
    for part in [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data] {
        file.write_all(part).unwrap();
    }
    file.set_len(8 + header.len() as u64 + end).unwrap();
}

/// A sparse file needs a Unix file system.
#[cfg(unix)]
#[test]
fn a_file_that_is_larger_than_memory() {
    let folder = folder("larger");
    let path = folder.join("model.safetensors");
    write_large(&path);
    let expected = LstmWeights::from_state_dict(state_dict(&config(), "lstm."), "lstm.").unwrap();
    assert_eq!(LstmWeights::from_file(&path, "lstm.").unwrap(), expected);
    assert_eq!(find_lstms_in_file(&path).unwrap()[0].config.as_ref().unwrap(), &config());
    // As a part of a model.
    let index = folder.join("model.safetensors.index.json");
    std::fs::write(&index, r#"{"weight_map": {"embedding.weight": "model.safetensors"}}"#).unwrap();
    assert_eq!(LstmWeights::from_file(&index, "lstm.").unwrap(), expected);
    assert_eq!(find_lstms_in_file(&index).unwrap()[0].config.as_ref().unwrap(), &config());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Whether a file is read at once or by its parts, the errors are the same.
#[test]
fn truncated_and_damaged_files() {
    let folder = folder("truncated");
    let path = folder.join("model.safetensors");
    let whole = file_of(Dtype::F32, &state_dict(&config(), "lstm."));
    let mut damaged: Vec<_> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
    for at in 0..200 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x15;
        damaged.push(bytes);
    }
    damaged.push([&whole[..], b"more"].concat());
    let mut refused = 0;
    for bytes in damaged {
        std::fs::write(&path, &bytes).unwrap();
        match (LstmWeights::from_bytes(&bytes, "lstm."), LstmWeights::from_file(&path, "lstm.")) {
            (Ok(at_once), Ok(by_parts)) => assert_eq!(at_once, by_parts),
            (Err(at_once), Err(by_parts)) => {
                assert_eq!(at_once.to_string(), by_parts.to_string());
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > whole.len(), "{refused}");
}

/// A pipe can be read once, from its start to its end.
#[cfg(unix)]
#[test]
fn a_pipe() {
    let path = folder("pipe").join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let bytes = file_of(Dtype::F32, &state_dict(&config(), "lstm."));
    let expected = LstmWeights::from_bytes(&bytes, "lstm.").unwrap();
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, bytes)
    });
    assert_eq!(LstmWeights::from_file(&path, "lstm.").unwrap(), expected);
    writer.join().unwrap().unwrap();
}

#[test]
fn a_folder_is_no_file() {
    let error = LstmWeights::from_file(folder("folder"), "lstm.").unwrap_err();
    assert!(matches!(&error, Error::ReadFile { path, .. } if path.ends_with("folder")), "{error}");
}
