//! Two results, bit by bit.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use datafusion::common::ScalarValue;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Compares two Parquet files: the same rows, each once, with the same bits in every column. Returns a line of text.
///
/// # Errors
///
/// With the first row that differs, and how many do.
pub async fn files(one: &Path, other: &Path, key: &str) -> Result<String> {
    let [a, b] = [one, other].map(|path| read(path).with_context(|| path.display().to_string()));
    let (a, b) = (a?, b?);
    batches(&a, &b, key)?;
    Ok(format!("{} rows, each once, are the same to the bit", a.num_rows()))
}

/// All rows of a Parquet file.
///
/// # Errors
///
/// If the file can't be read.
pub fn read(path: &Path) -> Result<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
    let schema = datafusion::arrow::array::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// As [`files`], for record batches in any order of their rows.
///
/// # Errors
///
/// As for [`files`].
pub fn batches(a: &RecordBatch, b: &RecordBatch, key: &str) -> Result<()> {
    ensure!(a.num_rows() == b.num_rows(), "{} rows, and {}", a.num_rows(), b.num_rows());
    let (a, b) = (sorted(a, key)?, sorted(b, key)?);
    ensure!(a.num_columns() == b.num_columns(), "{} columns, and {}", a.num_columns(), b.num_columns());
    let keys = a.column_by_name(key).context("sorted by it")?;
    for row in 1..a.num_rows() {
        ensure!(keys.slice(row, 1) != keys.slice(row - 1, 1), "{key} {} comes twice", name(keys, row)?);
    }
    for (column, field) in a.schema().fields().iter().enumerate() {
        let (x, y) = (a.column(column), b.column(column));
        let other = b.schema().field(column).name().clone();
        ensure!(*field.name() == other, "column {column} is {:?}, and {other:?}", field.name());
        ensure!(
            x.data_type() == y.data_type(),
            "{} is {}, and {}",
            field.name(),
            x.data_type(),
            y.data_type()
        );
        // Arrow compares the bytes of numbers: -0 is not 0, and a NaN is itself.
        if x != y {
            let differ: Vec<_> = (0..a.num_rows()).filter(|&r| x.slice(r, 1) != y.slice(r, 1)).collect();
            let first = differ.first().context("the columns differ, but no row does")?;
            anyhow::bail!(
                "column {}: {} of {} rows differ, {key} {} the first of them",
                field.name(),
                differ.len(),
                a.num_rows(),
                name(keys, *first)?
            );
        }
    }
    Ok(())
}

fn sorted(batch: &RecordBatch, key: &str) -> Result<RecordBatch> {
    let keys = batch.column_by_name(key).with_context(|| format!("there is no column {key:?}"))?;
    Ok(take_record_batch(batch, &sort_to_indices(keys, None, None)?)?)
}

fn name(keys: &ArrayRef, row: usize) -> Result<String> {
    Ok(ScalarValue::try_from_array(keys, row)?.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Float32Array, Int64Array};

    use super::*;

    fn batch(ids: &[i64], values: &[f32]) -> RecordBatch {
        let ids = Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef;
        let values = Arc::new(Float32Array::from(values.to_vec())) as ArrayRef;
        RecordBatch::try_from_iter([("id", ids), ("y", values)]).unwrap()
    }

    #[test]
    fn only_the_same_bits_are_the_same() {
        let nan = f32::NAN;
        let one = batch(&[2, 1, 3], &[nan, 0.0, 5.0]);
        batches(&one, &batch(&[1, 2, 3], &[0.0, nan, 5.0]), "id").unwrap();
        let error = |other: RecordBatch| batches(&one, &other, "id").unwrap_err().to_string();
        let differs = "column y: 1 of 3 rows differ, id";
        assert_eq!(error(batch(&[1, 2, 3], &[-0.0, nan, 5.0])), format!("{differs} 1 the first of them"));
        assert_eq!(error(batch(&[1, 2, 3], &[0.0, 1.0, 5.0])), format!("{differs} 2 the first of them"));
        let next = f32::from_bits(5.0_f32.to_bits() + 1);
        assert_eq!(error(batch(&[1, 2, 3], &[0.0, nan, next])), format!("{differs} 3 the first of them"));
        assert_eq!(error(batch(&[1, 2], &[0.0, nan])), "3 rows, and 2");
        let renamed =
            RecordBatch::try_from_iter([("id", one.column(0).clone()), ("z", one.column(1).clone())]);
        assert_eq!(error(renamed.unwrap()), "column 1 is \"y\", and \"z\"");
        assert!(error(batch(&[1, 2, 4], &[0.0, nan, 5.0])).contains("column id: 1 of 3 rows differ"));
        let twice = batch(&[1, 1, 3], &[0.0, 0.0, 5.0]);
        assert_eq!(batches(&twice, &twice, "id").unwrap_err().to_string(), "id 1 comes twice");
    }
}
