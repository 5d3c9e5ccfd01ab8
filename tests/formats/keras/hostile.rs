//! No content of a file causes a panic, a hang or an allocation that its length does not explain.

use std::io::{Cursor, Write};

use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::proptest;
use proptest::sample::Index;
use wgpu_lstm::{Error, LstmWeights, find_lstms};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{file, prefixes};

/// Reads all that is in a file; there may be any error.
fn read(bytes: &[u8]) {
    for lstm in find_lstms(bytes).unwrap_or_default() {
        let _ = LstmWeights::from_bytes(bytes, &lstm.prefix);
    }
    let _ = LstmWeights::from_bytes(bytes, "none");
}

#[test]
fn groups_and_links_in_a_circle_are_left() {
    assert_eq!(prefixes("cycles.h5"), ["lstm"]);
    assert_eq!(prefixes("cyclic_places.h5"), ["lstm"]);
}

/// Each tensor of a layer repeats its name, and each group its path.
#[test]
fn long_names_are_refused() {
    for (name, length) in [("long_name.h5", 1025), ("long_path.h5", 1206)] {
        match find_lstms(&file(name)) {
            Err(Error::MalformedFile { reason, .. }) => {
                assert!(reason.contains(&format!("{length} bytes, more than 1024")), "{reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// A header claims 65,281 messages, for which the parser would allocate 9 MB and keep them; a file can have many such.
#[test]
fn a_header_that_lies_about_its_messages_is_refused() {
    let bytes = include_bytes!("../../data/seeds/keras/many_messages");
    match find_lstms(bytes).map(|found| found.len()) {
        Err(Error::MalformedFile { reason, .. }) => assert!(reason.contains("overlap or lie"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    for name in ["split.h5", "cyclic_places.h5"] {
        let bytes = file(name);
        for end in 0..bytes.len() {
            read(&bytes[..end]);
        }
        assert!(find_lstms(&bytes[..bytes.len() / 2]).is_err(), "{name}");
    }
    let bytes = file("stateful.h5");
    for end in (0..bytes.len()).step_by(7) {
        read(&bytes[..end]);
    }
    let bytes = file("gru.keras");
    for end in (0..bytes.len()).step_by(7) {
        assert!(find_lstms(&bytes[..end]).is_err(), "{end}");
    }
}

fn archive(members: &[(&str, &[u8])], compression: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(compression)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn archives_of_other_things_are_refused() {
    let stored = CompressionMethod::Stored;
    let weights = file("stateful.weights.h5");
    let nested = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    // Each layer of a model repeats the model's name.
    let long_name = format!(
        r#"{{"config":{{"layers":[{{"class_name":"Model","name":"{}","config":{{"layers":[]}}}}]}}}}"#,
        "n".repeat(1025)
    );
    for (bytes, expected) in [
        (
            archive(&[("metadata.json", b"{}")], stored),
            "without model.weights.h5, where Keras 3 writes a model's weights; it has \"metadata.json\"",
        ),
        (archive(&[("config.json", b"{\"a\":"), ("model.weights.h5", &weights)], stored), "no valid JSON"),
        (
            archive(&[("config.json", nested.as_bytes()), ("model.weights.h5", &weights)], stored),
            "no valid JSON",
        ),
        (
            archive(&[("config.json", long_name.as_bytes()), ("model.weights.h5", &weights)], stored),
            "has 1025 bytes, more than 1024",
        ),
        (archive(&[("config.json", b"{}"), ("model.weights.h5", b"PK")], stored), "HDF5"),
        (
            archive(
                &[("config.json", b"{}"), ("model.weights.h5", &[0; 50 << 20])],
                CompressionMethod::Deflated,
            ),
            "when it is decompressed",
        ),
        (
            archive(&[("config.json", &[b'['; 1 << 20]), ("model.weights.h5", &weights)], stored),
            "bytes of memory",
        ),
    ] {
        match find_lstms(&bytes).map(|found| found.len()) {
            Err(error @ (Error::MalformedFile { .. } | Error::UnsupportedFile { .. })) => {
                assert!(error.to_string().contains(expected), "{expected}: {error}");
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn a_compressed_archive_is_read() {
    let bytes = archive(
        &[("config.json", b"{}"), ("model.weights.h5", &file("stateful.weights.h5"))],
        CompressionMethod::Deflated,
    );
    assert!(LstmWeights::from_bytes(&bytes, "keeps").is_ok());
}

const FILES: [&str; 8] = [
    "split.h5",
    "cycles.h5",
    "cyclic_places.h5",
    "bfloat16.weights.h5",
    "stateful.h5",
    "gru.keras",
    "storage.h5",
    "older.h5",
];

fn corruption() -> impl Strategy<Value = (Index, u8)> {
    (
        any::<Index>(),
        proptest::prop_oneof![any::<u8>(), proptest::prelude::Just(0xff), proptest::prelude::Just(0)],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_corruption_panics(
        which in 0..FILES.len(),
        corruptions in proptest::collection::vec(corruption(), 1..6),
        start_only in any::<bool>(),
    ) {
        let mut bytes = file(FILES[which]);
        let reach = if start_only { bytes.len().min(2048) } else { bytes.len() };
        for (at, byte) in corruptions {
            bytes[at.index(reach)] = byte;
        }
        read(&bytes);
    }
}
