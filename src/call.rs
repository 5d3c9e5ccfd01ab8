//! A call's arrays and lengths. Both types are made by a constructor that checks them, so that the devices and the
//! reference, which take them, check nothing again.

use std::cmp::Reverse;

use ndarray::{Array3, ArrayView3};

use crate::config::LstmConfig;
use crate::error::{Error, StatePart};
use crate::state::LstmState;

/// The bytes of the widest element that is computed with, f64.
const ELEMENT_BYTES: usize = size_of::<f64>();

/// h, (L·D, B, O), and c, (L·D, B, H), before the first step.
pub(crate) type StateViews<'a, T> = (ArrayView3<'a, T>, ArrayView3<'a, T>);

/// What a call returns: the output, (T, B, D·O), and h and c after the last step, (L·D, B, O) and (L·D, B, H).
pub(crate) type Results<T> = (Array3<T>, Array3<T>, Array3<T>);

/// T, B and the lengths of a call's sequences, which a network of the config can run: no size of an array overflows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequences<'a> {
    steps: usize,
    batch: usize,
    /// None if every sequence has all T steps.
    lengths: Option<&'a [usize]>,
}

impl<'a> Sequences<'a> {
    /// # Errors
    ///
    /// [`Error::NoTimeSteps`], [`Error::LengthCount`], [`Error::LengthOutOfRange`], [`Error::SizeOverflow`], in this order.
    pub fn new(
        config: &LstmConfig,
        steps: usize,
        batch: usize,
        lengths: Option<&'a [usize]>,
    ) -> Result<Self, Error> {
        if steps == 0 {
            return Err(Error::NoTimeSteps);
        }
        if let Some(lengths) = lengths {
            check_lengths(lengths, steps, batch)?;
        }
        check_sizes(config, steps, batch)?;
        Ok(Self { steps, batch, lengths })
    }

    /// T.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// B.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The caller's index and the length of each sequence, by falling length; sequences of equal length stay in the
    /// caller's order.
    pub fn longest_first(&self) -> Vec<(usize, usize)> {
        let length = |b: usize| self.lengths.map_or(self.steps, |lengths| lengths[b]);
        let mut sequences: Vec<_> = (0..self.batch).map(|b| (b, length(b))).collect();
        sequences.sort_by_key(|&(_, length)| Reverse(length));
        sequences
    }

    /// One length for each sequence, unless all of them have T steps.
    pub fn lengths(&self) -> Option<&'a [usize]> {
        self.lengths
    }
}

/// A call's input and initial state, time first, of shapes that fit a network of the config and each other.
#[derive(Debug)]
pub(crate) struct Call<'a, T> {
    config: &'a LstmConfig,
    input: ArrayView3<'a, T>,
    sequences: Sequences<'a>,
    state: Option<StateViews<'a, T>>,
}

impl<'a, T> Call<'a, T> {
    /// `input` is (T, B, I).
    ///
    /// # Errors
    ///
    /// [`Error::InputWidth`], then those of [`Sequences::new`], then [`Error::StateShape`].
    pub fn new(
        config: &'a LstmConfig,
        input: ArrayView3<'a, T>,
        lengths: Option<&'a [usize]>,
        state: Option<StateViews<'a, T>>,
    ) -> Result<Self, Error> {
        let (steps, batch, width) = input.dim();
        if width != config.input_size() {
            return Err(Error::InputWidth { expected: config.input_size(), actual: width });
        }
        let sequences = Sequences::new(config, steps, batch, lengths)?;
        let call = Self { config, input, sequences, state };
        call.check_state()?;
        Ok(call)
    }

    /// Sizes of the network that the call was checked against.
    pub fn config(&self) -> &'a LstmConfig {
        self.config
    }

    /// (T, B, I).
    pub fn input(&self) -> ArrayView3<'_, T> {
        self.input.view()
    }

    pub fn sequences(&self) -> Sequences<'a> {
        self.sequences
    }

    /// None for zeros.
    pub fn state(&self) -> Option<StateViews<'_, T>> {
        self.state.as_ref().map(|(h, c)| (h.view(), c.view()))
    }

    /// (T, B, D·O).
    pub fn output_shape(&self) -> [usize; 3] {
        let Sequences { steps, batch, .. } = self.sequences;
        [steps, batch, self.config.num_directions() * self.config.output_size()]
    }

    /// Those of h and c.
    pub fn state_shapes(&self) -> [[usize; 3]; 2] {
        LstmState::shapes(self.config, self.sequences.batch)
    }

    fn check_state(&self) -> Result<(), Error> {
        let Some((h, c)) = &self.state else { return Ok(()) };
        check_state(self.config, self.sequences.batch, [h.dim().into(), c.dim().into()])
    }
}

/// Refuses h and c of these shapes as the state of a batch.
pub(crate) fn check_state(config: &LstmConfig, batch: usize, shapes: [[usize; 3]; 2]) -> Result<(), Error> {
    let parts = [StatePart::Hidden, StatePart::Cell];
    for ((part, expected), actual) in parts.into_iter().zip(LstmState::shapes(config, batch)).zip(shapes) {
        if actual != expected {
            return Err(Error::StateShape { part, expected, actual });
        }
    }
    Ok(())
}

fn check_lengths(lengths: &[usize], steps: usize, batch: usize) -> Result<(), Error> {
    if lengths.len() != batch {
        return Err(Error::LengthCount { expected: batch, actual: lengths.len() });
    }
    match lengths.iter().position(|length| !(1..=steps).contains(length)) {
        None => Ok(()),
        Some(index) => Err(Error::LengthOutOfRange { index, length: lengths[index], steps }),
    }
}

/// Refuses sizes of which an array's bytes exceed what an allocation may have (`isize::MAX`).
///
/// A broadcast view has such sizes without any memory behind it: it repeats its elements.
fn check_sizes(config: &LstmConfig, steps: usize, batch: usize) -> Result<(), Error> {
    // With B = 0 there is no element, but the other axes' product must still be a number.
    let batch = batch.max(1);
    let (directions, output) = (config.num_directions(), config.output_size());
    for (what, sizes) in [
        ("the input, (T, B, I)", [steps, batch, config.input_size(), 1]),
        ("the output, (T, B, D·O)", [steps, batch, directions, output]),
        ("the gates, (T, B, 4H)", [steps, batch, 4, config.hidden_size()]),
        ("the state, (L·D, B, H)", [config.num_layers(), directions, batch, config.hidden_size()]),
    ] {
        sizes
            .iter()
            .try_fold(ELEMENT_BYTES, |bytes, &size| bytes.checked_mul(size))
            .filter(|&bytes| bytes <= isize::MAX as usize)
            .ok_or(Error::SizeOverflow { what })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::{Call, Sequences};
    use crate::config::LstmConfig;
    use crate::error::{Error, StatePart};

    /// Each case corrects the error that the case before it reports, and keeps the later ones.
    #[test]
    fn errors_are_reported_in_one_order() {
        let config = LstmConfig::new(3, 5).with_proj_size(2);
        let one = Array3::<f32>::zeros((1, 1, 3));
        let [h, c] = [[1, 2, 2], [1, 2, 5]].map(|shape: [usize; 3]| Array3::<f32>::zeros(shape));
        let (wrong_h, wrong_c) = (Array3::zeros((1, 3, 2)), Array3::zeros((1, 3, 5)));
        let error = |input: [usize; 3], lengths, state: (&Array3<f32>, &Array3<f32>)| {
            let empty = Array3::zeros((0, 2, input[2]));
            let wide = Array3::zeros((1, 1, input[2]));
            let input = if input[0] == 0 { empty.view() } else { wide.broadcast(input).unwrap() };
            let state = Some((state.0.view(), state.1.view()));
            Call::new(&config, input, lengths, state).map(|_| ()).unwrap_err()
        };
        let wrong = (&wrong_h, &wrong_c);
        let vast = 1 << 58;
        for (error, is_right) in [
            (
                error([0, 2, 4], Some(&[1][..]), wrong),
                (|e| matches!(e, Error::InputWidth { .. })) as fn(&Error) -> bool,
            ),
            (error([0, 2, 3], Some(&[1]), wrong), |e| matches!(e, Error::NoTimeSteps)),
            (error([vast, 2, 3], Some(&[0]), wrong), |e| matches!(e, Error::LengthCount { .. })),
            (error([vast, 2, 3], Some(&[1, 0]), wrong), |e| {
                matches!(e, Error::LengthOutOfRange { index: 1, .. })
            }),
            (error([vast, 2, 3], Some(&[1, 9]), wrong), |e| matches!(e, Error::SizeOverflow { .. })),
            (error([9, 2, 3], Some(&[1, 9]), wrong), |e| {
                matches!(e, Error::StateShape { part: StatePart::Hidden, .. })
            }),
            (error([9, 2, 3], None, (&h, &wrong_c)), |e| {
                matches!(e, Error::StateShape { part: StatePart::Cell, .. })
            }),
        ] {
            assert!(is_right(&error), "{error:?}");
        }
        let input = one.broadcast((9, 2, 3)).unwrap();
        let call = Call::new(&config, input, Some(&[1, 9]), Some((h.view(), c.view()))).unwrap();
        assert_eq!((call.output_shape(), call.state_shapes()), ([9, 2, 2], [[1, 2, 2], [1, 2, 5]]));
    }

    #[test]
    fn sequences_come_by_falling_length_in_the_callers_order() {
        let config = LstmConfig::new(3, 5);
        let sorted = |lengths| Sequences::new(&config, 7, 4, lengths).unwrap().longest_first();
        assert_eq!(sorted(Some(&[2, 7, 2, 5][..])), [(1, 7), (3, 5), (0, 2), (2, 2)]);
        assert_eq!(sorted(None), [(0, 7), (1, 7), (2, 7), (3, 7)]);
        assert!(Sequences::new(&config, 7, 0, None).unwrap().longest_first().is_empty());
    }
}
