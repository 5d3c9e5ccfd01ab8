//! The same computation without an engine, to measure what an engine costs.

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::compute::{Part, compute};
use crate::models::Models;
use crate::query::Outcome;
use crate::spec::{DeviceChoice, ModelSpec};

/// Computes lstm_last of Parquet files one after the other. The time is that of the network alone.
#[derive(Clone, Debug, clap::Args)]
pub struct Plain {
    /// The network, NAME=FILE or NAME=FILE#PREFIX.
    #[arg(long, value_name = "NAME=FILE[#PREFIX]")]
    model: ModelSpec,
    /// What computes it.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
    /// The column of sequences.
    #[arg(long, default_value = "frames")]
    column: String,
    /// Rows of a record batch.
    #[arg(long, default_value_t = 8192)]
    batch_size: usize,
    /// Parquet files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Plain {
    /// Reads all files into memory, then computes them.
    ///
    /// # Errors
    ///
    /// For a file that can't be read, and as for the functions.
    pub async fn run(&self) -> Result<Outcome> {
        let models = Models::load(std::slice::from_ref(&self.model), self.device)?;
        let model = models.get(&self.model.name)?;
        let start = Instant::now();
        let mut batches = Vec::new();
        for path in &self.files {
            batches.extend(self.read(path).with_context(|| path.display().to_string())?);
        }
        println!("{:.3} s to read", start.elapsed().as_secs_f64());
        // The network is made before the clock starts, as in an executor that has run a query.
        if let Some(batch) = batches.first() {
            compute(&models, model, &self.sequences(batch)?.slice(0, 1), Part::Last)?;
        }
        let start = Instant::now();
        let mut rows = 0;
        for batch in &batches {
            rows += compute(&models, model, &self.sequences(batch)?, Part::Last)?.len() as u64;
        }
        Ok(Outcome { rows, seconds: start.elapsed().as_secs_f64() })
    }

    fn read(&self, path: &PathBuf) -> Result<Vec<RecordBatch>> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        Ok(builder.with_batch_size(self.batch_size).build()?.collect::<Result<_, _>>()?)
    }

    fn sequences(&self, batch: &RecordBatch) -> Result<datafusion::arrow::array::ArrayRef> {
        Ok(batch
            .column_by_name(&self.column)
            .with_context(|| format!("there is no column {:?}", self.column))?
            .clone())
    }
}
