//! Any bytes under any prefix: reading them returns. What is read comes back from a file that is written of it.
//!
//! The first byte chooses the prefix, the others are the file; scripts/fuzz makes the seeds so.
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
    // What is larger than any f16 is refused, which is no matter of files.
    if let Ok(half) = weights.to_precision(Precision::F16) {
        round_trip(&half, prefix);
    }
});

/// By the bytes of a second file: NaN equals nothing.
fn round_trip(weights: &LstmWeights, prefix: &str) {
    let file = weights.to_safetensors(prefix).expect("a file");
    let again = LstmWeights::from_safetensors(&file, prefix).expect("what was written is read");
    assert_eq!(again.config(), weights.config());
    assert_eq!(again.precision(), weights.precision());
    assert_eq!(again.to_safetensors(prefix).expect("a file"), file);
}
