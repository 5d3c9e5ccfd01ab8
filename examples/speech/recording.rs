//! A recording as the network wants it: one channel of f32 samples at 16 kHz.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use hound::{SampleFormat, WavReader, WavSpec};

use crate::resample::resample;

/// Samples a second that the network was trained on.
pub const RATE: usize = 16_000;

/// One channel at [`RATE`], and how the file itself was made.
#[derive(Debug)]
pub struct Recording {
    pub samples: Vec<f32>,
    pub source: String,
}

impl Recording {
    /// Reads a WAV file: integers of 8, 16, 24 or 32 bits or 32-bit floats, any rate, any channels.
    pub fn open(path: &Path) -> Result<Self> {
        let Sound { samples, rate, source } = Sound::read(BufReader::new(File::open(path)?))?;
        Ok(Self { samples: resample(&samples, rate)?, source })
    }

    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / RATE as f64
    }
}

/// One channel at its own rate, and how the file was made.
pub struct Sound {
    pub samples: Vec<f32>,
    pub rate: usize,
    pub source: String,
}

impl Sound {
    /// Reads a WAV file, as [`Recording::open`] does.
    pub fn read(file: impl Read) -> Result<Self> {
        let mut reader = WavReader::new(file).context("it is not a WAV file that can be read")?;
        let spec = reader.spec();
        let samples = mix(&interleaved(&mut reader)?, usize::from(spec.channels));
        ensure!(!samples.is_empty(), "it holds no samples");
        ensure!(samples.iter().all(|s| s.is_finite()), "it holds samples that are not finite numbers");
        Ok(Self { samples, rate: spec.sample_rate as usize, source: describe(spec) })
    }
}

/// All samples of all channels in turn; full scale is 1.
fn interleaved<R: Read>(reader: &mut WavReader<R>) -> Result<Vec<f32>> {
    let WavSpec { bits_per_sample: bits, sample_format, .. } = reader.spec();
    let samples: hound::Result<Vec<f32>> = match (sample_format, bits) {
        (SampleFormat::Float, 32) => reader.samples::<f32>().collect(),
        (SampleFormat::Int, 8 | 16 | 24 | 32) => {
            let scale = 2f64.powi(1 - i32::from(bits));
            let to_f32 = |s: i32| (f64::from(s) * scale) as f32;
            reader.samples::<i32>().map(|s| s.map(to_f32)).collect()
        }
        _ => bail!("samples of {bits} bits ({sample_format:?}) are not supported"),
    };
    samples.context("its samples end too early or cannot be read")
}

/// The mean of the channels.
fn mix(interleaved: &[f32], channels: usize) -> Vec<f32> {
    let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
    interleaved.chunks_exact(channels).map(mean).collect()
}

fn describe(spec: WavSpec) -> String {
    let channels = match spec.channels {
        1 => "mono".to_string(),
        2 => "stereo".to_string(),
        n => format!("{n} channels"),
    };
    let kind = match spec.sample_format {
        SampleFormat::Int => "bit",
        SampleFormat::Float => "bit float",
    };
    format!("{} kHz {channels}, {} {kind}", f64::from(spec.sample_rate) / 1000.0, spec.bits_per_sample)
}

#[cfg(test)]
mod tests {
    use super::{interleaved, mix};
    use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
    use std::io::Cursor;

    #[test]
    fn every_sample_format_has_full_scale_one() {
        for (bits, sample_format) in [
            (8, SampleFormat::Int),
            (16, SampleFormat::Int),
            (24, SampleFormat::Int),
            (32, SampleFormat::Int),
            (32, SampleFormat::Float),
        ] {
            let spec = WavSpec { channels: 1, sample_rate: 16_000, bits_per_sample: bits, sample_format };
            let mut file = Cursor::new(Vec::new());
            let mut writer = WavWriter::new(&mut file, spec).expect("a header");
            for value in [-1.0, 0.0, 0.5] {
                match sample_format {
                    SampleFormat::Float => writer.write_sample(value as f32),
                    SampleFormat::Int => writer.write_sample((value * 2f64.powi(i32::from(bits) - 1)) as i32),
                }
                .expect("a sample");
            }
            writer.finalize().expect("an end");
            file.set_position(0);
            let mut reader = WavReader::new(file).expect("the file just written");
            let samples = interleaved(&mut reader).expect("its samples");
            assert_eq!(samples, [-1.0, 0.0, 0.5], "{bits} {sample_format:?}");
        }
    }

    #[test]
    fn channels_are_averaged() {
        assert_eq!(mix(&[1.0, 0.0, -1.0, -0.5], 2), [0.5, -0.75]);
    }
}
