//! Layers that compute something else than `torch.nn.LSTM`.

use wgpu_lstm::{Error, LstmWeights, ReadOptions};

use super::{file, find};

#[track_caller]
fn assert_refused(name: &str, prefix: &str, expected: &str) {
    let reason = |result: Result<String, Error>| match result {
        Err(Error::UnsupportedLstm { prefix: of, reason }) if of == prefix => reason,
        other => panic!("{name}: {prefix}: {other:?}"),
    };
    let found = reason(find(name, prefix).config.map(|config| format!("{config:?}")));
    assert!(found.contains(expected), "{name}: {prefix}: {found}");
    let read = LstmWeights::from_bytes(&file(name), prefix).map(|weights| format!("{weights:?}"));
    assert_eq!(reason(read), found);
}

#[test]
fn other_settings_are_refused_by_name() {
    for name in ["beside.h5", "beside.keras"] {
        for (prefix, expected) in [
            ("backwards", "go_backwards is true"),
            ("relu", "activation is \"relu\", not tanh"),
            ("hard", "recurrent_activation is \"hard_sigmoid\", not sigmoid"),
            ("sum", "merge_mode is \"sum\", not concat"),
            ("elu", "activation is \"elu\", not tanh"),
        ] {
            assert_refused(name, prefix, expected);
        }
    }
}

#[test]
fn other_classes_are_refused_by_name() {
    for name in ["beside.h5", "beside.keras"] {
        assert_refused(name, "mine", "MyLSTM\", which is not one of Keras's LSTM layers");
        assert_refused(name, "stacked", "its cell is of the class \"StackedRNNCells\"");
    }
    assert_refused("beside.weights.h5", "stacked", "it has 2 cells");
    assert_refused("refused.h5", "stack", "it has 2 cells");
    assert_refused("refused.h5", "half", "one half of a Bidirectional layer");
}

#[test]
fn cells_with_more_tensors_are_refused() {
    assert_refused("refused.h5", "norm", "\"norm/norm/kernel_norm/gamma:0\"");
    assert_refused("refused.h5", "peephole", "\"peephole/peephole/input_gate_peephole_weights:0\"");
}

/// As beside the parameters of a state dict. Another class or setting is never ignored.
#[test]
fn more_tensors_can_be_left_aside() {
    for prefix in ["norm", "peephole"] {
        let read = ReadOptions::new(prefix).with_others_ignored(true).from_bytes(&file("refused.h5"));
        let weights = read.unwrap_or_else(|error| panic!("{prefix}: {error}"));
        assert_eq!(weights.config().num_layers(), 1);
        let found = find("refused.h5", prefix);
        assert_eq!(found.assumed, None); // nothing is, of a layer that is refused
        let refused = found.config.unwrap_err().to_string();
        assert!(refused.contains("ReadOptions::with_others_ignored leaves it aside"), "{refused}");
    }
    for (name, prefix) in [("beside.h5", "mine"), ("beside.h5", "relu"), ("refused.h5", "half")] {
        let read = ReadOptions::new(prefix).with_others_ignored(true).from_bytes(&file(name));
        assert!(matches!(read, Err(Error::UnsupportedLstm { .. })), "{prefix}: {read:?}");
    }
}

#[test]
fn the_matrices_of_keras_1_are_refused() {
    assert_refused("refused.h5", "old", "load and save it with Keras 2");
}

/// Without a configuration nothing says that a layer is of another class or has other settings: no GRU, no simple RNN.
#[test]
fn other_shapes_are_no_lstm() {
    for layout in [".h5", ".keras", ".weights.h5"] {
        let found = super::prefixes(&format!("beside{layout}"));
        assert!(!found.iter().any(|prefix| prefix == "gru" || prefix == "simple"), "{layout}: {found:?}");
        assert_eq!(found.len(), 13, "{layout}: {found:?}");
    }
}
