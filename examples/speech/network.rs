//! The Silero voice activity detector around its LSTM: what runs before it and after it.
//!
//! ```text
//! 512 samples a chunk ─ STFT ─ magnitude ─ 4 × (conv, ReLU) ─ LSTM ─ ReLU ─ conv ─ sigmoid ─ probability
//! └─────────────── Encoder, many chunks at once ────────────┘       └────── Decoder ──────┘
//! ```
//!
//! Both are small, and matrix products over many chunks on the CPU; only the LSTM carries state
//! from chunk to chunk. The chunks may be those of one recording, or of many sources (`live.rs`).

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, Array3, ArrayView3, ArrayViewMut1, Axis, Zip, s};
use safetensors::SafeTensors;

use crate::conv::{Conv, ConvSpec, expect_tensor};

/// Samples of one probability: 32 ms.
pub const CHUNK: usize = 512;
/// Features of a chunk, in the LSTM's input and in its output.
pub const FEATURES: usize = 128;
/// The LSTM's names in the model file: a `torch.nn.LSTMCell`.
pub const LSTM_PREFIX: &str = "lstm_cell.";

/// Samples of the previous chunk that the network gets once more.
pub const CONTEXT: usize = 64;
/// Samples mirrored at the end of a chunk, so that the last window of the STFT is full.
const REFLECTED: usize = 64;
/// A chunk as the STFT sees it.
pub const FRAME: usize = CONTEXT + CHUNK + REFLECTED;
/// Frequencies of the STFT: 256 / 2 + 1.
const BINS: usize = 129;
/// Chunks encoded at once: 8 s of sound, some MiB of intermediate values.
const BLOCK: usize = 256;

/// The STFT as a convolution: real parts of all frequencies, then imaginary parts.
const STFT: ConvSpec = ConvSpec {
    name: "stft_conv",
    inputs: 1,
    outputs: 2 * BINS,
    kernel: 256,
    stride: 128,
    padding: 0,
    bias: false,
};
const LAYERS: [ConvSpec; 4] = [
    layer("conv1", BINS, 128, 1),
    layer("conv2", 128, 64, 2),
    layer("conv3", 64, 64, 2),
    layer("conv4", 64, FEATURES, 1),
];
const FINAL: ConvSpec = ConvSpec {
    name: "final_conv",
    inputs: FEATURES,
    outputs: 1,
    kernel: 1,
    stride: 1,
    padding: 0,
    bias: true,
};

const fn layer(name: &'static str, inputs: usize, outputs: usize, stride: usize) -> ConvSpec {
    ConvSpec { name, inputs, outputs, kernel: 3, stride, padding: 1, bias: true }
}

/// Chunks in so many samples; the last one may be partly silence.
pub fn chunk_count(samples: usize) -> usize {
    samples.div_ceil(CHUNK)
}

/// What runs before the LSTM.
pub struct Encoder {
    stft: Conv,
    layers: Vec<Conv>,
}

/// What runs after it.
pub struct Decoder {
    last: Conv,
}

/// The convolutions of a model file, which must also have the LSTM that belongs to them.
pub fn load(model: &[u8]) -> Result<(Encoder, Decoder)> {
    let tensors = SafeTensors::deserialize(model).context("it is not a safetensors file")?;
    for name in ["weight_ih", "weight_hh"] {
        expect_tensor(&tensors, &format!("{LSTM_PREFIX}{name}"), &[4 * FEATURES, FEATURES])?;
    }
    let layers: Result<Vec<Conv>> = LAYERS.iter().map(|spec| Conv::load(&tensors, spec)).collect();
    let encoder = Encoder { stft: Conv::load(&tensors, &STFT)?, layers: layers? };
    let last = Conv::load(&tensors, &FINAL)?;
    Ok((encoder, Decoder { last }))
}

impl Encoder {
    /// samples → features (T, B = 1, I = 128), one time step a chunk.
    ///
    /// `done` is called with the number of chunks of each block.
    pub fn encode(&self, samples: &[f32], mut done: impl FnMut(usize)) -> Result<Array3<f32>> {
        let chunks = chunk_count(samples.len());
        let mut features = Array3::zeros((chunks, 1, FEATURES));
        for start in (0..chunks).step_by(BLOCK) {
            let block = start..chunks.min(start + BLOCK);
            let values = self.encode_frames(frames(samples, block.clone()))?;
            features.slice_mut(s![block.clone(), .., ..]).assign(&values);
            done(block.len());
        }
        Ok(features)
    }

    /// Frames of [`fill_frame`], (F, 640), of any chunks → features (F, 1, 128).
    pub fn encode_frames(&self, frames: Array2<f32>) -> Result<Array3<f32>> {
        let spectrum = self.stft.forward(frames.insert_axis(Axis(2)).view())?;
        let mut values = magnitude(spectrum.view());
        for layer in &self.layers {
            values = layer.forward(values.view())?;
            values.mapv_inplace(relu);
        }
        Ok(values)
    }
}

impl Decoder {
    /// The LSTM's output (T, B = 1, H = 128) → T probabilities of speech.
    pub fn decode(&self, hidden: ArrayView3<f32>) -> Result<Vec<f32>> {
        let logits = self.last.forward(hidden.mapv(relu).view())?;
        ensure!(logits.iter().all(|x| x.is_finite()), "the network's output is not finite");
        Ok(logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect())
    }
}

/// The chunks of `block`, each with its context and mirrored end: (F, 640).
fn frames(samples: &[f32], block: Range<usize>) -> Array2<f32> {
    let mut frames = Array2::zeros((block.len(), FRAME));
    for (chunk, frame) in block.zip(frames.rows_mut()) {
        fill_frame(frame, |offset| {
            // silence before the recording and after it
            let at = (chunk * CHUNK + offset).checked_sub(CONTEXT);
            at.and_then(|at| samples.get(at)).copied().unwrap_or(0.0)
        });
    }
    frames
}

/// Makes the frame of a chunk: the 64 samples before it, its own 512, its end mirrored. `sample(n)` is the nth of the
/// first 576.
pub fn fill_frame(mut frame: ArrayViewMut1<f32>, sample: impl Fn(usize) -> f32) {
    let end = CONTEXT + CHUNK;
    for offset in 0..end {
        frame[offset] = sample(offset);
    }
    for mirrored in 0..REFLECTED {
        // mirrored about the last sample, which is not repeated
        frame[end + mirrored] = frame[end - 2 - mirrored];
    }
}

/// (F, 4, 2·129) → (F, 4, 129): √(re² + im²).
fn magnitude(spectrum: ArrayView3<f32>) -> Array3<f32> {
    let (real, imaginary) = spectrum.split_at(Axis(2), BINS);
    Zip::from(real).and(imaginary).map_collect(|re, im| (re * re + im * im).sqrt())
}

/// max(x, 0), and NaN stays NaN.
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, CONTEXT, FRAME, chunk_count, frames, relu};

    #[test]
    fn a_frame_is_context_chunk_and_mirrored_end() {
        let samples: Vec<f32> = (1..=CHUNK as u16 + 100).map(f32::from).collect();
        let frames = frames(&samples, 0..chunk_count(samples.len()));
        assert_eq!(frames.dim(), (2, FRAME));
        // the first chunk: nothing before it, samples 1 to 512, then 511 down to 448
        assert_eq!(frames[[0, CONTEXT - 1]], 0.0);
        assert_eq!(frames[[0, CONTEXT]], 1.0);
        assert_eq!(frames[[0, CONTEXT + CHUNK - 1]], 512.0);
        assert_eq!(frames[[0, CONTEXT + CHUNK]], 511.0);
        assert_eq!(frames[[0, FRAME - 1]], 448.0);
        // the second: the last 64 samples of the first, its own 100, silence
        assert_eq!(frames[[1, 0]], 449.0);
        assert_eq!(frames[[1, CONTEXT + 99]], 612.0);
        assert_eq!(frames[[1, CONTEXT + 100]], 0.0);
    }

    #[test]
    fn a_started_chunk_counts() {
        assert_eq!([1, 512, 513].map(chunk_count), [1, 1, 2]);
    }

    #[test]
    fn relu_keeps_nan() {
        assert_eq!([-1.0, 2.0].map(relu), [0.0, 2.0]);
        assert!(relu(f32::NAN).is_nan());
    }
}
