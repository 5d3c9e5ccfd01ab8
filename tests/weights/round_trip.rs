//! What is written is read back unchanged.

use safetensors::{Dtype, SafeTensors};
use wgpu_lstm::ndarray::{ArrayD, Axis, ShapeBuilder};
use wgpu_lstm::{LstmConfig, LstmWeights, Precision};

use crate::common::golden;
use crate::support::{PREFIXES, StateDict, configs, file_of, read, state_dict, zeros};

#[test]
fn a_file_read_back_is_the_same_network() {
    for config in configs() {
        let weights = LstmWeights::uniform(&config, 1).unwrap();
        for prefix in PREFIXES {
            let file = weights.to_safetensors(prefix).unwrap();
            let read = LstmWeights::from_safetensors(&file, prefix).unwrap();
            assert_eq!(read, weights, "{config:?} {prefix:?}");
            assert_eq!(read.config(), &config);
        }
    }
}

#[test]
fn half_precision_is_kept_at_half_the_bytes() {
    for config in configs() {
        let weights = LstmWeights::uniform(&config, 1).unwrap();
        let half = weights.to_precision(Precision::F16).unwrap();
        for prefix in PREFIXES {
            let file = half.to_safetensors(prefix).unwrap();
            let read = LstmWeights::from_safetensors(&file, prefix).unwrap();
            assert_eq!((read.precision(), &read), (Precision::F16, &half), "{config:?} {prefix:?}");
            assert_eq!(half.to_safetensors(prefix).unwrap(), file, "a file is the same every time");
            for (name, view) in SafeTensors::deserialize(&file).unwrap().iter() {
                let expected = if name.contains("bias") { Dtype::F32 } else { Dtype::F16 };
                assert_eq!(view.dtype(), expected, "{name}");
            }
        }
    }
    let large = LstmWeights::uniform(&LstmConfig::new(100, 100), 1).unwrap();
    let half = large.to_precision(Precision::F16).unwrap().to_safetensors("").unwrap();
    let whole = large.to_safetensors("").unwrap();
    assert!(half.len() * 100 < whole.len() * 52, "{} of {} bytes", half.len(), whole.len());
}

#[test]
fn every_bit_of_half_precision_is_kept() {
    for value in [f32::NAN, -0.0, 6e-8, -65_504.0, f32::INFINITY] {
        let weights = LstmWeights::constant(&LstmConfig::new(2, 2), value).unwrap();
        let half = weights.to_precision(Precision::F16).unwrap();
        let file = half.to_safetensors("").unwrap();
        let again = LstmWeights::from_safetensors(&file, "").unwrap();
        assert_eq!(again.to_safetensors("").unwrap(), file, "{value}");
        let bits = |weights: &LstmWeights| -> Vec<_> {
            weights.state_dict().flat_map(|(_, array)| array.mapv(f32::to_bits)).collect()
        };
        assert_eq!(bits(&again), bits(&half), "{value}");
    }
}

#[test]
fn every_bit_of_a_number_is_kept() {
    let config = LstmConfig::new(2, 2);
    for value in [f32::NAN, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY] {
        let file =
            LstmWeights::constant(&config, value).and_then(|weights| weights.to_safetensors("")).unwrap();
        for (name, array) in read(&file) {
            assert!(array.iter().all(|x| x.to_bits() == value.to_bits()), "{name}");
        }
        let again = LstmWeights::from_safetensors(&file, "").unwrap();
        assert_eq!(again.to_safetensors("").unwrap(), file);
    }
}

#[test]
fn names_and_shapes_are_pytorchs() {
    let config = LstmConfig::new(7, 5).with_num_layers(2).with_bidirectional(true).with_proj_size(3);
    let shapes: Vec<(String, Vec<usize>)> =
        state_dict(&config, "rnn.").into_iter().map(|(name, array)| (name, array.shape().to_vec())).collect();
    let expected = [
        ("rnn.bias_hh_l0", vec![20]),
        ("rnn.bias_hh_l0_reverse", vec![20]),
        ("rnn.bias_hh_l1", vec![20]),
        ("rnn.bias_hh_l1_reverse", vec![20]),
        ("rnn.bias_ih_l0", vec![20]),
        ("rnn.bias_ih_l0_reverse", vec![20]),
        ("rnn.bias_ih_l1", vec![20]),
        ("rnn.bias_ih_l1_reverse", vec![20]),
        ("rnn.weight_hh_l0", vec![20, 3]),
        ("rnn.weight_hh_l0_reverse", vec![20, 3]),
        ("rnn.weight_hh_l1", vec![20, 3]),
        ("rnn.weight_hh_l1_reverse", vec![20, 3]),
        ("rnn.weight_hr_l0", vec![3, 5]),
        ("rnn.weight_hr_l0_reverse", vec![3, 5]),
        ("rnn.weight_hr_l1", vec![3, 5]),
        ("rnn.weight_hr_l1_reverse", vec![3, 5]),
        ("rnn.weight_ih_l0", vec![20, 7]),
        ("rnn.weight_ih_l0_reverse", vec![20, 7]),
        ("rnn.weight_ih_l1", vec![20, 6]),
        ("rnn.weight_ih_l1_reverse", vec![20, 6]),
    ];
    assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape)));
}

#[test]
fn a_file_of_pytorchs_is_written_again_as_it_was() {
    for case in golden::all() {
        let file = case.weights().to_safetensors(golden::PREFIX).unwrap();
        assert_eq!(read(&file), case.state_dict(), "{}", case.name);
    }
}

#[test]
fn a_state_dict_is_the_same_as_its_file() {
    for config in configs() {
        for prefix in PREFIXES {
            let dict = state_dict(&config, prefix);
            let file = file_of(Dtype::F32, &dict);
            let weights = LstmWeights::from_state_dict(dict, prefix).unwrap();
            assert_eq!(weights, LstmWeights::from_safetensors(&file, prefix).unwrap());
            assert_eq!(weights.config(), &config);
        }
    }
}

#[test]
fn more_than_nine_layers_keep_their_order() {
    let config = LstmConfig::new(1, 1).with_num_layers(12);
    let weights = LstmWeights::uniform(&config, 2).unwrap();
    let file = weights.to_safetensors("").unwrap();
    assert_eq!(LstmWeights::from_safetensors(&file, "").unwrap(), weights);
}

#[test]
fn tensors_of_any_memory_layout_are_ordinary_ones() {
    let config = LstmConfig::new(5, 3).with_proj_size(2);
    let dict = state_dict(&config, "");
    let expected = LstmWeights::from_state_dict(dict.clone(), "").unwrap();
    let column_major = dict.iter().map(|(name, array)| {
        let mut other = ArrayD::zeros(array.raw_dim().f());
        other.assign(array);
        (name.as_str(), other)
    });
    assert_eq!(LstmWeights::from_state_dict(column_major, "").unwrap(), expected);
    let reversed = dict.iter().map(|(name, array)| {
        let mut other = array.clone();
        for axis in 0..array.ndim() {
            other.invert_axis(Axis(axis));
        }
        let mut upside_down = other.as_standard_layout().into_owned();
        for axis in 0..array.ndim() {
            upside_down.invert_axis(Axis(axis));
        }
        (name.as_str(), upside_down)
    });
    assert_eq!(LstmWeights::from_state_dict(reversed, "").unwrap(), expected);
}

#[test]
fn other_tensors_are_ignored() {
    let config = LstmConfig::new(2, 3);
    let mut dict = state_dict(&config, "lstm.");
    let expected = LstmWeights::from_state_dict(dict.clone(), "lstm.").unwrap();
    for name in ["head.weight", "lstm", "lstm2.weight_ih_l0", "weight_ih_l0", ""] {
        dict.insert(name.to_owned(), zeros(&[1, 2, 3]));
    }
    assert_eq!(LstmWeights::from_state_dict(dict, "lstm.").unwrap(), expected);
    // The file also has float64 and int64 tensors.
    assert!(golden::load("packed").has("lengths"));
}

#[test]
fn an_lstm_cell_is_one_layer() {
    for bias in [true, false] {
        let config = LstmConfig::new(4, 3).with_bias(bias);
        for prefix in PREFIXES {
            let dict = state_dict(&config, prefix);
            let expected = LstmWeights::from_state_dict(dict, prefix).unwrap();
            let cell = cell(&config, prefix);
            let file = file_of(Dtype::F32, &cell);
            for weights in
                [LstmWeights::from_state_dict(cell, prefix), LstmWeights::from_safetensors(&file, prefix)]
            {
                assert_eq!(weights.unwrap(), expected);
            }
        }
    }
}

/// A state dict as `torch.nn.LSTMCell` has it.
fn cell(config: &LstmConfig, prefix: &str) -> StateDict {
    state_dict(config, prefix)
        .into_iter()
        .map(|(name, array)| (name.strip_suffix("_l0").unwrap().to_owned(), array))
        .collect()
}

#[test]
fn a_cell_goes_back_under_its_own_names() {
    for bias in [true, false] {
        let dict = cell(&LstmConfig::new(4, 3).with_bias(bias), "cell.");
        let weights = LstmWeights::from_state_dict(dict.clone(), "cell.").unwrap();
        let file = weights.to_safetensors("cell.").unwrap();
        assert_eq!(read(&file), dict);
        let again = LstmWeights::from_safetensors(&file, "cell.").unwrap();
        assert_eq!(again, weights);
        assert_eq!(again.to_safetensors("cell.").unwrap(), file);
        let half = weights.to_precision(Precision::F16).unwrap();
        assert!(half.state_dict().all(|(name, _)| dict.contains_key(&format!("cell.{name}"))));
    }
}

#[test]
fn the_state_dict_is_what_a_file_has_in_pytorchs_order() {
    for config in configs() {
        let weights = LstmWeights::uniform(&config, 3).unwrap();
        let dict: Vec<_> = weights.state_dict().map(|(name, array)| (name, array.to_owned())).collect();
        let file = read(&weights.to_safetensors("").unwrap());
        assert_eq!(dict.iter().cloned().collect::<StateDict>(), file);
        assert_eq!(LstmWeights::from_state_dict(dict, "").unwrap(), weights);
    }
    let config = LstmConfig::new(4, 3).with_num_layers(2).with_bidirectional(true).with_proj_size(2);
    let names: Vec<_> =
        LstmWeights::constant(&config, 0.0).unwrap().state_dict().map(|(name, _)| name).collect();
    // As torch.nn.LSTM(4, 3, 2, bidirectional=True, proj_size=2).state_dict() lists them.
    let mut expected = Vec::new();
    for place in ["l0", "l0_reverse", "l1", "l1_reverse"] {
        for stem in ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"] {
            expected.push(format!("{stem}_{place}"));
        }
    }
    assert_eq!(names, expected);
    let cell = LstmWeights::from_state_dict(cell(&LstmConfig::new(4, 3), ""), "").unwrap();
    let names: Vec<_> = cell.state_dict().map(|(name, _)| name).collect();
    assert_eq!(names, ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]);
}
