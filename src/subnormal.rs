//! Numbers below 2⁻¹²⁶, the smallest normal f32.
//!
//! Many processors take 100 cycles and more for an operation that reads or makes one, and a network whose state
//! fades would make them for ever. So inputs, weights and states are flushed: what is smaller becomes zero.

use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

const EXPONENT: u32 = 0x7f80_0000;

/// `x`, or zero where it is subnormal. Looks at the bits alone: a comparison would read the number.
#[inline(always)]
pub(crate) fn flush(x: f32) -> f32 {
    if x.to_bits() & EXPONENT == 0 { 0.0 } else { x }
}

/// [`flush`] for every number of a slice, by the machine's vectors.
pub(crate) fn flush_all(numbers: &mut [f32]) {
    // Asking the processor takes longer than a row.
    static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);
    ARCH.dispatch(FlushAll(numbers));
}

struct FlushAll<'a>(&'a mut [f32]);

impl WithSimd for FlushAll<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (vectors, rest) = S::as_mut_simd_f32s(self.0);
        let (exponent, zero) = (simd.splat_u32s(EXPONENT), simd.splat_u32s(0));
        for x in vectors {
            let bits = simd.transmute_u32s_f32s(*x);
            let subnormal = simd.equal_u32s(simd.and_u32s(bits, exponent), zero);
            *x = simd.transmute_f32s_u32s(simd.select_u32s(subnormal, zero, bits));
        }
        for x in rest {
            *x = flush(*x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{flush, flush_all};

    #[test]
    fn a_slice_is_flushed_as_each_of_its_numbers() {
        let numbers: Vec<f32> = (0..1 << 12).map(|k| f32::from_bits(k * 0x000f_fff1)).collect();
        for len in [0, 1, 5, 16, 37, numbers.len()] {
            let mut flushed = numbers[..len].to_vec();
            flush_all(&mut flushed);
            let expected: Vec<u32> = numbers[..len].iter().map(|&x| flush(x).to_bits()).collect();
            assert_eq!(flushed.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn subnormals_become_zero_and_nothing_else_changes() {
        let smallest = f32::MIN_POSITIVE;
        for x in [f32::from_bits(1), 1e-40, f32::from_bits(smallest.to_bits() - 1), 0.0] {
            assert_eq!([flush(x), flush(-x)], [0.0; 2], "{x:e}");
        }
        for x in [smallest, 1e-30, 1.0, f32::MAX, f32::INFINITY, f32::NAN] {
            assert_eq!([x, -x].map(|x| flush(x).to_bits()), [x, -x].map(f32::to_bits), "{x:e}");
        }
    }
}
