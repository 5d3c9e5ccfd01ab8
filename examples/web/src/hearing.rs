//! One recording, or one microphone, while it is heard.

use std::rc::Rc;

use anyhow::{Context, Result};
use ndarray::{Array2, Axis};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_lstm::LstmStream;

use crate::detector::Parts;
use crate::network::{CHUNK, CONTEXT, FRAME, fill_frame};
use crate::recording::Sound;
use crate::resample::ToRate;
use crate::segments;
use crate::told;

/// Chunks computed at once: 4 s of sound.
pub const BLOCK: usize = 128;
/// Samples of which the waveform shows the lowest and the highest.
const PEAK: usize = 64;
/// The probability at which speech begins.
const THRESHOLD: f32 = 0.5;

/// A sequence of chunks, and what is known of it so far.
#[wasm_bindgen]
pub struct Hearing {
    parts: Rc<Parts>,
    stream: LstmStream,
    to_rate: ToRate,
    origin: Origin,
    /// Samples at 16 kHz: the last 64 of the chunk before, then those that wait.
    samples: Vec<f32>,
    /// How many have been computed.
    length: usize,
    probabilities: Vec<f32>,
}

/// Where the samples come from.
pub enum Origin {
    /// A file, of which the samples from `at` on are still to be resampled.
    File { sound: Sound, at: usize },
    /// A microphone, which ends when nobody listens any more.
    Microphone,
}

/// What a block of chunks adds.
#[wasm_bindgen(getter_with_clone)]
pub struct Part {
    /// One of each chunk of 512 samples.
    pub probabilities: Vec<f32>,
    /// Lowest and highest sample of each 64, in turn.
    pub peaks: Vec<f32>,
    /// Start and end of all segments so far, in samples at 16 kHz.
    pub segments: Vec<u32>,
    /// Samples at 16 kHz so far.
    pub length: usize,
}

#[wasm_bindgen]
impl Hearing {
    /// How a file was made, as in `44.1 kHz stereo, 16 bit`.
    #[wasm_bindgen(getter)]
    pub fn source(&self) -> String {
        match &self.origin {
            Origin::File { sound, .. } => sound.source.clone(),
            Origin::Microphone => String::new(),
        }
    }

    /// The length of a file, in seconds; 0 of a microphone.
    #[wasm_bindgen(getter)]
    pub fn seconds(&self) -> f64 {
        match &self.origin {
            Origin::File { sound, .. } => sound.samples.len() as f64 / sound.rate as f64,
            Origin::Microphone => 0.0,
        }
    }

    /// Takes what a microphone has heard.
    pub fn push(&mut self, samples: &[f32]) -> Result<(), JsError> {
        self.samples.extend(self.to_rate.push(samples).map_err(told)?);
        Ok(())
    }

    /// Computes up to 4 s: of a file what comes next, of a microphone the chunks that are complete. Nothing if there are none.
    pub async fn advance(&mut self) -> Result<Option<Part>, JsError> {
        self.next().await.map_err(told)
    }
}

impl Hearing {
    pub fn new(parts: Rc<Parts>, stream: LstmStream, rate: usize, origin: Origin) -> Result<Self> {
        let (to_rate, samples) = (ToRate::new(rate)?, vec![0.0; CONTEXT]);
        Ok(Self { parts, stream, to_rate, origin, samples, length: 0, probabilities: Vec::new() })
    }

    async fn next(&mut self) -> Result<Option<Part>> {
        let ended = self.read()?;
        let waiting = self.samples.len() - CONTEXT;
        let chunks = if ended { waiting.div_ceil(CHUNK) } else { waiting / CHUNK }.min(BLOCK);
        if chunks == 0 {
            return Ok(None);
        }
        let mut frames = Array2::zeros((chunks, FRAME));
        for (chunk, frame) in frames.rows_mut().into_iter().enumerate() {
            // silence after the end
            fill_frame(frame, |n| self.samples.get(chunk * CHUNK + n).copied().unwrap_or(0.0));
        }
        let features = self.parts.encoder.encode_frames(frames)?;
        let hidden =
            self.stream.push_async(features.index_axis(Axis(1), 0)).await.context("the LSTM cannot run")?;
        let probabilities = self.parts.decoder.decode(hidden.insert_axis(Axis(1)).view())?;

        let length = waiting.min(chunks * CHUNK);
        let peaks = self.samples[CONTEXT..CONTEXT + length].chunks(PEAK).flat_map(extremes).collect();
        self.samples.drain(..length);
        self.length += length;
        self.probabilities.extend(&probabilities);
        let segments = segments::find(&self.probabilities, THRESHOLD, self.length);
        let segments =
            segments.iter().flat_map(|segment| [segment.start as u32, segment.end as u32]).collect();
        Ok(Some(Part { probabilities, peaks, segments, length: self.length }))
    }

    /// Resamples a file until a block of samples waits. Whether nothing more will come.
    fn read(&mut self) -> Result<bool> {
        let Origin::File { sound, at } = &mut self.origin else { return Ok(false) };
        while self.samples.len() < CONTEXT + BLOCK * CHUNK {
            let rest = &sound.samples[*at..];
            if rest.is_empty() {
                self.samples.extend(self.to_rate.finish()?);
                return Ok(true);
            }
            let now = rest.len().min(sound.rate);
            self.samples.extend(self.to_rate.push(&rest[..now])?);
            *at += now;
        }
        Ok(false)
    }
}

fn extremes(samples: &[f32]) -> [f32; 2] {
    [
        samples.iter().copied().fold(f32::INFINITY, f32::min),
        samples.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    ]
}
