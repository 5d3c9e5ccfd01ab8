//! LSTM nodes in functions of the model: weights and attributes come from the call.

use wgpu_lstm::{Error, LstmWeights, find_lstms};

use super::builder::{attribute, bytes, graph, model_with, named, node, of_domain};
use super::network::{initializers, weights};

/// A function of domain `local` whose body has these nodes.
fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: &[Vec<u8>]) -> Vec<u8> {
    let all = |field, items: &[&str]| items.iter().flat_map(|item| bytes(field, item)).collect::<Vec<u8>>();
    let nodes: Vec<u8> = nodes.iter().flat_map(|node| bytes(7, node)).collect();
    [bytes(1, name), all(4, inputs), all(5, outputs), nodes, bytes(10, "local")].concat()
}

fn call(function: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    of_domain(node(function, inputs, outputs, attributes), "local")
}

/// A layer whose W is transposed in the body, and whose hidden size is the call's.
fn layer() -> Vec<u8> {
    let attributes = [attribute::reference("hidden_size", "size"), attribute::reference("clip", "no_such")];
    let body = [
        node("Identity", &["weight"], &["w"], &[]),
        named(node("LSTM", &["x", "w", "r", "b"], &["y"], &attributes), "lstm"),
        node("Squeeze", &["y"], &["out"], &[attribute::ints("axes", &[1])]),
    ];
    function("Layer", &["x", "weight", "r", "b"], &["out"], &body)
}

#[test]
fn a_function_that_is_called_twice_has_two_layers() {
    let (first, second) = (weights(3, 2, 1), weights(2, 2, 1));
    let size = [attribute::int_("size", 2)];
    let calls = [
        named(call("Layer", &["X", "aW", "aR", "aB"], &["h"], &size), "a"),
        named(call("Layer", &["h", "bW", "bR", "bB"], &["out"], &size), "b"),
    ];
    let initializers = [initializers("a", &first, 0), initializers("b", &second, 0)].concat();
    let model = model_with(graph(&calls, &initializers), &[layer()]);
    assert_eq!(LstmWeights::from_bytes(&model, "a/lstm").unwrap(), first);
    assert_eq!(LstmWeights::from_bytes(&model, "b/lstm").unwrap(), second);
    // The second call reads what the first one's body returns.
    let prefixes: Vec<_> = find_lstms(&model).unwrap().into_iter().map(|lstm| lstm.prefix).collect();
    assert_eq!(prefixes, ["a/lstm+b/lstm", "a/lstm", "b/lstm"]);
}

#[test]
fn the_calls_attributes_are_checked() {
    let network = weights(3, 2, 1);
    let calls = [named(call("Layer", &["X", "aW", "aR", "aB"], &["h"], &[attribute::int_("size", 3)]), "a")];
    let model = model_with(graph(&calls, &initializers("a", &network, 0)), &[layer()]);
    let error = LstmWeights::from_bytes(&model, "a/lstm").unwrap_err();
    assert!(error.to_string().contains("its hidden_size is 3, but R has shape [1, 8, 2]"), "{error}");
}

/// Calls in calls: names join.
#[test]
fn functions_in_functions() {
    let network = weights(3, 2, 1);
    let inner =
        named(call("Layer", &["x", "w", "r", "b"], &["y"], &[attribute::reference("size", "units")]), "in");
    let outer = function("Outer", &["x", "w", "r", "b"], &["y"], &[inner]);
    let calls = [named(call("Outer", &["X", "W", "R", "B"], &["Y"], &[attribute::int_("units", 2)]), "out")];
    let model = model_with(graph(&calls, &initializers("", &network, 0)), &[outer, layer()]);
    assert_eq!(LstmWeights::from_bytes(&model, "out/in/lstm").unwrap(), network);
}

/// 2⁶⁰ nodes in 60 functions; a function that calls itself; an output that is the function's own input.
#[test]
fn functions_that_never_end_are_refused() {
    let name = |index: usize| format!("F{index}");
    let doubling: Vec<_> = (0..60)
        .map(|index| {
            let next = name(index + 1);
            function(&name(index), &["x"], &["y"], &vec![call(&next, &["x"], &["y"], &[]); 2])
        })
        .collect();
    let itself = function("F0", &["x"], &["y"], &[call("F0", &["x"], &["y"], &[])]);
    for (functions, expected) in
        [(doubling, "its functions call each other too often"), (vec![itself], "more than 64 levels deep")]
    {
        let model = model_with(graph(&[call("F0", &["X"], &["Y"], &[])], &[]), &functions);
        let error = LstmWeights::from_bytes(&model, "").unwrap_err();
        assert!(matches!(error, Error::MalformedFile { format: "ONNX model", .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let echo = function("Echo", &["x"], &["x"], &[]);
    let calls = [call("Echo", &["W"], &["W"], &[]), node("LSTM", &["X", "W", "W"], &["Y"], &[])];
    let error = LstmWeights::from_bytes(&model_with(graph(&calls, &[]), &[echo]), "").unwrap_err();
    assert!(error.to_string().contains("which nothing in the file defines"), "{error}");
}
