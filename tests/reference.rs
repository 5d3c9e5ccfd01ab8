//! The reference path against PyTorch's answers, and what it refuses.

mod common;

use common::compare::{assert_close, f32_tolerance, f64_tolerance, worst_error};
use common::golden::{self, Golden, PREFIX};
use wgpu_lstm::ndarray::{Array, Array3, ArrayD, Axis, Dimension, NdFloat, s};
use wgpu_lstm::{Error, LstmConfig, LstmWeights, StatePart, reference};

// ---- against PyTorch --------------------------------------------------------------------------

const TENSORS: [&str; 3] = ["output", "h_n", "c_n"];

/// A case's output, h_n and c_n in the layout of its file.
fn run<T: NdFloat + From<f32>>(case: &Golden) -> [ArrayD<T>; 3] {
    run_with(case, &case.weights(), case.state_batched())
}

fn run_with<T: NdFloat + From<f32>>(
    case: &Golden,
    weights: &LstmWeights,
    state: Option<(Array3<f32>, Array3<f32>)>,
) -> [ArrayD<T>; 3] {
    let state: Option<(Array3<T>, Array3<T>)> = state.map(|(h, c)| (cast(&h), cast(&c)));
    let (output, h_n, c_n) = reference::forward::<T>(
        weights,
        cast(&case.input_time_major()).view(),
        case.lengths.as_deref(),
        state.as_ref().map(|(h, c)| (h.view(), c.view())),
    )
    .unwrap_or_else(|e| panic!("{}: {e}", case.name));
    [
        case.output_as_in_file(output),
        case.state_as_in_file(h_n),
        case.state_as_in_file(c_n),
    ]
}

fn cast<T: From<f32>, D: Dimension>(array: &Array<f32, D>) -> Array<T, D> {
    array.map(|&x| x.into())
}

/// The elements in the order of their indices, whatever lies where in memory.
fn elements<T: Clone, D: Dimension>(array: &Array<T, D>) -> Vec<T> {
    array.iter().cloned().collect()
}

/// The tolerance of a case's tensor in float32.
fn tolerance(case: &Golden, tensor: &str) -> f64 {
    f32_tolerance(
        &elements(&case.f32(&format!("{tensor}_f32"))),
        &elements(&case.f64(tensor)),
    )
}

#[test]
fn every_golden_case_in_f64() {
    let mut worst = 0.0_f64;
    for case in golden::all() {
        for (tensor, actual) in TENSORS.into_iter().zip(run::<f64>(&case)) {
            let truth = case.f64(tensor);
            let what = format!("{}: {tensor}", case.name);
            assert_eq!(actual.shape(), truth.shape(), "{what}");
            let (actual, truth) = (elements(&actual), elements(&truth));
            assert_close(&what, &actual, &truth, f64_tolerance(&truth));
            worst = worst.max(worst_error(&actual, &truth));
        }
    }
    println!("worst error in f64: {worst:.1e}");
}

#[test]
fn every_golden_case_in_f32() {
    for case in golden::all() {
        for (tensor, actual) in TENSORS.into_iter().zip(run::<f32>(&case)) {
            let truth = case.f64(tensor);
            let what = format!("{}: {tensor}", case.name);
            assert_eq!(actual.shape(), truth.shape(), "{what}");
            let (actual, truth) = (elements(&actual), elements(&truth));
            assert_close(&what, &actual, &truth, tolerance(&case, tensor));
            let pytorch = elements(&case.f32(&format!("{tensor}_f32")));
            println!(
                "{what}: {:.1e} from the truth, PyTorch {:.1e}",
                worst_error(&actual, &truth),
                worst_error(&pytorch, &truth),
            );
        }
    }
}

#[test]
fn sizes_inferred_from_the_tensors_are_those_of_the_constructor() {
    for case in golden::all() {
        assert_eq!(case.weights().config(), &case.config, "{}", case.name);
    }
}

// ---- what is wrong is seen to be wrong ----------------------------------------------------------

/// Panics unless some tensor is further from the truth than ten times what is allowed.
#[track_caller]
fn assert_seen(what: &str, case: &Golden, actual: [ArrayD<f64>; 3]) {
    let seen = TENSORS.into_iter().zip(&actual).any(|(tensor, actual)| {
        let error = worst_error(&elements(actual), &elements(&case.f64(tensor)));
        error > 10.0 * tolerance(case, tensor)
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
            new.index_axis_mut(Axis(0), to)
                .assign(&state.index_axis(Axis(0), from));
        }
        new
    };
    for (a, b) in pairs(4) {
        for (what, h, c) in [
            ("h0", exchange(&h, a, b), c.clone()),
            ("c0", h.clone(), exchange(&c, a, b)),
        ] {
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

// ---- ragged batches -----------------------------------------------------------------------------

#[test]
fn what_lies_past_a_length_is_never_read() {
    let config = LstmConfig::new(3, 5)
        .with_num_layers(2)
        .with_bidirectional(true);
    let weights = LstmWeights::uniform(&config, 3).unwrap();
    let lengths = [2, 6, 1, 4];
    let with_filler = |filler: f64| {
        let mut input = wave((6, 4, 3));
        for (b, &length) in lengths.iter().enumerate() {
            input.slice_mut(s![length.., b, ..]).fill(filler);
        }
        reference::forward(&weights, input.view(), Some(&lengths), None).unwrap()
    };
    let zeros = with_filler(0.0);
    for filler in [f64::NAN, f64::INFINITY, -1e300] {
        assert_eq!(with_filler(filler), zeros, "{filler}");
    }
    let (output, ..) = zeros;
    for (b, &length) in lengths.iter().enumerate() {
        let past = output.slice(s![length.., b, ..]);
        assert!(past.iter().all(|&x| x == 0.0), "sequence {b}");
        let within = output.slice(s![..length, b, ..]);
        assert!(within.iter().all(|&x| x != 0.0), "sequence {b}");
    }
}

#[test]
fn a_ragged_batch_is_its_sequences_one_by_one() {
    let config = LstmConfig::new(3, 5)
        .with_num_layers(2)
        .with_bidirectional(true)
        .with_proj_size(2);
    let weights = LstmWeights::uniform(&config, 4).unwrap();
    let input = wave((6, 3, 3));
    let (h0, c0) = (wave((4, 3, 2)), wave((4, 3, 5)));
    let lengths = [4, 1, 6];
    let state = Some((h0.view(), c0.view()));
    let (output, h_n, c_n) =
        reference::forward(&weights, input.view(), Some(&lengths), state).unwrap();
    for (b, &length) in lengths.iter().enumerate() {
        let (alone, h_alone, c_alone) = reference::forward(
            &weights,
            input.slice(s![..length, b..=b, ..]),
            None,
            Some((h0.slice(s![.., b..=b, ..]), c0.slice(s![.., b..=b, ..]))),
        )
        .unwrap();
        assert_eq!(output.slice(s![..length, b..=b, ..]), alone);
        assert_eq!(h_n.slice(s![.., b..=b, ..]), h_alone);
        assert_eq!(c_n.slice(s![.., b..=b, ..]), c_alone);
    }
}

#[test]
fn full_lengths_are_no_lengths() {
    let weights = LstmWeights::uniform(&LstmConfig::new(3, 5), 5).unwrap();
    let input = wave((4, 2, 3));
    let (ragged, ..) = reference::forward(&weights, input.view(), Some(&[4, 4]), None).unwrap();
    let (plain, ..) = reference::forward(&weights, input.view(), None, None).unwrap();
    assert_close("output", &elements(&ragged), &elements(&plain), 1e-14);
}

// ---- other properties ---------------------------------------------------------------------------

/// Numbers between -1 and 1, all different.
fn wave(shape: (usize, usize, usize)) -> Array3<f64> {
    Array3::from_shape_fn(shape, |(t, b, i)| {
        (0.7 + 1.3 * t as f64 + 2.1 * b as f64 + 0.9 * i as f64).sin()
    })
}

#[test]
fn a_call_goes_on_where_the_last_one_stopped() {
    let config = LstmConfig::new(3, 5).with_num_layers(3).with_proj_size(2);
    let weights = LstmWeights::uniform(&config, 6).unwrap();
    let input = wave((9, 2, 3));
    let (whole, h_n, c_n) = reference::forward(&weights, input.view(), None, None).unwrap();
    let (first, rest) = input.view().split_at(Axis(0), 4);
    let (_, h, c) = reference::forward(&weights, first, None, None).unwrap();
    let state = Some((h.view(), c.view()));
    let (output, h, c) = reference::forward(&weights, rest, None, state).unwrap();
    let expected = whole.slice(s![4.., .., ..]).to_owned();
    assert_close("output", &elements(&output), &elements(&expected), 1e-14);
    assert_close("h_n", &elements(&h), &elements(&h_n), 1e-14);
    assert_close("c_n", &elements(&c), &elements(&c_n), 1e-14);
}

#[test]
fn views_of_any_memory_layout_are_ordinary_input() {
    let config = LstmConfig::new(4, 3).with_bidirectional(true);
    let weights = LstmWeights::uniform(&config, 7).unwrap();
    let big = wave((12, 10, 8));
    let one = wave((1, 1, 4));
    let views = [
        ("steps over elements", big.slice(s![1..;3, ..;4, ..;2])),
        ("reversed", big.slice(s![..4;-1, ..3;-1, ..4;-1])),
        (
            "axes exchanged",
            big.slice(s![..4, ..3, ..5])
                .reversed_axes()
                .slice_move(s![..4, .., ..]),
        ),
        ("broadcast", one.broadcast((4, 3, 4)).unwrap()),
    ];
    for (what, input) in views {
        let mut copy = Array3::zeros(input.raw_dim());
        copy.assign(&input);
        let lengths = vec![2; input.len_of(Axis(1))];
        for lengths in [None, Some(lengths.as_slice())] {
            let actual = reference::forward(&weights, input, lengths, None).unwrap();
            let expected = reference::forward(&weights, copy.view(), lengths, None).unwrap();
            assert_eq!(actual.0.dim(), expected.0.dim());
            assert!(actual.0.is_standard_layout());
            assert_close(what, &elements(&actual.0), &elements(&expected.0), 1e-14);
            assert_close(what, &elements(&actual.2), &elements(&expected.2), 1e-14);
        }
    }
    let input = wave((2, 3, 4));
    let (h0, c0) = (wave((4, 3, 6)), wave((4, 6, 3)));
    let (h0, c0) = (h0.slice(s![..;-2, .., ..;2]), c0.slice(s![..2, ..3, ..]));
    let state = Some((h0, c0.permuted_axes([0, 2, 1])));
    let copied = state.map(|(h, c)| {
        (
            h.as_standard_layout().into_owned(),
            c.as_standard_layout().into_owned(),
        )
    });
    let (actual, h_n, c_n) = reference::forward(&weights, input.view(), None, state).unwrap();
    assert!(h_n.is_standard_layout() && c_n.is_standard_layout());
    let copied = copied.as_ref().map(|(h, c)| (h.view(), c.view()));
    let (expected, ..) = reference::forward(&weights, input.view(), None, copied).unwrap();
    assert_close("state", &elements(&actual), &elements(&expected), 1e-14);
}

#[test]
fn no_sequences_give_empty_arrays_of_the_right_shapes() {
    let config = LstmConfig::new(3, 5)
        .with_num_layers(2)
        .with_bidirectional(true)
        .with_proj_size(2);
    let weights = LstmWeights::uniform(&config, 8).unwrap();
    let input = Array3::<f32>::zeros((7, 0, 3));
    let (h0, c0) = (Array3::zeros((4, 0, 2)), Array3::zeros((4, 0, 5)));
    for (lengths, state) in [
        (None, None),
        (Some([].as_slice()), Some((h0.view(), c0.view()))),
    ] {
        let (output, h_n, c_n) =
            reference::forward(&weights, input.view(), lengths, state).unwrap();
        assert_eq!(output.dim(), (7, 0, 4));
        assert_eq!(h_n.dim(), (4, 0, 2));
        assert_eq!(c_n.dim(), (4, 0, 5));
    }
}

#[test]
fn infinite_input_saturates_and_nan_stays_in_its_sequence() {
    // Weights of 1: every gate of a sequence of ∞ is open, of -∞ is shut.
    let weights = LstmWeights::constant(&LstmConfig::new(1, 9), 1.0).unwrap();
    let mut input = Array3::<f32>::zeros((2, 4, 1));
    input.slice_mut(s![.., 0, ..]).fill(f32::INFINITY);
    input.slice_mut(s![.., 1, ..]).fill(f32::NEG_INFINITY);
    input[[0, 2, 0]] = f32::NAN;
    let (output, _, c_n) = reference::forward(&weights, input.view(), None, None).unwrap();
    assert!(c_n.slice(s![0, 0, ..]).iter().all(|&c| c == 2.0));
    assert!(
        output
            .slice(s![1, 0, ..])
            .iter()
            .all(|&h| h == 2_f32.tanh())
    );
    assert!(output.slice(s![.., 1, ..]).iter().all(|&h| h == 0.0));
    assert!(output.slice(s![.., 2, ..]).iter().all(|h| h.is_nan()));
    assert!(output.slice(s![.., 3, ..]).iter().all(|h| h.is_finite()));
}

// ---- errors -------------------------------------------------------------------------------------

/// Two layers, I = 3, H = 5, P = 2.
fn network() -> LstmWeights {
    let config = LstmConfig::new(3, 5).with_num_layers(2).with_proj_size(2);
    LstmWeights::uniform(&config, 9).unwrap()
}

fn error(
    input: (usize, usize, usize),
    lengths: Option<&[usize]>,
    state: Option<[(usize, usize, usize); 2]>,
) -> Error {
    let state = state.map(|shapes| shapes.map(Array3::<f32>::zeros));
    let state = state.as_ref().map(|[h, c]| (h.view(), c.view()));
    reference::forward(&network(), Array3::zeros(input).view(), lengths, state).unwrap_err()
}

#[test]
fn an_input_of_another_width_is_refused() {
    let error = error((4, 2, 7), None, None);
    assert!(matches!(
        error,
        Error::InputWidth {
            expected: 3,
            actual: 7
        }
    ));
    assert_eq!(
        error.to_string(),
        "the input's last axis must be input_size (3) wide, but is 7"
    );
}

#[test]
fn an_input_without_time_steps_is_refused() {
    assert!(matches!(error((0, 2, 3), None, None), Error::NoTimeSteps));
    assert!(matches!(error((0, 0, 3), None, None), Error::NoTimeSteps));
}

#[test]
fn another_number_of_lengths_is_refused() {
    for lengths in [[1; 1].as_slice(), &[1; 3], &[]] {
        let Error::LengthCount { expected, actual } = error((4, 2, 3), Some(lengths), None) else {
            panic!("{lengths:?}");
        };
        assert_eq!((expected, actual), (2, lengths.len()));
    }
}

#[test]
fn a_length_of_zero_or_more_than_the_steps_is_refused() {
    for bad in [0, 5, usize::MAX] {
        let Error::LengthOutOfRange {
            index,
            length,
            steps,
        } = error((4, 3, 3), Some(&[4, bad, 1]), None)
        else {
            panic!("{bad}");
        };
        assert_eq!((index, length, steps), (1, bad, 4));
    }
}

#[test]
fn a_state_of_another_shape_is_refused() {
    let (h, c) = ((2, 4, 2), (2, 4, 5)); // of four sequences
    for bad in [(1, 4, 2), (2, 1, 2), (2, 4, 5), (4, 2, 2)] {
        let Error::StateShape {
            part,
            expected,
            actual,
        } = error((3, 4, 3), None, Some([bad, c]))
        else {
            panic!("{bad:?}");
        };
        assert_eq!((part, expected), (StatePart::Hidden, [2, 4, 2]));
        assert_eq!(actual, <[usize; 3]>::from(bad));
    }
    let Error::StateShape {
        part,
        expected,
        actual,
    } = error((3, 4, 3), Some(&[1; 4]), Some([h, (2, 4, 2)]))
    else {
        panic!("c as wide as h");
    };
    assert_eq!(
        (part, expected, actual),
        (StatePart::Cell, [2, 4, 5], [2, 4, 2])
    );
}

#[test]
fn absurd_sizes_are_refused() {
    let none = Array3::<f32>::zeros((1, 0, 3));
    let one = Array3::<f32>::zeros((1, 1, 3));
    let most = isize::MAX as usize / 3;
    let wide = LstmWeights::constant(&LstmConfig::new(3, 1000), 0.0).unwrap();
    for (input, shape) in [
        (&one, (most, 1, 3)),
        (&one, (1, most, 3)),
        (&one, (most / 8, 1, 3)),
        (&one, (most / 8, 8, 3)),
        (&none, (most, 0, 3)),
    ] {
        let input = input.broadcast(shape).unwrap();
        let result = reference::forward(&wide, input, None, None);
        assert!(
            matches!(result, Err(Error::SizeOverflow { .. })),
            "{shape:?}"
        );
    }
}
