//! One way in for every format: `from_bytes`, `from_file`, `find_lstms`, `ReadOptions`. The readers of the formats
//! that are features have tests of their own (tests/formats).

use std::path::PathBuf;

use safetensors::Dtype;
use wgpu_lstm::{Error, LstmConfig, LstmWeights, ReadOptions, find_lstms, find_lstms_in_file};

use crate::support::{StateDict, file_of, state_dict, zeros};

/// Two networks, one of them bidirectional, among other tensors.
fn two_networks() -> StateDict {
    let mut dict = state_dict(&LstmConfig::new(5, 3).with_bidirectional(true), "encoder.lstm.");
    dict.extend(state_dict(&LstmConfig::new(6, 4), "decoder."));
    dict.insert("head.weight".to_owned(), zeros(&[2, 4]));
    dict
}

/// A file of this test's own, removed when the test ends.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("wgpu-lstm-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn bytes_and_a_file_give_the_same_network() {
    let bytes = file_of(Dtype::F32, &two_networks());
    // The name says nothing about the format.
    let file = Temporary::new("model.txt", &bytes);
    for prefix in ["encoder.lstm.", "decoder."] {
        let expected = LstmWeights::from_safetensors(&bytes, prefix).unwrap();
        assert_eq!(LstmWeights::from_bytes(&bytes, prefix).unwrap(), expected);
        assert_eq!(LstmWeights::from_file(&file.0, prefix).unwrap(), expected);
    }
    for found in [find_lstms(&bytes).unwrap(), find_lstms_in_file(&file.0).unwrap()] {
        let listed: Vec<_> =
            found.iter().map(|lstm| (lstm.prefix.as_str(), lstm.config.as_ref().unwrap())).collect();
        let encoder = LstmConfig::new(5, 3).with_bidirectional(true);
        assert_eq!(listed, [("decoder.", &LstmConfig::new(6, 4)), ("encoder.lstm.", &encoder)]);
        assert!(found.iter().all(|lstm| lstm.element_types == ["F32"] && lstm.part_of.is_none()));
    }
}

#[test]
fn the_only_network_needs_no_prefix() {
    let config = LstmConfig::new(5, 3);
    let mut dict = state_dict(&config, "a.lstm.");
    dict.insert("head.weight".to_owned(), zeros(&[2, 3]));
    let bytes = file_of(Dtype::F16, &dict);
    let named = LstmWeights::from_bytes(&bytes, "a.lstm.").unwrap();
    assert_eq!(LstmWeights::from_bytes(&bytes, "").unwrap(), named);
    assert_eq!(find_lstms(&bytes).unwrap()[0].element_types, ["F16"]);
    // Of two it is not chosen, and one that is read without a prefix comes first.
    match LstmWeights::from_bytes(&file_of(Dtype::F32, &two_networks()), "") {
        Err(Error::WrongPrefix { found, .. }) => assert_eq!(found.len(), 2),
        other => panic!("{other:?}"),
    }
    dict.extend(state_dict(&LstmConfig::new(2, 1), ""));
    let weights = LstmWeights::from_bytes(&file_of(Dtype::F32, &dict), "").unwrap();
    assert_eq!(weights.config(), &LstmConfig::new(2, 1));
    // The only one that can't be read says why.
    let gru = StateDict::from([
        ("gru.weight_ih_l0".to_owned(), zeros(&[9, 5])),
        ("gru.weight_hh_l0".to_owned(), zeros(&[9, 3])),
    ]);
    match LstmWeights::from_bytes(&file_of(Dtype::F32, &gru), "") {
        Err(Error::NotAnLstm { prefix, .. }) => assert_eq!(prefix, "gru."),
        other => panic!("{other:?}"),
    }
}

#[test]
fn missing_and_unexpected_tensors_name_the_lstms_that_can_be_read() {
    let mut dict = two_networks();
    dict.extend(state_dict(&LstmConfig::new(5, 3), "broken."));
    dict.remove("broken.bias_hh_l0");
    let bytes = file_of(Dtype::F32, &dict);
    let read = [
        LstmWeights::from_bytes(&bytes, "broken.").unwrap_err(),
        LstmWeights::from_state_dict(dict.clone(), "broken.").unwrap_err(),
    ];
    for error in read {
        let message = error.to_string();
        let Error::MissingTensor { name, found } = error else { panic!("{message}") };
        assert_eq!(
            (name.as_str(), &found[..]),
            ("broken.bias_hh_l0", &["decoder.".to_owned(), "encoder.lstm.".to_owned()][..])
        );
        assert!(message.ends_with(r#"there is another LSTM under "decoder.", "encoder.lstm.""#), "{message}");
    }
    dict.insert("decoder.peephole_i".to_owned(), zeros(&[4]));
    match LstmWeights::from_bytes(&file_of(Dtype::F32, &dict), "decoder.") {
        Err(Error::UnexpectedTensor { found, .. }) => assert_eq!(found, ["encoder.lstm."]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn others_can_be_left_aside() {
    let config = LstmConfig::new(5, 3);
    for other in ["lstm.mask_weight_hh_l0", "lstm.layernorm_i.weight", "lstm.weight_scale"] {
        let mut dict = state_dict(&config, "lstm.");
        let plain = LstmWeights::from_state_dict(dict.clone(), "lstm.").unwrap();
        dict.insert(other.to_owned(), zeros(&[12, 3]));
        let bytes = file_of(Dtype::F32, &dict);
        let options = ReadOptions::new("lstm.");
        let refused = options.from_bytes(&bytes).unwrap_err();
        assert!(matches!(refused, Error::UnexpectedTensor { .. }), "{other}: {refused}");
        assert_eq!(options.with_others_ignored(true).from_bytes(&bytes).unwrap(), plain, "{other}");
    }
    // One that replaces a parameter can't.
    let mut dict = state_dict(&config, "lstm.");
    dict.insert("lstm.weight_hh_l0_raw".to_owned(), zeros(&[12, 3]));
    let read = ReadOptions::new("lstm.").with_others_ignored(true).from_bytes(&file_of(Dtype::F32, &dict));
    assert!(matches!(read, Err(Error::UnexpectedTensor { .. })), "{read:?}");
}

#[test]
fn what_is_no_file_of_weights_is_refused_by_what_it_is() {
    for (bytes, what) in [
        (&b""[..], "empty"),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x93NUMPY\x01\0v\0{'descr': '<f4'", ".npy"),
        (b"<!DOCTYPE html>\n<html>", "web page"),
    ] {
        for error in [LstmWeights::from_bytes(bytes, "").unwrap_err(), find_lstms(bytes).unwrap_err()] {
            assert!(matches!(&error, Error::UnsupportedFile { reason } if reason.contains(what)), "{error}");
        }
    }
    // An index names files beside it, which bytes have not.
    let index = br#"{"weight_map": {"lstm.weight_ih_l0": "model-00001-of-00002.safetensors"}}"#;
    let error = LstmWeights::from_bytes(index, "lstm.").unwrap_err();
    assert!(matches!(&error, Error::UnsupportedFile { reason } if reason.contains("from_file")), "{error}");
    let missing = std::env::temp_dir().join("wgpu-lstm-no-such-file");
    match LstmWeights::from_file(&missing, "") {
        Err(error @ Error::ReadFile { .. }) => assert!(error.to_string().contains("no-such-file"), "{error}"),
        other => panic!("{other:?}"),
    }
}

/// Without its feature a format is told by name, and with which feature it is read.
#[test]
fn a_format_whose_feature_is_off_is_named() {
    let formats: [(&[u8], &str, bool); 4] = [
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "pytorch", cfg!(feature = "pytorch")),
        (b"\x08\x07\x12\x07pytorch", "onnx", cfg!(feature = "onnx")),
        (b"\x89HDF\r\n\x1a\n\0\0\0", "keras", cfg!(feature = "keras")),
        (
            b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0a.npy",
            "npz",
            cfg!(feature = "npz"),
        ),
    ];
    for (bytes, feature, is_on) in formats {
        let message = find_lstms(bytes).unwrap_err().to_string();
        assert_eq!(message.contains(&format!("`{feature}`")), !is_on, "{message}");
    }
}
