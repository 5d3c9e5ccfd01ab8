//! The networks of `tests/data/real/*.json`, and the inputs that their truth was computed with.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::from_str;
use wgpu_lstm::ndarray::Array3;
use wgpu_lstm::{LstmConfig, LstmState};

/// One network, which can be in several files or under several names of one.
#[derive(Deserialize)]
pub struct Network {
    /// Files and the prefixes there.
    pub sources: Vec<(String, String)>,
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    bidirectional: bool,
    steps: usize,
    batch: usize,
    /// Whether the truth starts from hashed h0 and c0, and not from zeros.
    initial_state: bool,
    /// (T, B, D·H).
    pub output: Sample,
    /// (L·D, B, H).
    pub h_n: Sample,
    /// (L·D, B, H).
    pub c_n: Sample,
}

/// Some elements of a tensor.
#[derive(Deserialize)]
pub struct Sample {
    pub shape: Vec<usize>,
    /// In the flat tensor, the last axis first.
    pub positions: Vec<usize>,
    /// Computed in float64.
    pub values: Vec<f64>,
    /// The largest error of the framework's own float32 result in the whole tensor.
    pub float32_error: f64,
}

/// A text, and how well a whole network predicts it.
#[derive(Deserialize)]
pub struct English {
    pub text: String,
    pub nats_per_character: f64,
}

#[derive(Deserialize)]
struct Document {
    networks: Vec<Network>,
    english: Option<English>,
}

fn document(text: &str) -> Document {
    from_str(text).expect("a file of scripts/real-files-truth.py")
}

/// Every network that has a truth.
pub fn networks() -> Vec<Network> {
    let documents = [
        include_str!("../data/real/pytorch.json"),
        include_str!("../data/real/onnx.json"),
        include_str!("../data/real/keras.json"),
    ];
    let networks: Vec<_> = documents.into_iter().flat_map(|text| document(text).networks).collect();
    assert_eq!(networks.len(), 17, "networks with a truth");
    networks
}

pub fn english() -> English {
    document(include_str!("../data/real/keras.json")).english.expect("the text")
}

/// The path of a file, `PACKAGE/NAME`, in the folder that scripts/real-files fills.
pub fn path(file: &str) -> PathBuf {
    let folder = std::env::var_os("WGPU_LSTM_REAL_FILES").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()).map(PathBuf::from);
        cache.unwrap_or_else(|| std::env::home_dir().expect("a home").join(".cache")).join("wgpu-lstm")
    });
    let path = folder.join(file);
    let folder = folder.display();
    assert!(
        Path::is_file(&path),
        "{file} is not in {folder}: `scripts/real-files {folder}` fetches it; the variable WGPU_LSTM_REAL_FILES names \
         another folder"
    );
    path
}

impl Network {
    pub fn name(&self) -> String {
        let (file, prefix) = &self.sources[0];
        format!("{file} {prefix}")
    }

    pub fn config(&self) -> LstmConfig {
        LstmConfig::new(self.input_size, self.hidden_size)
            .with_num_layers(self.num_layers)
            .with_bidirectional(self.bidirectional)
    }

    /// The input (T, B, I) of the truth.
    pub fn input(&self) -> Array3<f32> {
        hashed((self.steps, self.batch, self.input_size), 1)
    }

    /// The state that the truth starts from.
    pub fn state(&self) -> LstmState {
        let zeros = LstmState::zeros(&self.config(), self.batch);
        if !self.initial_state {
            return zeros;
        }
        LstmState { h: hashed(zeros.h.dim(), 2), c: hashed(zeros.c.dim(), 3) }
    }

    /// The prefixes that name the network in this file.
    pub fn prefixes_in(&self, file: &str) -> Vec<&str> {
        self.sources.iter().filter(|(name, _)| name == file).map(|(_, prefix)| prefix.as_str()).collect()
    }
}

/// Numbers in [-1, 1) in the order of the last axis first, each exact in f32: `hashed` of
/// scripts/real_files_truth/sample.py. Seeds: 1 input, 2 h0, 3 c0.
fn hashed(shape: (usize, usize, usize), seed: u32) -> Array3<f32> {
    let mut next = seed << 24;
    Array3::from_shape_simple_fn(shape, || {
        let mut n = next;
        next += 1;
        for (shift, factor) in [(16, 0x7feb_352d), (15, 0x846c_a68b)] {
            n = (n ^ (n >> shift)).wrapping_mul(factor);
        }
        n ^= n >> 16;
        ((n >> 8) as f32) / 8_388_608.0 - 1.0
    })
}

/// The first numbers of the input as NumPy has them.
#[test]
fn inputs_are_those_of_the_truth() {
    let first: Vec<f32> = hashed((1, 1, 4), 1).into_iter().collect();
    assert_eq!(first, [0.301_790_48, -0.628_715_5, 0.791_355_25, 0.701_414]);
}
