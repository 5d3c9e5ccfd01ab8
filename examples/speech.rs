//! Where in a recording does somebody speak?
//!
//! ```sh
//! cargo run --release --example speech -- RECORDING.wav --model silero_vad_16k.safetensors
//! ```
//!
//! Runs the Silero voice activity detector on a WAV file and prints the stretches of speech. Its
//! small convolutional encoder sees all chunks of 32 ms at once, on the CPU; its LSTM takes the
//! whole recording in one [`Lstm::forward`] (T = chunks, B = 1) on the device of your choice.
//!
//! `scripts/demo` fetches the model and a recording, and runs this.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use wgpu_lstm::{Device, Lstm, LstmWeights};

use choice::Choice;
use clock::clock;
use network::{FEATURES, LSTM_PREFIX, chunk_count};
use picture::Picture;
use recording::{RATE, Recording};
use segments::Segment;
use stages::{Stages, bar};

#[path = "speech/axis.rs"]
mod axis;
#[path = "speech/choice.rs"]
mod choice;
#[path = "speech/clock.rs"]
mod clock;
#[path = "speech/conv.rs"]
mod conv;
#[path = "speech/envelope.rs"]
mod envelope;
#[path = "speech/network.rs"]
mod network;
#[path = "speech/picture.rs"]
mod picture;
#[path = "speech/probabilities.rs"]
mod probabilities;
#[path = "speech/recording.rs"]
mod recording;
#[path = "speech/resample.rs"]
mod resample;
#[path = "speech/segments.rs"]
mod segments;
#[path = "speech/stages.rs"]
mod stages;

/// Finds where in a recording somebody speaks, with the Silero voice activity detector.
#[derive(Parser)]
#[command(args_override_self = true)]
struct Args {
    /// A WAV file of any rate and any number of channels
    recording: PathBuf,
    /// The network: silero_vad_16k.safetensors
    #[arg(long, value_name = "FILE.safetensors")]
    model: PathBuf,
    /// Where the LSTM runs: `gpu` takes software adapters too, `best` a hardware GPU or else the CPU
    #[arg(long, value_enum, default_value = "best")]
    device: Choice,
    /// Draw the waveform, the probabilities and the speech found
    #[arg(long, value_name = "OUT.svg")]
    picture: Option<PathBuf>,
    /// The probability at which speech begins
    #[arg(long, default_value_t = 0.5, value_parser = probability)]
    threshold: f32,
    /// Write the probabilities, one for every 512 samples at 16 kHz
    #[arg(long, value_name = "OUT.json")]
    probabilities: Option<PathBuf>,
    /// Fail unless every probability is the one in this file, within 1e-4
    #[arg(long, value_name = "TRUTH.json")]
    compare: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let mut stages = Stages::default();
    let mut out = stdout().lock();

    let recording = stages
        .run("read the recording", || Recording::open(&args.recording))
        .with_context(|| format!("cannot use {}", args.recording.display()))?;
    let chunks = chunk_count(recording.samples.len());
    let name = file_name(&args.recording);
    let length = clock(recording.seconds(), 2);
    writeln!(out, "recording  {name}: {length}, {}, {} of 32 ms", recording.source, count(chunks, "chunk"))?;

    let device = stages.run("find the device", || args.device.device())?;
    writeln!(out, "device     {}", device.name())?;
    let probabilities = detect(&args.model, &device, &recording.samples, &mut stages)?;
    let segments = segments::find(&probabilities, args.threshold, recording.samples.len());
    let summary = summary(&segments, recording.samples.len());
    writeln!(out, "speech     {summary}")?;
    for segment in &segments {
        writeln!(out, "  {}", line(segment))?;
    }

    if let Some(path) = &args.probabilities {
        probabilities::write(path, &probabilities)?;
    }
    if let Some(path) = &args.picture {
        let picture = Picture {
            title: &format!("Where does somebody speak in {name}?"),
            subtitle: &format!("{summary} · LSTM of {} on {}", count(chunks, "step"), device.name()),
            samples: &recording.samples,
            probabilities: &probabilities,
            segments: &segments,
            threshold: args.threshold,
        };
        let svg = stages.run("draw the picture", || picture.svg())?;
        std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(out, "picture    {}", path.display())?;
    }
    write!(out, "time\n{stages}")?;
    if let Some(path) = &args.compare {
        let worst = probabilities::compare(path, &probabilities)?;
        let allowed = probabilities::TOLERANCE;
        writeln!(
            out,
            "compared   {chunks} probabilities: worst difference {worst:.1e} ({allowed:.0e} is allowed)"
        )?;
    }
    Ok(())
}

/// The probability of speech in each chunk.
fn detect(model: &Path, device: &Device, samples: &[f32], stages: &mut Stages) -> Result<Vec<f32>> {
    let wrong = || format!("cannot use the model {}", model.display());
    let bytes = std::fs::read(model).with_context(wrong)?;
    let (encoder, decoder) = network::load(&bytes).with_context(wrong)?;
    let lstm = stages.run("load the LSTM", || -> Result<Lstm> {
        let weights = LstmWeights::from_safetensors(&bytes, LSTM_PREFIX).with_context(wrong)?;
        Lstm::new(device, &weights).context("cannot put the LSTM on the device")
    })?;

    let steps = chunk_count(samples.len());
    let bar = bar(steps)?.with_message("encoder");
    let features =
        stages.run("encoder, on the CPU", || encoder.encode(samples, |chunks| bar.inc(chunks as u64)))?;
    bar.set_message("LSTM");
    let (hidden, _) = stages
        .run(format!("LSTM, {}", count(steps, "step")), || lstm.forward(features.view(), None))
        .context("the LSTM cannot run")?;
    bar.finish_and_clear();
    ensure!(
        hidden.dim() == (steps, 1, FEATURES),
        "the LSTM gave {:?}, and ({steps}, 1, {FEATURES}) was expected",
        hidden.dim()
    );
    stages.run("decoder, on the CPU", || decoder.decode(hidden.view()))
}

fn summary(segments: &[Segment], length: usize) -> String {
    let decimals = if length < 60 * RATE { 1 } else { 0 };
    let spoken: usize = segments.iter().map(|s| s.end - s.start).sum();
    format!(
        "{}, {} of {} ({:.0} %)",
        count(segments.len(), "segment"),
        clock(spoken as f64 / RATE as f64, decimals),
        clock(length as f64 / RATE as f64, decimals),
        100.0 * spoken as f64 / length as f64
    )
}

fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

fn line(segment: &Segment) -> String {
    let [start, end] = [segment.start, segment.end].map(|at| at as f64 / RATE as f64);
    format!("{:>10} – {:>10}  {:>6.2} s", clock(start, 2), clock(end, 2), end - start)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A number between 0 and 1.
fn probability(text: &str) -> Result<f32> {
    let value: f32 = text.parse()?;
    ensure!((0.0..=1.0).contains(&value), "it is not between 0 and 1");
    Ok(value)
}
