//! Layers over layers, nodes with equal weights, and the names of nodes.

use wgpu_lstm::{LstmConfig, LstmWeights, find_lstms};

use super::builder::{attribute, floats, graph, integers, model, named, node, shaped_input, tensor};
use super::network::{attributes, initializers, weights};

/// Two layers of H = 2, with these nodes from `Y` to `Z` between them.
fn two_layers(
    directions: usize,
    between: &[Vec<u8>],
    others: &[Vec<u8>],
    more: &[Vec<u8>],
) -> (Vec<u8>, LstmWeights) {
    layers_over(directions, between, others, more, "", &[])
}

/// The same with an initial state of the first layer, unless its name is empty, and inputs of the graph.
fn layers_over(
    directions: usize,
    between: &[Vec<u8>],
    others: &[Vec<u8>],
    more: &[Vec<u8>],
    initial_h: &str,
    inputs: &[u8],
) -> (Vec<u8>, LstmWeights) {
    let config = LstmConfig::new(3, 2).with_num_layers(2).with_bidirectional(directions == 2);
    let network = LstmWeights::uniform(&config, 3).unwrap();
    let attributes = [attributes(&network), more.to_vec()].concat();
    let layer = |name, x, names: [&str; 3], y, initial_h| {
        let inputs = [&[x], &names[..], &["", initial_h]].concat();
        named(node("LSTM", &inputs, &[y, "h", "c"], &attributes), name)
    };
    let nodes = [
        &[layer("first", "X", ["aW", "aR", "aB"], "Y", initial_h)][..],
        between,
        &[layer("second", "Z", ["bW", "bR", "bB"], "out", "")],
    ]
    .concat();
    let initializers =
        [initializers("a", &network, 0), initializers("b", &network, 1), others.to_vec()].concat();
    (model([&graph(&nodes, &initializers)[..], inputs].concat()), network)
}

fn prefixes(model: &[u8]) -> Vec<String> {
    find_lstms(model).unwrap().into_iter().map(|lstm| lstm.prefix).collect()
}

fn transpose(from: &str, to: &str, order: &[i64]) -> Vec<u8> {
    node("Transpose", &[from], &[to], &[attribute::ints("perm", order)])
}

fn reshape(from: &str, shape: &str, to: &str) -> Vec<u8> {
    node("Reshape", &[from, shape], &[to], &[])
}

fn squeeze(from: &str, to: &str, axis: i64) -> Vec<u8> {
    node("Squeeze", &[from], &[to], &[attribute::ints("axes", &[axis])])
}

#[test]
fn pytorchs_ways_from_layer_to_layer() {
    let shape = |values: &[i64]| vec![integers("shape", values)];
    let order = [0, 2, 1, 3];
    let cast = node("Cast", &["a"], &["Z"], &[attribute::int_("to", 1)]);
    let off = tensor("off", &[], 9, super::builder::bytes(9, [0]));
    for (directions, between, others) in [
        (1, vec![squeeze("Y", "Z", 1)], vec![]),
        (1, vec![squeeze("Y", "Z", -3)], vec![]),
        (1, vec![transpose("Y", "a", &order), reshape("a", "shape", "Z")], shape(&[0, 0, -1])),
        (1, vec![transpose("Y", "a", &order), squeeze("a", "Z", 2)], vec![]),
        (1, vec![reshape("Y", "shape", "Z")], shape(&[0, -1, 2])),
        (2, vec![transpose("Y", "a", &order), reshape("a", "shape", "Z")], shape(&[0, 0, -1])),
        (2, vec![transpose("Y", "a", &order), reshape("a", "shape", "Z")], shape(&[0, -1, 4])),
        // There and back, a type that it has already, a dropout that is off.
        (
            1,
            vec![
                squeeze("Y", "b", 1),
                transpose("b", "c", &[1, 0, 2]),
                node("Dropout", &["c", "", "off"], &["d"], &[]),
                node("Identity", &["d"], &["e"], &[]),
                transpose("e", "a", &[1, 0, 2]),
                cast,
            ],
            vec![off],
        ),
    ] {
        let (model, network) = two_layers(directions, &between, &others, &[]);
        assert_eq!(prefixes(&model), ["first+second", "first", "second"]);
        assert_eq!(LstmWeights::from_bytes(&model, "first+second").unwrap(), network);
        assert_eq!(LstmWeights::from_bytes(&model, "").unwrap(), network);
    }
}

/// Exporters write the lengths of T and B as numbers. A reshape to numbers keeps rows apart only if one of the two is known
/// to be its axis's own length: (5, 2) and (2, 5) have as many rows.
#[test]
fn a_reshape_that_mixes_time_and_batch_separates_layers() {
    let states = |batch| floats("h0", &[1, batch, 2], &vec![0.0; 2 * batch]);
    let (time, batch, any) = (Some(5), Some(2), None);
    let known = shaped_input("X", &[time, batch, Some(3)]);
    let time_known = shaped_input("X", &[time, any, Some(3)]);
    let batch_known = shaped_input("X", &[any, batch, Some(3)]);
    let other_rank = shaped_input("X", &[time, batch]);
    let negative = shaped_input("X", &[Some(-1), Some(-1), Some(3)]);
    for (input, initial_h, lengths, is_stack) in [
        (&known, "", [5, 2, 2], true),
        (&known, "", [-1, 2, 2], true),
        (&known, "", [5, -1, 2], true),
        (&known, "", [2, 5, 2], false),
        (&known, "", [-1, 5, 2], false),
        (&known, "", [10, 1, 2], false),
        (&time_known, "", [5, 7, 2], true),
        (&time_known, "", [7, 5, 2], false),
        (&batch_known, "", [7, 2, 2], true),
        (&batch_known, "", [2, 7, 2], false),
        (&other_rank, "", [5, 2, 2], false),
        (&negative, "", [-1, 2, 2], false),
        (&vec![], "", [5, 2, 2], false),
        (&vec![], "", [-1, 2, 2], false),
        (&vec![], "", [5, -1, 2], false),
        (&vec![], "", [5, 0, 2], true),
        (&vec![], "h0", [5, 2, 2], true),
        (&vec![], "h0", [2, 5, 2], false),
    ] {
        let between = [squeeze("Y", "a", 1), reshape("a", "shape", "Z")];
        let others = [integers("shape", &lengths), states(2)];
        let (model, _) = layers_over(1, &between, &others, &[], initial_h, input);
        let expected = if is_stack { &["first+second", "first", "second"][..] } else { &["first", "second"] };
        assert_eq!(prefixes(&model), expected, "{lengths:?}");
    }
}

/// What is assumed of a layer is assumed of its stack.
#[test]
fn initial_states_of_a_layer_are_stated_for_its_stack() {
    for (value, is_stated) in [(0.5, true), (0.0, false)] {
        let others = [floats("h0", &[1, 2, 2], &[value; 4])];
        let (model, _) = layers_over(1, &[squeeze("Y", "Z", 1)], &others, &[], "h0", &[]);
        let found = find_lstms(&model).unwrap();
        let stated: Vec<_> = found.iter().map(|lstm| lstm.assumed.is_some()).collect();
        assert_eq!(stated, [is_stated, is_stated, false]);
        assert_eq!(found[0].assumed, found[1].assumed);
    }
}

/// What is known of T and B is known of the layers above too, and of an input with the batch first.
#[test]
fn lengths_of_an_input_hold_for_every_layer_of_a_stack() {
    let network = LstmWeights::uniform(&LstmConfig::new(2, 2).with_num_layers(3), 3).unwrap();
    let layer = |name: &str, x, y| {
        let [w, r, b] = ["W", "R", "B"].map(|what| format!("{name}{what}"));
        named(node("LSTM", &[x, &w, &r, &b], &[y], &[]), name)
    };
    let tensors = ["first", "second", "third"].iter().enumerate();
    let tensors: Vec<_> = tensors.flat_map(|(layer, name)| initializers(name, &network, layer)).collect();
    let stack = |lengths: &[i64]| {
        let nodes = [
            transpose("input", "X", &[1, 0, 2]),
            layer("first", "X", "Y"),
            squeeze("Y", "a", 1),
            reshape("a", "shape", "Z"),
            layer("second", "Z", "V"),
            squeeze("V", "b", 1),
            reshape("b", "shape", "U"),
            layer("third", "U", "out"),
        ];
        let tensors = [&tensors[..], &[integers("shape", lengths)]].concat();
        let input = shaped_input("input", &[Some(2), Some(5), Some(2)]);
        prefixes(&model([graph(&nodes, &tensors), input].concat()))
    };
    assert_eq!(stack(&[5, 2, 2]), ["first+second+third", "first", "second", "third"]);
    // The first reshape mixes time and batch, the second one changes nothing.
    assert_eq!(stack(&[2, 5, 2]), ["second+third", "first", "second", "third"]);
}

/// With `layout` 1, X and Y have the batch first.
#[test]
fn batch_first_layers() {
    let layout = [attribute::int_("layout", 1)];
    let whole = [integers("shape", &[0, 0, -1])];
    let (model, network) = two_layers(2, &[reshape("Y", "shape", "Z")], &whole, &layout);
    assert_eq!(LstmWeights::from_bytes(&model, "first+second").unwrap(), network);
    let (model, _) = two_layers(1, &[squeeze("Y", "Z", 1)], &[], &layout);
    assert_eq!(prefixes(&model), ["first", "second"]); // removes the time
}

#[test]
fn what_changes_values_or_their_order_separates_layers() {
    let shape = |values: &[i64]| vec![integers("shape", values)];
    let on = tensor("on", &[], 9, super::builder::bytes(9, [1]));
    for (directions, between, others) in [
        (1, vec![node("Relu", &["Y"], &["a"], &[]), squeeze("a", "Z", 1)], vec![]),
        (1, vec![squeeze("Y", "a", 1), transpose("a", "Z", &[1, 0, 2])], vec![]),
        (1, vec![squeeze("Y", "Z", 0)], vec![]),
        (1, vec![node("Squeeze", &["Y"], &["Z"], &[])], vec![]),
        (1, vec![squeeze("Y", "a", 1), node("Dropout", &["a", "", "on"], &["Z"], &[])], vec![on]),
        (1, vec![squeeze("Y", "a", 1), node("Cast", &["a"], &["Z"], &[attribute::int_("to", 10)])], vec![]),
        // Directions before the batch: each step's rows are mixed.
        (2, vec![reshape("Y", "shape", "Z")], shape(&[0, -1, 4])),
        (2, vec![transpose("Y", "a", &[0, 2, 3, 1]), reshape("a", "shape", "Z")], shape(&[0, 0, -1])),
        (2, vec![transpose("Y", "a", &[2, 0, 1, 3]), reshape("a", "shape", "Z")], shape(&[0, 0, -1])),
        (2, vec![transpose("Y", "a", &[0, 2, 1, 3]), reshape("a", "shape", "Z")], shape(&[0, -1, 2])),
        (2, vec![transpose("Y", "a", &[0, 2, 1, 3]), reshape("a", "shape", "Z")], shape(&[3, 4, -1])),
        (1, vec![reshape("Y", "shape", "Z")], shape(&[0, 0, -1])), // (T, 1, B·H)
        // T and B are not known.
        (2, vec![transpose("Y", "a", &[0, 2, 1, 3]), reshape("a", "shape", "Z")], shape(&[7, 5, 4])),
        // Of an input of the graph: any shape.
        (2, vec![transpose("Y", "a", &[0, 2, 1, 3]), reshape("a", "unknown", "Z")], vec![]),
    ] {
        let (model, network) = two_layers(directions, &between, &others, &[]);
        assert_eq!(prefixes(&model), ["first", "second"]);
        assert_eq!(LstmWeights::from_bytes(&model, "second").unwrap().config().num_layers(), 1);
        assert!(LstmWeights::from_bytes(&model, "").is_err());
        drop(network);
    }
}

/// Layers of other sizes over each other are no network of PyTorch.
#[test]
fn layers_of_other_sizes_are_separate() {
    let (first, second) = (weights(3, 2, 1), weights(2, 4, 1));
    let layer =
        |name, x, names: [&str; 3], y| named(node("LSTM", &[&[x], &names[..]].concat(), &[y], &[]), name);
    let nodes = [
        layer("first", "X", ["aW", "aR", "aB"], "Y"),
        squeeze("Y", "Z", 1),
        layer("second", "Z", ["bW", "bR", "bB"], "out"),
    ];
    let model = model(graph(&nodes, &[initializers("a", &first, 0), initializers("b", &second, 0)].concat()));
    assert_eq!(prefixes(&model), ["first", "second"]);
    assert_eq!(LstmWeights::from_bytes(&model, "second").unwrap(), second);
}

/// A node `lstm` in each branch, with the weights of these networks as constants of the branch.
fn branches(networks: &[&LstmWeights]) -> Vec<u8> {
    let branch = |network: &LstmWeights| {
        let nodes = [named(node("LSTM", &["X", "W", "R", "B"], &["Y"], &attributes(network)), "lstm")];
        attribute::graph("branch", graph(&nodes, &initializers("", network, 0)))
    };
    let branches: Vec<_> = networks.iter().map(|network| branch(network)).collect();
    model(graph(&[node("If", &["c"], &["Y"], &branches)], &[]))
}

#[test]
fn branches_with_equal_weights_are_one_network() {
    let (network, other) = (weights(3, 2, 1), weights(3, 4, 1));
    let model = branches(&[&network, &network, &other, &network]);
    assert_eq!(prefixes(&model), ["lstm", "lstm_3"]);
    for prefix in ["lstm", "lstm_2", "lstm_4"] {
        assert_eq!(LstmWeights::from_bytes(&model, prefix).unwrap(), network, "{prefix}");
    }
    assert_eq!(LstmWeights::from_bytes(&model, "lstm_3").unwrap(), other);
    assert_eq!(LstmWeights::from_bytes(&branches(&[&network; 3]), "").unwrap(), network);
}

#[test]
fn branches_that_differ_in_one_bias_are_two() {
    let network = weights(3, 2, 1);
    let mut dict: Vec<_> = network.state_dict().map(|(name, array)| (name, array.to_owned())).collect();
    dict.last_mut().unwrap().1[[7]] += 1.0;
    let other = LstmWeights::from_state_dict(dict, "").unwrap();
    let model = branches(&[&network, &other]);
    assert_eq!(prefixes(&model), ["lstm", "lstm_2"]);
    assert_eq!(LstmWeights::from_bytes(&model, "lstm_2").unwrap(), other);
}

/// Equal layers over each other, as constant weights make them, stay two layers.
#[test]
fn equal_layers_of_a_stack_stay_two() {
    let network = weights(2, 2, 1);
    let layer = |name, x, y| named(node("LSTM", &[x, "W", "R", "B"], &[y], &[]), name);
    let nodes = [layer("first", "X", "Y"), squeeze("Y", "Z", 1), layer("second", "Z", "out")];
    let model = model(graph(&nodes, &initializers("", &network, 0)));
    assert_eq!(prefixes(&model), ["first+second", "first", "second"]);
    assert_eq!(LstmWeights::from_bytes(&model, "").unwrap().config().num_layers(), 2);
}

/// Nodes without a name are numbered among the model's LSTM nodes; a name that comes again gets a number too.
#[test]
fn names_are_made_unique() {
    let networks: Vec<_> = (2..7).map(|hidden| weights(3, hidden, 1)).collect();
    let names = ["", "a_2", "a", "a", ""];
    let (mut nodes, mut tensors) = (Vec::new(), Vec::new());
    for (index, (network, name)) in networks.iter().zip(names).enumerate() {
        let [w, r, b] = ["W", "R", "B"].map(|what| format!("{index}{what}"));
        let lstm = node("LSTM", &["X", &w, &r, &b], &[&format!("Y{index}")], &[]);
        nodes.push(if name.is_empty() { lstm } else { named(lstm, name) });
        tensors.extend(initializers(&index.to_string(), network, 0));
    }
    let model = model(graph(&nodes, &tensors));
    let expected = ["LSTM_0", "a_2", "a", "a_3", "LSTM_4"];
    assert_eq!(prefixes(&model), expected);
    for (network, prefix) in networks.iter().zip(expected) {
        assert_eq!(LstmWeights::from_bytes(&model, prefix).unwrap(), *network);
    }
}
