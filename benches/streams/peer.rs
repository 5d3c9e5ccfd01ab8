//! ONNX Runtime in a process of its own: `benches/peers/python/streams.py`.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ndarray::Array3;
use serde::Deserialize;
use wgpu_lstm::LstmWeights;

use crate::latency::Latency;
use crate::ours::{TOLERANCE, WIDTH, Work, stack, worst};
use crate::output_of;
use crate::record::{PeerTimes, Sizes};

/// A peer that waits for work.
pub struct Peer {
    python: PathBuf,
    /// What it is, with versions.
    pub about: String,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    About(Result<String, String>),
    Times { setting: String, run: Vec<f64>, whole: Vec<f64> },
    Error(String),
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/python")
}

impl Peer {
    pub fn start(python: &Path, name: &str) -> Result<Self> {
        let mut child = Command::new(python)
            .args([scripts().join("streams.py").as_os_str(), name.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| python.display().to_string())?;
        let stdin = child.stdin.take().context("it has a stdin")?;
        let lines = BufReader::new(child.stdout.take().context("it has a stdout")?).lines();
        let mut peer = Self { python: python.to_owned(), about: String::new(), child, stdin, lines };
        match peer.reply()? {
            Reply::About(about) => peer.about = about.map_err(anyhow::Error::msg)?,
            _ => bail!("it does not say what it is"),
        }
        Ok(peer)
    }

    fn reply(&mut self) -> Result<Reply> {
        let line = self.lines.next().context("it has ended")??;
        serde_json::from_str(&line).with_context(|| format!("it says {line}"))
    }

    /// Checks its outputs of some ticks against ours, and times ticks.
    pub fn measure(
        &mut self,
        weights: &LstmWeights,
        work: &Work,
        ours: &[Array3<f32>],
        budget: Duration,
    ) -> Result<PeerTimes> {
        let Sizes { streams, steps } = work.sizes;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("streams-peer");
        fs::create_dir_all(&folder)?;
        let workload = serde_json::json!({
            "name": "streams", "input_size": WIDTH, "hidden_size": WIDTH, "layers": 1, "bidirectional": false,
            "batch": streams, "steps": steps, "calls": work.ticks.len(),
        });
        fs::write(folder.join("workload.json"), workload.to_string())?;
        fs::write(folder.join("weights.safetensors"), weights.to_safetensors("")?)?;
        let input: Vec<f32> = work.ticks.iter().flat_map(|chunks| stack(chunks)).collect();
        fs::write(folder.join("input.f32"), little_endian(&input))?;
        output_of(Command::new(&self.python).arg(scripts().join("model.py")).arg(&folder))?;

        let request = serde_json::json!({ "folder": folder, "seconds": budget.as_secs_f64() });
        writeln!(self.stdin, "{request}")?;
        let (setting, run, whole) = match self.reply()? {
            Reply::Times { setting, run, whole } => (setting, run, whole),
            Reply::Error(error) => bail!("failed: {error}"),
            Reply::About(_) => bail!("it says twice what it is"),
        };
        let bytes = fs::read(folder.join("output.f32"))?;
        let (words, rest) = bytes.as_chunks::<4>();
        let count: usize = ours.iter().map(Array3::len).sum();
        ensure!(rest.is_empty() && words.len() == count, "{} bytes of output", bytes.len());
        let output: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        let error = worst(output.iter(), ours.iter().flatten().copied().map(f64::from));
        ensure!(error <= TOLERANCE, "wrong result: off by {error:.1e}");
        let times = |seconds: Vec<f64>| -> Result<_> {
            let durations = seconds.into_iter().map(Duration::try_from_secs_f64).collect::<Result<_, _>>()?;
            Ok(Latency::of(durations).context("no tick")?.into())
        };
        Ok(PeerTimes { setting, error, run: times(run)?, whole: times(whole)? })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // it may be at work after an error of ours
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn little_endian(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
