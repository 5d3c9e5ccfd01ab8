//! Weights behind nodes that move or convert numbers, and in every form of a tensor.

use half::{bf16, f16};
use wgpu_lstm::ndarray::ArrayViewD;
use wgpu_lstm::{Error, LstmWeights, find_lstms};

use super::builder::{
    BFLOAT16, DOUBLE, FLOAT, FLOAT16, INT8, INT64, attribute, bytes, float, floats, graph, graph_input, int,
    integers, model, node, of_domain, raw, tensor, varint,
};
use super::network::{arrays, attributes, initializers, lstm, model_of, shapes, weights};

#[track_caller]
fn check(model: &[u8], expected: &LstmWeights) {
    assert_eq!(LstmWeights::from_bytes(model, "").unwrap(), *expected);
    assert_eq!(LstmWeights::from_bytes(model, "lstm").unwrap(), *expected);
    assert_eq!(find_lstms(model).unwrap()[0].config.as_ref().unwrap(), expected.config());
}

/// A model whose W is the result of these nodes; R and B are initializers, and so are the others given.
fn with_w(network: &LstmWeights, nodes: &[Vec<u8>], others: &[Vec<u8>]) -> Vec<u8> {
    model_of(network, nodes, &[&initializers("", network, 0)[1..], others].concat())
}

#[test]
fn initializers_of_either_direction() {
    for directions in [1, 2] {
        let network = weights(3, 2, directions);
        check(&model_of(&network, &[], &initializers("", &network, 0)), &network);
    }
}

/// (1, 4H, I) → (I, 4H) with a new axis, and back.
#[test]
fn transposed_squeezed_and_reshaped() {
    let network = weights(3, 2, 1);
    let [w, ..] = arrays(&network, 0);
    let mut turned = vec![0.0; w.len()];
    for (index, value) in w.iter().enumerate() {
        turned[index % 3 * 8 + index / 3] = *value;
    }
    let nodes = [
        node("Squeeze", &["turned", "axes"], &["flat"], &[]),
        node("Transpose", &["flat"], &["rows"], &[attribute::ints("perm", &[1, 0])]),
        node("Reshape", &["rows", "shape"], &["shaped"], &[]),
        node("Identity", &["shaped"], &["same"], &[]),
        node("Unsqueeze", &["same"], &["deep"], &[attribute::ints("axes", &[-1])]),
        node("Squeeze", &["deep"], &["W"], &[attribute::ints("axes", &[3])]),
    ];
    let others = [
        floats("turned", &[3, 1, 8], &turned),
        integers("axes", &[-2]),
        integers("shape", &[1, 0, -1]), // 0: as long as this axis was, which is not 8
    ];
    // 0 stands for the length of the same axis of the input: (8, 3) has 3 there, which does not fit.
    let error = LstmWeights::from_bytes(&with_w(&network, &nodes, &others), "lstm").unwrap_err();
    assert!(matches!(error, Error::TensorShape { .. }), "{error}");
    let others = [others[0].clone(), others[1].clone(), integers("shape", &[1, -1, 3])];
    check(&with_w(&network, &nodes, &others), &network);
}

/// A transposition of three axes without `perm` reverses them.
#[test]
fn reversed_axes() {
    let network = weights(3, 2, 2);
    let [w, ..] = arrays(&network, 0);
    let mut turned = vec![0.0; w.len()];
    for (index, value) in w.iter().enumerate() {
        let (direction, row, column) = (index / 24, index / 3 % 8, index % 3);
        turned[(column * 8 + row) * 2 + direction] = *value;
    }
    let nodes = [node("Transpose", &["turned"], &["W"], &[])];
    check(&with_w(&network, &nodes, &[floats("turned", &[3, 8, 2], &turned)]), &network);
}

/// Slices of both ONNX's forms, with ends outside, negative ones, and steps backwards.
#[test]
fn sliced_and_joined() {
    let network = weights(3, 2, 1);
    let [w, ..] = arrays(&network, 0);
    let (upper, lower) = w.split_at(w.len() / 2);
    let mut backwards: Vec<f32> = lower.chunks(3).rev().flatten().copied().collect();
    backwards.extend([9.0; 6]); // rows that are cut off
    let whole = [vec![-1.0; 3], upper.to_vec()].concat();
    let first =
        [("starts", 1), ("ends", i64::MAX), ("axes", 0)].map(|(name, value)| attribute::ints(name, &[value]));
    let nodes = [
        node("Slice", &["whole"], &["first"], &first),
        node("Slice", &["backwards", "from", "to", "axes", "steps"], &["second"], &[]),
        node("Concat", &["first", "second"], &["rows"], &[attribute::int_("axis", -2)]),
        node("Unsqueeze", &["rows", "zero"], &["W"], &[]),
    ];
    let others = [
        floats("whole", &[5, 3], &whole),
        floats("backwards", &[6, 3], &backwards),
        integers("from", &[-3]),
        integers("to", &[i64::MIN]),
        integers("axes", &[-2]),
        integers("steps", &[-1]),
        integers("zero", &[0]),
    ];
    check(&with_w(&network, &nodes, &others), &network);
}

/// Columns side by side: the last axis.
#[test]
fn columns_that_are_joined() {
    let network = weights(3, 2, 1);
    let [w, ..] = arrays(&network, 0);
    let column =
        |from: usize, to: usize| -> Vec<f32> { w.chunks(3).flat_map(|row| row[from..to].to_vec()).collect() };
    let nodes = [node("Concat", &["left", "right"], &["W"], &[attribute::int_("axis", 2)])];
    let others = [floats("left", &[1, 8, 1], &column(0, 1)), floats("right", &[1, 8, 2], &column(1, 3))];
    check(&with_w(&network, &nodes, &others), &network);
}

#[test]
fn constant_nodes_of_every_kind() {
    let network = weights(3, 2, 1);
    let [w, r, b] = arrays(&network, 0);
    let [shape, r_shape, _] = shapes(3, 2, 1);
    let constant = |output, value| node("Constant", &[], &[output], &[value]);
    let nodes = [
        constant("W", attribute::tensor("value", floats("", &shape, &w))),
        constant("list", attribute::floats("value_floats", &r)),
        constant(
            "shape",
            attribute::ints("value_ints", &r_shape.iter().map(|&axis| axis as i64).collect::<Vec<_>>()),
        ),
        node("Reshape", &["list", "shape"], &["R"], &[]),
        constant("flat", attribute::floats("value_floats", &b)),
        constant("axis", attribute::int_("value_int", 0)),
        node("Unsqueeze", &["flat", "axis"], &["B"], &[]),
    ];
    check(&model_of(&network, &nodes, &[]), &network);
}

/// Repeated numbers one by one, and packed: writers of both versions of protobuf exist.
#[test]
fn typed_numbers_packed_and_not() {
    let network = weights(3, 2, 1);
    let [w, ..] = arrays(&network, 0);
    let [shape, ..] = shapes(3, 2, 1);
    let packed_shape = bytes(1, shape.iter().flat_map(|&axis| varint(axis as u64)).collect::<Vec<_>>());
    let packed = [bytes(8, "W"), packed_shape, int(2, FLOAT), bytes(4, raw(&w))].concat();
    let unpacked: Vec<u8> = w.iter().flat_map(|&value| float(4, value)).collect();
    let halves =
        [bytes(4, raw(&w[..5])), w[5..].iter().flat_map(|&value| float(4, value)).collect()].concat();
    let doubles: Vec<u8> = w.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
    for tensor in [
        packed,
        tensor("W", &shape, FLOAT, unpacked),
        tensor("W", &shape, FLOAT, halves),
        tensor("W", &shape, DOUBLE, bytes(10, doubles)),
    ] {
        check(&with_w(&network, &[], &[tensor]), &network);
    }
    // Attributes, packed: the order of a transposition.
    let order = [bytes(1, "perm"), bytes(8, [0, 2, 1]), int(20, 7)].concat();
    let mut turned = vec![0.0; w.len()];
    for (index, value) in w.iter().enumerate() {
        turned[index % 3 * 8 + index / 3] = *value;
    }
    let nodes = [node("Transpose", &["turned"], &["W"], &[order])];
    check(&with_w(&network, &nodes, &[floats("turned", &[1, 3, 8], &turned)]), &network);
}

/// The network in another precision, by this crate's own conversion of one number.
fn rounded(network: &LstmWeights, round: impl Fn(f32) -> f32) -> LstmWeights {
    let matrix = |name: &str| name == "weight_ih_l0";
    let round = |(name, array): (String, ArrayViewD<'_, f32>)| {
        let array = if matrix(&name) { array.mapv(&round) } else { array.to_owned() };
        (name, array)
    };
    LstmWeights::from_state_dict(network.state_dict().map(round), "").unwrap()
}

/// 16-bit floats in raw form, and as `int32_data`; doubles in raw form.
#[test]
fn other_precisions() {
    let network = weights(3, 2, 1);
    let [w, ..] = arrays(&network, 0);
    let [shape, ..] = shapes(3, 2, 1);
    let halves: Vec<u16> = w.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
    let brains: Vec<u16> = w.iter().map(|&value| bf16::from_f32(value).to_bits()).collect();
    let raw = |bits: &[u16]| bytes(9, bits.iter().flat_map(|bits| bits.to_le_bytes()).collect::<Vec<_>>());
    let typed =
        |bits: &[u16]| bytes(5, bits.iter().flat_map(|&bits| varint(bits.into())).collect::<Vec<_>>());
    let half = rounded(&network, |value| f16::from_f32(value).to_f32());
    let brain = rounded(&network, |value| bf16::from_f32(value).to_f32());
    for (data_type, name, data, expected) in [
        (FLOAT16, "F16", raw(&halves), &half),
        (FLOAT16, "F16", typed(&halves), &half),
        (BFLOAT16, "BF16", raw(&brains), &brain),
        (BFLOAT16, "BF16", typed(&brains), &brain),
    ] {
        let model = with_w(&network, &[], &[tensor("W", &shape, data_type, data)]);
        check(&model, expected);
        assert!(find_lstms(&model).unwrap()[0].element_types.contains(&name.to_owned()));
    }
    let doubles: Vec<u8> = w.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
    check(&with_w(&network, &[], &[tensor("W", &shape, DOUBLE, bytes(9, doubles))]), &network);
}

#[test]
fn casts_between_floats() {
    let network = weights(3, 2, 1);
    let half = rounded(&network, |value| f16::from_f32(value).to_f32());
    let stored = |network: &LstmWeights| {
        let [w, ..] = arrays(network, 0);
        floats("stored", &shapes(3, 2, 1)[0], &w)
    };
    let cast = |from, to, output| node("Cast", &[from], &[output], &[attribute::int_("to", to)]);
    for (types, expected) in [
        (&[FLOAT16][..], &half),
        (&[FLOAT16, FLOAT], &half),
        (&[DOUBLE, FLOAT16, DOUBLE], &half),
        (&[FLOAT], &network),
        (&[DOUBLE], &network),
    ] {
        let names = ["stored", "a", "b", "c"];
        let last = |index| if index + 1 == types.len() { "W" } else { names[index + 1] };
        let nodes: Vec<_> =
            types.iter().enumerate().map(|(index, &to)| cast(names[index], to, last(index))).collect();
        check(&with_w(&network, &nodes, &[stored(&network)]), expected);
    }
}

/// One scale, and one for each row of 4H.
#[test]
fn dequantized_weights() {
    let network = weights(3, 2, 1);
    let integers: Vec<i8> = (0..24).map(|index| index * 11 % 256 - 128).map(|value| value as i8).collect();
    let stored = tensor(
        "q",
        &shapes(3, 2, 1)[0],
        INT8,
        bytes(9, integers.iter().map(|&q| q as u8).collect::<Vec<_>>()),
    );
    let scales: Vec<f32> = (1..=8).map(|row| row as f32 / 64.0).collect();
    let points: Vec<u8> = (0..8).collect();
    for per_row in [false, true] {
        let count = if per_row { 8 } else { 1 };
        let shape = if per_row { vec![8] } else { vec![] };
        let others = [
            stored.clone(),
            floats("scale", &shape, &scales[..count]),
            tensor("point", &shape, INT8, bytes(5, &points[..count])),
        ];
        let nodes = [node("DequantizeLinear", &["q", "scale", "point"], &["W"], &[])];
        let model = with_w(&network, &nodes, &others);
        let row = |index: usize| if per_row { index / 3 } else { 0 };
        let value = |index: usize| {
            f32::from(i16::from(integers[index]) - i16::from(points[row(index)])) * scales[row(index)]
        };
        let expected: Vec<f32> = (0..24).map(value).collect();
        let read = LstmWeights::from_bytes(&model, "lstm").unwrap();
        assert_eq!(arrays(&read, 0)[0], expected);
        assert_eq!(find_lstms(&model).unwrap()[0].element_types, ["F32", "I8"]);
    }
}

/// Weights of the graph around, of an inner graph, and of both; the operator's domain may be written out.
#[test]
fn graphs_in_graphs() {
    let network = weights(3, 2, 1);
    let all = initializers("", &network, 0);
    let inner = graph(&[of_domain(lstm(&network, ["W", "R", "copy"]), "ai.onnx")], &all[..1]);
    let copy = node("Identity", &["B"], &["copy"], &[]);
    let middle = graph(&[node("If", &["c"], &["Y"], &[attribute::graph("then_branch", inner)])], &all[1..2]);
    for holder in ["Loop", "Scan", "If"] {
        let outer = node(holder, &["c"], &["Y"], &[attribute::graph("body", &middle)]);
        check(&model(graph(&[outer, copy.clone()], &all[2..])), &network);
    }
}

/// A name of an inner graph hides one of the graph around.
#[test]
fn inner_names_come_first() {
    let (network, other) = (weights(3, 2, 1), weights(3, 4, 1));
    let inner = graph(&[lstm(&network, ["W", "R", "B"])], &initializers("", &network, 0));
    let outer = node("If", &["c"], &["Y"], &[attribute::graph("else_branch", inner)]);
    check(&model(graph(&[outer], &initializers("", &other, 0))), &network);
}

/// Initializers may be inputs of the graph too: they are the inputs' values unless others are given.
#[test]
fn initializers_that_are_inputs() {
    let network = weights(3, 2, 1);
    let inputs = ["X", "W", "R", "B"].map(graph_input).concat();
    let whole = graph(&[lstm(&network, ["W", "R", "B"])], &initializers("", &network, 0));
    check(&model([inputs.clone(), whole.clone()].concat()), &network);
    check(&model([whole, inputs].concat()), &network);
}

/// Unknown fields, an integer list of another type, and nodes without attributes.
#[test]
fn what_does_not_concern_the_weights_is_skipped() {
    let network = weights(3, 2, 1);
    let unknown =
        [int(999, 7), bytes(1000, "text"), float(1001, 1.0), vec![0xd1, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8]]
            .concat();
    let whole = graph(&[lstm(&network, ["W", "R", "B"])], &initializers("", &network, 0));
    let other = tensor("strings", &[2], 8, [bytes(6, "a"), bytes(6, "b")].concat());
    let exotic = tensor("int4", &[3], 22, bytes(9, [1, 2]));
    let more = graph(&[of_domain(node("LSTM", &["X"], &["Z"], &[]), "com.example")], &[other, exotic]);
    check(&[model([whole, more, unknown.clone()].concat()), unknown].concat(), &network);
    assert!(attributes(&network).len() == 2 && INT64 == 7);
}
