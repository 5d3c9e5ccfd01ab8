//! No content of a PyTorch checkpoint causes a panic, a hang or an allocation that its length does not explain.

use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::proptest;
use wgpu_lstm::{Error, LstmWeights, find_lstms_in_file};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::{data, folder};

const FILES: [&str; 6] =
    ["state_dict.pt", "module.pt", "strided_f16.pt", "strided_legacy.pt", "legacy.pt", "old.tar"];

fn original(name: &str) -> Vec<u8> {
    std::fs::read(data("pytorch").join(name)).unwrap()
}

/// Reads the bytes as a file; there may be any error.
fn read(path: &Path, bytes: &[u8]) -> Result<LstmWeights, Error> {
    std::fs::write(path, bytes).unwrap();
    let _ = find_lstms_in_file(path);
    LstmWeights::from_file(path, "")
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let path = folder("truncated").join("file.pt");
    for name in ["strided_f16.pt", "strided_legacy.pt", "old.tar"] {
        let bytes = original(name);
        // A tar archive ends with blocks of zeros, of which readers need none.
        let needed = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        for end in 0..needed {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let result = LstmWeights::from_file(&path, "");
            assert!(result.is_err(), "{name} is read up to {end} of {needed}");
        }
    }
}

fn corruption() -> impl Strategy<Value = (usize, u8)> {
    let opcode = prop_oneof![
        any::<u8>(),
        Just(0xff),
        Just(b'('),
        Just(b'.'),
        Just(b'h'),
        Just(b'R'),
        Just(b'b'),
        Just(0)
    ];
    (any::<proptest::sample::Index>(), opcode).prop_map(|(at, byte)| (at.index(usize::MAX), byte))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_corruption_panics(
        which in 0..FILES.len(),
        corruptions in proptest::collection::vec(corruption(), 1..6),
        start_only in any::<bool>(),
    ) {
        let path = folder("corrupt").join("file.pt");
        let mut bytes = original(FILES[which]);
        let reach = if start_only { bytes.len().min(1200) } else { bytes.len() };
        for (at, byte) in corruptions {
            bytes[at % reach] = byte;
        }
        let _ = read(&path, &bytes);
    }
}

/// A checkpoint with this pickle.
fn checkpoint(name: &str, pickle: &[u8], compression: CompressionMethod) -> PathBuf {
    let path = folder(name).join("file.pt");
    let mut archive = ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(compression);
    for (member, content) in [("a/data.pkl", pickle), ("a/byteorder", b"little"), ("a/data/0", &[0; 64])] {
        archive.start_file(member, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap();
    path
}

#[track_caller]
fn assert_refused(path: &Path, reason: &str) {
    let error = LstmWeights::from_file(path, "").unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

/// Pickles that ask for gigabytes: of objects, of copies, of the names of tensors.
#[test]
fn a_pickle_that_takes_more_than_its_length_explains_is_refused() {
    const TOO_MUCH: &str = "much more memory";
    let values = [b"\x80\x02(".as_slice(), &[b'N'; 4_000_000], b"l."].concat();
    assert_refused(&checkpoint("values", &values, CompressionMethod::Stored), TOO_MUCH);

    // A tensor of 64 floats and of a rank of 100,000, copied from the memo a thousand times.
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x10tQ";
    let axes = b"K\x01".repeat(100_000);
    let copies = b"h\0".repeat(1000);
    let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(";
    let rank = [
        b"\x80\x02]".as_slice(),
        rebuild,
        storage,
        b"K\0(",
        &axes,
        b"t(",
        &axes,
        b"t\x89NtRq\0(",
        &copies,
        b"ee.",
    ]
    .concat();
    assert_refused(&checkpoint("rank", &rank, CompressionMethod::Stored), TOO_MUCH);

    // 50,000 tensors, each in dictionaries under keys of 100,000 characters together.
    let key = [b"X\xa0\x86\x01\0".as_slice(), &[b'k'; 100_000]].concat();
    let tensor = [rebuild.as_slice(), storage, b"K\0K\x01\x85K\x01\x85\x89NtRq\0"].concat();
    let names = [b"\x80\x02}".as_slice(), &key, b"](", &tensor, &b"h\0".repeat(50_000), b"es."].concat();
    assert_refused(&checkpoint("names", &names, CompressionMethod::Stored), TOO_MUCH);

    // Compressed, so that the file is a thousand times shorter.
    let path = checkpoint("compressed", &values, CompressionMethod::Deflated);
    assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
    assert_refused(&path, "is compressed");
}

/// A parameter of 40,000 × 10,000 numbers, all of which are one number of the file: `expand` in PyTorch.
#[test]
fn a_view_that_repeats_a_number_is_refused() {
    let tensor = |shape: &[u8], stride: &[u8]| {
        let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x10tQ";
        [b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice(), storage, b"K\0", shape, stride, b"\x89NtR"]
            .concat()
    };
    let pickle = [
        b"\x80\x02}(X\x0c\0\0\0weight_ih_l0".as_slice(),
        &tensor(b"M\x40\x9cM\x10\x27\x86", b"K\0K\0\x86"),
        b"X\x0c\0\0\0weight_hh_l0",
        &tensor(b"M\x40\x9cM\x10\x27\x86", b"K\0K\0\x86"),
        b"u.",
    ]
    .concat();
    let path = checkpoint("expand", &pickle, CompressionMethod::Stored);
    assert_eq!(find_lstms_in_file(&path).unwrap()[0].config.as_ref().unwrap().hidden_size(), 10_000);
    assert_refused(&path, "repeats the numbers of a small storage");
}

/// A tar archive can say that a member has a hole of any length, which is read as zeros.
#[test]
fn a_tar_archive_with_a_hole_is_refused() {
    let mut bytes = original("old.tar");
    bytes[156] = b'S'; // the kind of the first member
    let sum = 148..156; // counted as spaces
    let checksum: u32 =
        bytes[..512].iter().enumerate().map(|(at, &b)| if sum.contains(&at) { 32 } else { b.into() }).sum();
    bytes[sum].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    let path = folder("hole").join("file.tar");
    assert!(read(&path, &bytes).is_err());
}

#[test]
fn a_pickle_without_an_end_is_refused() {
    for (name, pickle) in [
        ("empty", b"".as_slice()),
        ("no_stop", b"\x80\x02}"),
        ("nothing", b"\x80\x02."),
        ("mark", b"\x80\x02(."),
        ("memo", b"\x80\x02h\x07."),
        ("long", b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff."),
        ("line", b"\x80\x02ctorch"),
        ("opcode", b"\x80\x02\xfe."),
        ("extension", b"\x80\x02\x82\x01."),
    ] {
        let path = checkpoint(name, pickle, CompressionMethod::Stored);
        let error = LstmWeights::from_file(path, "").unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{name}: {error}");
    }
    // Nested more deeply than the stack of a thread.
    let deep = [b"\x80\x02".as_slice(), &b"]".repeat(30_000), &b"a".repeat(29_999), b"."].concat();
    assert_refused(&checkpoint("deep", &deep, CompressionMethod::Stored), "nesting exceeds");
}
