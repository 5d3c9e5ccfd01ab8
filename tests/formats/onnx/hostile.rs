//! Files that nobody means well: no panic, no hang, no stack overflow, no memory beyond a small multiple of the file.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use wgpu_lstm::{Error, LstmWeights, find_lstms};

use super::builder::{FLOAT, attribute, bytes, floats, graph, int, integers, model, node, tensor, varint};
use super::exporters::file;
use super::network::{initializers, lstm, model_of, weights};

#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    for error in [LstmWeights::from_bytes(bytes, "lstm").unwrap_err(), error_of_finding(bytes)] {
        assert!(matches!(error, Error::MalformedFile { format: "ONNX model", .. }), "{error}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

/// The error of finding, or that of the first layer.
fn error_of_finding(bytes: &[u8]) -> Error {
    match find_lstms(bytes) {
        Err(error) => error,
        Ok(found) => found.into_iter().next().unwrap().config.unwrap_err(),
    }
}

/// Lengths beyond the file: nothing is skipped backwards, and nothing is allocated.
#[test]
fn lengths_beyond_the_file() {
    let endless = varint(u64::MAX - 10); // −11
    refused(&[&[0x08, 9, 0x42][..], &endless].concat(), "more bytes are expected and 0 are left");
    refused(&[&int(1, 9)[..], &[0x3a], &endless, &[0; 11]].concat(), "18446744073709551605 more bytes");
    // Of a tensor that a node needs.
    let needed = |data| {
        let node = lstm(&weights(3, 2, 1), ["W", "R", "B"]);
        model(graph(&[node], &[tensor("W", &[1], FLOAT, data)]))
    };
    let terabyte = [vec![9 << 3 | 2], varint(1 << 40)].concat();
    refused(&needed(terabyte), "1099511627776 more bytes are expected");
    let packed = [vec![4 << 3 | 2], varint(1 << 62), vec![0; 8]].concat();
    refused(&needed(packed), "more bytes are expected and 8 are left");
}

#[test]
fn fields_that_are_no_fields() {
    for (field, expected) in [
        (vec![0x03, 1], "has the number 0"),
        (vec![0x0b, 1], "field 1 has the wire type 3"), // a group
        (vec![0x0e, 1], "field 1 has the wire type 6"),
        (vec![0xff; 9], "it ends where"),
        (vec![0xff; 11], "more than 64 bits"),
        (varint(1 << 32), "has the number 536870912"),
        (int(25, 1), "field 25 has a value of another type"),
        (bytes(25, bytes(1, [0xff])), "the text of field 1 is not UTF-8"),
        (bytes(7, []), "it has two graphs"),
    ] {
        refused(&[model(graph(&[], &[])), field].concat(), expected);
    }
    refused(&[int(1, 9), bytes(0x42 >> 3, [])].concat(), "it has no graph");
}

/// 10,000 graphs in graphs, 114 kB. Fewer than the limit are read.
#[test]
fn graphs_nested_too_deep() {
    let nested = |levels: usize| {
        let network = weights(3, 2, 1);
        let inner = graph(&[lstm(&network, ["W", "R", "B"])], &initializers("", &network, 0));
        // A graph in an attribute of a node of a graph: what comes before the inner one, from the inside out.
        let (mut heads, mut length) = (Vec::new(), inner.len());
        for _ in 0..levels {
            for (field, before) in [(6, vec![]), (5, bytes(4, "If")), (1, vec![])] {
                let head = [before, varint(field << 3 | 2), varint(length as u64)].concat();
                length += head.len();
                heads.push(head);
            }
        }
        heads.reverse();
        model([heads.concat(), inner].concat())
    };
    refused(&nested(10_000), "more than 64 levels deep");
    refused(&nested(65), "more than 64 levels deep");
    assert_eq!(LstmWeights::from_bytes(&nested(64), "lstm").unwrap(), weights(3, 2, 1));
}

/// A model whose W is the last of these nodes' results, `w0`, `w1`…, over the initializer `w0`.
fn chain(count: usize, each: impl Fn(&str, &str) -> Vec<Vec<u8>>) -> Vec<u8> {
    let network = weights(3, 2, 1);
    let name = |index: usize| if index == count { "W".to_owned() } else { format!("w{index}") };
    let nodes: Vec<_> = (0..count).flat_map(|index| each(&name(index), &name(index + 1))).collect();
    let [w, ..] = super::network::arrays(&network, 0);
    let mut initializers = initializers("", &network, 0);
    initializers[0] = floats("w0", &[1, 8, 3], &w);
    initializers.push(integers("zero", &[0]));
    initializers.push(integers("half", &[4]));
    initializers.push(integers("all", &[8]));
    initializers.push(integers("one", &[1]));
    model_of(&network, &nodes, &initializers)
}

#[test]
fn chains_of_nodes() {
    let identity = |from: &str, to: &str| vec![node("Identity", &[from], &[to], &[])];
    assert!(LstmWeights::from_bytes(&chain(60, identity), "lstm").is_ok());
    refused(&chain(10_000, identity), "a chain of more than 64 nodes");
}

/// 2⁶⁰ copies side by side.
#[test]
fn a_constant_that_doubles() {
    let twice =
        |from: &str, to: &str| vec![node("Concat", &[from, from], &[to], &[attribute::int_("axis", 1)])];
    refused(&chain(60, twice), "much larger than the file");
}

/// Each array is the two halves of the one before it: 2³¹ ways lead to the first, of which each is computed once.
#[test]
fn a_constant_that_is_reached_in_many_ways() {
    let halves = |from: &str, to: &str| {
        let (first, second) = (format!("{to}a"), format!("{to}b"));
        vec![
            node("Slice", &[from, "zero", "half", "one"], &[&first], &[]),
            node("Slice", &[from, "half", "all", "one"], &[&second], &[]),
            node("Concat", &[&first, &second], &[to], &[attribute::int_("axis", 1)]),
        ]
    };
    assert_eq!(LstmWeights::from_bytes(&chain(31, halves), "lstm").unwrap(), weights(3, 2, 1));
}

#[test]
fn constants_that_are_computed_from_themselves() {
    let network = weights(3, 2, 1);
    let all = initializers("", &network, 0);
    let axis = [attribute::int_("axis", 1)];
    let circle = [node("Concat", &["V", "V"], &["W"], &axis), node("Concat", &["W", "W"], &["V"], &axis)];
    refused(&model_of(&network, &circle, &all[1..]), "\"W\" is computed from itself");
    refused(&model_of(&network, &[node("Identity", &["W"], &["W"], &[])], &all[1..]), "computed from itself");
    refused(&model_of(&network, &[node("Identity", &["R"], &["W"], &[])], &all), "\"W\" is defined twice");
}

#[test]
fn shapes_that_do_not_fit_the_numbers() {
    let network = weights(3, 2, 1);
    let data = bytes(9, [0; 96]);
    let typed = bytes(4, [0; 92]);
    for (w, expected) in [
        (tensor("W", &[1, 8, 4], FLOAT, &data), "of shape [1, 8, 4] and type F32 has 96 bytes"),
        (tensor("W", &[1, 8, 3], FLOAT, typed), "has 92 bytes"),
        (tensor("W", &[1, 8, 3], FLOAT, bytes(4, [0; 97])), "a part of a number"),
        (tensor("W", &[usize::MAX / 2, 8, 3], FLOAT, &data), "is too large"),
        (tensor("W", &[1 << 40, 1 << 40], FLOAT, &data), "is too large"),
        (tensor("W", &[usize::MAX], FLOAT, &data), "has a negative axis"),
        (tensor("W", &[1; 33], FLOAT, bytes(9, [0; 4])), "more than 32 axes"),
        (tensor("W", &[1, 8, 3], FLOAT, [int(3, 0), data.clone()].concat()), ""),
    ] {
        let initializers = [&initializers("", &network, 0)[1..], &[w]].concat();
        refused(&model_of(&network, &[], &initializers), expected);
    }
}

/// Operators whose attributes do not fit, or would overflow.
#[test]
fn operators_out_of_bounds() {
    let network = weights(3, 2, 1);
    let [w, ..] = super::network::arrays(&network, 0);
    let ints = attribute::ints;
    let extremes = [i64::MIN, i64::MAX, -1, 0, 1, 2, 1 << 62];
    let mut models = Vec::new();
    for a in extremes {
        for b in extremes {
            for (operator, attributes) in [
                ("Slice", vec![ints("starts", &[a]), ints("ends", &[b]), ints("axes", &[0])]),
                ("Slice", vec![ints("starts", &[a, b]), ints("ends", &[b, a]), ints("axes", &[1, b])]),
                ("Transpose", vec![ints("perm", &[a, b, 0])]),
                ("Squeeze", vec![ints("axes", &[a, b])]),
                ("Unsqueeze", vec![ints("axes", &[a, b])]),
                ("Reshape", vec![ints("shape", &[a, b, -1])]),
                ("Concat", vec![attribute::int_("axis", a)]),
                ("DequantizeLinear", vec![attribute::int_("axis", a)]),
            ] {
                models.push((node(operator, &["w"], &["W"], &attributes), vec![]));
            }
            let lists = vec![integers("a", &[a]), integers("b", &[b]), integers("zero", &[1])];
            models.push((node("Slice", &["w", "a", "b", "zero", "b"], &["W"], &[]), lists.clone()));
            models.push((node("Slice", &["w", "b", "a", "zero", "a"], &["W"], &[]), lists));
        }
    }
    for (node, lists) in models {
        let all = [&initializers("", &network, 0)[1..], &[floats("w", &[1, 8, 3], &w)], &lists].concat();
        // Some cut nothing off; all others are errors.
        match LstmWeights::from_bytes(&model_of(&network, &[node], &all), "lstm") {
            Ok(read) => assert_eq!(read, network),
            Err(error) => {
                assert!(matches!(error, Error::MalformedFile { .. } | Error::TensorShape { .. }), "{error}");
            }
        }
    }
}

#[test]
fn too_many_nodes() {
    let node = bytes(1, node("LSTM", &[], &[], &[]));
    assert_eq!(find_lstms(&model(node.repeat(1_000))).unwrap().len(), 1_000);
    let error = find_lstms(&model(node.repeat(1_001))).unwrap_err();
    assert!(error.to_string().contains("more than 1000 LSTM nodes"), "{error}");
}

/// 1,000 nodes with the same weights of 400 kB: they are compared once, not once a node.
#[test]
fn many_nodes_with_the_same_weights() {
    let network = weights(1, 150, 1);
    let nodes: Vec<_> = (0..1_000).map(|_| lstm(&network, ["W", "R", "B"])).collect();
    let model = model(graph(&nodes, &initializers("", &network, 0)));
    assert_eq!(find_lstms(&model).unwrap().len(), 1);
    assert_eq!(LstmWeights::from_bytes(&model, "lstm_1000").unwrap(), network);
}

const FILES: [&str; 6] = [
    "legacy_two_layers.onnx",
    "legacy_not_folded.onnx",
    "dynamo_bidirectional.onnx",
    "dynamo_projection.onnx",
    "quantized.onnx",
    "quantized_per_channel.onnx",
];

/// Reads whatever can be read.
fn read_all(bytes: &[u8]) -> Vec<LstmWeights> {
    let found = find_lstms(bytes).unwrap_or_default();
    found.iter().filter_map(|lstm| LstmWeights::from_bytes(bytes, &lstm.prefix).ok()).collect()
}

/// The graph of a model: the value of the longest field, after a key of one byte.
fn graph_of(model: &[u8]) -> &[u8] {
    let starts = (0..model.len()).filter(|&at| model[at] == 7 << 3 | 2);
    let graphs = starts.filter_map(|at| {
        let digits = model[at + 1..].iter().position(|byte| byte & 0x80 == 0)? + 1;
        let digit = |(index, byte): (usize, &u8)| usize::from(byte & 0x7f) << (7 * index);
        let length = model[at + 1..at + 1 + digits.min(4)].iter().enumerate().map(digit).sum::<usize>();
        model.get(at + 1 + digits..at + 1 + digits + length)
    });
    graphs.max_by_key(|graph| graph.len()).unwrap()
}

/// A file that ends at any byte, or whose graph does, is refused, or what is missing is not part of the weights.
#[test]
fn truncated_anywhere() {
    for name in FILES {
        let whole = file(name);
        let (expected, graph) = (read_all(&whole), graph_of(&whole));
        assert_eq!(read_all(&model(graph)), expected, "{name}");
        let files = (0..whole.len()).map(|end| whole[..end].to_vec());
        let graphs = (0..graph.len()).map(|end| model(&graph[..end]));
        for file in files.chain(graphs) {
            for weights in read_all(&file) {
                assert!(expected.contains(&weights), "{name}: {} bytes", file.len());
            }
        }
    }
}

#[test]
fn bytes_that_are_changed() {
    let files: Vec<_> = FILES.map(file).to_vec();
    let change =
        (any::<proptest::sample::Index>(), prop_oneof![any::<u8>(), Just(0xff), Just(0x80), Just(0)]);
    let cases = (0..files.len(), proptest::collection::vec(change, 1..8));
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    let read = |(file, changes): (usize, Vec<(proptest::sample::Index, u8)>)| {
        let mut bytes = files[file].clone();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        read_all(&bytes);
        Ok(())
    };
    runner.run(&cases.prop_map(|case| case), read).unwrap();
}
