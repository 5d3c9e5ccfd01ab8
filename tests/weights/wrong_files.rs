//! No content of a file causes a panic.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::proptest;
use wgpu_lstm::ndarray::{ArrayD, IxDyn};
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

use crate::support::file_with_header;

/// A valid file of two small bidirectional layers.
fn valid_file() -> Vec<u8> {
    let config = LstmConfig::new(2, 2).with_num_layers(2).with_bidirectional(true).with_proj_size(1);
    let weights = LstmWeights::uniform(&config, 4).unwrap();
    weights.to_safetensors("lstm.").unwrap()
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let file = valid_file();
    for end in 0..file.len() {
        let result = LstmWeights::from_safetensors(&file[..end], "lstm.");
        assert!(matches!(result, Err(Error::SafeTensors { .. })), "{end}");
    }
    let longer = [file.as_slice(), &[0]].concat();
    let result = LstmWeights::from_safetensors(&longer, "lstm.");
    assert!(matches!(result, Err(Error::SafeTensors { .. })));
}

#[test]
fn an_invalid_header_is_refused() {
    let max = u64::MAX;
    let half = u64::MAX / 2 + 1;
    for (header, data) in [
        ("", 0),
        ("{", 0),
        ("[]", 0),
        ("null", 0),
        (r#"{"a":1}"#, 0),
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, 8),
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12),
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
        (r#"{"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}"#, 4),
        (r#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4),
        (r#"{"__metadata__":{"format":1}}"#, 0),
        (r#"{"__metadata__":{},"__metadata__":{}}"#, 0),
        (r#"{"__metadata__":"pt"}"#, 0),
        (r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4),
        (r#"{"a":{"dtype":"F32","shape":[1e30],"data_offsets":[0,4]}}"#, 4),
        (r#"{"a":["F32",[1],[0,4]],"a":{}}"#, 4),
        // Shapes whose product overflows.
        (r#"{"weight_ih_l0":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,0]}}"#, 0),
        (r#"{"weight_ih_l0":{"dtype":"F32","shape":[18446744073709551615,4],"data_offsets":[0,0]}}"#, 0),
        (r#"{"weight_ih_l0":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, 0),
    ] {
        let file = file_with_header(header, &vec![0; data]);
        let result = LstmWeights::from_safetensors(&file, "");
        assert!(matches!(result, Err(Error::SafeTensors { .. })), "{header}: {result:?}");
    }
    // Headers that are longer than the file, or than the format allows.
    for length in [1, 100, 100_000_001, half, max] {
        let file = length.to_le_bytes();
        let result = LstmWeights::from_safetensors(&file, "");
        assert!(matches!(result, Err(Error::SafeTensors { .. })), "{length}");
    }
    // Nested so deeply that a recursive parser without a limit would overflow the stack.
    let deep = format!(r#"{{"a":{}"#, "[".repeat(100_000));
    for header in [deep.clone(), deep.replace("\"a\"", "\"__metadata__\"")] {
        let result = LstmWeights::from_safetensors(&file_with_header(&header, &[]), "");
        assert!(matches!(result, Err(Error::SafeTensors { .. })));
    }
}

/// Eight tensors of almost 2⁶¹ bytes: the sum of their lengths is near u64::MAX, and with the header's length it
/// would wrap around to the length of the file.
#[test]
fn tensors_that_end_past_every_address_are_refused() {
    let size: u64 = 1 << 61;
    for last in [size - 1, size - 8, size - 100] {
        let entries: Vec<String> = (0..8)
            .map(|i| {
                let len = if i == 7 { last } else { size - 1 };
                let start = i * (size - 1);
                let end = start + len;
                format!(r#""t{i}":{{"dtype":"U8","shape":[{len}],"data_offsets":[{start},{end}]}}"#)
            })
            .collect();
        for extra in 0..64 {
            let header = format!("{{{}}}{}", entries.join(","), " ".repeat(extra));
            let file = file_with_header(&header, &[]);
            let result = LstmWeights::from_safetensors(&file, "t");
            assert!(matches!(result, Err(Error::SafeTensors { .. })));
        }
    }
}

#[test]
fn huge_axes_beside_an_axis_of_zero_are_refused() {
    for shape in ["[0,4611686018427387903]", "[0,18446744073709551615]", "[18446744073709551612,0]"] {
        let header = format!(
            r#"{{"weight_hh_l0":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}},
                "weight_ih_l0":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}"#
        );
        let result = LstmWeights::from_safetensors(&file_with_header(&header, &[]), "");
        let Err(Error::TensorShape { name, .. }) = result else {
            panic!("{shape}: {result:?}");
        };
        assert_eq!(name, "weight_ih_l0");
    }
}

/// A position in a file, and the byte to put there, often one with a meaning in JSON.
fn corruption() -> impl Strategy<Value = (usize, u8)> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(b'0'),
        Just(b'9'),
        Just(b'-'),
        Just(b','),
        Just(b'"'),
        Just(b'['),
        Just(b'}'),
    ];
    (any::<proptest::sample::Index>(), byte).prop_map(|(at, byte)| (at.index(usize::MAX), byte))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_corruption_panics(
        corruptions in proptest::collection::vec(corruption(), 1..6),
        header_only in any::<bool>(),
    ) {
        let mut file = valid_file();
        let header = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
        let reach = if header_only { header } else { file.len() };
        for (at, byte) in corruptions {
            file[at % reach] = byte;
        }
        for prefix in ["", "lstm."] {
            let _ = LstmWeights::from_safetensors(&file, prefix);
        }
    }

    #[test]
    fn no_numbers_in_a_header_panic(
        numbers in proptest::collection::vec(prop_oneof![any::<u64>(), 0..64_u64], 8),
    ) {
        let [a, b, c, d, e, f, g, h] = numbers[..] else { unreachable!() };
        let header = format!(
            r#"{{"weight_ih_l{a}":{{"dtype":"F32","shape":[{b},{c}],"data_offsets":[0,{d}]}},
                "weight_hh_l0":{{"dtype":"F16","shape":[{e},{f}],"data_offsets":[{g},{h}]}}}}"#
        );
        let _ = LstmWeights::from_safetensors(&file_with_header(&header, &[0; 64]), "");
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), length in 0..100_u64) {
        let _ = LstmWeights::from_safetensors(&bytes, "");
        let file = [length.to_le_bytes().as_slice(), &bytes].concat();
        let _ = LstmWeights::from_safetensors(&file, "");
    }

    #[test]
    fn no_names_and_shapes_panic(
        tensors in proptest::collection::vec(
            ("(|lstm\\.)(weight|bias)_(ih|hh|hr)(|_l[0-2](|_reverse))", proptest::collection::vec(0..9_usize, 0..4)),
            0..12,
        ),
    ) {
        for prefix in ["", "lstm."] {
            let tensors = tensors.iter().map(|(name, shape)| (name.as_str(), ArrayD::zeros(IxDyn(shape))));
            let _ = LstmWeights::from_state_dict(tensors, prefix);
        }
    }
}
