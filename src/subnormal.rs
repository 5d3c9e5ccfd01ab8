//! Numbers below 2⁻¹²⁶, the smallest normal f32.
//!
//! Many processors take 100 cycles and more for an operation that reads or makes one, and a network whose state
//! fades would make them for ever. So inputs, weights and states are flushed: what is smaller becomes zero.

/// `x`, or zero where it is subnormal. Looks at the bits alone: a comparison would read the number.
#[inline(always)]
pub(crate) fn flush(x: f32) -> f32 {
    const EXPONENT: u32 = 0x7f80_0000;
    if x.to_bits() & EXPONENT == 0 { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::flush;

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
