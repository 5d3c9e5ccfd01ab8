//! Files of other formats: the error of the safetensors reader names the format.

use wgpu_lstm::{Error, LstmWeights};

use crate::support::file_with_header;

/// The first bytes of a zip archive: the header of its first member, without compression.
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
fn other_formats_are_recognized() {
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let index =
        br#"{"metadata": {"total_size": 9}, "weight_map": {"lstm.weight_ih_l0": "model-00001.safetensors"}}"#;
    for (bytes, what) in [
        (Vec::new(), "empty"),
        (zip("archive/data.pkl"), "with the feature `pytorch` of wgpu-lstm; or, in Python, "),
        (zip("model/.format_version"), "PyTorch checkpoint"),
        (zip("arr_0.npy"), "NumPy arrays (.npz)"),
        (zip("model/data/weight.npy"), "NumPy arrays (.npz)"),
        (zip("config.json"), "Keras model"),
        (zip("photo.jpg"), "zip archive"),
        (zip(""), "zip archive"),
        (b"PK\x03\x04".to_vec(), "zip archive"),
        (
            b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec(),
            "PyTorch checkpoint, as torch.save writes it",
        ),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0}".to_vec(), "PyTorch checkpoint"),
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

/// A damaged safetensors file is not taken for another format, whatever the bytes of its header's length are.
#[test]
fn a_damaged_file_is_not_taken_for_another_format() {
    let entry = |end: usize| {
        format!(r#"{{"lstm.weight_ih_l0":{{"dtype":"F32","shape":[4,1],"data_offsets":[0,{end}]}}}}"#)
    };
    // Lengths whose bytes are the first ones of a pickle (80 02), gzip (1f 8b), ONNX (08 07 12) and a text; and of a
    // pickle and ONNX again, with a fourth byte.
    for length in [0x280, 0x8b1f, 0x12_0708, 0x7b, 0x100_0280, 0x112_0708] {
        let entry = entry(12);
        let header = format!("{entry}{}", " ".repeat(length - entry.len()));
        let file = file_with_header(&header, &[0; 16]);
        let Err(Error::SafeTensors { reason }) = LstmWeights::from_safetensors(&file, "lstm.") else {
            panic!("{length:#x}");
        };
        assert!(reason.contains("invalid shape, data type, or offset"), "{length:#x}: {reason}");
    }
    // For an unknown format the message is that of the safetensors crate.
    for bytes in [&[0xff; 100][..], &[0; 3], &[0; 100], b"\xde\xad\xbe\xef\xff\xff\xff\xffxxx"] {
        let Err(Error::SafeTensors { reason }) = LstmWeights::from_safetensors(bytes, "") else {
            panic!("{bytes:?}");
        };
        assert!(reason.contains("header"), "{reason}");
    }
}
