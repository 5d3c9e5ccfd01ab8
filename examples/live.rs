//! Who speaks now?
//!
//! ```sh
//! cargo run --release --example live -- RECORDING.wav --model silero_vad_16k.safetensors --sources 4
//! ```
//!
//! Runs the network of `examples/speech.rs` on several sources at once while they play: each delivers a chunk of 32 ms
//! when it is complete. A tick takes whichever chunks have come since the last one, encodes them together, and advances
//! their streams with one [`LstmStreamPool::push`](wgpu_lstm::LstmStreamPool::push). It prints who begins and ends to
//! speak, and at the end how long a probability took after its chunk was complete.
//!
//! The sources are recordings, played in real time: replace `live/sources.rs` by microphones. `--speed 0` plays them as
//! fast as they are computed.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use choice::Choice;
use clock::clock;
use latency::{Latency, ms};
use listener::Listener;
use network::CHUNK;
use recording::{RATE, Recording};
use segments::{Change, Voice};
use sources::{Chunk, Play, WAITING};

#[path = "speech/choice.rs"]
mod choice;
#[path = "speech/clock.rs"]
mod clock;
#[path = "speech/conv.rs"]
mod conv;
#[path = "live/latency.rs"]
mod latency;
#[path = "live/listener.rs"]
mod listener;
#[path = "speech/network.rs"]
#[allow(dead_code, reason = "here nothing encodes a whole recording")]
mod network;
#[path = "speech/probabilities.rs"]
#[allow(dead_code, reason = "here nothing writes them")]
mod probabilities;
#[path = "speech/recording.rs"]
mod recording;
#[path = "speech/resample.rs"]
mod resample;
#[path = "speech/segments.rs"]
#[allow(dead_code, reason = "here nothing looks for segments afterwards")]
mod segments;
#[path = "live/sources.rs"]
mod sources;

/// Says who speaks, of several sources at once, while they play.
#[derive(Parser)]
struct Args {
    /// WAV files; source k plays the kth, after the last the first again
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
    /// The network: silero_vad_16k.safetensors
    #[arg(long, value_name = "FILE.safetensors")]
    model: PathBuf,
    /// How many sources play at once
    #[arg(long, default_value_t = 4, value_parser = sources)]
    sources: usize,
    /// Seconds from the beginning of one source to that of the next
    #[arg(long, default_value_t = 0.71, value_parser = seconds)]
    stagger: f64,
    /// Where the LSTM runs: `gpu` takes software adapters too, `best` a hardware GPU or else the CPU
    #[arg(long, value_enum, default_value = "best")]
    device: Choice,
    /// Seconds of sound in a second; 0 does not wait for the time to pass
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Play only so many seconds of each recording
    #[arg(long, value_parser = seconds)]
    seconds: Option<f64>,
    /// Fail unless every probability of every source is the one in this file, within 1e-4
    #[arg(long, value_name = "TRUTH.json", conflicts_with = "seconds")]
    compare: Option<PathBuf>,
}

/// The probability at which speech begins.
const THRESHOLD: f32 = 0.5;

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
    let recordings = args.recordings.iter().map(|path| samples(path, args.seconds));
    let recordings = recordings.collect::<Result<Vec<_>>>()?;
    let device = args.device.device()?;
    println!("device     {}", device.name());
    let wrong = || format!("cannot use the model {}", args.model.display());
    let model = std::fs::read(&args.model).with_context(wrong)?;
    let listener = Listener::new(&model, &device, args.sources).with_context(wrong)?;

    let play = Play { sources: args.sources, speed: args.speed, stagger: args.stagger };
    let start = Instant::now();
    let mut report = Report::new(args.sources, args.speed > 0.0);
    listen(listener, &play.start(&recordings)?, &mut report)?;
    report.print(start.elapsed());
    if let Some(path) = &args.compare {
        for (source, probabilities) in report.probabilities.iter().enumerate() {
            let worst = probabilities::compare(path, probabilities)
                .with_context(|| format!("source {source} is wrong"))?;
            let (chunks, allowed) = (probabilities.len(), probabilities::TOLERANCE);
            println!(
                "compared   {chunks} probabilities of source {source}: worst difference {worst:.1e} ({allowed:.0e} is allowed)"
            );
        }
    }
    Ok(())
}

fn samples(path: &Path, seconds: Option<f64>) -> Result<Arc<[f32]>> {
    let recording = Recording::open(path).with_context(|| format!("cannot use {}", path.display()))?;
    println!("recording  {}: {}, {}", path.display(), clock(recording.seconds(), 2), recording.source);
    let most = seconds.map_or(usize::MAX, |seconds| (seconds * RATE as f64) as usize);
    let samples = &recording.samples[..recording.samples.len().min(most)];
    ensure!(!samples.is_empty(), "no sample of {} is played", path.display());
    Ok(samples.into())
}

/// Computes chunks until every source has ended.
fn listen(mut listener: Listener, chunks: &Receiver<Chunk>, report: &mut Report) -> Result<()> {
    // Waits for one chunk, then takes the others that are there; no more, since sources that were full go on.
    let most = WAITING * report.voices.len();
    while let Ok(first) = chunks.recv() {
        let mut waiting: Vec<Chunk> = [first].into_iter().chain(chunks.try_iter()).take(most).collect();
        waiting.sort_by_key(|chunk| chunk.source); // one source's stay in order
        let probabilities = listener.hear(&waiting)?;
        let now = Instant::now();
        report.ticks += 1;
        for (chunk, probability) in waiting.iter().zip(probabilities) {
            report.add(chunk, probability, now.saturating_duration_since(chunk.complete))?;
        }
    }
    Ok(())
}

/// What was heard.
struct Report {
    /// Whether sources wait for the time to pass. If not, a chunk waits for those before it, and latencies say nothing.
    real_time: bool,
    /// Of each source.
    voices: Vec<Voice>,
    probabilities: Vec<Vec<f32>>,
    /// Of each chunk, from complete to known.
    latencies: Vec<Duration>,
    ticks: usize,
}

impl Report {
    fn new(sources: usize, real_time: bool) -> Self {
        Self {
            real_time,
            voices: (0..sources).map(|_| Voice::new(THRESHOLD)).collect(),
            probabilities: vec![Vec::new(); sources],
            latencies: Vec::new(),
            ticks: 0,
        }
    }

    /// Takes the probability of a source's next chunk, and prints what it changes.
    fn add(&mut self, chunk: &Chunk, probability: f32, latency: Duration) -> Result<()> {
        let (source, known) = (chunk.source, &mut self.probabilities[chunk.source]);
        let at = |sample: usize| clock(sample as f64 / RATE as f64, 2);
        let begin = known.len() * CHUNK;
        known.push(probability);
        self.latencies.push(latency);
        let voice = &mut self.voices[source];
        let mut out = stdout().lock();
        match voice.hear(probability) {
            Some(Change::Begins) if self.real_time => {
                let at = at(begin);
                writeln!(out, "source {source:<3} {at:>9} speaks; known after {:.1} ms", ms(latency))?;
            }
            Some(Change::Begins) => writeln!(out, "source {source:<3} {:>9} speaks", at(begin))?,
            Some(Change::Ends(speech)) => {
                writeln!(out, "source {source:<3} {:>9} is silent", at(speech.end))?;
            }
            None => {}
        }
        if chunk.last && voice.end(begin + CHUNK).is_some() {
            writeln!(out, "source {source:<3} {:>9} ends", at(begin + CHUNK))?;
        }
        Ok(())
    }

    fn print(&self, time: Duration) {
        let chunks = self.latencies.len();
        let sound = (chunks * CHUNK) as f64 / RATE as f64;
        println!(
            "ticks      {}, of {:.1} chunks on average; {:.1} s of sound in a second",
            self.ticks,
            chunks as f64 / self.ticks as f64,
            sound / time.as_secs_f64()
        );
        if let (true, Some(latency)) = (self.real_time, Latency::of(self.latencies.clone())) {
            let [median, p99, worst] = [latency.median, latency.p99, latency.worst].map(ms);
            println!(
                "latency    {median:.2} ms in the median, 99 % within {p99:.2} ms, at worst {worst:.2} ms"
            );
        }
    }
}

/// At least 1.
fn sources(text: &str) -> Result<usize> {
    let count = text.parse()?;
    ensure!(count > 0, "nobody would speak");
    Ok(count)
}

/// A number from 0 to a million.
fn seconds(text: &str) -> Result<f64> {
    let value: f64 = text.parse()?;
    ensure!((0.0..=1e6).contains(&value), "it is not a number from 0 to a million");
    Ok(value)
}

/// 0, or a number from a thousandth to a thousand.
fn speed(text: &str) -> Result<f64> {
    let value: f64 = text.parse()?;
    ensure!(value == 0.0 || (1e-3..=1e3).contains(&value), "it is neither 0 nor a number from 0.001 to 1000");
    Ok(value)
}
