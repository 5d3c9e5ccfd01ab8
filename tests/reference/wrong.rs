//! Wrong weights and states fail the comparison that the golden cases pass.

use wgpu_lstm::LstmWeights;
use wgpu_lstm::ndarray::{Array3, ArrayD, Axis};

use crate::common::compare::{TIMES_WRONG, worst_error};
use crate::common::golden::{self, Golden, PREFIX};
use crate::support::{TENSORS, elements, run, run_with, tolerance};

/// Panics unless the error of some tensor is more than [`TIMES_WRONG`] tolerances.
#[track_caller]
fn assert_seen(what: &str, case: &Golden, actual: [ArrayD<f64>; 3]) {
    let seen = TENSORS.into_iter().zip(&actual).any(|(tensor, actual)| {
        let error = worst_error(&elements(actual), &elements(&case.f64(tensor)));
        error > TIMES_WRONG * tolerance(case, tensor)
    });
    assert!(seen, "{}: {what} passes for right", case.name);
}

/// Every pair of different numbers below n.
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |a| (a + 1..n).map(move |b| (a, b)))
}

#[test]
fn wrong_exchanged_gates_are_seen() {
    let case = golden::load("two_layers_bidirectional");
    let hidden = case.config.hidden_size();
    let gate = |k: usize| k * hidden..(k + 1) * hidden;
    for (a, b) in pairs(4) {
        let exchanged = case.state_dict().into_iter().map(|(name, tensor)| {
            let mut new = tensor.clone();
            for (to, from) in [(a, b), (b, a)] {
                new.slice_axis_mut(Axis(0), gate(to).into())
                    .assign(&tensor.slice_axis(Axis(0), gate(from).into()));
            }
            (name, new)
        });
        let weights = LstmWeights::from_state_dict(exchanged, PREFIX).unwrap();
        let actual = run_with(&case, &weights, case.state_batched());
        assert_seen(&format!("gates {a} and {b} exchanged"), &case, actual);
    }
}

#[test]
fn wrong_exchanged_tensors_are_seen() {
    let case = golden::load("two_layers_bidirectional");
    let slots = ["l0", "l0_reverse", "l1", "l1_reverse"];
    let names = ["bias_ih", "bias_hh", "weight_hh", "weight_ih"];
    let mut seen = 0;
    for name in names {
        for (a, b) in pairs(slots.len()) {
            let mut tensors = case.state_dict();
            let [a, b] = [slots[a], slots[b]].map(|slot| format!("{PREFIX}{name}_{slot}"));
            let (tensor_a, tensor_b) = (tensors[&a].clone(), tensors[&b].clone());
            if tensor_a.shape() != tensor_b.shape() {
                continue; // weight_ih of different layers: can't be taken for each other
            }
            tensors.insert(a.clone(), tensor_b);
            tensors.insert(b.clone(), tensor_a);
            let weights = LstmWeights::from_state_dict(tensors, PREFIX).unwrap();
            let actual = run_with(&case, &weights, case.state_batched());
            assert_seen(&format!("{a} and {b} exchanged"), &case, actual);
            seen += 1;
        }
    }
    assert_eq!(seen, 6 + 6 + 6 + 2);
}

#[test]
fn wrong_exchanged_states_are_seen() {
    let case = golden::load("two_layers_bidirectional");
    let (h, c) = case.state_batched().unwrap();
    let exchange = |state: &Array3<f32>, a: usize, b: usize| {
        let mut new = state.clone();
        for (to, from) in [(a, b), (b, a)] {
            new.index_axis_mut(Axis(0), to).assign(&state.index_axis(Axis(0), from));
        }
        new
    };
    for (a, b) in pairs(4) {
        for (what, h, c) in [("h0", exchange(&h, a, b), c.clone()), ("c0", h.clone(), exchange(&c, a, b))] {
            let actual = run_with(&case, &case.weights(), Some((h, c)));
            assert_seen(&format!("{what}[{a}] and [{b}] exchanged"), &case, actual);
        }
    }
}

#[test]
fn wrong_a_forgotten_bias_projection_or_state_is_seen() {
    for (name, forgotten) in [
        ("single_layer", "bias_ih"),
        ("single_layer", "bias_hh"),
        ("projection", "weight_hr"),
        ("initial_state", "weight_hh"),
    ] {
        let case = golden::load(name);
        let zeroed = case.state_dict().into_iter().map(|(name, mut tensor)| {
            if name.contains(forgotten) {
                tensor.fill(0.0);
            }
            (name, tensor)
        });
        let weights = LstmWeights::from_state_dict(zeroed, PREFIX).unwrap();
        let actual = run_with(&case, &weights, case.state_batched());
        assert_seen(&format!("{forgotten} left out"), &case, actual);
    }
    let case = golden::load("initial_state");
    let actual = run_with(&case, &case.weights(), None);
    assert_seen("no initial state", &case, actual);
}

#[test]
fn wrong_lengths_are_seen() {
    for name in ["packed", "packed_two_layers_bidirectional"] {
        let mut case = golden::load(name);
        case.lengths.as_mut().unwrap()[0] -= 1;
        assert_seen("a length one too short", &case, run(&case));
    }
}
