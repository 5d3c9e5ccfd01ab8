//! A peer's process.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use protocol::{Hello, Reply, Request};

/// A peer: how it is called in the table and how it is started.
pub struct Program {
    pub name: &'static str,
    pub command: Vec<String>,
}

/// One running peer; it ends when this is dropped.
pub struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<std::io::Result<String>>,
    patience: Duration,
    pub about: String,
}

impl Process {
    /// Starts it and hears what it is. No later answer may take longer than `patience`.
    pub fn start(program: &Program, patience: Duration) -> Result<Self> {
        let (path, arguments) = program.command.split_first().context("a command has a path")?;
        let mut child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {path}"))?;
        let stdin = child.stdin.take().context("stdin is a pipe")?;
        let stdout = BufReader::new(child.stdout.take().context("stdout is a pipe")?);
        // a thread of its own reads, so that waiting can end: this one may be stuck in a driver's compiler
        let (sender, lines) = channel();
        thread::spawn(move || stdout.lines().try_for_each(|line| sender.send(line)));
        let mut process = Self { child, stdin, lines, patience, about: String::new() };
        match process.hear::<Hello>()?.about {
            Ok(about) => process.about = about,
            Err(reason) => bail!(reason),
        }
        Ok(process)
    }

    fn hear<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let line = match self.lines.recv_timeout(self.patience) {
            Ok(line) => line?,
            Err(RecvTimeoutError::Timeout) => bail!("no answer in {} s", self.patience.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("its process ended, {}", self.child.wait()?),
        };
        serde_json::from_str(&line).with_context(|| format!("it said {line:?}"))
    }

    fn ask(&mut self, request: &Request) -> Result<Reply> {
        self.wake();
        // a process that ended shows when it is heard
        let _ = writeln!(self.stdin, "{}", serde_json::to_string(request)?);
        let reply = self.hear();
        self.suspend();
        reply
    }

    /// Between its answers a peer does not run at all: threads that wait by spinning would take the others' cores.
    #[cfg(unix)]
    fn suspend(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    #[cfg(unix)]
    fn wake(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        // a process that ended shows when it is heard
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal);
    }

    #[cfg(not(unix))]
    fn suspend(&self) {}

    #[cfg(not(unix))]
    fn wake(&self) {}

    /// Prepares a workload; what it returns is for the record.
    pub fn load(&mut self, folder: &Path) -> Result<String> {
        match self.ask(&Request::Load(folder.to_owned()))? {
            Reply::Ready(note) => Ok(note),
            reply => bail!(complaint(reply)),
        }
    }

    /// Seconds a call.
    pub fn run(&mut self, save: Option<&Path>) -> Result<f64> {
        match self.ask(&Request::Run(save.map(Path::to_owned)))? {
            Reply::Seconds(seconds) => Ok(seconds),
            reply => bail!(complaint(reply)),
        }
    }

    /// Runs once and fails unless every element lies within `tolerance` of the truth. Returns the largest
    /// error.
    pub fn check(&mut self, folder: &Path, truth: &[f64], tolerance: f64) -> Result<f64> {
        let path = folder.join("answer.f32");
        self.run(Some(&path))?;
        let answer = protocol::read_f32(&path)?;
        std::fs::remove_file(&path)?;
        ensure!(answer.len() == truth.len(), "{} numbers came, not {}", answer.len(), truth.len());
        let errors = answer.iter().zip(truth).map(|(&a, &t)| (f64::from(a) - t).abs());
        // in the total order a NaN is the largest
        let worst = errors.max_by(f64::total_cmp).context("there is output")?;
        ensure!(worst <= tolerance, "wrong result: off by {worst:.1e}");
        Ok(worst)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn complaint(reply: Reply) -> String {
    match reply {
        Reply::Error(message) => message,
        other => format!("it answered out of turn: {other:?}"),
    }
}
