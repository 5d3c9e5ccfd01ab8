//! A model in several safetensors files, with an index.

use std::path::PathBuf;

use wgpu_lstm::{Error, LstmConfig, LstmWeights, find_lstms_in_file};

use crate::support::{StateDict, file_of, state_dict};
use safetensors::Dtype;

fn config() -> LstmConfig {
    LstmConfig::new(3, 2).with_num_layers(2)
}

/// A folder with the network's first layer in `a.safetensors`, its second one in `b.safetensors`.
struct Model {
    folder: PathBuf,
    parts: [StateDict; 2],
}

impl Model {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("index").join(name);
        let _ = std::fs::remove_dir_all(&folder); // there may be none yet
        std::fs::create_dir_all(&folder).unwrap();
        let (second, first) =
            state_dict(&config(), "lstm.").into_iter().partition(|(name, _)| name.ends_with("_l1"));
        Self { folder, parts: [first, second] }
    }

    /// Writes the files and an index of these names and files. Returns the index's path.
    fn write(&self, weight_map: &[(&str, &str)]) -> PathBuf {
        for (part, name) in self.parts.iter().zip(["a.safetensors", "b.safetensors"]) {
            std::fs::write(self.folder.join(name), file_of(Dtype::F32, part)).unwrap();
        }
        let entries: Vec<_> = weight_map.iter().map(|(name, file)| format!("{name:?}: {file:?}")).collect();
        let text =
            format!(r#"{{"metadata": {{"total_size": 1}}, "weight_map": {{{}}}}}"#, entries.join(", "));
        let path = self.folder.join("model.safetensors.index.json");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The right index.
    fn weight_map(&self) -> Vec<(&str, &str)> {
        let files = self.parts.iter().zip(["a.safetensors", "b.safetensors"]);
        files.flat_map(|(part, file)| part.keys().map(move |name| (name.as_str(), file))).collect()
    }

    fn error(&self, weight_map: &[(&str, &str)]) -> Error {
        LstmWeights::from_file(self.write(weight_map), "lstm.").unwrap_err()
    }
}

#[test]
fn a_network_in_two_files_is_read_as_one() {
    let model = Model::new("two");
    let path = model.write(&model.weight_map());
    let whole = LstmWeights::from_state_dict(state_dict(&config(), "lstm."), "lstm.").unwrap();
    assert_eq!(whole.config(), &config());
    for prefix in ["lstm.", ""] {
        assert_eq!(LstmWeights::from_file(&path, prefix).unwrap(), whole);
    }
    let found = find_lstms_in_file(&path).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].prefix.as_str(), found[0].config.as_ref().unwrap()), ("lstm.", &config()));
    // Each file alone is not the network.
    assert!(matches!(
        LstmWeights::from_file(model.folder.join("b.safetensors"), "lstm."),
        Err(Error::MissingTensor { .. })
    ));
}

/// As in `transformers`, which loads every tensor of the files that the index names.
#[test]
fn a_tensor_that_the_index_does_not_name_is_read() {
    let model = Model::new("unnamed");
    let mut weight_map = model.weight_map();
    weight_map.retain(|(name, _)| *name != "lstm.weight_hh_l1");
    let path = model.write(&weight_map);
    assert_eq!(LstmWeights::from_file(path, "lstm.").unwrap().config(), &config());
}

#[test]
fn the_index_says_which_of_two_copies_counts() {
    let mut model = Model::new("copies");
    let name = "lstm.weight_hh_l1";
    let copy = model.parts[1][name].mapv(|x| x + 1.0);
    model.parts[0].insert(name.to_owned(), copy);
    let right = [model.weight_map(), vec![(name, "b.safetensors")]].concat();
    let whole = LstmWeights::from_state_dict(state_dict(&config(), "lstm."), "lstm.").unwrap();
    assert_eq!(LstmWeights::from_file(model.write(&right), "lstm.").unwrap(), whole);
    let other = [model.weight_map(), vec![(name, "a.safetensors")]].concat();
    assert_ne!(LstmWeights::from_file(model.write(&other), "lstm.").unwrap(), whole);
    // Without a word about it, both could be meant.
    let silent: Vec<_> = model.weight_map().into_iter().filter(|(other, _)| *other != name).collect();
    match model.error(&silent) {
        Error::DuplicateTensor { name: twice } => assert_eq!(twice, name),
        error => panic!("{error}"),
    }
}

#[test]
fn a_tensor_that_is_not_in_its_file_is_named() {
    let model = Model::new("missing");
    let weight_map = [model.weight_map(), vec![("head.weight", "b.safetensors")]].concat();
    let error = model.error(&weight_map);
    assert!(matches!(error, Error::MalformedFile { .. }));
    assert!(error.to_string().contains(r#"tensor "head.weight" is not in "b.safetensors""#), "{error}");
}

#[test]
fn files_that_are_not_there_or_are_no_safetensors_are_named() {
    let model = Model::new("files");
    let weight_map = [model.weight_map(), vec![("head.weight", "c.safetensors")]].concat();
    match model.error(&weight_map) {
        Error::ReadFile { path, .. } => assert_eq!(path, model.folder.join("c.safetensors")),
        error => panic!("{error}"),
    }
    std::fs::write(model.folder.join("c.safetensors"), "<!doctype html>").unwrap();
    match model.error(&weight_map) {
        Error::SafeTensors { reason } => {
            assert!(reason.contains("c.safetensors") && reason.contains("HTML"), "{reason}");
        }
        error => panic!("{error}"),
    }
}

#[test]
fn files_outside_of_the_directory_are_refused() {
    let model = Model::new("outside");
    let outside = std::path::absolute(&model.folder).unwrap().join("a.safetensors");
    for file in [
        "../outside/a.safetensors",
        "a/../../a.safetensors",
        outside.to_str().unwrap(),
        "..\\a.safetensors",
        "C:a.safetensors",
        ".",
        "",
        "/",
    ] {
        match model.error(&[("lstm.weight_ih_l0", file)]) {
            Error::MalformedFile { reason, .. } => {
                assert!(reason.contains("own directory"), "{file}: {reason}");
            }
            error => panic!("{file}: {error}"),
        }
    }
}

#[test]
fn an_invalid_index_is_refused() {
    let model = Model::new("invalid");
    let path = model.write(&model.weight_map());
    let text = std::fs::read(&path).unwrap();
    for end in text.iter().position(|&byte| byte == b'w').unwrap() + 12..text.len() {
        std::fs::write(&path, &text[..end]).unwrap();
        let error = LstmWeights::from_file(&path, "lstm.").unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{end}: {error}");
    }
    for text in [
        r#"{"weight_map": {}}"#,
        r#"{"weight_map": []}"#,
        r#"{"weight_map": {"a": 1}}"#,
        r#"{"weight_map" 1}"#,
    ] {
        std::fs::write(&path, text).unwrap();
        let error = LstmWeights::from_file(&path, "lstm.").unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{text}: {error}");
    }
}
