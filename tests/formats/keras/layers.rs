//! Which layers are found, and that they compute what Keras computes.

use wgpu_lstm::ndarray::Axis;
use wgpu_lstm::{Error, LstmWeights};

use super::{assert_computes, compute, file, find, matrix, prefixes, truth};

const LAYOUTS: [&str; 3] = [".h5", ".keras", ".weights.h5"];

#[test]
fn every_layer_computes_what_keras_computes() {
    let truth = truth();
    for (model, count) in [("model", 4), ("beside", 6)] {
        let layers = truth[model].as_object().unwrap();
        assert_eq!(layers.len(), count);
        for layout in LAYOUTS {
            for (prefix, truth) in layers {
                assert_computes(&format!("{model}{layout}"), prefix, truth);
            }
        }
    }
}

/// The optimizer has tensors of the same names and shapes.
#[test]
fn layers_are_listed_in_the_order_of_the_model() {
    for layout in [".h5", ".keras"] {
        assert_eq!(prefixes(&format!("model{layout}")), ["first+second", "first", "second", "both", "last"]);
    }
    // Without a configuration nothing says what is between two layers; the groups are sorted by class.
    assert_eq!(prefixes("model.weights.h5"), ["both", "first", "second", "last"]);
}

#[test]
fn neighbours_in_a_sequential_model_are_one_network() {
    for layout in [".h5", ".keras"] {
        let bytes = file(&format!("model{layout}"));
        let read = |prefix| LstmWeights::from_bytes(&bytes, prefix).unwrap();
        let input = matrix(&truth()["model"]["first"]["input"]);
        let first = compute(&read("first"), &input);
        let between = first.index_axis_move(Axis(1), 0);
        let both = read("first+second");
        assert_eq!(both.config().num_layers(), 2);
        assert_eq!(compute(&both, &input), compute(&read("second"), &between));
    }
}

#[test]
fn the_configuration_is_assumed_where_there_is_none() {
    assert!(find("model.keras", "both").assumed.is_none());
    assert!(find("model.h5", "both").assumed.is_none());
    for (name, prefix, expected) in [
        ("model.weights.h5", "first", "activation tanh, recurrent_activation sigmoid, go_backwards False"),
        ("model.weights.h5", "both", "activation tanh, recurrent_activation sigmoid, merge_mode concat"),
        ("older.h5", "lstm_1", "activation tanh, recurrent_activation sigmoid, go_backwards False"),
        ("older.h5", "cudnn", "assumed are go_backwards False"),
        ("tagger.keras", "encoder_lstm", "activation tanh, recurrent_activation sigmoid"),
    ] {
        let assumed = find(name, prefix).assumed.unwrap();
        assert!(assumed.contains(expected), "{name}: {prefix}: {assumed}");
    }
}

/// A model of a class of its own has no layers in its configuration: they are called by the attributes' names, unless the
/// file has their own.
#[test]
fn layers_of_a_subclassed_model_are_found() {
    for name in ["tagger.keras", "tagger.weights.h5"] {
        assert_eq!(prefixes(name), ["encoder_lstm", "ends/end", "ends/end#2"], "{name}");
    }
}

#[test]
fn names_of_older_versions_are_read() {
    assert_eq!(prefixes("older.h5"), ["lstm_1", "lstm_2", "bi", "short", "cudnn", "encoder/a", "encoder/b"]);
    for prefix in ["bi", "short"] {
        assert!(find("older.h5", prefix).config.unwrap().bidirectional());
    }
    assert!(!find("older.h5", "lstm_2").config.unwrap().bidirectional());
}

#[test]
fn the_layout_of_cudnn_is_read() {
    assert_computes("older.h5", "cudnn", &truth()["older"]["cudnn"]);
}

/// More than 64 KiB of names are in several attributes.
#[test]
fn lists_in_several_attributes_are_read() {
    let config = find("split.h5", "long").config.unwrap();
    assert!(config.bias());
    assert_eq!((config.input_size(), config.hidden_size()), (2, 3));
}

#[test]
fn a_stateful_layer_is_read() {
    for name in ["stateful.h5", "stateful.weights.h5"] {
        assert_eq!(prefixes(name), ["keeps"], "{name}");
        assert_eq!(LstmWeights::from_bytes(&file(name), "").unwrap().config().hidden_size(), 12);
    }
}

/// States and an optimizer's tensors can have the shapes of an LSTM's.
#[test]
fn tensors_beside_a_cell_are_no_lstm() {
    assert_eq!(prefixes("beside_cell.h5"), ["lstm"]);
    assert_eq!(find("beside_cell.h5", "lstm").config.unwrap().input_size(), 2);
}

#[test]
fn a_file_without_an_lstm_says_what_it_has() {
    for (name, expected) in [
        ("gru.keras", "a Keras model with layers of the classes"),
        ("gru.keras", "\"GRU\""),
        ("gru.weights.h5", "\"gru\""),
        ("no_keras.h5", "an HDF5 file, but not one of Keras's weights; its root has \"images\", \"data\""),
    ] {
        assert!(prefixes(name).is_empty());
        match LstmWeights::from_bytes(&file(name), "lstm") {
            Err(Error::NoLstm { reason }) => assert!(reason.contains(expected), "{name}: {reason}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
