//! A place to stop a computation at, for tests that end a process in the middle of its work.

use std::path::PathBuf;
use std::str::FromStr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;

/// Stops the process's computation once it has computed some rows: it creates the file `reached` in a folder, and goes
/// on when there is a file `go`.
#[derive(Clone, Debug)]
pub struct Pause {
    /// Rows that are computed before.
    pub rows: u64,
    /// Where the two files are.
    pub folder: PathBuf,
}

impl Pause {
    /// Waits, if `computed` rows are enough.
    pub(crate) fn wait(&self, computed: u64) {
        if computed < self.rows || self.folder.join("go").exists() {
            return;
        }
        if let Err(error) = std::fs::write(self.folder.join("reached"), computed.to_string()) {
            log::error!("the pause can't be marked in {}: {error}", self.folder.display());
            return;
        }
        while !self.folder.join("go").exists() {
            sleep(Duration::from_millis(10));
        }
    }
}

impl FromStr for Pause {
    type Err = anyhow::Error;

    /// `ROWS:FOLDER`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (rows, folder) = text.split_once(':').context("a pause is written ROWS:FOLDER")?;
        let rows = rows.parse().with_context(|| format!("{rows:?} is not a number of rows"))?;
        Ok(Self { rows, folder: folder.into() })
    }
}
