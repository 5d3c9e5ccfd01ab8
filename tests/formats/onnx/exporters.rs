//! Models that PyTorch 2.15 wrote, with both of its exporters, against PyTorch's own parameters and output.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use wgpu_lstm::ndarray::{Array3, ArrayD, Ix3};
use wgpu_lstm::{Error, LstmWeights, find_lstms, reference};

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats/onnx").join(name)
}

pub fn file(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// What PyTorch says of a model: tensors whose names begin with the model's.
pub fn truth(name: &str) -> Vec<(String, ArrayD<f32>)> {
    let file = file("truth.safetensors");
    let file = SafeTensors::deserialize(&file).unwrap();
    let tensors = file.iter().filter_map(|(key, view)| {
        let key = key.strip_prefix(name)?.strip_prefix('.')?;
        let values = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Some((key.to_owned(), ArrayD::from_shape_vec(view.shape(), values).unwrap()))
    });
    tensors.collect()
}

fn array(truth: &[(String, ArrayD<f32>)], name: &str) -> Array3<f32> {
    let (_, array) = truth.iter().find(|(key, _)| key == name).unwrap();
    array.clone().into_dimensionality::<Ix3>().unwrap()
}

/// Reads the network under the prefix, which must be PyTorch's to the bit, and compute PyTorch's output.
#[track_caller]
fn check(name: &str, prefix: &str, batch_first: bool) {
    let truth = truth(name);
    let weights = LstmWeights::from_bytes(&file(&format!("{name}.onnx")), prefix).unwrap();
    let is_parameter = |(key, _): &&(String, _)| key != "input" && key != "output";
    let parameters = truth.iter().filter(is_parameter).cloned();
    assert_eq!(weights, LstmWeights::from_state_dict(parameters, "").unwrap(), "{name}");

    let (mut input, mut expected) = (array(&truth, "input"), array(&truth, "output"));
    if batch_first {
        input.swap_axes(0, 1);
        expected.swap_axes(0, 1);
    }
    let (output, ..) = reference::forward(&weights, input.view(), None, None).unwrap();
    assert_eq!(output.dim(), expected.dim());
    let worst = output.iter().zip(&expected).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap();
    // Outputs are below 1; both sum a few products in f32.
    assert!(worst <= 1e-6, "{name}: the output is off by {worst:e}");
}

#[test]
fn two_layers_by_the_older_exporter() {
    check("legacy_two_layers", "/LSTM+/LSTM_1", false);
}

#[test]
fn two_bidirectional_layers_by_the_older_exporter() {
    check("legacy_bidirectional", "/LSTM+/LSTM_1", false);
}

#[test]
fn a_layer_without_biases() {
    check("legacy_no_bias", "/LSTM", false);
}

/// The weights are PyTorch's parameters behind 63 nodes: slices in the order of the gates, joined, with an axis more.
#[test]
fn weights_that_the_graph_rearranges() {
    check("legacy_not_folded", "/LSTM", false);
}

#[test]
fn two_layers_by_the_newer_exporter_batch_first() {
    check("dynamo_two_layers_batch_first", "node_LSTM_65+node_LSTM_126", true);
}

#[test]
fn two_bidirectional_layers_by_the_newer_exporter() {
    check("dynamo_bidirectional", "node_LSTM_111+node_LSTM_219", false);
}

#[test]
fn the_only_network_needs_no_prefix() {
    for name in ["legacy_two_layers.onnx", "dynamo_bidirectional.onnx", "legacy_no_bias.onnx"] {
        let found = find_lstms(&file(name)).unwrap();
        let prefix = &found[0].prefix;
        let by_name = LstmWeights::from_bytes(&file(name), prefix).unwrap();
        assert_eq!(LstmWeights::from_bytes(&file(name), "").unwrap(), by_name);
    }
}

#[test]
fn a_stack_and_its_layers_are_found() {
    let found = find_lstms(&file("legacy_bidirectional.onnx")).unwrap();
    let prefixes: Vec<_> = found.iter().map(|lstm| lstm.prefix.as_str()).collect();
    assert_eq!(prefixes, ["/LSTM+/LSTM_1", "/LSTM", "/LSTM_1"]);
    let config = found[0].config.as_ref().unwrap();
    assert_eq!((config.num_layers(), config.input_size(), config.hidden_size()), (2, 3, 4));
    assert!(config.bidirectional() && config.bias() && config.proj_size() == 0);
    assert_eq!(found[0].element_types, ["F32"]);
    assert_eq!(found[2].part_of.as_deref(), Some("/LSTM+/LSTM_1"));
}

/// PyTorch 2.15's newer exporter writes a network with `proj_size` as one of that hidden size, with half of the gates'
/// rows and without `weight_hr`: ONNX Runtime refuses to run it.
#[test]
fn a_network_that_lost_its_projection_is_refused() {
    let bytes = file("dynamo_projection.onnx");
    let error = LstmWeights::from_bytes(&bytes, "").unwrap_err();
    assert!(matches!(&error, Error::UnsupportedLstm { prefix, .. } if prefix == "node_lstm__2"), "{error}");
    assert!(error.to_string().contains("initial_c has shape [1, 2, 4], but the hidden size is 2"), "{error}");
}
