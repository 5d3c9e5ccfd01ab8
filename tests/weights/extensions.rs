//! Tensors beside an LSTM's parameters: those that extend the LSTM are refused by name; those of other modules and
//! initial states are ignored.

use safetensors::Dtype;
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

use crate::support::{StateDict, error, file_of, file_with_header, state_dict, zeros};

/// A network and other tensors of these names and shapes. Most tests have I = 5 and H = 3.
fn with(config: &LstmConfig, prefix: &str, others: &[(&str, &[usize])]) -> StateDict {
    let mut dict = state_dict(config, prefix);
    for (name, shape) in others {
        assert!(dict.insert((*name).to_owned(), zeros(shape)).is_none(), "{name}");
    }
    dict
}

#[track_caller]
fn assert_refused(dict: &StateDict, prefix: &str, refused: &str, why: &str) {
    match error(dict, prefix) {
        Error::UnexpectedTensor { name, reason, .. } => {
            assert_eq!(name, refused);
            assert!(reason.contains(why), "{name}: {reason}");
        }
        other => panic!("{refused}: {other}"),
    }
    // The list of found LSTMs has the same error, except under a prefix that does not end in a dot.
    if !(prefix.is_empty() || prefix.ends_with('.')) {
        return;
    }
    match error(dict, "nothing.") {
        Error::WrongPrefix { found, .. } => {
            let config = &found.iter().find(|lstm| lstm.prefix == prefix).unwrap().config;
            assert!(
                matches!(config, Err(Error::UnexpectedTensor { name, .. }) if name == refused),
                "{config:?}"
            );
        }
        other => panic!("{refused}: {other}"),
    }
}

#[track_caller]
fn assert_read(dict: &StateDict, prefix: &str, config: &LstmConfig) {
    let read = LstmWeights::from_state_dict(dict.clone(), prefix);
    assert_eq!(read.unwrap_or_else(|error| panic!("{error}")).config(), config);
    let file = LstmWeights::from_safetensors(&file_of(Dtype::F32, dict), prefix);
    assert_eq!(file.unwrap().config(), config);
}

/// The names of LayerNormLSTMCell in PyTorch's benchmarks/fastrnns/custom_lstms.py, which has no biases.
#[test]
fn a_layer_norm_lstm_is_refused() {
    let config = LstmConfig::new(5, 3).with_bias(false);
    for prefix in ["", "cell.", "layers.0.cell.", "no_dot"] {
        let mut dict = StateDict::from([
            (format!("{prefix}weight_ih"), zeros(&[12, 5])),
            (format!("{prefix}weight_hh"), zeros(&[12, 3])),
        ]);
        assert_read(&dict, prefix, &config);
        for (norm, width) in [("layernorm_i", 12), ("layernorm_h", 12), ("layernorm_c", 3)] {
            for part in ["weight", "bias"] {
                let name = format!("{prefix}{norm}.{part}");
                let mut one = dict.clone();
                one.insert(name.clone(), zeros(&[width]));
                assert_refused(&one, prefix, &name, "layer normalization");
            }
        }
        for norm in ["layernorm_i", "layernorm_c"] {
            dict.insert(
                format!("{prefix}{norm}.weight"),
                zeros(&[if norm == "layernorm_c" { 3 } else { 12 }]),
            );
        }
        // The error names the first tensor in the order of names, not in that of the file.
        let error = LstmWeights::from_state_dict(dict.into_iter().rev(), prefix).unwrap_err();
        assert!(error.to_string().contains("layernorm_c.weight"), "{error}");
    }
}

#[test]
fn modules_of_the_cell_are_refused() {
    let config = LstmConfig::new(5, 3).with_proj_size(2);
    for (name, width) in [
        ("norm.weight", 3),
        ("ln.weight", 12),
        ("ln_ih.bias", 12),
        ("norms.0.weight", 12),
        ("bn_hh.running_mean", 12),
        ("LayerNorm_o.weight", 2),
        ("peephole_i.weight", 3),
        ("peepholes.w", 9),
        ("zoneout.rate", 1),
        ("lora_A.default.weight", 7),
    ] {
        let name = format!("l.{name}");
        assert_refused(&with(&config, "l.", &[(&name, &[width])]), "l.", &name, "does not compute");
    }
}

#[test]
fn tensors_directly_beside_the_parameters_are_refused() {
    let (plain, projected) = (LstmConfig::new(5, 3), LstmConfig::new(5, 3).with_proj_size(2));
    let state: &[usize] = &[3];
    let gates: &[usize] = &[12];
    for (name, shape, why) in [
        ("w_ci", state, "peephole"),
        ("W_ci", &[1, 3], "peephole"),
        ("W_cf", &[3, 3], "peephole"),
        ("p_i", state, "peephole"),
        ("p", &[9], "peephole"),
        ("peep_i", state, "peephole"),
        ("peep", &[7], "peephole"),
        ("b_c", state, "extended LSTM"),
        ("U_i", &[3, 3], "extended LSTM"),
        ("b_cell", state, "extended LSTM"),
        ("hidden_bias", state, "extended LSTM"),
        ("cell_to_input", state, "extended LSTM"),
        ("attn", &[4, 12], "extended LSTM"),
        ("gamma_ih", gates, "normalization"),
        ("beta_c", state, "normalization"),
        ("ln_scale", gates, "normalization"),
        ("ln_scale", &[1], "normalization"),
        ("cell_norm", state, "normalization"),
        ("scale_ih_l0", gates, "factor"),
        ("scale_ih_l0", &[], "factor"),
        ("state_scale", state, "factor"),
        ("mask_weight_hh", &[12, 3], "mask"),
        ("mask_weight_hh_l0", &[12, 3], "mask"),
        ("dropout_mask", &[1, 3], "mask"),
        ("zoneout", &[], "zoneout"),
        ("zoneout", &[2], "zoneout"),
        ("cell_clip", &[1], "bound of the cell state"),
        ("lora_A", &[7, 5], "adapter"),
        ("otherweight_ih_l0", &[12, 5], "extended LSTM"), // and no weight_hh of such a network
    ] {
        for prefix in ["", "l.", "a.lstm."] {
            for config in [&plain, &projected] {
                let name = format!("{prefix}{name}");
                let dict = with(config, prefix, &[(&name, shape)]);
                if prefix.is_empty() && name == "ln_scale" && shape == [1] {
                    continue; // the factor of another normalization of the model, perhaps
                }
                assert_refused(&dict, prefix, &name, why);
            }
        }
    }
    // An axis of length O = P counts only in a network with a projection.
    assert_refused(&with(&projected, "l.", &[("l.r", &[2])]), "l.", "l.r", "extended LSTM");
    assert_read(&with(&plain, "l.", &[("l.r", &[2])]), "l.", &plain);
}

/// The element type of the tensor does not matter.
#[test]
fn an_extension_of_integers_is_refused() {
    let dict = with(&LstmConfig::new(1, 1).with_bias(false), "", &[("mask", &[4, 1])]);
    let file = file_of(Dtype::F32, &dict);
    let split = 8 + usize::from(u16::from_le_bytes([file[0], file[1]]));
    let header = String::from_utf8(file[8..split].to_vec()).unwrap();
    let integers = header.replacen(r#""mask":{"dtype":"F32""#, r#""mask":{"dtype":"I32""#, 1);
    assert_ne!(header, integers);
    let error = LstmWeights::from_safetensors(&file_with_header(&integers, &file[split..]), "").unwrap_err();
    assert!(matches!(&error, Error::UnexpectedTensor { name, .. } if name == "mask"), "{error}");
}

/// The masks of both matrices have the names of a network under the prefix "mask_", which is none.
#[test]
fn masks_of_all_matrices_are_no_other_network() {
    let dict = with(
        &LstmConfig::new(5, 3),
        "l.",
        &[("l.mask_weight_ih_l0", &[12, 5]), ("l.mask_weight_hh_l0", &[12, 3])],
    );
    assert_refused(&dict, "l.", "l.mask_weight_hh_l0", "mask");
}

#[test]
fn the_base_layer_of_an_adapter_is_refused() {
    for wrapper in ["", "l.", "base_model.model.lstm."] {
        for (wrapped, name, why) in [
            ("base_layer.", "lora_A.default.weight", "merge_and_unload()"),
            ("base_layer.", "lora_magnitude_vector.default.weight", "merge_and_unload()"),
            ("base_layer.", "ia3_l.default", "merge_and_unload()"),
            ("original_module.", "modules_to_save.default.weight_ih_l0", "fine-tuned copy"),
        ] {
            let prefix = format!("{wrapper}{wrapped}");
            let name = format!("{wrapper}{name}");
            let dict = with(&LstmConfig::new(5, 3), &prefix, &[(&name, &[8, 5])]);
            assert_refused(&dict, &prefix, &name, why);
        }
    }
    // An adapter of another layer; a module whose name only ends in that of the wrapper.
    let config = LstmConfig::new(5, 3);
    for (prefix, name) in [
        ("l.base_layer.", "fc.lora_A.default.weight"),
        ("l.base_layer.", "l.fc.weight"),
        ("l.my_base_layer.", "l.my_lora_A.default.weight"),
        ("l.", "fc.lora_A.default.weight"),
    ] {
        assert_read(&with(&config, prefix, &[(name, &[8, 5])]), prefix, &config);
    }
}

#[test]
fn initial_states_and_other_modules_are_ignored() {
    let config = LstmConfig::new(5, 3);
    for prefix in ["", "l.", "a.lstm."] {
        for (name, shape) in [
            ("h0", &[1, 1, 3][..]),
            ("c0", &[3]),
            ("h_0", &[1, 3]),
            ("c_0", &[1, 3]),
            ("hx", &[3]),
            ("cx", &[3]),
            ("h0_reverse", &[1, 3]),
            ("h", &[1, 3]),
            ("init_h", &[3]),
            ("_init_c", &[3]),
            ("h_init", &[3]),
            ("initial_state", &[2, 3]),
            ("learned_h0", &[1, 1, 3]),
            ("hidden", &[1, 1, 3]),
            ("hidden_state", &[3]),
            ("cell_state", &[3]),
            ("state_c", &[1, 3]),
            // No axis has the length of a state or of the gates.
            ("num_batches_tracked", &[]),
            ("positions", &[1, 100, 5]),
            ("gamma", &[7]),
            ("input_mean", &[5]),
            ("scale", &[7]),
            // Tensors of other modules.
            ("fc.weight", &[10, 3]),
            ("fc.bias", &[3]),
            ("attention.in_proj_weight", &[9, 3]),
            ("attention.out_proj.weight", &[3, 3]),
            ("embedding.weight", &[12, 5]),
            ("norm.weight", &[5]),
            ("norm.bias", &[5]),
            ("layernorm_i.weight", &[7]),
            ("encoder.layers.0.norm.weight", &[3]),
            ("bn.num_batches_tracked", &[]),
        ] {
            let dict = with(&config, prefix, &[(&format!("{prefix}{name}"), shape)]);
            assert_read(&dict, prefix, &config);
        }
        // Another network, whose prefix does not end in a dot.
        let mut dict = state_dict(&config, prefix);
        dict.extend(state_dict(&config, &format!("{prefix}other_")));
        assert_read(&dict, prefix, &config);
    }
}

/// Under the empty prefix, and one that does not end in a dot, there are other modules of the model too.
#[test]
fn the_normalizations_of_a_whole_model_are_ignored() {
    let config = LstmConfig::new(5, 3);
    for (prefix, start) in [("", ""), ("encoder_", "encoder_"), ("encoder_", "")] {
        for (name, shape) in [
            ("norm.weight", &[3][..]),
            ("norm1.bias", &[3]),
            ("layer_norm.weight", &[12]),
            ("ln_f.weight", &[3]),
            ("bn.running_var", &[3]),
            ("logit_scale", &[]),
        ] {
            let dict = with(&config, prefix, &[(&format!("{start}{name}"), shape)]);
            assert_read(&dict, prefix, &config);
        }
    }
    // Normalizations beside the LSTM's module.
    let dict = with(&config, "lstm.", &[("norm.weight", &[3]), ("scale", &[3]), ("lora_A", &[3])]);
    assert_read(&dict, "lstm.", &config);
}
