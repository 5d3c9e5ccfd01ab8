//! What a run found, and what it aimed at.

use std::collections::BTreeMap;

use protocol::Workload;
use serde::{Deserialize, Serialize};

/// One peer on one workload.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Medians are of `rounds` calls. The error is the largest against float64.
    Timed {
        ms: f64,
        rounds: usize,
        error: f64,
        note: String,
    },
    Failed(String),
}

impl Outcome {
    pub fn ms(&self) -> Option<f64> {
        match self {
            Self::Timed { ms, .. } => Some(*ms),
            Self::Failed(_) => None,
        }
    }
}

/// What `peer-ours limits` prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Adapter {
    pub adapter: String,
    pub driver: String,
    pub backend: String,
    pub fma_gflops: f64,
    pub load_gbps: f64,
    pub dispatch_us: f64,
    pub round_trip_us: f64,
}

impl Adapter {
    /// Keeps the better figure of each: a limit is what was reached once.
    pub fn improve(&mut self, again: &Self) {
        self.fma_gflops = self.fma_gflops.max(again.fma_gflops);
        self.load_gbps = self.load_gbps.max(again.load_gbps);
        self.dispatch_us = self.dispatch_us.min(again.dispatch_us);
        self.round_trip_us = self.round_trip_us.min(again.round_trip_us);
    }
}

#[derive(Debug, Serialize)]
pub struct Entry {
    pub workload: Workload,
    pub operations: f64,
    /// By the peer's name.
    pub outcomes: BTreeMap<&'static str, Outcome>,
}

#[derive(Debug, Serialize)]
pub struct Record {
    pub date: String,
    pub commit: String,
    pub cpu: String,
    pub cores: usize,
    pub adapter: Result<Adapter, String>,
    /// Name and versions, or why it took no part; in the table's order.
    pub peers: Vec<(&'static str, Result<String, String>)>,
    pub entries: Vec<Entry>,
}

/// Peer, ours, and the column's head.
pub const RATIOS: [(&str, &str); 5] = [
    ("ort-webgpu", "ours-gpu"),
    ("burn", "ours-gpu"),
    ("ort-cpu", "ours-cpu"),
    ("candle", "ours-cpu"),
    ("tract", "ours-cpu"),
];

/// The least peer ÷ ours that is aimed at, if any.
pub fn target(workload: &str, peer: &str) -> Option<f64> {
    match (peer, workload) {
        // within 1.5 times ONNX Runtime's time on the CPU, and faster than the others
        ("ort-cpu", _) => Some(1.0 / 1.5),
        ("candle" | "tract", _) => Some(1.0),
        ("ort-webgpu", "keyword") => Some(4.0),
        ("ort-webgpu", "single-256") => Some(5.0),
        ("ort-webgpu", "batch-16" | "speaker") => Some(7.0),
        ("ort-webgpu", "batch-64" | "ocr") => Some(6.0),
        ("burn", "keyword") => Some(40.0),
        ("burn", "single-256") => Some(25.0),
        ("burn", "batch-16") => Some(18.0),
        ("burn", "batch-64") => Some(6.0),
        ("burn", "ocr") => Some(20.0),
        ("burn", "speaker") => Some(45.0),
        _ => None,
    }
}

impl Entry {
    pub fn ms(&self, peer: &str) -> Option<f64> {
        self.outcomes.get(peer).and_then(Outcome::ms)
    }

    /// Peer ÷ ours.
    pub fn ratio(&self, (peer, ours): (&str, &str)) -> Option<f64> {
        Some(self.ms(peer)? / self.ms(ours)?)
    }
}
