//! Memory of the host: what can't be allocated is an error, where `Vec` would abort the process.

use std::collections::TryReserveError;

use ndarray::{Array, Dim, Dimension, IntoDimension};

use crate::error::Error;

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

/// Checks that `len` elements can be allocated, by allocating and freeing them.
pub(crate) fn check_memory<T>(len: usize) -> Result<(), Shortage> {
    let mut probe = Vec::<T>::new();
    let reserved = probe.try_reserve_exact(len);
    std::hint::black_box(&probe); // the compiler may remove an allocation that is not used
    reserved.map_err(|_| Shortage { bytes: Some(len.saturating_mul(size_of::<T>())) })
}

/// The error for a shortage of the host's memory.
pub(crate) fn host_out_of_memory(shortage: impl Into<Shortage>) -> Error {
    let reason = match shortage.into().bytes {
        Some(bytes) => format!("the host can't allocate {bytes} bytes"),
        None => "the host can't allocate what the call needs".to_owned(),
    };
    Error::OutOfMemory { reason }
}

/// Allocates an array of zeros.
pub(crate) fn zeros<const N: usize>(shape: [usize; N]) -> Result<Array<f32, Dim<[usize; N]>>, Error>
where
    Dim<[usize; N]>: Dimension,
    [usize; N]: IntoDimension<Dim = Dim<[usize; N]>>,
{
    let len = shape.iter().fold(1usize, |len, &size| len.saturating_mul(size));
    let bytes = len.saturating_mul(size_of::<f32>());
    // The system's new pages are zeros already.
    let data =
        bytemuck::try_zeroed_vec(len).map_err(|()| host_out_of_memory(Shortage { bytes: Some(bytes) }))?;
    Ok(Array::from_shape_vec(shape, data).expect("as many numbers as the shape has"))
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
