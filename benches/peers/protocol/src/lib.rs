//! What the driver and its peers say to each other: lines of JSON, requests on stdin and replies on stdout.
//!
//! A peer is a process that first says what it is ([`Hello`]), then answers each [`Request`] with a
//! [`Reply`]. Arrays travel as files of little-endian f32 in the workload's folder.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// Sizes of one network and one call of it. Input is (T, B, I), output (T, B, D·H), states (L·D, B, H).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workload {
    pub name: String,
    pub input_size: usize,
    pub hidden_size: usize,
    pub layers: usize,
    pub bidirectional: bool,
    pub batch: usize,
    /// Time steps of a call.
    pub steps: usize,
    /// Calls in sequence that carry the state, each on its own `steps` of the input. Their mean is timed.
    pub calls: usize,
}

impl Workload {
    pub fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// I of the first layer, D·H of the others.
    pub fn layer_input_size(&self, layer: usize) -> usize {
        if layer == 0 { self.input_size } else { self.directions() * self.hidden_size }
    }

    /// Elements of one state: L·D·B·H.
    pub fn state_len(&self) -> usize {
        self.layers * self.directions() * self.batch * self.hidden_size
    }
}

/// The first line that a peer says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Its versions, and the adapter if it knows; or why it cannot take part.
    pub about: Result<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// Prepare the workload of this folder: `workload.json`, `weights.safetensors`, `input.f32`, `model.onnx`.
    Load(PathBuf),
    /// Run it, and save the last result there (`output` then h_n then c_n) if a path is given.
    Run(Option<PathBuf>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// Loaded, with what the reader should know.
    Ready(String),
    /// Seconds a call, from input in host memory to output and state in host memory.
    Seconds(f64),
    Error(String),
}

/// One result, flat and in PyTorch's layout.
pub struct Answer {
    pub output: Vec<f32>,
    pub h: Vec<f32>,
    pub c: Vec<f32>,
}

/// A library to be measured.
pub trait Peer {
    /// Makes the network of this folder. What it returns goes into the record.
    fn load(&mut self, folder: &Path, workload: &Workload) -> Result<String>;
    /// One call on `input`, (T, B, I); the state is zero if not given.
    fn call(&mut self, input: &[f32], state: Option<(&[f32], &[f32])>) -> Result<Answer>;
}

/// Answers requests until stdin ends.
pub fn serve(about: &str, peer: &mut dyn Peer) -> Result<()> {
    say(&Hello { about: Ok(about.to_owned()) })?;
    let mut loaded = None;
    for line in io::stdin().lock().lines() {
        let reply = match serde_json::from_str(&line?)? {
            Request::Load(folder) => load(peer, &folder).map(|(workload, input, note)| {
                loaded = Some((workload, input));
                Reply::Ready(note)
            }),
            Request::Run(save) => match &loaded {
                Some((workload, input)) => run(peer, workload, input, save.as_deref()).map(Reply::Seconds),
                None => Err(anyhow::anyhow!("nothing is loaded")),
            },
        };
        say(&reply.unwrap_or_else(|error| Reply::Error(format!("{error:#}"))))?;
    }
    Ok(())
}

fn say(message: &impl Serialize) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(message)?)?;
    Ok(stdout.flush()?)
}

fn load(peer: &mut dyn Peer, folder: &Path) -> Result<(Workload, Vec<f32>, String)> {
    let workload: Workload = serde_json::from_slice(&fs::read(folder.join("workload.json"))?)?;
    let input = read_f32(&folder.join("input.f32"))?;
    let note = peer.load(folder, &workload)?;
    Ok((workload, input, note))
}

fn run(peer: &mut dyn Peer, workload: &Workload, input: &[f32], save: Option<&Path>) -> Result<f64> {
    let call_len = workload.steps * workload.batch * workload.input_size;
    let mut outputs = Vec::new();
    let mut state: Option<(Vec<f32>, Vec<f32>)> = None;
    let start = Instant::now();
    for piece in input.chunks_exact(call_len) {
        let answer = peer.call(piece, state.as_ref().map(|(h, c)| (&h[..], &c[..])))?;
        outputs.push(answer.output);
        state = Some((answer.h, answer.c));
    }
    let seconds = start.elapsed().as_secs_f64() / workload.calls as f64;
    if let (Some(path), Some((h, c))) = (save, state) {
        write_f32(path, &[outputs.concat(), h, c].concat())?;
    }
    Ok(seconds)
}

pub fn read_f32(path: &Path) -> Result<Vec<f32>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let (words, rest) = bytes.as_chunks::<4>();
    ensure!(rest.is_empty(), "{} is not whole f32", path.display());
    Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
}

pub fn write_f32(path: &Path, values: &[f32]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// Parameters by PyTorch's names, each with its shape.
pub struct Weights(Vec<u8>);

impl Weights {
    pub fn of(folder: &Path) -> Result<Self> {
        Ok(Self(fs::read(folder.join("weights.safetensors"))?))
    }

    /// The parameter's elements, row by row.
    pub fn get(&self, name: &str) -> Result<Vec<f32>> {
        let tensors = safetensors::SafeTensors::deserialize(&self.0)?;
        let (words, _) = tensors.tensor(name)?.data().as_chunks::<4>();
        Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }
}
