//! Sequences to try the functions with, and a network for them.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use datafusion::arrow::array::{FixedSizeListBuilder, Float32Builder, Int64Array, ListBuilder, RecordBatch};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{LstmConfig, LstmWeights};

/// Rows of a record batch, and of a row group.
const BATCH_ROWS: usize = 4096;
/// One row in so many is null, and one is empty.
const RARE: u64 = 1000;

/// Makes Parquet files of ragged sequences in FOLDER/sequences, and a network in FOLDER/model.safetensors.
#[derive(Clone, Debug, clap::Args)]
pub struct Data {
    /// The folder; it is created.
    #[arg(long)]
    pub folder: PathBuf,
    /// Sequences in all.
    #[arg(long, default_value_t = 100_000)]
    pub rows: usize,
    /// Files that share them.
    #[arg(long, default_value_t = 8)]
    pub files: usize,
    /// I, the values of a vector.
    #[arg(long, default_value_t = 16)]
    pub input_size: usize,
    /// H of the network.
    #[arg(long, default_value_t = 64)]
    pub hidden_size: usize,
    /// Sequences have from 1 to so many vectors.
    #[arg(long, default_value_t = 40)]
    pub longest: usize,
}

impl Data {
    /// Makes the files, and returns what was made, as text.
    ///
    /// # Errors
    ///
    /// If a size is 0 or a file can't be written.
    pub fn make(&self) -> Result<String> {
        ensure!(
            self.rows.min(self.files).min(self.longest) > 0,
            "rows, files and longest must be at least 1"
        );
        let sequences = self.folder.join("sequences");
        std::fs::create_dir_all(&sequences).with_context(|| format!("the folder {}", sequences.display()))?;
        let weights = LstmWeights::uniform(&LstmConfig::new(self.input_size, self.hidden_size), 14)?;
        let model = self.folder.join("model.safetensors");
        std::fs::write(&model, weights.to_safetensors("")?)
            .with_context(|| format!("writing {}", model.display()))?;
        let bound = |file| file * self.rows / self.files;
        let mut vectors = 0;
        for file in 0..self.files {
            let path = sequences.join(format!("part-{file:03}.parquet"));
            vectors += self
                .write(&path, bound(file)..bound(file + 1))
                .with_context(|| path.display().to_string())?;
        }
        Ok(format!("{} sequences of {vectors} vectors in {}", self.rows, sequences.display()))
    }

    /// Writes the rows of some ids, and returns how many vectors they have.
    fn write(&self, path: &Path, ids: Range<usize>) -> Result<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(ids.start as u64);
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(BATCH_ROWS)).build();
        let mut writer = None;
        let mut vectors = 0;
        for start in ids.clone().step_by(BATCH_ROWS) {
            let (batch, count) = self.batch(start..ids.end.min(start + BATCH_ROWS), &mut rng)?;
            vectors += count;
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(ArrowWriter::try_new(
                    File::create(path)?,
                    batch.schema(),
                    Some(properties.clone()),
                )?),
            };
            writer.write(&batch)?;
        }
        writer.map(ArrowWriter::close).transpose()?;
        Ok(vectors)
    }

    fn batch(&self, ids: Range<usize>, rng: &mut ChaCha8Rng) -> Result<(RecordBatch, usize)> {
        let width = i32::try_from(self.input_size)?;
        let mut frames = ListBuilder::new(FixedSizeListBuilder::new(Float32Builder::new(), width));
        let mut vectors = 0;
        for _ in ids.clone() {
            let kind = rng.random_range(0..RARE);
            let steps = if kind < 2 { 0 } else { rng.random_range(1..=self.longest) };
            for _ in 0..steps {
                let values = frames.values();
                (0..width).for_each(|_| values.values().append_value(rng.random_range(-1.0..1.0)));
                values.append(true);
            }
            vectors += steps;
            frames.append(kind != 0);
        }
        let ids = Int64Array::from_iter_values(ids.map(|id| id as i64));
        Ok((
            RecordBatch::try_from_iter([
                ("id", Arc::new(ids) as _),
                ("frames", Arc::new(frames.finish()) as _),
            ])?,
            vectors,
        ))
    }
}
