//! What must hold of an input before anything is computed from it.

use std::collections::TryReserveError;

use ndarray::Array3;

use crate::config::LstmConfig;
use crate::error::Error;

/// The bytes of the widest element that is computed with, f64.
const ELEMENT_BYTES: usize = size_of::<f64>();

/// Refuses sizes that no network has.
pub(crate) fn check_config(config: &LstmConfig) -> Result<(), Error> {
    for (what, size) in [
        ("input_size", config.input_size()),
        ("hidden_size", config.hidden_size()),
        ("num_layers", config.num_layers()),
    ] {
        if size == 0 {
            return Err(Error::ZeroSize { what });
        }
    }
    let (proj_size, hidden_size) = (config.proj_size(), config.hidden_size());
    if proj_size >= hidden_size {
        return Err(Error::ProjectionTooLarge { proj_size, hidden_size });
    }
    Ok(())
}

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

/// Memory that the host can't allocate.
pub(crate) struct Shortage {
    /// Bytes asked for, where that is known.
    bytes: Option<usize>,
}

impl From<TryReserveError> for Shortage {
    fn from(_: TryReserveError) -> Self {
        Self { bytes: None }
    }
}

/// Checks that `len` elements can be allocated. A failed allocation of a `Vec` aborts the process, so this tries
/// first.
pub(crate) fn check_memory<T>(len: usize) -> Result<(), Shortage> {
    let mut probe = Vec::<T>::new();
    let reserved = probe.try_reserve_exact(len);
    std::hint::black_box(&probe); // an allocation that nobody looks at may be left out
    reserved.map_err(|_| Shortage { bytes: Some(len.saturating_mul(size_of::<T>())) })
}

/// That as our error.
pub(crate) fn host_out_of_memory(shortage: impl Into<Shortage>) -> Error {
    let reason = match shortage.into().bytes {
        Some(bytes) => format!("the host can't allocate {bytes} bytes"),
        None => "the host can't allocate what the call needs".to_owned(),
    };
    Error::OutOfMemory { reason }
}

/// An array of zeros, where there is memory for it.
pub(crate) fn zeros(shape: [usize; 3]) -> Result<Array3<f32>, Error> {
    let len = shape.iter().fold(1usize, |len, &size| len.saturating_mul(size));
    let mut data = Vec::new();
    let bytes = len.saturating_mul(size_of::<f32>());
    data.try_reserve_exact(len).map_err(|_| host_out_of_memory(Shortage { bytes: Some(bytes) }))?;
    data.resize(len, 0.0);
    Ok(Array3::from_shape_vec(shape, data).expect("as many numbers as the shape has"))
}

#[cfg(test)]
mod tests {
    use super::{check_memory, host_out_of_memory};

    #[test]
    fn a_shortage_says_whose_it_is_and_how_much_was_asked_for() {
        assert!(check_memory::<f32>(1000).is_ok());
        let said = |shortage| host_out_of_memory(shortage).to_string();
        let bytes = check_memory::<u64>(1 << 57).err().map(said);
        let expected = "out of memory: the host can't allocate 1152921504606846976 bytes";
        assert_eq!(bytes.as_deref(), Some(expected));
        let reserved = Vec::<u64>::new().try_reserve_exact(1 << 57).unwrap_err();
        assert!(host_out_of_memory(reserved).to_string().starts_with("out of memory: the host"));
    }
}
