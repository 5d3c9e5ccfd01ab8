//! Arbitrary bytes under any prefix: reading returns. Weights that were read, written and read again are equal.
//!
//! The first byte selects the prefix, the others are the file; scripts/fuzz writes seeds in this form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wgpu_lstm::{LstmWeights, Precision};

const PREFIXES: [&str; 4] = ["", "lstm.", "cell.", "a.module."];

fuzz_target!(|data: &[u8]| {
    let Some((choice, file)) = data.split_first() else { return };
    let prefix = PREFIXES[usize::from(*choice) % PREFIXES.len()];
    let weights = match LstmWeights::from_safetensors(file, prefix) {
        Ok(weights) => weights,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    round_trip(&weights, prefix);
    // Weights larger than any f16 are refused by to_precision, not by the reader.
    if let Ok(half) = weights.to_precision(Precision::F16) {
        round_trip(&half, prefix);
    }
});

/// Compares the bytes of two files, since NaN equals nothing.
fn round_trip(weights: &LstmWeights, prefix: &str) {
    let file = weights.to_safetensors(prefix).expect("a file");
    let again = LstmWeights::from_safetensors(&file, prefix).expect("what was written is read");
    assert_eq!(again.config(), weights.config());
    assert_eq!(again.precision(), weights.precision());
    assert_eq!(again.to_safetensors(prefix).expect("a file"), file);
}
