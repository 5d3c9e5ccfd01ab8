//! Random and constant parameters.

use wgpu_lstm::{Error, LstmConfig, LstmWeights};

use crate::support::{configs, read, state_dict};

#[test]
fn uniform_is_within_its_bounds_and_fills_them() {
    for hidden in [1, 2, 3, 16, 100] {
        let config = LstmConfig::new(40, hidden).with_num_layers(2);
        let bound = 1.0 / (hidden as f32).sqrt();
        for (name, array) in state_dict(&config, "") {
            assert!(array.iter().all(|x| x.abs() <= bound), "{name}");
        }
    }
    let config = LstmConfig::new(100, 100);
    let dict = state_dict(&config, "");
    let numbers: Vec<f64> =
        dict.values().flat_map(|array| array.iter().map(|&x| f64::from(x) * 10.0)).collect();
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let variance = numbers.iter().map(|x| x * x).sum::<f64>() / count;
    // Of U(-1, 1): 0 ± 1/√(3n) and 1/3 ± √(4/45n); five standard deviations with n = 80,800.
    assert!(mean.abs() < 5.0 / (3.0 * count).sqrt(), "{mean}");
    assert!((variance - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / count).sqrt(), "{variance}");
    let largest = numbers.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    assert!(largest > 0.999, "{largest}");
}

#[test]
fn uniform_depends_on_the_seed_alone() {
    for config in configs() {
        let weights = |seed| LstmWeights::uniform(&config, seed).unwrap();
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
        assert_ne!(weights(0), weights(u64::MAX));
    }
}

#[test]
fn uniform_draws_the_same_bits_everywhere() {
    let dict = state_dict(&LstmConfig::new(2, 1), "");
    let bits = |name: &str| dict[name].iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits("weight_ih_l0")[..3], [3199576252, 3197290228, 1063651700]);
    assert_eq!(bits("bias_hh_l0")[..1], [1031548480]);
}

#[test]
fn uniform_draws_layer_by_layer_in_the_order_of_the_state_dict() {
    // All parameters of a network, in PyTorch's order, come from one stream: networks of equal H start with the
    // same numbers, whatever their other sizes are.
    let order = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];
    let stream = |config: &LstmConfig| {
        let dict = state_dict(config, "");
        let mut numbers = Vec::new();
        for layer in 0..config.num_layers() {
            for direction in ["", "_reverse"] {
                for name in order {
                    if let Some(array) = dict.get(&format!("{name}_l{layer}{direction}")) {
                        numbers.extend(array.iter().copied());
                    }
                }
            }
        }
        numbers
    };
    let longest = stream(&LstmConfig::new(400, 3));
    for config in configs() {
        let numbers = stream(&config);
        assert_eq!(numbers, longest[..numbers.len()], "{config:?}");
    }
    let mut sorted = longest[..400].to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.dedup();
    assert_eq!(sorted.len(), 400, "numbers repeat");
}

#[test]
fn constant_is_constant() {
    for config in configs() {
        let file =
            LstmWeights::constant(&config, 0.25).and_then(|weights| weights.to_safetensors("")).unwrap();
        let dict = read(&file);
        assert!(dict.values().all(|array| array.iter().all(|&x| x == 0.25)));
        assert_eq!(LstmWeights::from_safetensors(&file, "").unwrap().config(), &config);
    }
}

/// The error of both initialisations for a config, which must be the same.
#[track_caller]
fn refusal(config: &LstmConfig) -> Error {
    let error = LstmWeights::uniform(config, 0).unwrap_err();
    let other = LstmWeights::constant(config, 1.0).unwrap_err();
    assert_eq!(error.to_string(), other.to_string());
    error
}

#[test]
fn sizes_of_zero_are_refused() {
    for (config, name) in [
        (LstmConfig::new(0, 1), "input_size"),
        (LstmConfig::new(1, 0), "hidden_size"),
        (LstmConfig::new(1, 1).with_num_layers(0), "num_layers"),
    ] {
        match refusal(&config) {
            Error::ZeroSize { what } => assert_eq!(what, name),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_projection_not_smaller_than_the_hidden_state_is_refused() {
    for proj in [3, 4, usize::MAX] {
        match refusal(&LstmConfig::new(1, 3).with_proj_size(proj)) {
            Error::ProjectionTooLarge { proj_size, hidden_size } => {
                assert_eq!((proj_size, hidden_size), (proj, 3));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn absurd_sizes_are_refused() {
    let max = usize::MAX;
    for config in [
        LstmConfig::new(max, 1),
        LstmConfig::new(1, max),
        LstmConfig::new(1, max / 4),
        LstmConfig::new(1, max / 8).with_bidirectional(true),
        LstmConfig::new(1, 1 << 31),
        LstmConfig::new(1, 1 << 30),
        LstmConfig::new(max / 16, 1),
        LstmConfig::new(max / 32, 1).with_bias(false),
        LstmConfig::new(1, 1).with_num_layers(max),
        LstmConfig::new(1, 1).with_num_layers(max / 2).with_bidirectional(true),
        LstmConfig::new(1, max).with_proj_size(max - 1),
        LstmConfig::new(1, max / 2).with_proj_size(1),
    ] {
        let error = refusal(&config);
        assert!(matches!(error, Error::SizeOverflow { .. }), "{config:?}: {error}");
    } // What overflows nothing is more than there is: the message says whose memory, and how many bytes.
    for (config, bytes) in [
        (LstmConfig::new(1, 1 << 20), (1u64 << 44) + (3 << 24)), // 16 TiB and some
        (LstmConfig::new(1, 1 << 28), (1 << 60) + (3 << 32)),
        (LstmConfig::new(1 << 50, 1), (1 << 54) + 48),
        (LstmConfig::new(1, 1).with_num_layers(1 << 55), 1 << 61),
        (LstmConfig::new(1, 1).with_num_layers(1 << 50), 1 << 56),
    ] {
        let error = refusal(&config);
        let said = format!("out of memory: the host can't allocate {bytes} bytes");
        assert!(
            matches!(error, Error::OutOfMemory { .. }) && error.to_string() == said,
            "{config:?}: {error}"
        );
    }
}
