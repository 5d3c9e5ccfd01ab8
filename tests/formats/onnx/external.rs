//! Models whose tensors are in a second file.

use std::path::PathBuf;

use wgpu_lstm::{Error, LstmWeights, find_lstms, find_lstms_in_file};

use super::builder::{FLOAT, bytes, int, raw, tensor};
use super::exporters::{file, path};
use super::network::{arrays, model_of, shapes, weights};

/// `onnx.save_model` of the model of `legacy_two_layers`.
#[test]
fn weights_in_a_second_file() {
    let expected = LstmWeights::from_bytes(&file("legacy_two_layers.onnx"), "").unwrap();
    assert_eq!(LstmWeights::from_file(path("external.onnx"), "").unwrap(), expected);
    assert_eq!(LstmWeights::from_file(path("external.onnx"), "/LSTM+/LSTM_1").unwrap(), expected);
    let found = find_lstms_in_file(path("external.onnx")).unwrap();
    assert_eq!(found[0].config.as_ref().unwrap(), expected.config());
}

#[test]
fn bytes_alone_are_refused_with_what_to_do() {
    let bytes = file("external.onnx");
    let found = find_lstms(&bytes).unwrap();
    assert_eq!(found.len(), 2);
    for error in [
        LstmWeights::from_bytes(&bytes, "/LSTM").unwrap_err(),
        found.into_iter().next().unwrap().config.unwrap_err(),
    ] {
        let Error::UnsupportedFile { reason } = error else { panic!("{error}") };
        assert!(reason.contains("second file, \"external.bin\"; use LstmWeights::from_file"), "{reason}");
    }
}

/// A folder with a model whose tensor W is external, with these entries, and a second file `data/w.bin` that has its
/// numbers from byte 4 on.
fn folder(test: &str, entries: &[(&str, &str)]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("onnx").join(test);
    let _ = std::fs::remove_dir_all(&folder); // there may be none yet
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let network = weights(3, 2, 1);
    let [w, ..] = arrays(&network, 0);
    std::fs::write(folder.join("data/w.bin"), [b"skip".to_vec(), raw(&w), b"more".to_vec()].concat())
        .unwrap();
    std::fs::write(folder.parent().unwrap().join("outside.bin"), [0; 1000]).unwrap();
    let entry = |&(key, value): &(&str, &str)| bytes(13, [bytes(1, key), bytes(2, value)].concat());
    let data: Vec<u8> = entries.iter().flat_map(entry).chain(int(14, 1)).collect();
    let [shape, ..] = shapes(3, 2, 1);
    let mut initializers = super::network::initializers("", &network, 0);
    initializers[0] = tensor("W", &shape, FLOAT, data);
    std::fs::write(folder.join("model.onnx"), model_of(&network, &[], &initializers)).unwrap();
    folder.join("model.onnx")
}

#[test]
fn a_part_of_a_file_in_a_folder() {
    for (test, length) in [("length", Some("96")), ("no_length", None)] {
        let mut entries = vec![("location", "data/w.bin"), ("offset", "4"), ("checksum", "unread")];
        entries.extend(length.map(|length| ("length", length)));
        assert_eq!(LstmWeights::from_file(folder(test, &entries), "").unwrap(), weights(3, 2, 1));
    }
}

#[test]
fn parts_that_the_file_does_not_have() {
    for (test, offset, length, expected) in [
        ("beyond", "9", "96", "from byte 9 on in the second file \"data/w.bin\", which has 104 bytes"),
        ("far", "18446744073709551615", "96", "from byte 18446744073709551615 on"),
        ("other_length", "4", "92", "has 92 bytes in a second file, but needs 96"),
        ("negative", "-4", "96", "the offset of tensor \"W\" in a second file is \"-4\", not a number"),
    ] {
        let entries = [("location", "data/w.bin"), ("offset", offset), ("length", length)];
        let error = LstmWeights::from_file(folder(test, &entries), "").unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn paths_that_leave_the_models_folder() {
    let absolute = std::env::temp_dir().join("outside.bin");
    for (test, location) in [
        ("parent", "../outside.bin"),
        ("deep_parent", "data/../../outside.bin"),
        ("absolute", absolute.to_str().unwrap()),
        ("backslash", "data\\w.bin"),
        ("drive", "C:w.bin"),
        ("empty", ""),
        ("dot", "."),
    ] {
        let error = LstmWeights::from_file(folder(test, &[("location", location)]), "").unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{location}: {error}");
        assert!(error.to_string().contains("not a path inside the model's folder"), "{location}: {error}");
    }
}

#[test]
fn a_second_file_that_is_missing_is_named() {
    let error = LstmWeights::from_file(folder("missing", &[("location", "other.bin")]), "").unwrap_err();
    let Error::ReadFile { path, .. } = error else { panic!("{error}") };
    assert!(path.ends_with("other.bin"), "{path:?}");
    // A folder in place of a file.
    let error = LstmWeights::from_file(folder("folder", &[("location", "data")]), "").unwrap_err();
    assert!(matches!(&error, Error::ReadFile { path, .. } if path.ends_with("data")), "{error}");
}
