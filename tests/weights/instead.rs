//! What people have in place of an LSTM's weights, or of a safetensors file: the error says what it is.

use safetensors::Dtype;
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

use crate::support::{StateDict, error, file_of, file_with_header, state_dict, zeros};

/// An LSTM of which one tensor is replaced by others.
fn replaced(removed: &str, by: &[(&str, &[usize])]) -> StateDict {
    let mut dict = state_dict(&LstmConfig::new(5, 3), "lstm.");
    dict.remove(&format!("lstm.{removed}"));
    for (name, shape) in by {
        dict.insert(format!("lstm.{name}"), zeros(shape));
    }
    dict
}

#[test]
fn changed_parameters_are_refused_with_what_to_do() {
    let hh = "weight_hh_l0";
    let whole: &[usize] = &[12, 3];
    let column: &[usize] = &[12, 1];
    for (dict, told, reason) in [
        (
            replaced(hh, &[("weight_hh_l0_g", column), ("weight_hh_l0_v", whole)]),
            "weight_hh_l0_g",
            "remove_weight_norm",
        ),
        (
            replaced(
                hh,
                &[
                    ("parametrizations.weight_hh_l0.original0", column),
                    ("parametrizations.weight_hh_l0.original1", whole),
                ],
            ),
            "parametrizations.weight_hh_l0.original0",
            "remove_parametrizations",
        ),
        (replaced(hh, &[("weight_hh_l0_raw", whole)]), "weight_hh_l0_raw", "weight drop"),
        // The weight of the last training step is there as well.
        (replaced("", &[("weight_hh_l0_raw", whole)]), "weight_hh_l0_raw", "weight drop"),
        (
            replaced(hh, &[("weight_hh_l0_orig", whole), ("weight_hh_l0_mask", whole)]),
            "weight_hh_l0_mask",
            "prune.remove",
        ),
        (
            replaced("", &[("weight_hh_l0_u", &[12]), ("weight_hh_l0_v", &[3])]),
            "weight_hh_l0_u",
            "spectral norm",
        ),
        (replaced("", &[("_all_weight_values.0.param", whole)]), "_all_weight_values.0.param", "quantized"),
        (
            replaced(hh, &[("_packed_params._packed_params", whole)]),
            "_packed_params._packed_params",
            "quantized",
        ),
        (replaced("", &[("weight_ih_l0.absmax", &[4])]), "weight_ih_l0.absmax", "quantization"),
    ] {
        match error(&dict, "lstm.") {
            Error::UnexpectedTensor { name, reason: actual } => {
                assert_eq!(name, format!("lstm.{told}"));
                assert!(actual.contains(reason), "{actual}");
            }
            other => panic!("{told}: {other}"),
        }
    }
}

#[test]
fn packed_parameters_alone_are_a_quantized_network() {
    for name in ["lstm._packed_params.dtype", "lstm._all_weight_values.0.param", "lstm._packed_weight_ih"] {
        let dict = StateDict::from([(name.to_owned(), zeros(&[1]))]);
        match error(&dict, "lstm.") {
            Error::UnexpectedTensor { reason, .. } => assert!(reason.contains("quantized"), "{reason}"),
            other => panic!("{name}: {other}"),
        }
    }
    // Any quantized layer has packed parameters.
    let dict = StateDict::from([("fc._packed_params.dtype".to_owned(), zeros(&[1]))]);
    match error(&dict, "lstm.") {
        Error::WrongPrefix { found, .. } => assert!(found.is_empty(), "{found:?}"),
        other => panic!("{other}"),
    }
}

#[test]
fn integers_are_a_quantized_network() {
    let dict = state_dict(&LstmConfig::new(2, 1), "lstm.");
    for (dtype, is_quantized) in
        [(Dtype::I8, true), (Dtype::U8, true), (Dtype::I32, true), (Dtype::BOOL, false), (Dtype::C64, false)]
    {
        let error = LstmWeights::from_safetensors(&file_of(dtype, &dict), "lstm.").unwrap_err();
        assert!(matches!(error, Error::TensorType { .. }), "{error}");
        assert_eq!(error.to_string().contains("the network is quantized"), is_quantized, "{error}");
    }
}

#[test]
fn weight_drop_around_the_lstm_is_refused() {
    let mut dict = state_dict(&LstmConfig::new(5, 3), "rnns.0.module.");
    dict.insert("rnns.0.weight_hh_l0_raw".to_owned(), zeros(&[12, 3]));
    match error(&dict, "rnns.0.module.") {
        Error::UnexpectedTensor { name, reason } => {
            assert_eq!(name, "rnns.0.weight_hh_l0_raw");
            assert!(reason.contains("weight drop"), "{reason}");
        }
        other => panic!("{other}"),
    }
}

/// One layer of these shapes, with the biases that belong to them.
fn layer(w_ih: [usize; 2], w_hh: [usize; 2], bias: usize) -> StateDict {
    [("weight_ih", &w_ih[..]), ("weight_hh", &w_hh), ("bias_ih", &[bias]), ("bias_hh", &[bias])]
        .into_iter()
        .map(|(name, shape)| (format!("rnn.{name}_l0"), zeros(shape)))
        .collect()
}

#[test]
fn another_networks_shapes_are_told_apart() {
    for hidden in [1, 2, 3, 4, 8, 12, 16] {
        for input in [1, 3, 8, 12, 32] {
            let transposed = |w: [usize; 2]| [w[1], w[0]];
            for (dict, what) in [
                (layer([3 * hidden, input], [3 * hidden, hidden], 3 * hidden), "a GRU's 3 gates"),
                (layer([hidden, input], [hidden, hidden], hidden), "a plain RNN's"),
                (
                    layer(transposed([4 * hidden, input]), transposed([4 * hidden, hidden]), 4 * hidden),
                    "as Keras has them",
                ),
            ] {
                match error(&dict, "rnn.") {
                    Error::NotAnLstm { prefix, reason } => {
                        assert_eq!(prefix, "rnn.");
                        assert!(reason.contains(what), "{what}: {reason}");
                    }
                    other => panic!("{what} {input} {hidden}: {other}"),
                }
            }
            // Of two layers, one direction each.
            let mut deep = layer([3 * hidden, input], [3 * hidden, hidden], 3 * hidden);
            for (name, array) in layer([3 * hidden, hidden], [3 * hidden, hidden], 3 * hidden) {
                deep.insert(name.replace("_l0", "_l1"), array);
            }
            assert!(matches!(error(&deep, "rnn."), Error::NotAnLstm { .. }));
            // What fits no other network either is told by the tensor.
            deep.insert("rnn.bias_hh_l1".into(), zeros(&[3 * hidden + 1]));
            assert!(matches!(error(&deep, "rnn."), Error::TensorShape { .. }));

            let lstm = layer([4 * hidden, input], [4 * hidden, hidden], 4 * hidden);
            assert_eq!(
                LstmWeights::from_state_dict(lstm, "rnn.").unwrap().config(),
                &LstmConfig::new(input, hidden)
            );
        }
    }
}

/// A zip archive's first bytes: the header of a member without compression.
fn zip(member: &str) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend([0; 22]);
    bytes.extend((member.len() as u16).to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(member.as_bytes());
    bytes.extend([0; 100]);
    bytes
}

#[test]
fn other_files_are_told_apart() {
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let index =
        br#"{"metadata": {"total_size": 9}, "weight_map": {"lstm.weight_ih_l0": "model-00001.safetensors"}}"#;
    for (bytes, what) in [
        (Vec::new(), "empty"),
        (zip("archive/data.pkl"), "PyTorch checkpoint, as torch.save writes it; in Python, "),
        (zip("model/.format_version"), "PyTorch checkpoint"),
        (zip("arr_0.npy"), "NumPy arrays (.npz)"),
        (zip("config.json"), "Keras model"),
        (zip("photo.jpg"), "zip archive"),
        (zip(""), "zip archive"),
        (b"PK\x03\x04".to_vec(), "zip archive"),
        (
            b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec(),
            "torch.save writes it; in Python, ",
        ),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0}".to_vec(), "pickle"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n".to_vec(),
            "run git lfs pull",
        ),
        (b"<!DOCTYPE html>\n<html><head><title>Sign in</title>".to_vec(), "web page (HTML)"),
        (b"\n  <HTML lang=\"en\">".to_vec(), "web page (HTML)"),
        (b"GGUF\x03\0\0\0\x23\x01\0\0\0\0\0\0".to_vec(), "GGUF"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.3.0:\xf4\x0a".to_vec(), "ONNX"),
        (index.to_vec(), "index of a model in several files"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "gzip"),
        (b"\x28\xb5\x2f\xfd\x04\x58".to_vec(), "zstd"),
        (tar, "tar archive"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0".to_vec(), "HDF5"),
        (b"\x93NUMPY\x01\0v\0{'descr': '<f4'".to_vec(), "NumPy array (.npy)"),
        (b"\x1c\0\0\0TFL3\x14\0\x20\0".to_vec(), "TensorFlow Lite"),
        (b"Entry not found".to_vec(), "a text that begins with \"Entry not found\""),
        (b"{\"error\": \"Repository not found\"}".to_vec(), "a text that begins with"),
        ("Zugriff verweigert, bitte melden Sie sich zunächst an. ".repeat(100).into(), "a text"),
    ] {
        for prefix in ["", "lstm."] {
            match LstmWeights::from_safetensors(&bytes, prefix) {
                Err(Error::SafeTensors { reason }) => assert!(reason.contains(what), "{what}: {reason}"),
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}

/// A damaged safetensors file is none of the others, whatever the length of its header looks like.
#[test]
fn a_damaged_file_is_no_other_format() {
    let entry = |end: usize| {
        format!(r#"{{"lstm.weight_ih_l0":{{"dtype":"F32","shape":[4,1],"data_offsets":[0,{end}]}}}}"#)
    };
    // Lengths that begin as a pickle (80 02), gzip (1f 8b), ONNX (08 07 12) and a text would.
    for length in [0x280, 0x8b1f, 0x12_0708, 0x7b] {
        let entry = entry(12);
        let header = format!("{entry}{}", " ".repeat(length - entry.len()));
        let file = file_with_header(&header, &[0; 16]);
        let Err(Error::SafeTensors { reason }) = LstmWeights::from_safetensors(&file, "lstm.") else {
            panic!("{length:#x}");
        };
        assert!(reason.contains("invalid shape, data type, or offset"), "{length:#x}: {reason}");
    }
    // What is known of no format is told by the safetensors crate.
    for bytes in [&[0xff; 100][..], &[0; 3], &[0; 100], b"\xde\xad\xbe\xef\xff\xff\xff\xffxxx"] {
        let Err(Error::SafeTensors { reason }) = LstmWeights::from_safetensors(bytes, "") else {
            panic!("{bytes:?}");
        };
        assert!(reason.contains("header"), "{reason}");
    }
}
