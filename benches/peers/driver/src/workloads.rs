//! What is run: sizes, weights, input, and the float64 truth.

use std::fs;
use std::path::Path;

use anyhow::Result;
use protocol::{Workload, write_f32};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::ndarray::Array3;
use wgpu_lstm::{LstmConfig, LstmWeights, reference};

/// Name; L, I, H; bidirectional; B, T; calls in sequence.
type Row = (&'static str, [usize; 3], bool, [usize; 2], usize);

const ROWS: [Row; 9] = [
    ("keyword", [1, 128, 128], false, [1, 100], 1),
    ("speech", [1, 128, 128], false, [1, 1000], 1),
    ("single-256", [1, 256, 256], false, [1, 100], 1),
    ("batch-16", [1, 256, 256], false, [16, 100], 1),
    ("batch-64", [1, 256, 256], false, [64, 100], 1),
    ("ocr", [2, 256, 256], true, [1, 100], 1),
    ("speaker", [3, 40, 256], false, [8, 160], 1),
    ("stream", [1, 128, 128], false, [1, 1], 100),
    ("crowd", [2, 256, 256], false, [256, 16], 1),
];

pub fn all() -> Vec<Workload> {
    let workload = |(name, [layers, input_size, hidden_size], bidirectional, [batch, steps], calls): Row| {
        let name = name.to_owned();
        Workload { name, input_size, hidden_size, layers, bidirectional, batch, steps, calls }
    };
    ROWS.into_iter().map(workload).collect()
}

/// As `L2 bidirectional I256 H256 B1 T100`.
pub fn sizes(workload: &Workload) -> String {
    let directions = if workload.bidirectional { " bidirectional" } else { "" };
    let calls = if workload.calls > 1 { format!(", {} calls", workload.calls) } else { String::new() };
    let Workload { layers, input_size, hidden_size, batch, steps, .. } = workload;
    format!("L{layers}{directions} I{input_size} H{hidden_size} B{batch} T{steps}{calls}")
}

/// Floating-point operations of the products of one call; a multiply-add counts as two.
pub fn operations(workload: &Workload) -> f64 {
    let layer = |k| 4 * workload.hidden_size * (workload.layer_input_size(k) + workload.hidden_size);
    let weights: usize = (0..workload.layers).map(layer).sum();
    2.0 * (weights * workload.directions() * workload.steps * workload.batch) as f64
}

/// Writes what every peer reads into `folder`, and returns the truth: output, h_n, c_n in one row.
pub fn prepare(workload: &Workload, folder: &Path) -> Result<Vec<f64>> {
    let config = LstmConfig::new(workload.input_size, workload.hidden_size)
        .with_num_layers(workload.layers)
        .with_bidirectional(workload.bidirectional);
    let weights = LstmWeights::uniform(&config, 1)?;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    // calls in sequence that carry the state are one call on the whole input
    let shape = (workload.calls * workload.steps, workload.batch, workload.input_size);
    let input = Array3::from_shape_simple_fn(shape, || random.random_range(-1.0f32..1.0));
    fs::create_dir_all(folder)?;
    fs::write(folder.join("workload.json"), serde_json::to_vec(workload)?)?;
    fs::write(folder.join("weights.safetensors"), weights.to_safetensors("")?)?;
    write_f32(&folder.join("input.f32"), &input.iter().copied().collect::<Vec<_>>())?;
    let (output, h, c) = reference::forward(&weights, input.mapv(f64::from).view(), None, None)?;
    Ok(output.into_iter().chain(h).chain(c).collect())
}
