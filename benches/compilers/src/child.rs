//! A driver's process, from outside: it may crash or hang on a shader, and is then started anew for the next.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

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
    fn start(mut command: Command) -> Result<(Self, About)> {
        // what drivers write on standard error is about the hardware that is not there
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
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
        let about = process.answer(PATIENCE).with_context(|| format!("{command:?} did not start"))?;
        let about = serde_json::from_str(&about)?;
        Ok((process, about))
    }

    fn answer(&mut self, patience: Duration) -> Result<String> {
        match self.answers.recv_timeout(patience) {
            Ok(line) => Ok(line?),
            Err(RecvTimeoutError::Timeout) => bail!("no answer within {patience:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the driver's process ended: {}", self.child.wait()?)
            }
        }
    }

    fn compile(&mut self, shader: &str, patience: Duration) -> Result<String> {
        // a process that has ended says more in its status than the pipe does
        let _ = writeln!(self.requests, "{shader}");
        self.answer(patience)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GPU's compiler.
pub struct Compiler<F> {
    command: F,
    patience: Duration,
    process: Option<Process>,
    pub about: About,
}

impl<F: Fn() -> Result<Command>> Compiler<F> {
    /// `command` starts a driver's process.
    pub fn new(command: F) -> Result<Self> {
        let (process, about) = Process::start(command()?)?;
        Ok(Self { command, patience: PATIENCE, process: Some(process), about })
    }

    pub fn compile(&mut self, shader: &Shader) -> Result<Report> {
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(Process::start((self.command)()?)?.0),
        };
        match process.compile(&serde_json::to_string(shader)?, self.patience) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A driver that answers once, and then does what `next` says.
    fn fake(next: &str) -> impl Fn() -> Result<Command> {
        let script = format!(
            r#"echo '{{"adapter":"fake","driver":"1"}}'; read -r line; echo '{{"Ok":[]}}'; read -r line; {next}"#
        );
        move || {
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            Ok(command)
        }
    }

    fn shader() -> Shader {
        Shader { entry_point: "main".to_owned(), spirv: vec![1, 2], bindings: vec![(0, true)] }
    }

    #[test]
    fn a_driver_that_crashes_is_started_anew() {
        let mut compiler = Compiler::new(fake("exit 3")).expect("sh");
        assert_eq!(compiler.about.adapter, "fake");
        assert!(compiler.compile(&shader()).is_ok());
        let error = compiler.compile(&shader()).expect_err("it exited");
        assert_eq!(error.to_string(), "the driver's process ended: exit status: 3");
        assert!(compiler.compile(&shader()).is_ok());
    }

    #[test]
    fn a_driver_that_hangs_is_started_anew() {
        let mut compiler = Compiler::new(fake("exec sleep 1000")).expect("sh");
        assert!(compiler.compile(&shader()).is_ok());
        compiler.patience = Duration::from_millis(20);
        let error = compiler.compile(&shader()).expect_err("it sleeps");
        assert_eq!(error.to_string(), "no answer within 20ms");
        compiler.patience = PATIENCE;
        assert!(compiler.compile(&shader()).is_ok());
    }

    #[test]
    fn a_shader_that_a_driver_refuses_leaves_it_running() {
        let mut compiler =
            Compiler::new(fake(r#"echo '{"Err":"out of registers"}'; read -r line; echo '{"Ok":[]}'; cat"#))
                .expect("sh");
        assert!(compiler.compile(&shader()).is_ok());
        let error = compiler.compile(&shader()).expect_err("it says so");
        assert_eq!(error.to_string(), "out of registers");
        assert!(compiler.compile(&shader()).is_ok());
    }
}
