//! What `find_lstms_in_file` lists of real files.

use std::collections::BTreeSet;

use wgpu_lstm::{FoundLstm, find_lstms_in_file};

use crate::truth::{Network, networks, path};

fn list(file: &str) -> Vec<FoundLstm> {
    find_lstms_in_file(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every network of every file once, under one of its names, with its sizes; and nothing else but layers of stacks.
#[test]
fn every_network_is_listed_once() {
    let networks = networks();
    let files: BTreeSet<&str> =
        networks.iter().flat_map(|network| &network.sources).map(|(file, _)| file.as_str()).collect();
    assert_eq!(files.len(), 16, "{files:?}");
    for file in files {
        let found = list(file);
        let own: Vec<&Network> =
            networks.iter().filter(|network| !network.prefixes_in(file).is_empty()).collect();
        let whole: Vec<_> = found.iter().filter(|lstm| lstm.part_of.is_none()).collect();
        assert_eq!(whole.len(), own.len(), "{file}: {found:?}");
        for network in own {
            let prefixes = network.prefixes_in(file);
            let of_network = |lstm: &&&FoundLstm| prefixes.contains(&lstm.prefix.as_str());
            let listed: Vec<_> = whole.iter().filter(of_network).collect();
            let [lstm] = listed[..] else { panic!("{file} {prefixes:?}: {found:?}") };
            assert_eq!(lstm.config.as_ref().ok(), Some(&network.config()), "{file}: {lstm:?}");
        }
        for layer in found.iter().filter(|lstm| lstm.part_of.is_some()) {
            assert!(
                whole.iter().any(|lstm| layer.part_of.as_deref() == Some(lstm.prefix.as_str())),
                "{file}: {layer:?}"
            );
            assert!(layer.config.is_ok(), "{file}: {layer:?}");
        }
    }
}

/// Two stacks of two nodes each: the other branches hold the same nodes again.
#[test]
fn nodes_of_a_stack_are_listed_as_its_layers() {
    let found = list("vad-web/silero_vad_legacy.onnx");
    let layers: Vec<_> = found.iter().filter(|lstm| lstm.part_of.is_some()).collect();
    assert_eq!(layers.len(), 4, "{found:?}");
    for layer in layers {
        let part_of = layer.part_of.as_ref().expect("a layer");
        assert!(part_of.split('+').any(|node| node == layer.prefix), "{layer:?}");
    }
}

#[test]
fn element_types_are_those_of_the_file() {
    let types = |file: &str| list(file).into_iter().map(|lstm| lstm.element_types).collect::<Vec<_>>();
    assert_eq!(types("Resemblyzer/pretrained.pt"), [["F32"]]);
    assert_eq!(types("ddddocr/common.onnx"), [["F32"]]);
    let quantized = types("ddddocr/common_old.onnx").concat();
    assert!(quantized.contains(&"I8".to_owned()), "{quantized:?}");
}

/// A Keras file without a configuration does not say all of what its layers compute.
#[test]
fn assumptions_are_stated() {
    let found = list("textgenrnn/textgenrnn_weights.hdf5");
    for lstm in &found {
        let assumed = lstm.assumed.as_deref().unwrap_or_default();
        assert!(assumed.contains("go_backwards"), "{lstm:?}");
    }
    assert!(list("ddddocr/common.onnx").iter().all(|lstm| lstm.assumed.is_none()));
}
