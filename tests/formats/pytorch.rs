//! PyTorch checkpoints, written by PyTorch: `tests/data/formats/make_pytorch.py`.

use wgpu_lstm::{Error, FoundLstm, LstmConfig, LstmWeights, find_lstms, find_lstms_in_file};

use crate::support::{Truth, data, folder};

fn file(name: &str) -> std::path::PathBuf {
    data("pytorch").join(name)
}

fn found(name: &str) -> Vec<FoundLstm> {
    find_lstms_in_file(file(name)).unwrap()
}

/// One network in every container and element type, under every kind of prefix.
#[test]
fn every_container_holds_the_network_that_was_saved() {
    let truth = Truth::read("pytorch/truth.safetensors");
    for (name, prefix) in [
        ("state_dict.pt", "lstm."),
        ("module.pt", "lstm."),                                 // a whole module
        ("legacy.pt", "model_state.lstm."), // the stream of PyTorch before 1.6, beside Adam's state
        ("old.tar", "lstm."),               // PyTorch before 0.1.10
        ("strided_f64.pt", "state_dict.module._orig_mod.rnn."), // transposed views into one storage
        ("strided_f16.pt", "lstm."),
        ("strided_bf16.pt", "lstm."),
        ("strided_legacy.pt", "lstm."),
        ("list.pt", "layers.0."),
        ("learnt_state.pt", "lstm."),
    ] {
        for prefix in [prefix, ""] {
            let weights =
                LstmWeights::from_file(file(name), prefix).unwrap_or_else(|error| panic!("{name}: {error}"));
            truth.assert_same(name, &weights);
        }
        let config = LstmConfig::new(3, 2).with_num_layers(2).with_bidirectional(true);
        let found = found(name);
        let networks: Vec<_> =
            found.iter().map(|lstm| (lstm.prefix.as_str(), lstm.config.as_ref().unwrap())).collect();
        assert_eq!(networks, [(prefix, &config)], "{name}");
    }
}

/// A comparison that could not fail would prove nothing: here two gates, and then two rows, are exchanged.
#[test]
fn the_comparison_fails_for_other_weights() {
    let truth = Truth::read("pytorch/truth.safetensors");
    let mut tensors: Vec<_> =
        truth.weights.state_dict().map(|(name, values)| (name, values.into_owned().into_dyn())).collect();
    let (name, matrix) = &mut tensors[1];
    assert_eq!(name, "weight_hh_l0");
    let (a, b) = (matrix[[0, 0]], matrix[[2, 0]]);
    (matrix[[0, 0]], matrix[[2, 0]]) = (b, a);
    let wrong = LstmWeights::from_state_dict(tensors, "").unwrap();
    let result = std::panic::catch_unwind(|| truth.assert_same("wrong", &wrong));
    assert!(result.is_err());
}

#[test]
fn element_types_are_those_of_the_file() {
    for (name, element_type) in [
        ("state_dict.pt", "F32"),
        ("strided_f64.pt", "F64"),
        ("strided_f16.pt", "F16"),
        ("strided_bf16.pt", "BF16"),
    ] {
        assert_eq!(found(name)[0].element_types, [element_type], "{name}");
    }
}

#[test]
fn a_wrong_prefix_names_the_right_one() {
    match LstmWeights::from_file(file("legacy.pt"), "lstm.") {
        Err(Error::WrongPrefix { found, names, .. }) => {
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].prefix, "model_state.lstm.");
            assert!(names.contains(&"optimizer_state.state.3.exp_avg".to_owned()), "{names:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// Networks that are no plain LSTM arrive at the checks that all formats share.
#[test]
fn other_networks_are_refused_by_what_they_are() {
    let read = |prefix: &str| LstmWeights::from_file(file("others.pt"), prefix);
    for (prefix, reason) in [
        ("gru.", "GRU"),
        ("weight_norm.", "remove_weight_norm"),
        ("parametrized.", "remove_parametrizations"),
        ("weight_drop.", "weight drop"),
        ("integers.", "I32"),
    ] {
        let error = read(prefix).unwrap_err().to_string();
        assert!(error.contains(reason), "{prefix}: {error}");
    }
    assert_eq!(read("good.").unwrap().config(), &LstmConfig::new(2, 2));
    let prefixes: Vec<_> =
        found("others.pt").into_iter().map(|lstm| (lstm.prefix, lstm.config.is_ok())).collect();
    let bad = |prefix: &str| (prefix.to_owned(), false);
    let expected = ["gru.", "integers.", "parametrized.", "weight_drop.", "weight_norm."].map(bad);
    let good = ("good.".to_owned(), true);
    assert_eq!(
        prefixes,
        [&[good][..], &expected[..]]
            .concat()
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
}

#[test]
fn files_of_another_kind_are_refused_by_what_they_are() {
    for (name, what) in [
        ("no_tensors.pt", "without any tensor"),
        ("root_list.pt", "type list"),
        ("sparse.pt", "sparse tensor"),
        ("quantized.pt", "quantized tensor; save the network before it is quantized"),
        ("complex.pt", "torch.ComplexFloatStorage"),
        ("float8.pt", "float8_e4m3fn"),
        ("torchscript.pt", "TorchScript"),
        ("pickled_tensors.pkl", "pickle.dump"),
        ("pickled_numpy.pkl", "NumPy arrays in a pickle"),
        ("numpy_in_zip.pt", "NumPy arrays in a pickle"),
        ("object.pt", "__main__.Config"),
        ("module_legacy.pt", "whole module in the format of PyTorch before 1.6"),
        ("compressed.pt", "is compressed"),
        ("big_endian.pt", "big-endian"),
    ] {
        for result in [
            LstmWeights::from_file(file(name), "lstm.").map(|_| ()),
            find_lstms_in_file(file(name)).map(|_| ()),
        ] {
            match result {
                Err(Error::UnsupportedFile { reason }) => assert!(reason.contains(what), "{name}: {reason}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_stream_with_big_endian_numbers_is_refused() {
    let mut bytes = std::fs::read(file("strided_legacy.pt")).unwrap();
    let key = b"little_endian";
    let at = bytes.windows(key.len()).position(|part| part == key).unwrap() + key.len();
    let value = bytes[at..].iter().position(|&opcode| opcode == 0x88).unwrap(); // NEWTRUE
    bytes[at + value] = 0x89; // NEWFALSE
    let path = folder("big_endian").join("file.pt");
    std::fs::write(&path, bytes).unwrap();
    let error = LstmWeights::from_file(path, "lstm.").unwrap_err();
    assert!(
        matches!(error, Error::UnsupportedFile { .. }) && error.to_string().contains("big-endian"),
        "{error}"
    );
}

/// `{"a.weight_ih_l0": …, "a": {"weight_ih_l0": …}}`: both have the same path, and the file does not say which counts.
#[test]
fn a_path_of_two_tensors_is_refused() {
    match LstmWeights::from_file(file("twice.pt"), "a.") {
        Err(Error::DuplicateTensor { name }) => assert_eq!(name, "a.weight_ih_l0"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for path in [file("none.pt"), data("pytorch")] {
        match LstmWeights::from_file(&path, "") {
            Err(Error::ReadFile { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_alone_are_not_read_yet() {
    let bytes = std::fs::read(file("state_dict.pt")).unwrap();
    for result in [LstmWeights::from_bytes(&bytes, "lstm.").map(|_| ()), find_lstms(&bytes).map(|_| ())] {
        match result {
            Err(Error::UnsupportedFile { reason }) => assert!(reason.contains("from_file"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
