//! Runs the same networks on wgpu-lstm and its peers, and writes the table, the picture and the data.
//!
//! Started by `benches/peers/run`, which builds and installs what this needs.

mod child;
mod picture;
mod record;
mod table;
mod workloads;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use protocol::Workload;

use child::{Process, Program};
use record::{Adapter, Entry, Outcome, Record};

/// Errors of float32 against float64 stay below 1e-6 on these networks; a wrong gate is off by 1e-2.
const TOLERANCE: f64 = 1e-5;
/// A peer with slower calls than this, in seconds, is timed `FEW_ROUNDS` times, and the record says so.
const SLOW: f64 = 3.0;
const FEW_ROUNDS: usize = 3;
/// Before each call: the machine comes to rest.
const PAUSE: Duration = Duration::from_millis(60);

#[derive(Parser)]
struct Options {
    /// Only this workload; may be given several times.
    #[arg(long)]
    workload: Vec<String>,
    /// Timed calls of each peer on each workload.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only these peers, separated by commas.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Seconds to wait for any one answer, compiling and tuning included.
    #[arg(long, default_value_t = 900)]
    patience: u64,
    /// Where peers.md, peers.json and peers.svg are written.
    #[arg(long)]
    record: PathBuf,
    /// The Python interpreter that has the Python peers' packages.
    #[arg(long)]
    python: PathBuf,
    /// The folder with model.py and peer.py.
    #[arg(long)]
    scripts: PathBuf,
}

fn programs(options: &Options) -> Result<Vec<Program>> {
    let here = std::env::current_exe()?.with_file_name("");
    let rust = |name, file: &str, argument: &[&str]| Program {
        name,
        command: [here.join(file).display().to_string()]
            .into_iter()
            .chain(argument.iter().map(|&argument| argument.to_owned()))
            .collect(),
    };
    let python = |name: &'static str| Program {
        name,
        command: vec![
            options.python.display().to_string(),
            options.scripts.join("peer.py").display().to_string(),
            name.to_owned(),
        ],
    };
    let mut all = vec![
        rust("ours-gpu", "peer-ours", &["gpu"]),
        python("ort-webgpu"),
        python("torch-cuda"),
        rust("burn", "peer-burn", &[]),
        rust("ours-cpu", "peer-ours", &["cpu"]),
        python("ort-cpu"),
        python("openvino"),
        python("torch"),
        rust("tract", "peer-cpu", &["tract"]),
        rust("rten", "peer-cpu", &["rten"]),
        rust("candle", "peer-cpu", &["candle"]),
    ];
    for name in &options.peers {
        ensure!(all.iter().any(|program| program.name == name), "there is no peer {name}");
    }
    all.retain(|program| options.peers.is_empty() || options.peers.iter().any(|name| name == program.name));
    Ok(all)
}

/// Standard output of a command, or why there is none.
fn output_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Measures the adapter's limits; asked before each workload, as other programs may slow down any one.
fn adapter() -> Result<Adapter> {
    let ours = std::env::current_exe()?.with_file_name("peer-ours");
    Ok(serde_json::from_str(&output_of(Command::new(ours).arg("limits"))?)?)
}

fn commit() -> Result<String> {
    let revision = output_of(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))?;
    let changes = output_of(Command::new("git").args(["status", "--porcelain", "--", ":!benches/record"]))?;
    Ok(if changes.is_empty() { revision } else { revision + ", with uncommitted changes" })
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.to_owned())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One peer on the workload in hand: warm and right, with the times so far.
struct Runner {
    name: &'static str,
    process: Process,
    rounds: usize,
    error: f64,
    note: String,
    seconds: Vec<f64>,
}

impl Runner {
    /// Loads, checks the result against the truth, and warms up.
    fn start(program: &Program, folder: &Path, truth: &[f64], options: &Options) -> Result<Self> {
        let mut process = Process::start(program, Duration::from_secs(options.patience))?;
        let note = process.load(folder)?;
        let error = process.check(folder, truth, TOLERANCE)?;
        // once more: the checked call compiled and tuned
        let warm = process.run(None)?;
        let rounds = if warm > SLOW { options.rounds.min(FEW_ROUNDS) } else { options.rounds };
        Ok(Self { name: program.name, process, rounds, error, note, seconds: Vec::new() })
    }
}

/// Times every peer in turn, round after round.
fn compare(
    workload: &Workload,
    programs: &[Program],
    folder: &Path,
    truth: &[f64],
    options: &Options,
) -> Entry {
    let mut outcomes = BTreeMap::new();
    let mut runners = Vec::new();
    for program in programs {
        match Runner::start(program, folder, truth, options) {
            Ok(runner) => runners.push(runner),
            Err(error) => {
                outcomes.insert(program.name, Outcome::Failed(format!("{error:#}")));
            }
        }
    }
    for round in 0..options.rounds {
        for runner in runners.iter_mut().filter(|runner| round < runner.rounds) {
            std::thread::sleep(PAUSE);
            match runner.process.run(None) {
                Ok(seconds) => runner.seconds.push(seconds),
                Err(error) => {
                    runner.rounds = 0;
                    outcomes.insert(runner.name, Outcome::Failed(format!("round {round}: {error:#}")));
                }
            }
        }
    }
    for Runner { name, rounds, error, note, seconds, .. } in runners {
        if rounds > 0 {
            let ms = median(seconds) * 1e3;
            outcomes.insert(name, Outcome::Timed { ms, rounds, error, note });
        }
    }
    Entry { workload: workload.clone(), operations: workloads::operations(workload), outcomes }
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.rounds > 0, "no rounds give no median");
    let mut workloads = workloads::all();
    for name in &options.workload {
        ensure!(workloads.iter().any(|workload| workload.name == *name), "there is no workload {name}");
    }
    workloads.retain(|workload| options.workload.is_empty() || options.workload.contains(&workload.name));
    let mut programs = programs(&options)?;
    let peers: Vec<_> = programs
        .iter()
        .map(|program| {
            let about = Process::start(program, Duration::from_secs(options.patience))
                .map(|process| process.about.clone());
            (program.name, about.map_err(|error| format!("{error:#}")))
        })
        .collect();
    programs.retain(|program| peers.iter().any(|(name, about)| *name == program.name && about.is_ok()));

    let temporary = tempfile::tempdir()?;
    let mut record = Record {
        date: output_of(Command::new("date").args(["-u", "+%F %R UTC"]))?,
        commit: commit()?,
        cpu: cpu(),
        cores: std::thread::available_parallelism()?.get(),
        adapter: adapter().map_err(|error| format!("{error:#}")),
        peers,
        entries: Vec::new(),
    };
    for workload in &workloads {
        if let (Ok(best), Ok(again)) = (&mut record.adapter, adapter()) {
            best.improve(&again);
        }
        let folder = temporary.path().join(&workload.name);
        let truth = workloads::prepare(workload, &folder)?;
        output_of(Command::new(&options.python).arg(options.scripts.join("model.py")).arg(&folder))?;
        let entry = compare(workload, &programs, &folder, &truth, &options);
        let times = entry.outcomes.iter().map(|(name, outcome)| match outcome.ms() {
            Some(ms) => format!("{name} {ms:.3} ms"),
            None => format!("{name} failed"),
        });
        eprintln!("{}: {}", workload.name, times.collect::<Vec<_>>().join(", "));
        record.entries.push(entry);
    }

    std::fs::create_dir_all(&options.record)?;
    let table = table::markdown(&record)?;
    print!("{table}");
    std::fs::write(options.record.join("peers.md"), table)?;
    std::fs::write(options.record.join("peers.json"), serde_json::to_string_pretty(&record)? + "\n")?;
    std::fs::write(options.record.join("peers.svg"), picture::svg(&record)?)?;
    Ok(())
}
