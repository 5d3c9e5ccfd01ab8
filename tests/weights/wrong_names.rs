//! Errors name the tensor that is missing, unexpected or given twice.

use safetensors::Dtype;
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

use crate::support::{StateDict, configs, error, file_of, file_with_header, state_dict, zeros};

#[track_caller]
fn assert_missing(dict: &StateDict, prefix: &str, missing: &str) {
    match error(dict, prefix) {
        Error::MissingTensor { name, .. } => assert_eq!(name, missing),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn assert_unexpected(dict: &StateDict, prefix: &str, unexpected: &str) {
    match error(dict, prefix) {
        Error::UnexpectedTensor { name, reason, .. } => {
            assert_eq!(name, unexpected);
            assert!(!reason.is_empty());
        }
        other => panic!("{other}"),
    }
}

#[test]
fn nothing_at_all_is_a_missing_first_tensor() {
    assert_missing(&StateDict::new(), "", "weight_ih_l0");
    assert_missing(&StateDict::new(), "lstm.", "lstm.weight_ih_l0");
}

#[test]
fn each_tensor_of_every_network_is_missed() {
    for config in configs() {
        let whole = state_dict(&config, "lstm.");
        for name in whole.keys() {
            // Without weight_hr in another layer or direction, its absence means that there is no projection.
            let is_only_layer = config.num_layers() == 1 && !config.bidirectional();
            if is_only_layer && name.contains("weight_hr") {
                continue; // then weight_hh has the wrong shape
            }
            let mut dict = whole.clone();
            dict.remove(name);
            assert_missing(&dict, "lstm.", name);
        }
    }
}

#[test]
fn a_gap_in_layers_is_missed() {
    let config = LstmConfig::new(3, 3).with_num_layers(3);
    for layer in [0, 1] {
        let mut dict = state_dict(&config, "lstm.");
        dict.retain(|name, _| !name.ends_with(&format!("_l{layer}")));
        assert_missing(&dict, "lstm.", &format!("lstm.weight_ih_l{layer}"));
    }
    // However large the number of the next layer is.
    for far in ["2", "99999999999999", "18446744073709551615"] {
        let mut dict = state_dict(&LstmConfig::new(3, 3), "lstm.");
        dict.insert(format!("lstm.weight_ih_l{far}"), zeros(&[12, 3]));
        assert_missing(&dict, "lstm.", "lstm.weight_ih_l1");
    }
}

#[test]
fn what_only_one_layer_has_is_missed_in_the_others() {
    let config = LstmConfig::new(5, 3).with_num_layers(2).with_bidirectional(true).with_proj_size(2);
    let whole = state_dict(&config, "lstm.");
    for (left_out, missing) in [
        (["_l1_reverse", ""], "weight_ih_l1_reverse"),
        (["_l0_reverse", ""], "weight_ih_l0_reverse"),
        (["bias", "_l1"], "bias_ih_l1"),
        (["bias", "_l0_reverse"], "bias_ih_l0_reverse"),
        (["bias_hh", ""], "bias_hh_l0"),
        (["bias_ih", ""], "bias_ih_l0"),
        (["weight_hr", "_l1"], "weight_hr_l1"),
        (["weight_hr", "_l0"], "weight_hr_l0"),
    ] {
        let mut dict = whole.clone();
        dict.retain(|name, _| !left_out.iter().all(|part| name.contains(part)));
        assert!(dict.len() < whole.len());
        assert_missing(&dict, "lstm.", &format!("lstm.{missing}"));
    }
}

#[test]
fn only_a_reverse_direction_misses_the_forward_one() {
    let config = LstmConfig::new(2, 3).with_bidirectional(true);
    let mut dict = state_dict(&config, "");
    dict.retain(|name, _| name.ends_with("_reverse"));
    assert_missing(&dict, "", "weight_ih_l0");
}

#[test]
fn a_cell_misses_names_of_a_cell() {
    let dict = StateDict::from([("cell.bias_ih".to_owned(), zeros(&[8]))]);
    assert_missing(&dict, "cell.", "cell.weight_ih");
}

#[test]
fn names_that_no_lstm_has_are_unexpected() {
    for name in [
        "weight",
        "bias",
        "weights_scale",
        "weight_ih_l",
        "weight_ih_l_reverse",
        "weight_ih_l00",
        "weight_ih_l01",
        "weight_ih_l+1",
        "weight_ih_l-1",
        "weight_ih_l 1",
        "weight_ih_l1 ",
        "weight_ih_l1_reversed",
        "weight_ih_l1_reverse_reverse",
        "weight_ih_l18446744073709551616",
        "weight_ih_l99999999999999999999999999",
        "weight_ih_l١",
        "weight_ih_0",
        "weight_ih_reverse",
        "weight_ihl0",
        "WEIGHT_IH_L0",
        " weight_ih_l0",
        "_weight_ih_l0",
        "weight_ih_l0.qweight",
        "weight_ch_l0",
        "peephole_i",
        "weight_hr",
        "weight_hi_l0",
        "bias_hr_l0",
        "bias_l0",
    ] {
        for prefix in ["", "lstm."] {
            let name = format!("{prefix}{name}");
            let mut dict = state_dict(&LstmConfig::new(2, 3), prefix);
            dict.insert(name.clone(), zeros(&[12, 2]));
            assert_unexpected(&dict, prefix, &name);
        }
    }
}

#[test]
fn names_of_a_cell_among_those_of_layers_are_unexpected() {
    for cell in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] {
        let mut dict = state_dict(&LstmConfig::new(3, 3), "lstm.");
        dict.insert(format!("lstm.{cell}"), zeros(&[12, 3]));
        assert_unexpected(&dict, "lstm.", &format!("lstm.{cell}"));
    }
}

/// The module of an LSTM, and the model, have other tensors too.
#[test]
fn other_tensors_under_the_prefix_are_ignored() {
    for prefix in ["", "lstm."] {
        let dict = state_dict(&LstmConfig::new(2, 3), prefix);
        let expected = LstmWeights::from_state_dict(dict.clone(), prefix).unwrap();
        for name in [
            "h0",
            "c0",
            "init_h",
            "fc.weight",
            "head.bias",
            "",
            "lstm.weight_ih_l0",
            "other.weight_ih_l1",
            "other.bias_ih",
            "conv.parametrizations.weight.original0",
            "fc._packed_params.dtype",
            "other.weight_hh_l0_raw",
        ] {
            let mut dict = dict.clone();
            dict.insert(format!("{prefix}{name}"), zeros(&[12, 2]));
            let file = file_of(Dtype::F32, &dict);
            assert_eq!(LstmWeights::from_safetensors(&file, prefix).unwrap(), expected, "{name}");
            assert_eq!(LstmWeights::from_state_dict(dict, prefix).unwrap(), expected, "{name}");
        }
        // Another LSTM whose prefix does not end in a dot.
        let mut two = dict.clone();
        two.extend(state_dict(&LstmConfig::new(2, 3), &format!("{prefix}other")));
        assert_eq!(LstmWeights::from_state_dict(two, prefix).unwrap(), expected);
        // Another tensor does not replace a missing one.
        let mut dict = dict;
        dict.insert(format!("{prefix}h0"), zeros(&[1, 1, 3]));
        dict.remove(&format!("{prefix}bias_hh_l0"));
        assert_missing(&dict, prefix, &format!("{prefix}bias_hh_l0"));
    }
}

#[test]
fn a_name_given_twice_is_refused() {
    for twice in ["lstm.weight_ih_l0", "lstm.bias_hh_l0"] {
        let mut tensors: Vec<_> = state_dict(&LstmConfig::new(2, 3), "lstm.").into_iter().collect();
        let twin = tensors.iter().find(|(name, _)| name == twice).unwrap();
        tensors.push(twin.clone());
        match LstmWeights::from_state_dict(tensors, "lstm.") {
            Err(Error::DuplicateTensor { name }) => assert_eq!(name, twice),
            other => panic!("{other:?}"),
        }
    }
    // Names that are not under the prefix may come twice.
    let mut tensors: Vec<_> = state_dict(&LstmConfig::new(2, 3), "lstm.").into_iter().collect();
    tensors.extend([("x".to_owned(), zeros(&[1])), ("x".to_owned(), zeros(&[1]))]);
    assert!(LstmWeights::from_state_dict(tensors, "lstm.").is_ok());
}

#[test]
fn a_name_twice_in_a_files_header_is_refused() {
    let entry = |name: &str, rows: usize, columns: usize, start: usize| {
        let end = start + 4 * rows * columns;
        format!(r#""{name}":{{"dtype":"F32","shape":[{rows},{columns}],"data_offsets":[{start},{end}]}}"#)
    };
    let ih = entry("lstm.weight_ih_l0", 4, 2, 0);
    let hh = entry("lstm.weight_hh_l0", 4, 1, 32);
    let valid = file_with_header(&format!("{{{ih},{hh}}}"), &[0; 48]);
    assert!(LstmWeights::from_safetensors(&valid, "lstm.").is_ok());
    for (twin, data) in [
        (ih.clone(), 48),                                 // the same bytes once more
        (entry("lstm.weight_ih_l0", 4, 2, 48), 80),       // bytes of its own
        (ih.replace("weight_ih", "weight\\u005fih"), 48), // spelled otherwise
    ] {
        let file = file_with_header(&format!("{{{ih},{hh},{twin}}}"), &vec![0; data]);
        match LstmWeights::from_safetensors(&file, "lstm.") {
            Err(Error::DuplicateTensor { name }) => assert_eq!(name, "lstm.weight_ih_l0"),
            other => panic!("{other:?}"),
        }
    }
}
