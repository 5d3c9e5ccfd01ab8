//! Tensors that are not a plain LSTM's: changed and quantized parameters, other networks. The error says which.

use safetensors::Dtype;
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

use crate::support::{StateDict, error, file_of, state_dict, zeros};

/// An LSTM of which one tensor is replaced by others.
fn replaced(removed: &str, by: &[(&str, &[usize])]) -> StateDict {
    let mut dict = state_dict(&LstmConfig::new(5, 3), "lstm.");
    dict.remove(&format!("lstm.{removed}"));
    for (name, shape) in by {
        dict.insert(format!("lstm.{name}"), zeros(shape));
    }
    dict
}

#[test]
fn changed_parameters_are_refused_with_what_to_do() {
    let hh = "weight_hh_l0";
    let whole: &[usize] = &[12, 3];
    let column: &[usize] = &[12, 1];
    for (dict, refused, reason) in [
        (
            replaced(hh, &[("weight_hh_l0_g", column), ("weight_hh_l0_v", whole)]),
            "weight_hh_l0_g",
            "remove_weight_norm",
        ),
        (
            replaced(
                hh,
                &[
                    ("parametrizations.weight_hh_l0.original0", column),
                    ("parametrizations.weight_hh_l0.original1", whole),
                ],
            ),
            "parametrizations.weight_hh_l0.original0",
            "remove_parametrizations",
        ),
        (replaced(hh, &[("weight_hh_l0_raw", whole)]), "weight_hh_l0_raw", "weight drop"),
        // With the weight of the last training step.
        (replaced("", &[("weight_hh_l0_raw", whole)]), "weight_hh_l0_raw", "weight drop"),
        (
            replaced(hh, &[("weight_hh_l0_orig", whole), ("weight_hh_l0_mask", whole)]),
            "weight_hh_l0_mask",
            "prune.remove",
        ),
        (
            replaced("", &[("weight_hh_l0_u", &[12]), ("weight_hh_l0_v", &[3])]),
            "weight_hh_l0_u",
            "spectral norm",
        ),
        (replaced("", &[("_all_weight_values.0.param", whole)]), "_all_weight_values.0.param", "quantized"),
        (
            replaced(hh, &[("_packed_params._packed_params", whole)]),
            "_packed_params._packed_params",
            "quantized",
        ),
        (replaced("", &[("weight_ih_l0.absmax", &[4])]), "weight_ih_l0.absmax", "quantization"),
    ] {
        match error(&dict, "lstm.") {
            Error::UnexpectedTensor { name, reason: actual, .. } => {
                assert_eq!(name, format!("lstm.{refused}"));
                assert!(actual.contains(reason), "{actual}");
            }
            other => panic!("{refused}: {other}"),
        }
    }
}

#[test]
fn packed_parameters_alone_are_a_quantized_network() {
    for name in ["lstm._packed_params.dtype", "lstm._all_weight_values.0.param", "lstm._packed_weight_ih"] {
        let dict = StateDict::from([(name.to_owned(), zeros(&[1]))]);
        match error(&dict, "lstm.") {
            Error::UnexpectedTensor { reason, .. } => assert!(reason.contains("quantized"), "{reason}"),
            other => panic!("{name}: {other}"),
        }
    }
    // Packed parameters of another quantized layer.
    let dict = StateDict::from([("fc._packed_params.dtype".to_owned(), zeros(&[1]))]);
    match error(&dict, "lstm.") {
        Error::WrongPrefix { found, .. } => assert!(found.is_empty(), "{found:?}"),
        other => panic!("{other}"),
    }
}

#[test]
fn integers_are_a_quantized_network() {
    let dict = state_dict(&LstmConfig::new(2, 1), "lstm.");
    for (dtype, is_quantized) in
        [(Dtype::I8, true), (Dtype::U8, true), (Dtype::I32, true), (Dtype::BOOL, false), (Dtype::C64, false)]
    {
        let error = LstmWeights::from_safetensors(&file_of(dtype, &dict), "lstm.").unwrap_err();
        assert!(matches!(error, Error::TensorType { .. }), "{error}");
        assert_eq!(error.to_string().contains("the network is quantized"), is_quantized, "{error}");
    }
}

#[test]
fn weight_drop_around_the_lstm_is_refused() {
    let mut dict = state_dict(&LstmConfig::new(5, 3), "rnns.0.module.");
    dict.insert("rnns.0.weight_hh_l0_raw".to_owned(), zeros(&[12, 3]));
    match error(&dict, "rnns.0.module.") {
        Error::UnexpectedTensor { name, reason, .. } => {
            assert_eq!(name, "rnns.0.weight_hh_l0_raw");
            assert!(reason.contains("weight drop"), "{reason}");
        }
        other => panic!("{other}"),
    }
}

/// One layer with these shapes of the matrices, and biases of this length.
fn layer(w_ih: [usize; 2], w_hh: [usize; 2], bias: usize) -> StateDict {
    [("weight_ih", &w_ih[..]), ("weight_hh", &w_hh), ("bias_ih", &[bias]), ("bias_hh", &[bias])]
        .into_iter()
        .map(|(name, shape)| (format!("rnn.{name}_l0"), zeros(shape)))
        .collect()
}

#[test]
fn shapes_of_another_network_are_recognized() {
    for hidden in [1, 2, 3, 4, 8, 12, 16] {
        for input in [1, 3, 8, 12, 32] {
            let transposed = |w: [usize; 2]| [w[1], w[0]];
            for (dict, what) in [
                (layer([3 * hidden, input], [3 * hidden, hidden], 3 * hidden), "a GRU's 3 gates"),
                (layer([hidden, input], [hidden, hidden], hidden), "a plain RNN's"),
                (
                    layer(transposed([4 * hidden, input]), transposed([4 * hidden, hidden]), 4 * hidden),
                    "as Keras has them",
                ),
            ] {
                match error(&dict, "rnn.") {
                    Error::NotAnLstm { prefix, reason } => {
                        assert_eq!(prefix, "rnn.");
                        assert!(reason.contains(what), "{what}: {reason}");
                    }
                    other => panic!("{what} {input} {hidden}: {other}"),
                }
            }
            // With two layers.
            let mut deep = layer([3 * hidden, input], [3 * hidden, hidden], 3 * hidden);
            for (name, array) in layer([3 * hidden, hidden], [3 * hidden, hidden], 3 * hidden) {
                deep.insert(name.replace("_l0", "_l1"), array);
            }
            assert!(matches!(error(&deep, "rnn."), Error::NotAnLstm { .. }));
            // If the shapes fit no other network either, the error names the tensor.
            deep.insert("rnn.bias_hh_l1".into(), zeros(&[3 * hidden + 1]));
            assert!(matches!(error(&deep, "rnn."), Error::TensorShape { .. }));

            let lstm = layer([4 * hidden, input], [4 * hidden, hidden], 4 * hidden);
            assert_eq!(
                LstmWeights::from_state_dict(lstm, "rnn.").unwrap().config(),
                &LstmConfig::new(input, hidden)
            );
        }
    }
}
