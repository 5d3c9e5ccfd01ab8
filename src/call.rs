//! What must hold of an input before anything is computed from it.

use crate::config::LstmConfig;
use crate::error::Error;

/// The bytes of the widest element that is computed with, f64.
const ELEMENT_BYTES: usize = size_of::<f64>();

/// Refuses an input of `(T, B, I)` that this network can't take, with the lengths of its sequences
/// if they differ.
///
/// What passes can be computed without an overflow of any size: see [`check_sizes`].
pub(crate) fn check_input(
    config: &LstmConfig,
    (steps, batch, width): (usize, usize, usize),
    lengths: Option<&[usize]>,
) -> Result<(), Error> {
    if width != config.input_size() {
        return Err(Error::InputWidth { expected: config.input_size(), actual: width });
    }
    if steps == 0 {
        return Err(Error::NoTimeSteps);
    }
    if let Some(lengths) = lengths {
        check_lengths(lengths, steps, batch)?;
    }
    check_sizes(config, steps, batch)
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
/// A view can be as large without any memory behind it: a broadcast one repeats its elements.
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
