//! Nodes that compute something else than PyTorch's LSTM, or whose weights are not in the file: refused by name.

use wgpu_lstm::{Error, LstmWeights, ReadOptions, find_lstms};

use super::builder::{attribute, bytes, floats, graph, graph_input, integers, model, named, node, tensor};
use super::network::{attributes, initializers, weights};

/// A model of one bidirectional layer with these attributes and inputs more.
fn with(more: &[Vec<u8>], inputs: &[&str], others: &[Vec<u8>]) -> Vec<u8> {
    let network = weights(3, 2, 2);
    let inputs = [&["X", "W", "R", "B"], inputs].concat();
    let node = named(node("LSTM", &inputs, &["Y"], &[&attributes(&network), more].concat()), "lstm");
    model(graph(&[node], &[initializers("", &network, 0), others.to_vec()].concat()))
}

/// The reason why the layer is refused, which finding says too.
#[track_caller]
fn reason(model: &[u8]) -> String {
    let error = LstmWeights::from_bytes(model, "lstm").unwrap_err();
    let found = find_lstms(model).unwrap();
    assert_eq!(found[0].config.as_ref().unwrap_err().to_string(), error.to_string());
    match error {
        Error::UnsupportedLstm { prefix, reason } => {
            assert_eq!(prefix, "lstm");
            reason
        }
        other => panic!("{other}"),
    }
}

#[test]
fn attributes_that_change_the_computation() {
    let texts = |values: &[&str]| attribute::texts("activations", values);
    for (more, expected) in [
        (attribute::float_("clip", 3.5), "clip is 3.5"),
        (attribute::float_("clip", 0.0), "clip is 0"),
        (attribute::int_("input_forget", 1), "input_forget is 1"),
        (attribute::int_("layout", 2), "layout is 2"),
        (attribute::floats("activation_alpha", &[0.2]), "activation_alpha is [0.2], but"),
        (attribute::floats("activation_beta", &[0.5, 0.5]), "activation_beta is [0.5, 0.5], but"),
        (texts(&["HardSigmoid", "Tanh", "Tanh"]), "activations are [\"HardSigmoid\", \"Tanh\", \"Tanh\"]"),
        // Of one direction only, where there are two.
        (texts(&["Sigmoid", "Tanh", "Tanh"]), "activations are [\"Sigmoid\", \"Tanh\", \"Tanh\"]"),
        (texts(&["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Tanh", "Relu"]), "\"Relu\"]"),
        (attribute::int_("hidden_size", 5), "its hidden_size is 5, but R has shape [2, 8, 2]"),
        (attribute::int_("new_thing", 1), "it has the attribute \"new_thing\""),
        (attribute::text("direction", "sideways"), "direction is \"sideways\""),
    ] {
        let reason = reason(&with(&[more], &[], &[]));
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}

#[test]
fn a_lone_reverse_layer() {
    let network = weights(3, 2, 1);
    let attributes = [attribute::text("direction", "reverse")];
    let node = named(node("LSTM", &["X", "W", "R", "B"], &["Y"], &attributes), "lstm");
    let model = model(graph(&[node], &initializers("", &network, 0)));
    assert!(reason(&model).starts_with("direction is \"reverse\": PyTorch's LSTM has no layer"));
}

#[test]
fn peepholes() {
    let model = with(&[], &["", "", "", "P"], &[floats("P", &[2, 6], &[0.0; 12])]);
    assert_eq!(reason(&model), "it has peepholes (input P)");
    // The node says that they are part of the LSTM: no option ignores them.
    let read = ReadOptions::new("").with_others_ignored(true).from_bytes(&model);
    assert!(matches!(read, Err(Error::UnsupportedLstm { .. })), "{read:?}");
}

/// Defaults that are written out, and what belongs to the sequences and not to the weights.
#[test]
fn attributes_that_change_nothing() {
    let names = ["sigmoid", "Tanh", "tanh", "Sigmoid", "TANH", "Tanh"];
    for (more, inputs) in [
        (attribute::texts("activations", &names), &[][..]),
        (attribute::float_("clip", f32::MAX), &[]),
        (attribute::float_("clip", f32::INFINITY), &[]),
        (attribute::int_("input_forget", 0), &["lengths"]),
        (attribute::int_("layout", 1), &["", "h", "c"]), // X and Y have the batch first
        (attribute::int_("output_sequence", 1), &["", "zeros", "zeros", ""]),
        (attribute::floats("activation_alpha", &[]), &[]),
    ] {
        let model = with(&[more], inputs, &[floats("zeros", &[2, 1, 2], &[0.0; 4])]);
        assert_eq!(LstmWeights::from_bytes(&model, "lstm").unwrap(), weights(3, 2, 2));
    }
}

/// W comes from elsewhere than constants.
#[test]
fn weights_that_are_not_in_the_file() {
    let network = weights(3, 2, 1);
    let all = initializers("", &network, 0);
    let lstm = named(node("LSTM", &["X", "W", "R", "B"], &["Y"], &attributes(&network)), "lstm");
    let with = |nodes: &[Vec<u8>], more: &[u8]| {
        model([graph(&[nodes, std::slice::from_ref(&lstm)].concat(), &all[1..]), more.to_vec()].concat())
    };
    let computed = node("MatMul", &["X", "R"], &["W"], &[]);
    let empty = node("Constant", &[], &["W"], &[]);
    let cast = node("Cast", &["ints"], &["W"], &[attribute::int_("to", 1)]);
    let sparse = bytes(15, bytes(1, tensor("W", &[1], 1, bytes(9, [0; 4]))));
    let ints = bytes(5, integers("ints", &[1, 2]));
    for (model, expected) in [
        (
            with(&[], &graph_input("W")),
            "its input W is \"W\", an input of the graph: its values are not in the file",
        ),
        (with(&[computed], &[]), "its input W is \"W\", the result of \"MatMul\", which is not computed"),
        (with(&[], &[]), "its input W is \"W\", which nothing in the file defines"),
        (with(&[empty], &[]), "its input W is a constant that is no dense tensor"),
        (with(&[], &sparse), "its input W is \"W\", a sparse tensor"),
        (with(&[cast], &ints), "its input W is cast from I64 to F32"),
    ] {
        let reason = reason(&model);
        assert!(reason.starts_with(expected), "{expected}: {reason}");
    }
}

#[test]
fn shapes_that_do_not_fit() {
    let network = weights(3, 2, 1);
    let all = initializers("", &network, 0);
    let lstm = named(node("LSTM", &["X", "W", "R", "B"], &["Y"], &[]), "lstm");
    for (index, name, shape, expected) in [
        (0, "W", &[1, 3, 8][..], "[1, 4H, I]"), // transposed
        (0, "W", &[24], "[1, 4H, I]"),
        (1, "R", &[2, 8, 1], "[1, 4H, H]"),
        (1, "R", &[1, 16, 1], "[1, 4H, H]"),
        (2, "B", &[2, 8], "[1, 16]"),
    ] {
        let count = shape.iter().product();
        let mut all = all.clone();
        all[index] = floats(name, shape, &vec![0.5; count]);
        let error =
            LstmWeights::from_bytes(&model(graph(std::slice::from_ref(&lstm), &all)), "lstm").unwrap_err();
        let Error::TensorShape { name: of, expected: should, actual } = error else { panic!("{error}") };
        assert_eq!((of.as_str(), should.as_str(), &actual[..]), (name, expected, shape));
    }
}

/// Element types that are not floats are refused as in any other format.
#[test]
fn integer_weights() {
    let network = weights(3, 2, 1);
    let mut all = initializers("", &network, 0);
    all[0] = tensor("W", &[1, 8, 3], 3, bytes(9, [1; 24]));
    let lstm = named(node("LSTM", &["X", "W", "R", "B"], &["Y"], &[]), "lstm");
    let error = LstmWeights::from_bytes(&model(graph(&[lstm], &all)), "lstm").unwrap_err();
    assert!(matches!(&error, Error::TensorType { actual, .. } if actual == "I8"), "{error}");
}
