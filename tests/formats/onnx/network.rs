//! A network's weights in ONNX's layout, for models that are built here.

use wgpu_lstm::{LstmConfig, LstmWeights};

use super::builder::{attribute, floats, graph, model, named, node};

/// Random weights of one layer, D directions: every gate, direction and bias differs.
pub fn weights(input_size: usize, hidden_size: usize, directions: usize) -> LstmWeights {
    let config = LstmConfig::new(input_size, hidden_size).with_bidirectional(directions == 2);
    LstmWeights::uniform(&config, 7 + hidden_size as u64).unwrap()
}

/// W, R and B of a layer: of each direction PyTorch's gates i, f, g, o in ONNX's order i, o, f, c.
pub fn arrays(weights: &LstmWeights, layer: usize) -> [Vec<f32>; 3] {
    let hidden = weights.config().hidden_size();
    let directions = if weights.config().bidirectional() { &["", "_reverse"][..] } else { &[""] };
    let parameter = |param: &str, suffix: &str| -> Vec<f32> {
        let name = format!("{param}_l{layer}{suffix}");
        let (_, array) = weights.state_dict().find(|(other, _)| *other == name).unwrap();
        let values: Vec<f32> = array.iter().copied().collect();
        let gate = |index: usize| values.chunks(values.len() / 4).nth(index).unwrap().to_vec();
        assert_eq!(values.len() % (4 * hidden), 0);
        [gate(0), gate(3), gate(1), gate(2)].concat()
    };
    let of_all = |params: &[&str]| -> Vec<f32> {
        let pairs = directions.iter().flat_map(|suffix| params.iter().map(move |param| (param, suffix)));
        pairs.flat_map(|(param, suffix)| parameter(param, suffix)).collect()
    };
    [of_all(&["weight_ih"]), of_all(&["weight_hh"]), of_all(&["bias_ih", "bias_hh"])]
}

/// The shapes of W, R and B.
pub fn shapes(input: usize, hidden: usize, directions: usize) -> [Vec<usize>; 3] {
    [vec![directions, 4 * hidden, input], vec![directions, 4 * hidden, hidden], vec![directions, 8 * hidden]]
}

/// Initializers of a layer, whose names begin with the prefix: `W`, `R`, `B`.
pub fn initializers(prefix: &str, weights: &LstmWeights, layer: usize) -> Vec<Vec<u8>> {
    let config = weights.config();
    let directions = if config.bidirectional() { 2 } else { 1 };
    let input = if layer == 0 { config.input_size() } else { directions * config.hidden_size() };
    let shapes = shapes(input, config.hidden_size(), directions);
    let tensors = ["W", "R", "B"].iter().zip(&shapes).zip(arrays(weights, layer));
    tensors.map(|((name, shape), values)| floats(&format!("{prefix}{name}"), shape, &values)).collect()
}

/// The attributes of the node of a network.
pub fn attributes(weights: &LstmWeights) -> Vec<Vec<u8>> {
    let direction = if weights.config().bidirectional() { "bidirectional" } else { "forward" };
    let hidden = weights.config().hidden_size() as i64;
    vec![attribute::int_("hidden_size", hidden), attribute::text("direction", direction)]
}

/// A node that reads `X`, and weights of these names.
pub fn lstm(weights: &LstmWeights, names: [&str; 3]) -> Vec<u8> {
    let [w, r, b] = names;
    named(node("LSTM", &["X", w, r, b], &["Y"], &attributes(weights)), "lstm")
}

/// A model of one layer whose weights are the results of these nodes and initializers, under the names `W`, `R`, `B`.
pub fn model_of(weights: &LstmWeights, nodes: &[Vec<u8>], initializers: &[Vec<u8>]) -> Vec<u8> {
    model(graph(&[nodes, &[lstm(weights, ["W", "R", "B"])]].concat(), initializers))
}
