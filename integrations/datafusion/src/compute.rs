//! Batches → columns: what the two functions return.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, ListArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use ndarray::{Array3, s};
use wgpu_lstm::{Error, LstmState};

use crate::chunks::{Chunks, batch};
use crate::models::{Model, Models};
use crate::sequences::{Expected, Sequences};

/// Which part of the output a function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// The last hidden state of the last layer: its D directions side by side.
    Last,
    /// The output of every time step.
    All,
}

impl Part {
    /// The type of the result for a network whose output is `width` wide.
    pub(crate) fn data_type(self, width: usize) -> Result<DataType> {
        let size = i32::try_from(width).map_err(|_| too_large("vector", width))?;
        let vector = DataType::FixedSizeList(item(DataType::Float32), size);
        Ok(match self {
            Self::Last => vector,
            Self::All => DataType::List(item(vector)),
        })
    }
}

fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type, true))
}

fn too_large(what: &str, len: usize) -> DataFusionError {
    DataFusionError::Execution(format!(
        "a {what} of {len} is more than a column can hold: lower \
        datafusion.execution.batch_size"
    ))
}

/// Computes the sequences of a record batch. A null or an empty sequence gives a null.
///
/// # Errors
///
/// `Execution`, which the engine does not retry: for what [`Sequences::new`] refuses, and for what the device can't
/// compute, with the rows and the device's message.
pub(crate) fn compute(models: &Models, model: &Model, column: &ArrayRef, part: Part) -> Result<ArrayRef> {
    let (width, out_width) = (model.input_size(), model.output_width());
    let sequences = Sequences::new(column, Expected { model: model.name(), width })?;
    let steps: Vec<_> =
        (0..sequences.len()).map(|r| sequences.row(r).map_or(0, |row| row.len() / width)).collect();
    let mut results = Results::new(&steps, part, out_width)?;
    let chunks = Chunks::new(&steps, width + out_width, models.chunk_bytes());
    for range in chunks.ranges {
        let rows = &chunks.order[range];
        let (output, state) = run(models, model, &sequences, rows, &steps)
            .map_err(|error| failed(model, rows, column.len(), &error))?;
        results.add(rows, &output, &state, model);
        models.count(rows.len());
    }
    results.finish()
}

/// Output (B, T, D·O) and states of one chunk.
fn run(
    models: &Models,
    model: &Model,
    sequences: &Sequences,
    rows: &[usize],
    steps: &[usize],
) -> Result<(Array3<f32>, LstmState), Error> {
    let lengths: Vec<_> = rows.iter().map(|&r| steps[r]).collect();
    let Some(input) = batch(sequences, rows, model.input_size()) else {
        return Err(Error::SizeOverflow { what: "the padded input of a chunk" });
    };
    let is_ragged = lengths.first() != lengths.last();
    models.call(model, |lstm| match is_ragged {
        true => lstm.forward_padded(input.view(), &lengths, None),
        false => lstm.forward(input.view(), None),
    })
}

/// Names the rows whose sequences were computed together, and which of them is the first.
fn failed(model: &Model, rows: &[usize], of: usize, error: &Error) -> DataFusionError {
    let first = rows.iter().min().copied().unwrap_or_default();
    let count = rows.len();
    DataFusionError::Execution(format!(
        "model '{}', {count} of the {of} rows of the record batch, row {first} the first of them: {error}",
        model.name()
    ))
}

/// Rows of the result, in the order of the column.
struct Results {
    part: Part,
    width: usize,
    /// Where each row's vectors are in `values`, in vectors; one more than rows.
    offsets: Vec<i32>,
    valid: Vec<bool>,
    values: Vec<f32>,
}

impl Results {
    fn new(steps: &[usize], part: Part, width: usize) -> Result<Self> {
        let mut offsets = vec![0];
        let mut vectors = 0_usize;
        for &steps in steps {
            // A fixed-size list has values for a null, too.
            vectors += if part == Part::Last { 1 } else { steps };
            offsets.push(i32::try_from(vectors).map_err(|_| too_large("column", vectors))?);
        }
        let mut values = Vec::new();
        let len = vectors.checked_mul(width).ok_or_else(|| too_large("column", vectors))?;
        values.try_reserve_exact(len).map_err(|error| {
            DataFusionError::ResourcesExhausted(format!(
                "the result of a record batch takes {len} f32: {error}"
            ))
        })?;
        values.resize(len, 0.0);
        Ok(Self { part, width, offsets, valid: steps.iter().map(|&steps| steps > 0).collect(), values })
    }

    /// Copies a chunk's results to their rows.
    fn add(&mut self, rows: &[usize], output: &Array3<f32>, state: &LstmState, model: &Model) {
        let directions = model.directions();
        let last_layer = state.h.dim().0 - directions;
        for (b, &row) in rows.iter().enumerate() {
            let (start, end) =
                (self.offsets[row] as usize * self.width, self.offsets[row + 1] as usize * self.width);
            let place = &mut self.values[start..end];
            match self.part {
                Part::Last => {
                    let h = state.h.slice(s![last_layer.., b, ..]);
                    place.iter_mut().zip(h.iter()).for_each(|(value, &h)| *value = h);
                }
                Part::All => {
                    let steps = output.slice(s![b, ..place.len() / self.width, ..]);
                    place.iter_mut().zip(steps.iter()).for_each(|(value, &y)| *value = y);
                }
            }
        }
    }

    fn finish(self) -> Result<ArrayRef> {
        let nulls = self.valid.contains(&false).then(|| NullBuffer::from(self.valid));
        let size = i32::try_from(self.width).map_err(|_| too_large("vector", self.width))?;
        let values = Arc::new(Float32Array::from(self.values));
        let vectors = |nulls| FixedSizeListArray::try_new(item(DataType::Float32), size, values, nulls);
        Ok(match self.part {
            Part::Last => Arc::new(vectors(nulls)?),
            Part::All => {
                let vectors = Arc::new(vectors(None)?);
                let offsets = OffsetBuffer::new(self.offsets.into());
                Arc::new(ListArray::try_new(
                    item(Part::Last.data_type(self.width)?),
                    offsets,
                    vectors,
                    nulls,
                )?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use wgpu_lstm::{Device, LstmConfig, LstmWeights};

    use super::*;

    #[test]
    fn an_error_of_the_device_names_its_rows() {
        let weights = LstmWeights::uniform(&LstmConfig::new(3, 5), 1).unwrap();
        let models = Models::new([("m".to_owned(), weights)], || Ok(Device::cpu())).unwrap();
        let error = Error::DeviceLost { reason: "pulled out".into() };
        let error = failed(models.get("m").unwrap(), &[7, 2, 9], 10, &error).to_string();
        let words =
            "model 'm', 3 of the 10 rows of the record batch, row 2 the first of them: the device is lost";
        assert!(error.contains(words), "{error}");
    }
}
