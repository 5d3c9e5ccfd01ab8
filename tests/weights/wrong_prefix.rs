//! A prefix under which there is no LSTM: the error lists those under other prefixes.

use wgpu_lstm::{Error, FoundLstm, LstmConfig, LstmWeights};

use crate::support::{StateDict, error, state_dict, zeros};

/// A typical model: two LSTMs, a GRU, and other layers.
fn model() -> StateDict {
    let encoder = LstmConfig::new(40, 16).with_num_layers(2).with_bidirectional(true).with_proj_size(8);
    let mut dict = state_dict(&encoder, "encoder.lstm.");
    dict.extend(state_dict(&LstmConfig::new(32, 8).with_bias(false), "decoder.rnn."));
    for (name, shape) in [
        ("conv1.weight", vec![40, 1, 3]),
        ("conv1.bias", vec![40]),
        ("norm.num_batches_tracked", vec![]),
        ("gru.weight_ih_l0", vec![12, 5]),
        ("gru.weight_hh_l0", vec![12, 4]),
        ("gru.bias_ih_l0", vec![12]),
        ("gru.bias_hh_l0", vec![12]),
        ("fc.weight", vec![5, 8]),
        ("fc.bias", vec![5]),
    ] {
        dict.insert(name.to_owned(), zeros(&shape));
    }
    dict
}

/// The prefixes that the error for this one lists, and its message.
#[track_caller]
fn found(dict: &StateDict, prefix: &str) -> (Vec<FoundLstm>, String) {
    let error = error(dict, prefix);
    let message = error.to_string();
    match error {
        Error::WrongPrefix { prefix: given, found, names } => {
            assert_eq!(given, prefix);
            assert!(names.iter().eq(dict.keys()), "{names:?}");
            assert!(
                message.starts_with(&format!("there is no LSTM under the prefix {prefix:?}")),
                "{message}"
            );
            (found, message)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_nearest_prefix_is_named_first() {
    for (wrong, right) in [
        ("encoder.lstm", "encoder.lstm."),              // no dot
        ("encoder.lsmt.", "encoder.lstm."),             // a typo
        ("encoder.", "encoder.lstm."),                  // the module around it
        ("lstm.", "encoder.lstm."),                     // the module alone
        ("module.encoder.lstm.", "encoder.lstm."),      // saved without DataParallel
        ("_orig_mod.encoder.lstm.", "encoder.lstm."),   // saved without torch.compile
        ("encoder.lstm.weight_ih_l0", "encoder.lstm."), // a tensor's name
        ("Encoder.LSTM.", "encoder.lstm."),
        ("decoder.", "decoder.rnn."),
        ("rnn.", "decoder.rnn."),
        ("gru", "gru."),
        ("conv1.", "gru."), // nothing is like it
        ("fc.", "gru."),    // a linear layer has a weight and a bias
        ("", "gru."),       // the shortest, as all are to be read
    ] {
        let (found, _) = found(&model(), wrong);
        assert_eq!(found.len(), 3, "{wrong}");
        assert_eq!(found[0].prefix, right, "{wrong}: {found:?}");
    }
}

#[test]
fn a_model_that_was_saved_with_a_wrapper_says_so() {
    for wrapper in ["module.", "_orig_mod.", "model.0."] {
        let dict = state_dict(&LstmConfig::new(3, 4), &format!("{wrapper}lstm."));
        let (found, message) = found(&dict, "lstm.");
        assert_eq!(found[0].prefix, format!("{wrapper}lstm."));
        let end = format!("; there is one under \"{wrapper}lstm.\" (input_size 3, hidden_size 4)");
        assert!(message.ends_with(&end), "{message}");
    }
}

#[test]
fn sizes_are_listed_and_why_an_lstm_can_not_be_read() {
    let (found, message) = found(&model(), "");
    let encoder = LstmConfig::new(40, 16).with_num_layers(2).with_bidirectional(true).with_proj_size(8);
    for lstm in &found {
        match lstm.prefix.as_str() {
            "encoder.lstm." => assert_eq!(lstm.config.as_ref().unwrap(), &encoder),
            "decoder.rnn." => {
                assert_eq!(lstm.config.as_ref().unwrap(), &LstmConfig::new(32, 8).with_bias(false));
            }
            "gru." => assert!(matches!(lstm.config, Err(Error::NotAnLstm { .. })), "{lstm:?}"),
            other => panic!("{other}"),
        }
    }
    for part in [
        "\"encoder.lstm.\" (input_size 40, hidden_size 16, num_layers 2, bidirectional, proj_size 8)",
        "\"decoder.rnn.\" (input_size 32, hidden_size 8, no bias)",
        "\"gru.\" (which can't be read: ",
        "a GRU's 3 gates of 4 rows",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

/// An LSTM that the error lists is read with the prefix, size and error that it lists.
#[test]
fn what_is_found_can_be_read_with_its_prefix() {
    let mut dict = model();
    dict.extend(state_dict(&LstmConfig::new(2, 3), "no_dot"));
    dict.extend(state_dict(&LstmConfig::new(2, 3), "inner.encoder.lstm."));
    dict.insert("inner.encoder.lstm.h0".to_owned(), zeros(&[1]));
    dict.insert("inner.weight_ih".to_owned(), zeros(&[8, 2]));
    // fastai's weight drop, around an LSTM as "module".
    dict.extend(state_dict(&LstmConfig::new(2, 3), "awd.module."));
    dict.insert("awd.weight_hh_l0_raw".to_owned(), zeros(&[12, 3]));
    let (found, message) = found(&dict, "nothing.");
    assert_eq!(found.len(), 8, "{message}");
    for lstm in found {
        let read = LstmWeights::from_state_dict(dict.clone(), &lstm.prefix);
        match (lstm.config, read) {
            (Ok(config), Ok(weights)) => assert_eq!(&config, weights.config()),
            // The error of reading also names the other LSTMs.
            (Err(listed), Err(error)) => {
                assert!(error.to_string().starts_with(&listed.to_string()), "{error}");
            }
            (listed, read) => panic!("{}: {listed:?}, {read:?}", lstm.prefix),
        }
    }
}

#[test]
fn without_any_lstm_the_error_lists_the_tensors() {
    let mut dict = model();
    dict.retain(|name, _| !name.contains("weight_") && !name.contains("bias_"));
    for prefix in ["", "lstm.", "fc."] {
        let (found, message) = found(&dict, prefix);
        assert!(found.is_empty());
        let end = r#", and none under another one; the tensors are "conv1.bias", "conv1.weight", "fc.bias", "fc.weight", "norm.num_batches_tracked""#;
        assert!(message.ends_with(end), "{message}");
    }
}

#[test]
fn long_lists_and_names_are_cut() {
    let mut dict = StateDict::new();
    for index in 10..30 {
        dict.extend(state_dict(&LstmConfig::new(1, 1), &format!("{}.{index}.", "x".repeat(1000))));
    }
    let (found, message) = found(&dict, "lstm.");
    assert_eq!(found.len(), 20);
    assert!(message.ends_with(" and 12 more") && message.len() < 2500, "{message}");
    let linear: StateDict = (0..1000).map(|index| (format!("{index}.weight"), zeros(&[1, 1]))).collect();
    let message = error(&linear, "lstm.").to_string();
    assert!(message.ends_with(" and 992 more") && message.len() < 500, "{message}");
}

/// If the prefix has an LSTM with a tensor missing, the error is about that tensor, not about other prefixes.
#[test]
fn an_incomplete_lstm_under_the_prefix_is_a_missing_tensor() {
    let mut dict = model();
    dict.remove("decoder.rnn.weight_hh_l0");
    match error(&dict, "decoder.rnn.") {
        Error::MissingTensor { name, .. } => assert_eq!(name, "decoder.rnn.weight_hh_l0"),
        other => panic!("{other}"),
    }
    let (found, message) = found(&dict, "decoder.");
    assert!(matches!(found[0].config, Err(Error::MissingTensor { .. })));
    assert!(message.contains(r#"tensor "decoder.rnn.weight_hh_l0" is missing"#), "{message}");
}
