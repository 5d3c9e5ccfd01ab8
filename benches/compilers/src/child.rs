//! A driver's process, from outside: it may crash or hang on a shader, and is then started anew for the next.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::gpu::Gpu;
use crate::translate::Shader;
use crate::vulkan::{About, Report};

/// The largest pipeline takes some seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// A started driver. Ends with this value.
struct Process {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<std::io::Result<String>>,
}

impl Process {
    fn start(gpu: Gpu, drivers: &Path) -> Result<(Self, About)> {
        let program = std::env::current_exe()?;
        let mut command = gpu.command(&program, drivers);
        // what drivers write on standard error is about the hardware that is not there
        command.arg("driver").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let requests = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let (sender, answers) = channel();
        // ends when the process or the receiver does
        std::thread::spawn(move || {
            for line in output.lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut process = Self { child, requests, answers };
        let about = process.answer().with_context(|| format!("{} did not start", gpu.name))?;
        let about = serde_json::from_str(&about)?;
        Ok((process, about))
    }

    fn answer(&mut self) -> Result<String> {
        match self.answers.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line?),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                bail!("no answer within {} s", PATIENCE.as_secs())
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                bail!("the driver's process ended: {}", self.child.wait()?)
            }
        }
    }

    fn compile(&mut self, shader: &str) -> Result<String> {
        // a process that has ended says more in its status than the pipe does
        let _ = writeln!(self.requests, "{shader}");
        self.answer()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GPU's compiler.
pub struct Compiler<'a> {
    gpu: Gpu,
    drivers: &'a Path,
    process: Option<Process>,
    pub about: About,
}

impl<'a> Compiler<'a> {
    pub fn new(gpu: Gpu, drivers: &'a Path) -> Result<Self> {
        let (process, about) = Process::start(gpu, drivers)?;
        Ok(Self { gpu, drivers, process: Some(process), about })
    }

    pub fn compile(&mut self, shader: &Shader) -> Result<Report> {
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(Process::start(self.gpu, self.drivers)?.0),
        };
        match process.compile(&serde_json::to_string(shader)?) {
            Ok(answer) => {
                serde_json::from_str::<Result<Report, String>>(&answer)?.map_err(|error| anyhow!(error))
            }
            Err(error) => {
                self.process = None;
                Err(error)
            }
        }
    }
}
