//! One test for each error of the reference.

use wgpu_lstm::ndarray::Array3;
use wgpu_lstm::{Error, LstmConfig, LstmWeights, StatePart, reference};

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
    assert!(matches!(error, Error::InputWidth { expected: 3, actual: 7 }));
    assert_eq!(error.to_string(), "the input's last axis must be input_size (3) wide, but is 7");
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
        let Error::LengthOutOfRange { index, length, steps } = error((4, 3, 3), Some(&[4, bad, 1]), None)
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
        let Error::StateShape { part, expected, actual } = error((3, 4, 3), None, Some([bad, c])) else {
            panic!("{bad:?}");
        };
        assert_eq!((part, expected), (StatePart::Hidden, [2, 4, 2]));
        assert_eq!(actual, <[usize; 3]>::from(bad));
    }
    let Error::StateShape { part, expected, actual } = error((3, 4, 3), Some(&[1; 4]), Some([h, (2, 4, 2)]))
    else {
        panic!("c as wide as h");
    };
    assert_eq!((part, expected, actual), (StatePart::Cell, [2, 4, 5], [2, 4, 2]));
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
        assert!(matches!(result, Err(Error::SizeOverflow { .. })), "{shape:?}");
    }
}
