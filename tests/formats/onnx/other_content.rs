//! Models without an LSTM node, or with more than one.

use wgpu_lstm::ndarray::ArrayD;
use wgpu_lstm::{Error, LstmWeights, find_lstms};

use super::builder::{attribute, bytes, floats, graph, int, integers, model, named, node};
use super::network::{attributes, initializers, lstm, weights};

/// PyTorch's parameters, as exporters that unroll an LSTM leave them.
fn parameters(prefix: &str, network: &LstmWeights) -> Vec<(String, ArrayD<f32>)> {
    let spelled = |name: String| format!("{prefix}{}", name.trim_end_matches("_l0"));
    network.state_dict().map(|(name, array)| (spelled(name), array.to_owned())).collect()
}

fn tensor((name, array): &(String, ArrayD<f32>)) -> Vec<u8> {
    floats(name, array.shape(), &array.iter().copied().collect::<Vec<_>>())
}

/// The model's own initial states are the caller's: what is listed says so.
#[test]
fn initial_states_of_the_model_are_stated() {
    let network = weights(3, 2, 1);
    let with_states = |h: &[f32], c: &[f32]| {
        let inputs = ["X", "W", "R", "B", "", "h", "c"];
        let lstm = named(node("LSTM", &inputs, &["Y"], &attributes(&network)), "lstm");
        let states = [floats("h", &[1, 1, 2], h), floats("c", &[1, 1, 2], c)];
        model(graph(&[lstm], &[&initializers("", &network, 0)[..], &states].concat()))
    };
    for (h, c, stated) in [
        ([0.0, 0.0], [0.0, -0.0], None),
        ([0.5, 0.0], [0.0, 0.0], Some("initial_h, which")),
        ([0.0, 1e-30], [-1.0, 0.0], Some("initial_h and initial_c, which")),
    ] {
        let model = with_states(&h, &c);
        assert_eq!(LstmWeights::from_bytes(&model, "lstm").unwrap(), network);
        let assumed = find_lstms(&model).unwrap().remove(0).assumed;
        assert_eq!(assumed.is_some(), stated.is_some(), "{assumed:?}");
        assert!(assumed.unwrap_or_default().contains(stated.unwrap_or_default()));
    }
}

/// A parameter that is missing under PyTorch's names: the error names the nodes too.
#[test]
fn a_missing_parameter_names_the_nodes_that_can_be_read() {
    let network = weights(3, 2, 1);
    let cell = parameters("cell.", &network);
    let tensors = [initializers("", &network, 0), cell[..3].iter().map(tensor).collect()].concat();
    let model = model(graph(&[lstm(&network, ["W", "R", "B"])], &tensors));
    match LstmWeights::from_bytes(&model, "cell.") {
        Err(Error::MissingTensor { name, found }) => {
            assert_eq!((name.as_str(), &found[..]), ("cell.bias_hh", &["lstm".to_owned()][..]));
        }
        other => panic!("{other:?}"),
    }
}

/// Two cells of which the second's bias is the first's, by an `Identity`; one parameter is a `Constant`.
#[test]
fn an_unrolled_network_by_its_parameters_names() {
    let network = weights(3, 2, 1);
    let forward = parameters("lstm_fwd.cell.", &network);
    let backward = parameters("lstm_bwd.cell.", &network);
    let all = [&forward[..], &backward[..3]].concat();
    let (last, rest) = all.split_last().unwrap();
    let nodes = [
        node("Identity", &["lstm_fwd.cell.bias_hh"], &["lstm_bwd.cell.bias_hh"], &[]),
        node("Constant", &[], &[&last.0], &[attribute::tensor("value", tensor(last))]),
        node("Gemm", &["x", "lstm_fwd.cell.weight_ih"], &["y"], &[]),
    ];
    let model = model(graph(&nodes, &rest.iter().map(tensor).collect::<Vec<_>>()));
    let prefixes: Vec<_> = find_lstms(&model).unwrap().into_iter().map(|lstm| lstm.prefix).collect();
    assert_eq!(prefixes, ["lstm_bwd.cell.", "lstm_fwd.cell."]);
    for prefix in prefixes {
        let read = LstmWeights::from_bytes(&model, &prefix).unwrap();
        let values = |weights: &LstmWeights| {
            weights.state_dict().map(|(_, array)| array.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(values(&read), values(&network), "{prefix}");
    }
}

#[test]
fn a_model_without_an_lstm_says_what_it_has() {
    let mut nodes = vec![node("Gemm", &["x", "w"], &["y"], &[]); 3];
    nodes.extend([node("GRU", &["y"], &["z"], &[]), node("Add", &["z", "z"], &["s"], &[])]);
    let model = model(graph(&nodes, &[integers("n", &[1, 2])]));
    let error = LstmWeights::from_bytes(&model, "lstm.").unwrap_err();
    let Error::NoLstm { reason } = error else { panic!("{error}") };
    assert_eq!(reason, "an ONNX model of 5 nodes: 1 GRU, 3 Gemm, 1 Add");
    assert!(find_lstms(&model).unwrap().is_empty());
}

#[test]
fn a_wrong_prefix_names_the_nodes() {
    let network = weights(3, 2, 1);
    let model = model(graph(&[lstm(&network, ["W", "R", "B"])], &initializers("", &network, 0)));
    let error = LstmWeights::from_bytes(&model, "lstm.").unwrap_err();
    let Error::WrongPrefix { found, .. } = &error else { panic!("{error}") };
    assert_eq!(found.iter().map(|lstm| lstm.prefix.as_str()).collect::<Vec<_>>(), ["lstm"]);
}

/// Tensors of one name in two graphs: the same one is no conflict, two different ones can't be chosen from.
#[test]
fn names_that_two_branches_have() {
    let network = weights(3, 2, 1);
    let dict = parameters("cell.", &network);
    let branch = |tensors: &[Vec<u8>]| attribute::graph("branch", graph(&[], tensors));
    let tensors: Vec<_> = dict.iter().map(tensor).collect();
    let with = |other: &[Vec<u8>]| {
        model(graph(&[node("If", &["c"], &["y"], &[branch(&tensors), branch(other)])], &[]))
    };
    assert!(LstmWeights::from_bytes(&with(&tensors), "cell.").is_ok());
    let mut changed = dict.clone();
    changed[0].1[[0, 0]] += 1.0;
    let changed: Vec<_> = changed.iter().map(tensor).collect();
    let error = LstmWeights::from_bytes(&with(&changed), "cell.").unwrap_err();
    assert!(matches!(&error, Error::DuplicateTensor { name } if name == &dict[0].0), "{error}");
}

/// A tensor whose numbers are not there is refused only if it is needed.
#[test]
fn tensors_without_their_numbers() {
    let network = weights(3, 2, 1);
    let dict = parameters("cell.", &network);
    let mut tensors: Vec<_> = dict.iter().map(tensor).collect();
    tensors.push(super::builder::tensor("other", &[3, 4], 1, bytes(9, [0; 20])));
    assert!(LstmWeights::from_bytes(&model(graph(&[], &tensors)), "cell.").is_ok());
    tensors[1] = super::builder::tensor(&dict[1].0, &[8, 2], 1, bytes(9, [0; 60]));
    let error = LstmWeights::from_bytes(&model(graph(&[], &tensors)), "cell.").unwrap_err();
    assert!(error.to_string().contains("but is F32 without its values"), "{error}");
}

/// A tensor that is malformed is an error of what needs it, and of nothing else.
#[test]
fn malformed_tensors() {
    let network = weights(3, 2, 1);
    let dict = parameters("cell.", &network);
    let damaged = [
        (bytes(3, []), "one segment of a larger one"),
        ([int(1, 8), int(1, -3), int(2, 1)].concat(), "has a negative axis"),
        (vec![0xff], "more bytes are expected"),
        ([int(1, 8), int(1, 3), int(2, 1), bytes(4, [0; 7])].concat(), "a part of a number"),
    ];
    for (damage, reason) in damaged {
        let damaged = |name: &str| [bytes(8, name), damage.clone()].concat();
        let mut initial = initializers("", &network, 0);
        initial.extend(dict.iter().map(tensor));
        initial.push(damaged("other.weight"));
        let whole = model(graph(&[lstm(&network, ["W", "R", "B"])], &initial));
        assert_eq!(LstmWeights::from_bytes(&whole, "lstm").unwrap(), network, "{reason}");
        assert!(LstmWeights::from_bytes(&whole, "cell.").is_ok(), "{reason}");
        assert!(find_lstms(&whole).unwrap().iter().all(|lstm| lstm.config.is_ok()), "{reason}");
        // Of the cell, and of the node.
        for (at, prefix, named) in [(4, "cell.", "cell.weight_hh"), (0, "lstm", "")] {
            let mut tensors = initial.clone();
            let name = if at == 0 { "W" } else { &dict[1].0 };
            tensors[at] = damaged(name);
            let model = model(graph(&[lstm(&network, ["W", "R", "B"])], &tensors));
            let found = find_lstms(&model).unwrap();
            let listed = found.into_iter().find(|lstm| lstm.prefix == prefix).unwrap().config.unwrap_err();
            for error in [LstmWeights::from_bytes(&model, prefix).unwrap_err(), listed] {
                assert!(matches!(error, Error::MalformedFile { .. }), "{error}");
                let error = error.to_string();
                assert!(error.contains(reason) && error.contains(named), "{prefix}: {error}");
            }
        }
    }
}
