//! `cargo bench --bench streams`: ticks of an `LstmStreamPool`, against one call a stream and against ONNX Runtime.
//!
//! ```sh
//! scripts/on lavapipe-25 cargo bench --bench streams
//! scripts/on lavapipe-25 cargo bench --bench streams -- --python benches/peers/venv/bin/python --record benches/record
//! ```
//!
//! In a tick every stream has the next time steps of its sequence, and the tick ends when all outputs are in host memory.
//! The network has one layer, I = H = 128. Before anything is timed, the outputs of the pool must have the bits of one
//! `Lstm::forward` a stream, carrying its state, and be close to the float64 reference.
//!
//! `--python` is an interpreter with the packages of `benches/peers/python/requirements.txt` (`benches/peers/run` makes
//! one); without it ONNX Runtime shows as not measured. It computes the streams as one batch, (T, B, I), on the
//! same processor or adapter; its states are host arrays that each tick feeds back. Its outputs must be close to ours.
//!
//! `--record DIR` writes `streams.md` and `streams.json`. A run for some of the devices replaces their part of the record.

#[path = "../examples/live/latency.rs"]
mod latency;
#[path = "streams/ours.rs"]
mod ours;
#[path = "streams/parts.rs"]
mod parts;
#[path = "streams/peer.rs"]
mod peer;
#[path = "streams/record.rs"]
mod record;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use wgpu_lstm::{Device, Lstm, LstmWeights};

use latency::Latency;
use ours::{Calls, Streams, Work};
use peer::Peer;
use record::{Parts, Record, Row, Section, Sizes, Times};

/// Ticks of a row: the 99th percentile of fewer than 100 is the worst.
const FEWEST: usize = 5;
const MOST: usize = 2000;

#[derive(Parser)]
struct Args {
    /// Streams of a tick
    #[arg(long, value_delimiter = ',', default_value = "1,16,256,1024")]
    streams: Vec<usize>,
    /// Time steps of each stream in a tick
    #[arg(long, value_delimiter = ',', default_value = "1,10")]
    steps: Vec<usize>,
    /// The devices to measure
    #[arg(long, value_delimiter = ',', value_enum, default_value = "gpu,cpu")]
    devices: Vec<On>,
    /// Each row is timed for about so many seconds, and at least 5 ticks
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The Python that has ONNX Runtime
    #[arg(long)]
    python: Option<PathBuf>,
    /// Where streams.md and streams.json are written
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// `cargo bench` says this
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum On {
    Gpu,
    Cpu,
}

impl On {
    fn open(self) -> Result<Device> {
        match self {
            Self::Gpu => {
                Device::gpu().context("a GPU adapter; on Debian `scripts/on lavapipe-25` installs one")
            }
            Self::Cpu => Ok(Device::cpu()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
        }
    }

    /// ONNX Runtime on the same device, as `benches/peers/python/peer.py` calls it.
    fn peer(self) -> &'static str {
        match self {
            Self::Gpu => "ort-webgpu",
            Self::Cpu => "ort-cpu",
        }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.seconds > 0.0 && args.seconds <= 3600.0, "--seconds is not between 0 and 3600");
    let mut record = Record::default();
    for &on in &args.devices {
        record.sections.insert(on.name().to_owned(), measure(on, &args)?);
    }
    print!("{}", record.markdown()?);
    match &args.record {
        Some(directory) => record.write(directory),
        None => Ok(()),
    }
}

/// All rows of a device.
fn measure(on: On, args: &Args) -> Result<Section> {
    let device = on.open()?;
    let weights = LstmWeights::uniform(&ours::config(), 1)?;
    let lstm = Lstm::new(&device, &weights)?;
    let peer = args.python.as_ref().context("no --python").and_then(|python| Peer::start(python, on.peer()));
    let mut peer = peer.map_err(|error| format!("{error:#}"));
    let mut section =
        Section::new(&device, peer.as_ref().map(|peer| peer.about.clone()).map_err(Clone::clone));
    let budget = Duration::from_secs_f64(args.seconds);
    for &steps in &args.steps {
        for &streams in &args.streams {
            let sizes = Sizes { streams, steps };
            let row = row(&lstm, &weights, sizes, budget, &mut peer)
                .with_context(|| format!("{} on the {}", sizes, on.name()))?;
            eprintln!("{}: {}", on.name(), row.line());
            section.rows.push(row);
        }
    }
    for &streams in &args.streams {
        let work = Work::new(Sizes { streams, steps: 1 });
        let parts: Parts = match device.wgpu() {
            Some(gpu) => parts::of_gpu(&lstm, gpu, &work, budget)?,
            None => parts::of_cpu(&lstm, &work, budget)?,
        };
        section.parts.push((streams, parts));
    }
    Ok(section)
}

/// Checks, then times one row.
fn row(
    lstm: &Lstm,
    weights: &LstmWeights,
    sizes: Sizes,
    budget: Duration,
    peer: &mut Result<Peer, String>,
) -> Result<Row> {
    let work = Work::new(sizes);
    let (mut pool, mut calls) = (Streams::new(lstm, sizes)?, Calls::new(lstm, sizes));
    let outputs = ours::check(&mut pool, &mut calls, weights, &work)?;
    let chunks = &work.ticks[0];
    let pool = times(budget, || pool.tick(chunks).map(drop))?;
    let calls = times(budget, || calls.tick(chunks).map(drop))?;
    let peer = match peer {
        Ok(peer) => peer.measure(weights, &work, &outputs, budget).map_err(|error| format!("{error:#}")),
        Err(reason) => Err(reason.clone()),
    };
    Ok(Row { sizes, pool, calls, peer })
}

/// Times ticks, after one that warms up.
fn times(budget: Duration, mut tick: impl FnMut() -> Result<()>) -> Result<Times> {
    tick()?;
    let (begin, mut ticks) = (Instant::now(), Vec::new());
    while ticks.len() < FEWEST || (ticks.len() < MOST && begin.elapsed() < budget) {
        let start = Instant::now();
        tick()?;
        ticks.push(start.elapsed());
    }
    Ok(Times::from(Latency::of(ticks).context("no tick")?))
}

/// Standard output of a command, or why there is none.
fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
