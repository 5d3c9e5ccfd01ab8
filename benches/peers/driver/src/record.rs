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

/// A column of the table of ratios: the fastest of some peers ÷ ours.
pub struct Ratio {
    pub name: &'static str,
    pub peers: &'static [&'static str],
    pub ours: &'static str,
}

impl Ratio {
    const fn one(peer: &'static [&'static str; 1], ours: &'static str) -> Self {
        Self { name: peer[0], peers: peer, ours }
    }
}

pub const CPU_PEERS: [&str; 6] = ["ort-cpu", "openvino", "torch", "tract", "rten", "candle"];

pub const RATIOS: [Ratio; 10] = [
    Ratio::one(&["ort-webgpu"], "ours-gpu"),
    Ratio::one(&["torch-cuda"], "ours-gpu"),
    Ratio::one(&["burn"], "ours-gpu"),
    Ratio { name: "fastest CPU peer", peers: &CPU_PEERS, ours: "ours-cpu" },
    Ratio::one(&["ort-cpu"], "ours-cpu"),
    Ratio::one(&["openvino"], "ours-cpu"),
    Ratio::one(&["torch"], "ours-cpu"),
    Ratio::one(&["tract"], "ours-cpu"),
    Ratio::one(&["rten"], "ours-cpu"),
    Ratio::one(&["candle"], "ours-cpu"),
];

/// The least ratio that is aimed at, if any; `name` is the ratio's. The fastest peer's holds for each CPU peer.
pub fn target(workload: &Workload, name: &str) -> Option<f64> {
    match (name, &*workload.name) {
        ("fastest CPU peer", _) if workload.batch == 1 => Some(1.2),
        ("fastest CPU peer", _) => Some(1.0),
        ("ort-webgpu", "stream") => Some(4.0),
        ("ort-webgpu", _) => Some(8.0),
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

    /// The ratio, and the name of the fastest of its peers that were timed.
    pub fn ratio(&self, ratio: &Ratio) -> Option<(f64, &'static str)> {
        let ours = self.ms(ratio.ours)?;
        let timed = ratio.peers.iter().filter_map(|&peer| Some((self.ms(peer)? / ours, peer)));
        timed.min_by(|(a, _), (b, _)| a.total_cmp(b))
    }

    /// Whether the target was met, or nothing where there is none or it was not measured.
    pub fn met(&self, ratio: &Ratio) -> Option<bool> {
        Some(self.ratio(ratio)?.0 >= target(&self.workload, ratio.name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{CPU_PEERS, Entry, Outcome, RATIOS, Ratio, target};
    use crate::workloads;

    fn entry(workload: &str, times: &[(&'static str, f64)]) -> Entry {
        let workload = workloads::all().into_iter().find(|one| one.name == workload).expect("it is listed");
        let timed = |ms| Outcome::Timed { ms, rounds: 7, error: 0.0, note: String::new() };
        let outcomes = times.iter().map(|&(name, ms)| (name, timed(ms))).collect();
        Entry { workload, operations: 1.0, outcomes }
    }

    fn fastest() -> &'static Ratio {
        RATIOS.iter().find(|ratio| ratio.peers.len() > 1).expect("there is one")
    }

    #[test]
    fn the_fastest_peer_is_the_one_with_the_least_time_among_those_that_were_timed() {
        let mut entry =
            entry("keyword", &[("ours-cpu", 2.0), ("ort-cpu", 3.0), ("rten", 2.5), ("ort-webgpu", 1.0)]);
        entry.outcomes.insert("torch", Outcome::Failed(String::from("wrong result")));
        assert_eq!(entry.ratio(fastest()), Some((1.25, "rten")));
        entry.outcomes.remove("ours-cpu");
        assert_eq!(entry.ratio(fastest()), None);
    }

    #[test]
    fn a_target_is_met_from_the_ratio_itself_on() {
        let met = |workload, ms| entry(workload, &[("ours-cpu", 10.0), ("openvino", ms)]).met(fastest());
        assert_eq!([met("keyword", 11.9), met("keyword", 12.0)], [Some(false), Some(true)]);
        assert_eq!([met("batch-16", 9.9), met("batch-16", 10.0)], [Some(false), Some(true)]);
        assert_eq!(entry("keyword", &[("ours-cpu", 10.0)]).met(fastest()), None);
    }

    #[test]
    fn every_workload_has_the_targets_of_its_rows() {
        for workload in workloads::all() {
            let one_row = ["keyword", "speech", "single-256", "ocr", "stream"].contains(&&*workload.name);
            let least = if one_row { 1.2 } else { 1.0 };
            assert_eq!(target(&workload, fastest().name), Some(least), "{}", workload.name);
            let least = if workload.name == "stream" { 4.0 } else { 8.0 };
            assert_eq!(target(&workload, "ort-webgpu"), Some(least), "{}", workload.name);
        }
    }

    #[test]
    fn every_cpu_peer_has_a_column_too() {
        for peer in CPU_PEERS {
            assert!(RATIOS.iter().any(|ratio| ratio.peers == [peer] && ratio.ours == "ours-cpu"), "{peer}");
        }
    }
}
