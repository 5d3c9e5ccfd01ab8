//! NumPy archives, written by NumPy: `tests/data/formats/make_npz.py`.

use std::io::{Cursor, Write};

use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;
use wgpu_lstm::{Error, FoundLstm, LstmConfig, LstmWeights, find_lstms};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::{Truth, data};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(data("npz").join(name)).unwrap()
}

#[test]
fn arrays_of_every_type_and_order_hold_the_network_that_was_saved() {
    let truth = Truth::read("pytorch/truth.safetensors");
    for name in ["stored.npz", "mixed.npz", "versions.npz"] {
        let bytes = file(name);
        let weights =
            LstmWeights::from_bytes(&bytes, "lstm.").unwrap_or_else(|error| panic!("{name}: {error}"));
        truth.assert_same(name, &weights);
        truth.assert_same(name, &LstmWeights::from_file(data("npz").join(name), "lstm.").unwrap());
    }
    let found: Vec<FoundLstm> = find_lstms(&file("mixed.npz")).unwrap();
    let prefixes: Vec<_> = found.iter().map(|lstm| (lstm.prefix.as_str(), lstm.config.is_ok())).collect();
    assert_eq!(prefixes, [("integers.", false), ("lstm.", true), ("objects.", false)]);
    assert_eq!(found[1].element_types, ["F16", "F32", "F64"]);
}

/// An array of another type is an error only in a parameter, and then a named one.
#[test]
fn other_element_types_are_refused_by_name() {
    for (prefix, kind) in [("objects.", "|O (Python objects in a pickle)"), ("integers.", "<i8")] {
        match LstmWeights::from_bytes(&file("mixed.npz"), prefix) {
            Err(Error::TensorType { name, actual }) => {
                assert_eq!((name, actual.as_str()), (format!("{prefix}weight_ih_l0"), kind));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_wrong_prefix_names_the_right_ones() {
    match LstmWeights::from_bytes(&file("stored.npz"), "ltsm.") {
        Err(Error::WrongPrefix { found, .. }) => assert_eq!(found[0].prefix, "lstm."),
        other => panic!("{other:?}"),
    }
}

/// An array with this dictionary.
fn array(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let length = (dictionary.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0".as_slice(), &length, dictionary.as_bytes(), data].concat()
}

fn archive(members: &[(&str, Vec<u8>)], compression: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(compression)).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A network of I = 2, H = 1 whose input's weights have this dictionary and these bytes.
fn network(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let square = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1), }";
    let members =
        [("weight_ih_l0.npy", array(dictionary, data)), ("weight_hh_l0.npy", array(square, &[0; 16]))];
    archive(&members, CompressionMethod::Stored)
}

fn floats(numbers: [f32; 8]) -> Vec<u8> {
    numbers.into_iter().flat_map(f32::to_le_bytes).collect()
}

#[test]
fn headers_are_read_as_numpy_writes_them_and_others_are_refused() {
    let data = floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    for (dictionary, expected) in [
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }   \n",
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        ),
        (
            "{\"shape\":(4,2),\"fortran_order\":True,\"descr\":\"<f4\"}",
            [1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0],
        ),
        (
            "{'descr': '<f4', 'fortran_order': True, 'shape': (4L, 2L)}",
            [1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0],
        ),
    ] {
        let weights = LstmWeights::from_bytes(&network(dictionary, &data), "")
            .unwrap_or_else(|error| panic!("{dictionary}: {error}"));
        let (name, values) = weights.state_dict().next().unwrap();
        assert_eq!(name, "weight_ih_l0");
        assert_eq!(values.iter().copied().collect::<Vec<_>>(), expected, "{dictionary}");
    }
    for (dictionary, reason) in [
        ("", "is not valid"),
        ("{", "is not valid"),
        ("{}", "is not valid"),
        ("[]", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False}", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2)} x", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), 'x': 1}", "is not valid"),
        ("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (4, 2)}", "is not valid"),
        ("{'descr': '<f4' 'fortran_order': False, 'shape': (4, 2)}", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (4, 2)}", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4 2)}", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (8)}", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 2)}", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "is not valid"),
        ("{'descr': '<f4\\'', 'fortran_order': False, 'shape': (4, 2)}", "is not valid"),
        ("{'descr': [[[[[['<f4'], 'fortran_order': False, 'shape': (4, 2)}", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2)}", "is not valid"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3)}", "needs"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2)}", "needs"),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
            "more bytes than there can be",
        ),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 18446744073709551615)}",
            "more bytes",
        ),
    ] {
        assert_malformed(&network(dictionary, &data), reason);
        assert_malformed(&network(dictionary, &data), "weight_ih_l0.npy");
    }
}

#[track_caller]
fn assert_malformed(file: &[u8], expected: &str) {
    match LstmWeights::from_bytes(file, "") {
        Err(Error::MalformedFile { reason, .. }) => assert!(reason.contains(expected), "{reason}"),
        other => panic!("{other:?}"),
    }
}

const ROWS: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }";

#[test]
fn versions_and_lengths_that_numpy_does_not_write_are_refused() {
    let data = floats([0.0; 8]);
    let with = |content: Vec<u8>| archive(&[("a.npy", content)], CompressionMethod::Stored);
    let mut version = array(ROWS, &data);
    version[6] = 4;
    assert_malformed(&with(version), "version 4.0");
    assert_malformed(&with(b"\x93NUMPY\x01".to_vec()), "ends early");
    assert_malformed(&with(b"\x93NUMPY\x01\0".to_vec()), "ends early");
    assert_malformed(&with(b"\x93NUMPY\x02\0\xff\xff\xff\xff{}".to_vec()), "more than 10000");
    assert_malformed(&with(array(ROWS, &data[1..])), "needs");
    assert_malformed(&with(array(ROWS, &[data.as_slice(), &[0]].concat())), "needs");
    let no_array = archive(&[("a.npy", b"text".to_vec())], CompressionMethod::Stored);
    assert!(matches!(find_lstms(&no_array), Err(Error::UnsupportedFile { .. })));
}

/// Python's zipfile writes a name twice with a warning only.
#[test]
fn a_name_of_two_arrays_is_refused() {
    let data = floats([0.0; 8]);
    let square = array("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1), }", &[0; 16]);
    let members = [
        ("weight_hh_l0.npy", square.clone()),
        ("weight_ih_l0.npy", array(ROWS, &data)),
        ("weight_ih_l0", array(ROWS, &data)),
    ];
    match LstmWeights::from_bytes(&archive(&members, CompressionMethod::Stored), "") {
        Err(Error::DuplicateTensor { name }) => assert_eq!(name, "weight_ih_l0"),
        other => panic!("{other:?}"),
    }
    let members = [
        ("weight_hh_l0.npy", square),
        ("weight_ih_l0.npy", array(ROWS, &data)),
        ("weight_ih_lX.npy", array(ROWS, &data)),
    ];
    let mut bytes = archive(&members, CompressionMethod::Stored);
    while let Some(at) = bytes.windows(4).position(|part| part == b"_lX.") {
        bytes[at + 2] = b'0';
    }
    assert_malformed(&bytes, "same name");
}

/// 64 MB of zeros, compressed a thousandfold, and members that share their compressed bytes.
#[test]
fn a_bomb_is_refused() {
    let rows = 4 << 20;
    let wide = |rows: usize, columns: usize| {
        let dictionary =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
        array(&dictionary, &vec![0; rows * columns * 4])
    };
    let members = [("weight_ih_l0.npy", wide(rows, 4)), ("weight_hh_l0.npy", wide(4, 1))];
    let bytes = archive(&members, CompressionMethod::Deflated);
    assert!(bytes.len() < 100_000);
    // The names and shapes can be read.
    assert_eq!(find_lstms(&bytes).unwrap().len(), 1);
    let members = [("weight_ih_l0.npy", wide(4, 4 << 20)), ("weight_hh_l0.npy", wide(4, 1))];
    assert_malformed(&archive(&members, CompressionMethod::Deflated), "compressed from");
    // A bias of zeros, which is compressed as much, is read.
    let hidden = 4096;
    let members = [
        ("weight_ih_l0.npy", wide(4 * 64, 1)),
        ("weight_hh_l0.npy", wide(4 * 64, 64)),
        ("unused.npy", wide(hidden, hidden)),
    ];
    let weights = LstmWeights::from_bytes(&archive(&members, CompressionMethod::Deflated), "").unwrap();
    assert_eq!(weights.config(), &LstmConfig::new(1, 64).with_bias(false));
}

#[test]
fn damaged_elements_are_refused_by_their_checksum() {
    for compression in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let members = [
            ("weight_ih_l0.npy", array(ROWS, &floats([0.123_456_79; 8]))),
            (
                "weight_hh_l0.npy",
                array("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1), }", &[7; 16]),
            ),
        ];
        let mut bytes = archive(&members, compression);
        assert!(LstmWeights::from_bytes(&bytes, "").is_ok());
        let second = bytes.windows(4).skip(1).position(|part| part == b"PK\x03\x04").unwrap() + 1;
        bytes[second - 1] ^= 1; // the last byte of the first member
        assert!(matches!(LstmWeights::from_bytes(&bytes, ""), Err(Error::MalformedFile { .. })));
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    for name in ["stored.npz", "mixed.npz"] {
        let bytes = file(name);
        for end in 0..bytes.len() {
            assert!(LstmWeights::from_bytes(&bytes[..end], "lstm.").is_err(), "{name}: {end}");
            assert!(find_lstms(&bytes[..end]).is_err(), "{name}: {end}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_corruption_panics(
        which in 0..3_usize,
        corruptions in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = file(["stored.npz", "mixed.npz", "versions.npz"][which]);
        for (at, byte) in corruptions {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = LstmWeights::from_bytes(&bytes, "lstm.");
        let _ = find_lstms(&bytes);
    }
}
