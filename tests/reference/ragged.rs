//! Batches of sequences of different lengths.

use wgpu_lstm::ndarray::s;
use wgpu_lstm::{LstmConfig, LstmWeights, reference};

use crate::common::compare::{F64_ORDERS, assert_close};
use crate::support::{elements, wave};

#[test]
fn what_lies_past_a_length_is_never_read() {
    let config = LstmConfig::new(3, 5).with_num_layers(2).with_bidirectional(true);
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
    let config = LstmConfig::new(3, 5).with_num_layers(2).with_bidirectional(true).with_proj_size(2);
    let weights = LstmWeights::uniform(&config, 4).unwrap();
    let input = wave((6, 3, 3));
    let (h0, c0) = (wave((4, 3, 2)), wave((4, 3, 5)));
    let lengths = [4, 1, 6];
    let state = Some((h0.view(), c0.view()));
    let (output, h_n, c_n) = reference::forward(&weights, input.view(), Some(&lengths), state).unwrap();
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
    assert_close("output", &elements(&ragged), &elements(&plain), F64_ORDERS);
}
