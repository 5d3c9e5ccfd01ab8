//! Processes of a cluster on this machine, which end with their test.

#![allow(dead_code, reason = "each test program uses a part")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use lstm_cluster::data::Data;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A wait that takes longer has hung. It bounds failures only: what passes takes seconds.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub const ROWS: usize = 4000;

/// Sequences, their network, and a place for results.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = Data {
            folder: folder.path().to_owned(),
            rows: ROWS,
            files: 8,
            input_size: 6,
            hidden_size: 20,
            longest: 12,
        };
        data.make().expect("sequences");
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The option that registers the network as `m`.
    pub fn model(&self) -> String {
        format!("--model=m={}", self.text("model.safetensors"))
    }

    pub fn sequences(&self) -> String {
        self.text("sequences/*.parquet")
    }

    /// Every sequence's last state.
    pub fn last(&self) -> String {
        format!("SELECT id, lstm_last('m', frames) AS last FROM '{}'", self.sequences())
    }

    /// Runs a query in one process into a file.
    pub fn local(&self, query: &str, output: &str) -> PathBuf {
        let path = self.path(output);
        let run = program()
            .arg("local")
            .arg(self.model())
            .args(["--query", query])
            .arg("--output")
            .arg(&path)
            .output();
        let run = run.expect("the program runs");
        assert!(run.status.success(), "{}", stderr(&run));
        path
    }
}

pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lstm-cluster"))
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that is killed when its value is dropped, on a panic, too.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Process {
    pub fn start(bench: &Bench, name: &str, args: &[String]) -> Self {
        let log = bench.path(&format!("{name}.log"));
        let mut command = program();
        command
            .args(args)
            .env("RUST_LOG", "info,ballista_core::execution_plans=debug")
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"));
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line); // the test may have ended
            }
        });
        Self { child, lines, log }
    }

    /// The first line that begins so.
    #[track_caller]
    pub fn line(&self, start: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no line {start:?}: {}", self.log()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without a line {start:?}: {}", self.log())
                }
            }
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log has these words.
    #[track_caller]
    pub fn logs(&self, words: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "no {words:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a process of ours");
    }

    /// Waits until the process ends.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < end, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// Waits for a client, and returns what it said if it failed.
#[track_caller]
pub fn finish(mut client: Child) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while client.try_wait().expect("a child").is_none() {
        if Instant::now() > end {
            let _ = client.kill(); // it may have ended
            let _ = client.wait();
            panic!("the client hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = client.wait_with_output().expect("a child");
    output.status.success().then_some(()).ok_or_else(|| stderr(&output))
}

/// What an executor is given beside the usual options.
#[derive(Clone, Default)]
pub struct Special {
    pub scheduler: Vec<String>,
    pub executor: Vec<String>,
    /// Executors stop after so many rows.
    pub pause: Option<u64>,
    pub executors: usize,
}

/// A scheduler and executors with a core each, on free ports of this machine.
pub struct Cluster {
    pub port: String,
    pub executors: Vec<Process>,
    pub scheduler: Process,
}

impl Cluster {
    pub fn start(bench: &Bench) -> Self {
        Self::special(bench, &Special { executors: 2, ..Special::default() })
    }

    pub fn special(bench: &Bench, special: &Special) -> Self {
        let with_model = |args: &[String], own: &[&str]| {
            let mut all: Vec<_> = own.iter().map(|&arg| arg.to_owned()).collect();
            all.extend_from_slice(args);
            if !args.iter().any(|arg| arg.starts_with("--model")) {
                all.push(bench.model());
            }
            all
        };
        let args = with_model(&special.scheduler, &["scheduler", "--port=0"]);
        let scheduler = Process::start(bench, "scheduler", &args);
        let port = scheduler.line("scheduler listens").rsplit_once(':').expect("an address").1.to_owned();
        let executors = (0..special.executors).map(|index| {
            let name = format!("executor-{index}");
            let work_dir = bench.path(&name);
            std::fs::create_dir_all(&work_dir).expect("a folder");
            let scheduler = format!("--scheduler-port={port}");
            let own = format!("--work-dir={}", work_dir.join("work").display());
            let mut args = with_model(&special.executor, &["executor", "--vcores=1", &scheduler, &own]);
            if let Some(rows) = special.pause {
                args.push(format!("--pause={rows}:{}", work_dir.display()));
            }
            Process::start(bench, &name, &args)
        });
        let executors: Vec<_> = executors.collect();
        executors.iter().for_each(|executor| drop(executor.line("executor ")));
        Self { port, executors, scheduler }
    }

    /// A client with a query, its result checked for completeness.
    pub fn client(&self, bench: &Bench, query: &str, output: &str, more: &[&str]) -> Command {
        let mut command = program();
        command.args([
            "client",
            &bench.model(),
            "--query",
            query,
            "--unique=id",
            "--scheduler-port",
            &self.port,
        ]);
        command.arg("--rows-of").arg(bench.sequences()).arg("--output").arg(bench.path(output));
        command.args(["--set=datafusion.execution.target_partitions=8"]).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a client to its end, which must be a good one.
    #[track_caller]
    pub fn run(&self, bench: &Bench, query: &str, output: &str) -> PathBuf {
        let client = self.client(bench, query, output, &[]).spawn().expect("the client runs");
        finish(client).expect("rows");
        bench.path(output)
    }

    /// Runs a client to its end, which must be an error, and returns its words. No file may be left.
    #[track_caller]
    pub fn error(&self, bench: &Bench, query: &str, more: &[&str]) -> String {
        let client = self.client(bench, query, "error.parquet", more).spawn().expect("the client runs");
        let error = finish(client).expect_err("an error");
        assert!(!bench.path("error.parquet").exists(), "a failed query leaves no result");
        error
    }
}

/// Waits until an executor has stopped in the middle of its work.
#[track_caller]
pub fn reached(bench: &Bench, executor: usize) {
    let marker = bench.path(&format!("executor-{executor}/reached"));
    let end = Instant::now() + PATIENCE;
    while !marker.exists() {
        assert!(Instant::now() < end, "executor {executor} was given no rows");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Lets an executor go on.
pub fn go(bench: &Bench, executor: usize) {
    std::fs::write(bench.path(&format!("executor-{executor}/go")), "").expect("a marker");
}

/// Whether both files have the same rows, each once, with the same bits.
#[track_caller]
pub fn assert_same_bits(one: &Path, other: &Path) {
    let [a, b] = [one, other].map(|path| lstm_cluster::compare::read(path).expect("a result"));
    assert_eq!(a.num_rows(), ROWS);
    lstm_cluster::compare::batches(&a, &b, "id").expect("the same bits");
}
