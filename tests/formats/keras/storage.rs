//! How HDF5 stores numbers.

use wgpu_lstm::{Error, LstmWeights};

use super::{file, find, matrix, prefixes, truth};

/// The network under this prefix as safetensors, f32.
fn read(name: &str, prefix: &str) -> Result<Vec<u8>, Error> {
    LstmWeights::from_bytes(&file(name), prefix).and_then(|weights| weights.to_safetensors(""))
}

#[test]
fn compressed_chunks_and_either_byte_order_are_read() {
    let plain = read("storage.h5", "plain").unwrap();
    for (prefix, element_type) in [("gzip", "F32"), ("big", "F32"), ("f64", "F64"), ("f16", "F16")] {
        assert_eq!(find("storage.h5", prefix).element_types, [element_type], "{prefix}");
        assert_eq!(read("storage.h5", prefix).unwrap(), plain, "{prefix}");
    }
}

/// Keras 3 writes bfloat16 as opaque bytes, and its name in an attribute.
#[test]
fn element_types_of_keras_are_read() {
    for (policy, element_type) in [("float16", "F16"), ("bfloat16", "BF16"), ("float64", "F64")] {
        let name = format!("{policy}.weights.h5");
        let [prefix] = &prefixes(&name)[..] else { panic!("{name}") };
        assert_eq!(find(&name, prefix).element_types, [element_type]);
        let tensors = read(&name, "").unwrap();
        let file = safetensors::SafeTensors::deserialize(&tensors).unwrap();
        let data = file.tensor("weight_ih_l0").unwrap().data();
        let numbers: Vec<f32> =
            data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let kernel = matrix(&truth()[policy][0]);
        let expected: Vec<f32> = kernel.t().iter().map(|&number| number as f32).collect();
        assert_eq!(numbers, expected, "{policy}");
    }
}

#[test]
fn other_element_types_are_refused_by_name() {
    for (prefix, expected) in [("integers", "I8"), ("bytes", "opaque (2 bytes)")] {
        match read("storage.h5", prefix) {
            Err(Error::TensorType { actual, name }) => {
                assert_eq!(actual, expected);
                assert!(name.starts_with(&format!("{prefix}/x/")), "{name}");
            }
            other => panic!("{prefix}: {other:?}"),
        }
    }
}

#[test]
fn other_filters_are_refused_by_name() {
    match read("storage.h5", "lzf") {
        Err(Error::UnsupportedFile { reason }) => assert!(reason.contains("filter"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// 480 MB, of which the file has none.
#[test]
fn a_tensor_that_the_file_has_no_bytes_for_is_refused() {
    match read("storage.h5", "huge") {
        Err(Error::MalformedFile { reason, .. }) => assert!(reason.contains("[10000000, 12]"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// No other file is ever opened.
#[test]
fn values_in_another_file_are_refused() {
    assert!(matches!(
        read("storage.h5", "elsewhere"),
        Err(Error::MalformedFile { .. } | Error::UnsupportedFile { .. })
    ));
}
