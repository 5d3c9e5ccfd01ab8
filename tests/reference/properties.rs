//! Properties that hold for every network.

use wgpu_lstm::ndarray::{Array3, Axis, s};
use wgpu_lstm::{LstmConfig, LstmWeights, reference};

use crate::common::compare::{F64_ORDERS, assert_close};
use crate::support::{elements, wave};

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
    assert_close("output", &elements(&output), &elements(&expected), F64_ORDERS);
    assert_close("h_n", &elements(&h), &elements(&h_n), F64_ORDERS);
    assert_close("c_n", &elements(&c), &elements(&c_n), F64_ORDERS);
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
        ("axes exchanged", big.slice(s![..4, ..3, ..5]).reversed_axes().slice_move(s![..4, .., ..])),
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
            assert_close(what, &elements(&actual.0), &elements(&expected.0), F64_ORDERS);
            assert_close(what, &elements(&actual.2), &elements(&expected.2), F64_ORDERS);
        }
    }
    let input = wave((2, 3, 4));
    let (h0, c0) = (wave((4, 3, 6)), wave((4, 6, 3)));
    let (h0, c0) = (h0.slice(s![..;-2, .., ..;2]), c0.slice(s![..2, ..3, ..]));
    let state = Some((h0, c0.permuted_axes([0, 2, 1])));
    let copied =
        state.map(|(h, c)| (h.as_standard_layout().into_owned(), c.as_standard_layout().into_owned()));
    let (actual, h_n, c_n) = reference::forward(&weights, input.view(), None, state).unwrap();
    assert!(h_n.is_standard_layout() && c_n.is_standard_layout());
    let copied = copied.as_ref().map(|(h, c)| (h.view(), c.view()));
    let (expected, ..) = reference::forward(&weights, input.view(), None, copied).unwrap();
    assert_close("state", &elements(&actual), &elements(&expected), F64_ORDERS);
}

#[test]
fn no_sequences_give_empty_arrays_of_the_right_shapes() {
    let config = LstmConfig::new(3, 5).with_num_layers(2).with_bidirectional(true).with_proj_size(2);
    let weights = LstmWeights::uniform(&config, 8).unwrap();
    let input = Array3::<f32>::zeros((7, 0, 3));
    let (h0, c0) = (Array3::zeros((4, 0, 2)), Array3::zeros((4, 0, 5)));
    for (lengths, state) in [(None, None), (Some([].as_slice()), Some((h0.view(), c0.view())))] {
        let (output, h_n, c_n) = reference::forward(&weights, input.view(), lengths, state).unwrap();
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
    assert!(output.slice(s![1, 0, ..]).iter().all(|&h| h == 2_f32.tanh()));
    assert!(output.slice(s![.., 1, ..]).iter().all(|&h| h == 0.0));
    assert!(output.slice(s![.., 2, ..]).iter().all(|h| h.is_nan()));
    assert!(output.slice(s![.., 3, ..]).iter().all(|h| h.is_finite()));
}
