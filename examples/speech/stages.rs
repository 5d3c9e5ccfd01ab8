//! How long each stage took, and a bar to watch while a long one runs.

use std::fmt;
use std::io::{IsTerminal, stderr, stdout};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The stages so far, in the order they ran.
#[derive(Default)]
pub struct Stages(Vec<(String, Duration)>);

impl Stages {
    /// Runs one stage and returns its result.
    pub fn run<T>(&mut self, name: impl Into<String>, stage: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = stage();
        self.0.push((name.into(), start.elapsed()));
        result
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, time) in &self.0 {
            writeln!(f, "  {name:<28} {:>9.1} ms", time.as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

/// Recordings of at least so many chunks get a bar: 10 minutes, in chunks of 32 ms.
const LONG: usize = 10 * 60 * 1000 / 32;

/// A bar over so many chunks; hidden for short recordings, and where standard error is no terminal.
pub fn bar(chunks: usize) -> Result<ProgressBar, indicatif::style::TemplateError> {
    if chunks < LONG || !stdout().is_terminal() || !stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{spinner} {msg:<8} {bar:40} {percent:>3} %  {elapsed}")?;
    let bar = ProgressBar::new(chunks as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    Ok(bar)
}
