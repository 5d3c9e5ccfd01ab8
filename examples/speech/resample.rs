//! From any rate to 16 kHz, all at once or as the samples come.

use anyhow::{Context, Result, ensure};
use rubato::audioadapter_buffers::owned::InterleavedOwned;
use rubato::{Fft, FixedSync, Resampler};

use crate::recording::RATE;

/// Rates that resampling makes sense from: below, no speech is left; above, no microphone records.
const RATES: std::ops::RangeInclusive<usize> = 1_000..=768_000;

/// Block of the resampler, in input samples: its filter is then as sharp as speech needs.
const BLOCK: usize = 1024;

/// Brings one channel to [`RATE`], block by block. Its output begins with the input: the filter's delay is cut off.
pub struct ToRate(Option<Filter>);

struct Filter {
    fft: Fft<f32>,
    /// Input samples of a block that is not full yet.
    waiting: Vec<f32>,
    /// Of the filter's delay, what is still to cut off.
    cut: usize,
    taken: usize,
    given: usize,
}

impl ToRate {
    pub fn new(rate: usize) -> Result<Self> {
        ensure!(
            RATES.contains(&rate),
            "its rate is {rate} Hz, and only {} to {} Hz can be brought to {RATE} Hz",
            RATES.start(),
            RATES.end()
        );
        if rate == RATE {
            return Ok(Self(None));
        }
        let fft = Fft::new(rate, RATE, BLOCK, 1, FixedSync::Both)
            .with_context(|| format!("cannot bring {rate} Hz to {RATE} Hz"))?;
        let cut = fft.output_delay();
        Ok(Self(Some(Filter { fft, waiting: Vec::new(), cut, taken: 0, given: 0 })))
    }

    /// Takes the next samples, and returns those at [`RATE`] that are complete.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        let Some(filter) = &mut self.0 else { return Ok(samples.to_vec()) };
        filter.taken += samples.len();
        let mut output = Vec::new();
        let mut rest = samples;
        loop {
            let missing = filter.fft.input_frames_next() - filter.waiting.len();
            let Some((now, later)) = rest.split_at_checked(missing) else { break };
            filter.waiting.extend_from_slice(now);
            filter.block(&mut output)?;
            rest = later;
        }
        filter.waiting.extend_from_slice(rest);
        filter.given += output.len();
        Ok(output)
    }

    /// What is left once the input has ended: the output is then as long as the input. Nothing if it is called again.
    pub fn finish(&mut self) -> Result<Vec<f32>> {
        let Some(filter) = &mut self.0 else { return Ok(Vec::new()) };
        let whole = (filter.fft.resample_ratio() * filter.taken as f64).ceil() as usize;
        let missing = whole.saturating_sub(filter.given);
        let mut output = Vec::new();
        while output.len() < missing {
            filter.waiting.resize(filter.fft.input_frames_next(), 0.0);
            filter.block(&mut output)?;
        }
        output.truncate(missing);
        filter.given += output.len();
        Ok(output)
    }
}

impl Filter {
    /// Appends what a full block gives.
    fn block(&mut self, output: &mut Vec<f32>) -> Result<()> {
        let length = self.waiting.len();
        let input = InterleavedOwned::new_from(std::mem::take(&mut self.waiting), 1, length)?;
        let block = self.fft.process(&input, None)?.take_data();
        let cut = self.cut.min(block.len());
        self.cut -= cut;
        output.extend_from_slice(&block[cut..]);
        self.waiting = input.take_data();
        self.waiting.clear(); // but keeps its memory
        Ok(())
    }
}

/// One channel of any rate at [`RATE`].
pub fn resample(samples: &[f32], rate: usize) -> Result<Vec<f32>> {
    let mut to_rate = ToRate::new(rate)?;
    let mut output = to_rate.push(samples)?;
    output.extend(to_rate.finish()?);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::{RATE, ToRate, resample};
    use std::f32::consts::TAU;

    fn tone(rate: usize) -> Vec<f32> {
        (0..rate).map(|n| (TAU * 440.0 * n as f32 / rate as f32).sin()).collect()
    }

    /// A tone keeps its pitch, its length and (within half a sample) its place, so that the times
    /// found are the recording's.
    #[test]
    fn resampling_keeps_a_tone_in_place() {
        let half_a_sample = 0.5 * TAU * 440.0 / RATE as f32; // a sine is nowhere steeper
        for rate in [8_000, 16_000, 22_050, 44_100, 48_000] {
            let resampled = resample(&tone(rate), rate).expect("a tone");
            assert_eq!(resampled.len(), RATE);
            // away from both ends, where the filter sees the silence around the tone
            let middle = resampled.iter().zip(tone(RATE)).enumerate().skip(RATE / 4).take(RATE / 2);
            for (n, (sample, truth)) in middle {
                let difference = (sample - truth).abs();
                assert!(difference <= half_a_sample, "{rate} Hz, sample {n}: {difference}");
            }
        }
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let samples = tone(rate);
            let whole = resample(&samples, rate).expect("a tone");
            for piece in [1, 128, 1000, 5000] {
                let mut to_rate = ToRate::new(rate).expect("a rate");
                let mut output = Vec::new();
                for samples in samples.chunks(piece) {
                    output.extend(to_rate.push(samples).expect("samples"));
                }
                output.extend(to_rate.finish().expect("an end"));
                assert_eq!(output, whole, "{rate} Hz in pieces of {piece}");
                assert!(to_rate.finish().expect("an end").is_empty(), "{rate} Hz, after the end");
            }
        }
    }

    #[test]
    fn short_and_empty_ones_keep_their_length() {
        for (samples, length) in [(0, 0), (1, 1), (3, 2), (44, 16), (2000, 726)] {
            assert_eq!(resample(&vec![0.5; samples], 44_100).expect("samples").len(), length, "{samples}");
        }
    }

    #[test]
    fn rates_that_make_no_sense_are_refused() {
        for rate in [0, 999, 768_001] {
            let error = ToRate::new(rate).err().expect("an error");
            assert!(error.to_string().contains(&format!("{rate} Hz")), "{error}");
        }
    }
}
