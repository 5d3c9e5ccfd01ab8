//! What was measured, as JSON and as Markdown.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use wgpu_lstm::Device;

use crate::latency::{Latency, ms};
use crate::ours::WIDTH;
use crate::output_of;

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Sizes {
    pub streams: usize,
    pub steps: usize,
}

impl Sizes {
    /// Floating-point operations of the products of a tick; a multiply-add counts as two.
    fn gflops(self, ms: f64) -> f64 {
        let weights = 4 * WIDTH * (WIDTH + WIDTH);
        (2 * weights * self.streams * self.steps) as f64 / ms / 1e6
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "streams {}, steps {}", self.streams, self.steps)
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Times {
    pub ticks: usize,
    pub median_ms: f64,
    pub p99_ms: f64,
}

impl From<Latency> for Times {
    fn from(latency: Latency) -> Self {
        let Latency { count, median, p99, .. } = latency;
        Self { ticks: count, median_ms: ms(median), p99_ms: ms(p99) }
    }
}

#[derive(Serialize, Deserialize)]
pub struct PeerTimes {
    pub setting: String,
    /// The largest difference from our output.
    pub error: f64,
    /// From the stacked batch and states to the output and states.
    pub run: Times,
    /// From the chunks to their outputs: stacked and split in Python.
    pub whole: Times,
}

#[derive(Serialize, Deserialize)]
pub struct Row {
    pub sizes: Sizes,
    pub pool: Times,
    pub calls: Times,
    pub peer: Result<PeerTimes, String>,
}

impl Row {
    /// In short.
    pub fn line(&self) -> String {
        let peer = match &self.peer {
            Ok(peer) => format!("ONNX Runtime {:.3} ms", peer.run.median_ms),
            Err(reason) => format!("ONNX Runtime not measured: {reason}"),
        };
        let (pool, calls) = (self.pool.median_ms, self.calls.median_ms);
        format!("{}: pool {pool:.3} ms, calls {calls:.3} ms, {peer}", self.sizes)
    }
}

/// Names, and medians in milliseconds.
pub type Parts = Vec<(String, f64)>;

/// All that was measured on one device in one run.
#[derive(Serialize, Deserialize)]
pub struct Section {
    device: String,
    driver: String,
    date: String,
    commit: String,
    cpu: String,
    cores: usize,
    /// What the peer is, or why it took no part.
    peer: Result<String, String>,
    pub rows: Vec<Row>,
    /// Of ticks of one step, for so many streams.
    pub parts: Vec<(usize, Parts)>,
}

impl Section {
    pub fn new(device: &Device, peer: Result<String, String>) -> Self {
        let driver = device.wgpu().map(|(gpu, _)| gpu.adapter_info());
        let driver = driver.map_or_else(String::new, |info| {
            format!(", {} {}, {}", info.driver, info.driver_info, info.backend)
        });
        let said = |program: &str, arguments: &[&str]| {
            output_of(Command::new(program).args(arguments)).unwrap_or_else(|_| "unknown".to_owned())
        };
        let changes = said("git", &["status", "--porcelain", "--", ":!benches/record"]);
        let with = if changes.is_empty() { "" } else { ", with uncommitted changes" };
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            device: device.name(),
            driver,
            date: said("date", &["-u", "+%F %R UTC"]),
            commit: said("git", &["rev-parse", "--short=12", "HEAD"]) + with,
            cpu: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            peer,
            rows: Vec::new(),
            parts: Vec::new(),
        }
    }

    fn markdown(&self, text: &mut impl Write) -> fmt::Result {
        let Self { device, driver, date, commit, cpu, cores, .. } = self;
        writeln!(text, "## {device}\n")?;
        writeln!(text, "wgpu-lstm {} on {device}{driver}.", env!("CARGO_PKG_VERSION"))?;
        writeln!(text, "{cpu}, {cores} cores; {date}, commit {commit}.")?;
        match &self.peer {
            Ok(about) => writeln!(text, "Beside it: {about}.\n")?,
            Err(reason) => writeln!(text, "ONNX Runtime was not measured: {reason}.\n")?,
        }
        writeln!(
            text,
            "| streams | steps | pool: ms a tick | 99 % | streams/s | one call a stream: ms | 99 % | ÷ pool | ONNX Runtime: ms | 99 % | ÷ pool | with stacking: ms | ÷ pool |"
        )?;
        writeln!(text, "|{}", "---|".repeat(13))?;
        for Row { sizes, pool, calls, peer } in &self.rows {
            let Sizes { streams, steps } = sizes;
            let per_second = *streams as f64 / pool.median_ms * 1e3;
            write!(text, "| {streams} | {steps} | {} | {per_second:.0} ", Cells(pool))?;
            write!(text, "| {} | {} ", Cells(calls), Ratio(calls.median_ms / pool.median_ms))?;
            match peer {
                Ok(PeerTimes { run, whole, .. }) => {
                    let [by_run, by_whole] =
                        [run, whole].map(|times| Ratio(times.median_ms / pool.median_ms));
                    writeln!(text, "| {} | {by_run} | {} | {by_whole} |", Cells(run), Ms(whole.median_ms))?;
                }
                Err(_) => writeln!(text, "| not measured | – | – | – | – |")?,
            }
        }
        writeln!(text)?;
        for Row { sizes, pool, calls, peer } in &self.rows {
            let peer = match peer {
                Ok(PeerTimes { setting, error, run, .. }) => {
                    format!("{} of ONNX Runtime ({setting}; off by {error:.0e})", run.ticks)
                }
                Err(reason) => format!("ONNX Runtime not measured: {reason}"),
            };
            writeln!(text, "- {sizes}: {} ticks of the pool, {} of calls, {peer}", pool.ticks, calls.ticks)?;
        }
        self.markdown_of_targets(text)?;
        self.markdown_of_parts(text)
    }

    /// A pool of 256 on the GPU is at least 10 times as fast as one call a stream; on the CPU, at one step a tick, at least
    /// 3 times as fast as ONNX Runtime's call.
    fn markdown_of_targets(&self, text: &mut impl Write) -> fmt::Result {
        writeln!(text)?;
        for Row { sizes, pool, calls, peer } in &self.rows {
            let (least, name, other) = match (&*self.device, sizes) {
                ("CPU", Sizes { steps: 1, .. }) => {
                    (3.0, "ONNX Runtime", peer.as_ref().ok().map(|peer| &peer.run))
                }
                (device, Sizes { streams: 256, .. }) if device != "CPU" => {
                    (10.0, "one call a stream", Some(calls))
                }
                _ => continue,
            };
            write!(text, "- Target, {sizes}: {name} ÷ pool ≥ {least}: ")?;
            let Some(other) = other else {
                writeln!(text, "**not measured**")?;
                continue;
            };
            let ratio = other.median_ms / pool.median_ms;
            let met = if ratio >= least { "met" } else { "**missed**" };
            let [ours, theirs] = [pool, other].map(|times| sizes.gflops(times.median_ms));
            writeln!(text, "{}, {met} (pool: {ours:.1} GFLOP/s; {name}: {theirs:.1})", Ratio(ratio))?;
        }
        Ok(())
    }

    fn markdown_of_parts(&self, text: &mut impl Write) -> fmt::Result {
        writeln!(text, "\nWhere the time of a tick of one step goes, in ms:\n")?;
        write!(text, "| streams |")?;
        self.parts.iter().try_for_each(|(streams, _)| write!(text, " {streams} |"))?;
        writeln!(text, "\n|{}", "---|".repeat(1 + self.parts.len()))?;
        let names = self.parts.first().map_or(&[][..], |(_, parts)| &parts[..]);
        for (line, (name, _)) in names.iter().enumerate() {
            write!(text, "| {name} |")?;
            for (_, parts) in &self.parts {
                write!(text, " {} |", Ms(parts[line].1))?;
            }
            writeln!(text)?;
        }
        writeln!(text)
    }
}

/// By the name of the device.
#[derive(Default, Serialize, Deserialize)]
pub struct Record {
    pub sections: BTreeMap<String, Section>,
}

const HEAD: &str = "# Ticks of many streams

Made by `cargo bench --bench streams`. One layer, I = H = 128. In a tick every stream has the next steps of its sequence;
it ends when all outputs are in host memory. Medians, and what 99 % of the ticks are within: with fewer than 100
ticks that is the worst. The outputs of the pool have the bits of one call a stream. ONNX Runtime computes
the streams as one batch whose states are fed back, with the fastest of its settings; its outputs are within 1e-5 of
ours. Its first column is its call alone, from the stacked batch to the output; `with stacking` starts from the chunks and
ends with an output for each, in Python.

";

impl Record {
    pub fn markdown(&self) -> Result<String> {
        let mut text = HEAD.to_owned();
        for section in self.sections.values() {
            section.markdown(&mut text)?;
        }
        Ok(text)
    }

    /// Writes both files; what the record has of other devices stays.
    pub fn write(self, directory: &Path) -> Result<()> {
        let path = directory.join("streams.json");
        let mut all: Self = match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).with_context(|| path.display().to_string())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        all.sections.extend(self.sections);
        fs::write(&path, serde_json::to_string_pretty(&all)? + "\n")?;
        fs::write(directory.join("streams.md"), all.markdown()?)?;
        Ok(())
    }
}

/// Three digits.
struct Ms(f64);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = (2 - self.0.log10().floor() as i32).clamp(0, 4) as usize;
        write!(f, "{:.decimals$}", self.0)
    }
}

/// Median and 99th percentile, as two cells.
struct Cells<'a>(&'a Times);

impl fmt::Display for Cells<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {}", Ms(self.0.median_ms), Ms(self.0.p99_ms))
    }
}

/// A ratio, with two digits at least.
struct Ratio(f64);

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = if self.0 < 10.0 { 2 } else { 1 };
        write!(f, "{:.decimals$}", self.0)
    }
}
