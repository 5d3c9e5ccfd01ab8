//! Half and double precision are read, other types refused.

use std::collections::HashMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use wgpu_lstm::{Error, LstmConfig, LstmWeights, Precision};

use crate::support::{StateDict, file_of, file_with_header, read, state_dict};

/// A small network of numbers that f16 represents exactly: eighths from -2 to 2.
fn eighths() -> StateDict {
    let mut next = 0;
    state_dict(&LstmConfig::new(3, 5).with_proj_size(2), "")
        .into_iter()
        .map(|(name, array)| {
            let array = array.map(|_| {
                next = (next + 5) % 33;
                (next - 16) as f32 / 8.0
            });
            (name, array)
        })
        .collect()
}

#[test]
fn half_and_double_precision_are_read() {
    let expected = LstmWeights::from_state_dict(eighths(), "").unwrap();
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64] {
        let file = file_of(dtype, &eighths());
        let weights = LstmWeights::from_safetensors(&file, "").unwrap();
        assert_eq!(weights, expected, "{dtype}");
    }
}

/// A file of one layer with I = 1, H = 1 and no biases, whose eight F64 values are all `number`.
fn one_f64_everywhere(number: f64) -> Vec<u8> {
    let bytes = [number.to_le_bytes(); 4].concat();
    let view = |shape: [usize; 2]| TensorView::new(Dtype::F64, shape.to_vec(), &bytes).unwrap();
    let views = [("weight_ih_l0", view([4, 1])), ("weight_hh_l0", view([4, 1]))];
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn double_precision_is_rounded_to_nearest() {
    let ulp = f64::from(f32::EPSILON);
    for (number, expected) in [
        (0.1, 0.1),
        (1.0 + 0.49 * ulp, 1.0),
        (1.0 + 0.5 * ulp, 1.0), // a tie goes to the even one
        (1.0 + 0.51 * ulp, 1.0 + f32::EPSILON),
        (1.0 + 1.5 * ulp, 1.0 + 2.0 * f32::EPSILON),
        (f64::from(f32::MAX) * (1.0 + 0.24 * ulp), f32::MAX), // less than half way to the next power of 2
        (f64::NEG_INFINITY, f32::NEG_INFINITY),
        (f64::INFINITY, f32::INFINITY),
        (1e-300, 0.0),
    ] {
        let config = LstmConfig::new(1, 1).with_bias(false);
        assert_eq!(
            LstmWeights::from_safetensors(&one_f64_everywhere(number), "").unwrap(),
            LstmWeights::constant(&config, expected).unwrap(),
            "{number:e}"
        );
    }
}

#[test]
fn a_double_beyond_single_precision_is_refused_by_name() {
    let ulp = f64::from(f32::EPSILON);
    let (max, beyond) = (f64::from(f32::MAX), f64::from(f32::MAX) * (1.0 + 0.26 * ulp));
    for (number, shown) in [
        (1e300, "1e300"),
        (-1e300, "-1e300"),
        (beyond, "3.402823571853812e38"),
        (-1e39, "-1e39"),
        (f64::MAX, "1.7976931348623157e308"),
    ] {
        let error = LstmWeights::from_safetensors(&one_f64_everywhere(number), "").unwrap_err();
        let Error::PrecisionRange { name, value, largest } = &error else {
            panic!("{number:e}: {error}");
        };
        assert_eq!((name.as_str(), *value, *largest), ("weight_ih_l0", number, max));
        let message = error.to_string();
        assert!(message.contains(shown) && message.ends_with("3.4028235e38"), "{message}");
    }
    // NaN is not finite: it is read unchanged.
    let file = LstmWeights::from_safetensors(&one_f64_everywhere(f64::NAN), "").unwrap().to_safetensors("");
    assert!(read(&file.unwrap()).values().all(|array| array.iter().all(|x| x.is_nan())));
}

#[test]
fn bytes_at_any_address_are_read() {
    let dict = eighths();
    let expected = LstmWeights::from_state_dict(dict.clone(), "").unwrap();
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64] {
        let file = file_of(dtype, &dict);
        let (length, rest) = file.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let header = std::str::from_utf8(header).unwrap();
        for padding in 0..8 {
            let header = format!("{header}{}", " ".repeat(padding));
            let file = file_with_header(&header, data);
            assert_eq!(LstmWeights::from_safetensors(&file, "").unwrap(), expected);
        }
    }
}

/// A file of the dict, with the element type that `dtype` returns for each name, and one pair of metadata.
fn mixed_file(dict: &StateDict, dtype: impl Fn(&str) -> Dtype, metadata: (&str, &str)) -> Vec<u8> {
    let files: Vec<_> = dict
        .iter()
        .map(|(name, array)| file_of(dtype(name), &StateDict::from([(name.clone(), array.clone())])))
        .collect();
    let views = dict.keys().zip(&files).map(|(name, file)| {
        let file = SafeTensors::deserialize(file).unwrap();
        (name.clone(), file.tensor(name).unwrap())
    });
    let metadata = HashMap::from([(metadata.0.to_owned(), metadata.1.to_owned())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

#[test]
fn only_a_file_written_in_half_precision_is_read_in_half_precision() {
    let dict = eighths();
    let whole = LstmWeights::from_state_dict(dict.clone(), "").unwrap();
    let half = whole.to_precision(Precision::F16).unwrap();
    assert_ne!(whole, half);
    let matrices = |name: &str| if name.contains("bias") { Dtype::F32 } else { Dtype::F16 };
    let own = ("wgpu_lstm.precision", "F16");
    assert_eq!(half.to_safetensors("").unwrap(), mixed_file(&dict, matrices, own));
    // Files without this crate's metadata, as PyTorch's .half() makes them: same values, precision F32.
    for (dtype, metadata) in [
        (&matrices as &dyn Fn(&str) -> Dtype, ("format", "pt")),
        (&|_| Dtype::F16, ("format", "pt")),
        // The metadata says F16, but not all matrices are: another program changed the file.
        (&|_| Dtype::F32, own),
        (&|name| if name.contains("weight_hh") { Dtype::F32 } else { matrices(name) }, own),
        (&matrices, ("wgpu_lstm.precision", "F32")),
    ] {
        let read = LstmWeights::from_safetensors(&mixed_file(&dict, dtype, metadata), "").unwrap();
        assert_eq!((read.precision(), &read), (Precision::F32, &whole), "{metadata:?}");
    }
}

#[test]
fn an_unknown_element_type_matters_for_the_lstms_tensors_alone() {
    let entry = |name: &str, dtype: &str, shape: &str, start: usize, end: usize| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let ih = entry("lstm.weight_ih_l0", "F32", "[4,2]", 0, 32);
    let hh = entry("lstm.weight_hh_l0", "F32", "[4,1]", 32, 48);
    let file = |entries: &[&str], data: usize| {
        file_with_header(&format!("{{{}}}", entries.join(",")), &vec![0; data])
    };
    let plain = LstmWeights::from_safetensors(&file(&[&ih, &hh], 48), "lstm.").unwrap();
    for dtype in ["F99", "NF4", "F8_E3M4", "", "f32"] {
        for shape in ["[3]", "[]", "[7,18446744073709551615]"] {
            let odd = entry("head.weight", dtype, shape, 48, 53);
            let read = LstmWeights::from_safetensors(&file(&[&ih, &odd, &hh], 53), "lstm.");
            assert_eq!(read.unwrap(), plain, "{dtype} {shape}");
        }
        // A gap, an overlap, a wrong end and a negative size remain errors.
        for (odd, data) in [
            (entry("head.weight", dtype, "[3]", 49, 53), 53),
            (entry("head.weight", dtype, "[3]", 47, 53), 53),
            (entry("head.weight", dtype, "[3]", 48, 53), 52),
            (entry("head.weight", dtype, "[3]", 48, 53), 54),
            (entry("head.weight", dtype, "[3]", 53, 48), 53),
        ] {
            let result = LstmWeights::from_safetensors(&file(&[&ih, &odd, &hh], data), "lstm.");
            assert!(matches!(result, Err(Error::SafeTensors { .. })), "{odd}: {result:?}");
        }
        let odd = entry("lstm.weight_hh_l0", dtype, "[4,1]", 32, 48);
        match LstmWeights::from_safetensors(&file(&[&ih, &odd], 48), "lstm.") {
            Err(Error::TensorType { name, actual }) => {
                assert_eq!((name.as_str(), actual.as_str()), ("lstm.weight_hh_l0", dtype));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn other_element_types_are_refused() {
    for dtype in [Dtype::I64, Dtype::I32, Dtype::U8, Dtype::BOOL, Dtype::F8_E4M3] {
        let dict = state_dict(&LstmConfig::new(2, 1), "lstm.");
        let file = file_of(dtype, &dict);
        let Err(Error::TensorType { name, actual }) = LstmWeights::from_safetensors(&file, "lstm.") else {
            panic!("{dtype}");
        };
        assert_eq!(name, "lstm.weight_ih_l0");
        assert_eq!(actual, dtype.to_string());
    }
}
