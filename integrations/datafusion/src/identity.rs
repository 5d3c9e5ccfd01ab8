//! What decides the bits of a result: the weights, and the arithmetic of the device.
//!
//! Only a function's name travels with a plan. A machine that has another file under the same name, or another device,
//! would return other rows without a word. So each call carries an [`Identity`], and what can't match it refuses.

use std::fmt::Write as _;

use anyhow::Context;
use ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights};

/// The identity of a model on a device, as text: `WEIGHTS/ARITHMETIC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A hash of the sizes and of every weight.
    pub weights: String,
    /// The device's kind (a GPU's name, too), and a hash of the bits that it computes for a fixed network.
    pub arithmetic: String,
}

impl Identity {
    /// `WEIGHTS/ARITHMETIC`, the third argument of a call.
    pub fn to_text(&self) -> String {
        format!("{}/{}", self.weights, self.arithmetic)
    }

    /// The inverse of [`to_text`](Self::to_text); `None` for other text.
    pub fn from_text(text: &str) -> Option<Self> {
        let (weights, arithmetic) = text.split_once('/')?;
        let is_complete = !weights.is_empty() && !arithmetic.is_empty();
        is_complete.then(|| Self { weights: weights.to_owned(), arithmetic: arithmetic.to_owned() })
    }
}

/// A hash of the network's names, shapes and values, after whatever rounding they had.
pub fn hash_weights(weights: &LstmWeights) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{:?} {:?}", weights.config(), weights.precision()).as_bytes());
    for (name, values) in weights.state_dict() {
        hasher.update(format!("\n{name} {:?}\n", values.shape()).as_bytes());
        for value in values {
            hasher.update(&value.to_le_bytes());
        }
    }
    short(&hasher.finalize())
}

/// The device's kind (a GPU's name, too), and a hash of the bits that it computes for a fixed network and input.
///
/// On the CPU it tells vectors with fused multiply-adds from those without: their results differ by up to 9e-8. AVX2 and
/// AVX-512 agree, and have the same text.
///
/// # Errors
///
/// If the device can't compute the fixed network.
pub fn arithmetic(device: &Device) -> anyhow::Result<String> {
    let weights = LstmWeights::uniform(&LstmConfig::new(19, 37).with_num_layers(2), 20)?;
    let lstm = Lstm::new(device, &weights)?;
    let input = Array3::from_shape_fn((23, 11, 19), |(t, b, i)| ((t * 131 + b * 37 + i * 7) as f32).sin());
    let (output, state) = lstm
        .forward(input.view(), None)
        .with_context(|| format!("{} can't compute the network that tells devices apart", device.name()))?;
    let hash = hash_bits(output.iter().chain(&state.c));
    Ok(if device.is_gpu() { format!("gpu {} {hash}", device.name()) } else { format!("cpu {hash}") })
}

/// A hash of numbers, every bit of them.
fn hash_bits<'a>(values: impl IntoIterator<Item = &'a f32>) -> String {
    let mut hasher = blake3::Hasher::new();
    for value in values {
        hasher.update(&value.to_le_bytes());
    }
    short(&hasher.finalize())
}

/// 128 bits in hex: enough against chance, which is what this guards against.
fn short(hash: &blake3::Hash) -> String {
    hash.as_bytes()[..16].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String never fails
        text
    })
}

#[cfg(test)]
mod tests {
    use wgpu_lstm::Precision;

    use super::*;

    #[test]
    fn an_identity_reads_back_from_its_text() {
        let identity =
            Identity { weights: "0a".into(), arithmetic: "gpu llvmpipe (LLVM 19, 256 bits)/1 0b".into() };
        assert_eq!(Identity::from_text(&identity.to_text()), Some(identity));
        for text in ["", "0a", "/", "0a/", "/cpu"] {
            assert_eq!(Identity::from_text(text), None, "{text:?}");
        }
    }

    /// One bit of one weight, or a size that leaves the values alone.
    #[test]
    fn the_hash_sees_every_weight_and_size() -> anyhow::Result<()> {
        let config = LstmConfig::new(3, 5);
        let hash = hash_weights(&LstmWeights::uniform(&config, 1)?);
        assert_eq!(hash, hash_weights(&LstmWeights::uniform(&config, 1)?));
        assert_ne!(hash, hash_weights(&LstmWeights::uniform(&config, 2)?));
        let mut tensors: Vec<_> = LstmWeights::uniform(&config, 1)?
            .state_dict()
            .map(|(name, values)| (name, values.to_owned()))
            .collect();
        let last = tensors.last_mut().and_then(|(_, values)| values.iter_mut().last()).unwrap();
        *last = f32::from_bits(last.to_bits() ^ 1);
        assert_ne!(hash, hash_weights(&LstmWeights::from_state_dict(tensors, "")?));
        let zeros = |hidden| LstmWeights::constant(&LstmConfig::new(3, hidden), 0.0);
        assert_ne!(hash_weights(&zeros(4)?), hash_weights(&zeros(5)?));
        // The same values, which a GPU multiplies otherwise.
        assert_ne!(hash_weights(&zeros(4)?), hash_weights(&zeros(4)?.to_precision(Precision::F16)?));
        Ok(())
    }

    /// A device that rounds one number differently has another hash.
    #[test]
    fn the_hash_sees_every_bit_of_a_result() {
        let values = [0.25_f32, -0.5, 0.125];
        let hash = hash_bits(&values);
        assert_eq!(hash.len(), 32);
        for (i, bit) in (0..3).flat_map(|i| (0..32).map(move |bit| (i, bit))) {
            let mut other = values;
            other[i] = f32::from_bits(other[i].to_bits() ^ (1 << bit));
            assert_ne!(hash_bits(&other), hash, "value {i}, bit {bit}");
        }
    }

    #[test]
    fn the_arithmetic_of_a_device_is_the_hash_of_what_it_computes() -> anyhow::Result<()> {
        let text = arithmetic(&Device::cpu())?;
        assert_eq!(text, arithmetic(&Device::cpu())?);
        let weights = LstmWeights::uniform(&LstmConfig::new(19, 37).with_num_layers(2), 20)?;
        let input =
            Array3::from_shape_fn((23, 11, 19), |(t, b, i)| ((t * 131 + b * 37 + i * 7) as f32).sin());
        let (output, state) = Lstm::new(&Device::cpu(), &weights)?.forward(input.view(), None)?;
        assert_eq!(text, format!("cpu {}", hash_bits(output.iter().chain(&state.c))));
        Ok(())
    }
}
