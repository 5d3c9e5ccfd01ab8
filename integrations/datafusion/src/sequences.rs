//! A column of lists of vectors as slices of its values, without a copy.

use std::ops::Range;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float32Array};
use datafusion::arrow::datatypes::{DataType, Float32Type};
use datafusion::error::{DataFusionError, Result};

/// The sequences of a record batch: row r is T vectors, each `width` wide, that follow each other in the values.
pub(crate) struct Sequences {
    values: Float32Array,
    /// Where each row is in the values. `None` for a null and for an empty list.
    rows: Vec<Option<Range<usize>>>,
}

/// What errors name: the model, and the width of its vectors.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) model: &'a str,
    pub(crate) width: usize,
}

impl Expected<'_> {
    fn error(&self, row: usize, step: usize, what: &str) -> DataFusionError {
        DataFusionError::Execution(format!(
            "model '{}', row {row} of the record batch, vector {step} of its sequence: {what}",
            self.model
        ))
    }

    /// Whether a column of this type may hold sequences for the model. A width that is part of the type is checked here,
    /// the others row by row.
    ///
    /// # Errors
    ///
    /// `Plan`, for another type.
    pub(crate) fn check_type(&self, data_type: &DataType) -> Result<()> {
        let vector = list_item(data_type);
        let number = vector.and_then(list_item);
        let width = match vector {
            Some(DataType::FixedSizeList(_, width)) => usize::try_from(*width).unwrap_or(0),
            _ => self.width,
        };
        if number != Some(&DataType::Float32) {
            return Err(DataFusionError::Plan(format!(
                "model '{}' takes lists of vectors of Float32, such as List(FixedSizeList({} x Float32)), but the column \
                 is {data_type}: convert it with arrow_cast(column, 'List(FixedSizeList({}, Float32))')",
                self.model, self.width, self.width
            )));
        }
        if width != self.width {
            return Err(DataFusionError::Plan(format!(
                "model '{}' takes vectors of {} values, but those of the column have {width}",
                self.model, self.width
            )));
        }
        Ok(())
    }
}

/// The type of a list's items.
fn list_item(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// Where list i of an array is in its items.
type Place<'a> = Box<dyn Fn(usize) -> Range<usize> + 'a>;

/// The items of a list array, and the place of each list.
fn lists(array: &dyn Array) -> Option<(&ArrayRef, Place<'_>)> {
    if let Some(list) = array.as_list_opt::<i32>() {
        let offsets = list.value_offsets();
        Some((list.values(), Box::new(|i| offsets[i] as usize..offsets[i + 1] as usize)))
    } else if let Some(list) = array.as_list_opt::<i64>() {
        let offsets = list.value_offsets();
        Some((list.values(), Box::new(|i| offsets[i] as usize..offsets[i + 1] as usize)))
    } else {
        let list = array.as_fixed_size_list_opt()?;
        let width = list.value_length() as usize;
        Some((list.values(), Box::new(move |i| i * width..(i + 1) * width)))
    }
}

impl Sequences {
    /// The sequences of a column whose type [`Expected::check_type`] accepts.
    ///
    /// # Errors
    ///
    /// `Plan` for another type. `Execution`, with the row and the vector, for a vector of another width, and for a null
    /// among vectors or values.
    pub(crate) fn new(column: &ArrayRef, expected: Expected<'_>) -> Result<Self> {
        expected.check_type(column.data_type())?;
        let parts = lists(column).and_then(|(vectors, row)| {
            let (values, vector) = lists(vectors)?;
            Some((vectors, row, values.as_primitive_opt::<Float32Type>()?, vector))
        });
        let Some((vectors, row, values, vector)) = parts else {
            let message = format!("a column of {} passed the check of its type", column.data_type());
            return Err(DataFusionError::Internal(message));
        };
        let place = |r: usize| {
            let steps = row(r);
            if column.is_null(r) || steps.is_empty() {
                return Ok(None);
            }
            for (step, v) in steps.clone().enumerate() {
                let at = vector(v);
                if vectors.is_null(v) {
                    return Err(expected.error(r, step, "it is null"));
                }
                if at.len() != expected.width {
                    let what = format!("it has {} values, but the model takes {}", at.len(), expected.width);
                    return Err(expected.error(r, step, &what));
                }
                if let Some(null) = at.clone().position(|i| values.is_null(i)) {
                    return Err(expected.error(r, step, &format!("its value {null} is null")));
                }
            }
            let first = vector(steps.start).start;
            Ok(Some(first..first + steps.len() * expected.width))
        };
        let rows = (0..column.len()).map(place).collect::<Result<_>>()?;
        Ok(Self { values: values.clone(), rows })
    }

    /// Rows of the record batch.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The values of a row, `None` for a null or an empty list.
    pub(crate) fn row(&self, r: usize) -> Option<&[f32]> {
        self.rows[r].clone().map(|range| &self.values.values()[range])
    }

    /// The values of rows that are equally long and follow each other in memory, in this order.
    pub(crate) fn span(&self, rows: &[usize]) -> Option<&[f32]> {
        let first = self.rows[*rows.first()?].clone()?;
        let follows = |(n, &r): (usize, &usize)| {
            let start = first.start + n * first.len();
            self.rows[r] == Some(start..start + first.len())
        };
        rows.iter()
            .enumerate()
            .all(follows)
            .then(|| &self.values.values()[first.start..][..rows.len() * first.len()])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        FixedSizeListArray, FixedSizeListBuilder, Float32Builder, Float64Array, LargeListBuilder,
        ListBuilder, make_array,
    };
    use datafusion::arrow::buffer::NullBuffer;
    use datafusion::arrow::datatypes::Field;

    use super::*;

    const EXPECTED: Expected<'_> = Expected { model: "m", width: 2 };

    /// Rows [[1, 2], [3, 4]], null, [], [[5, 6]], as lists of fixed-size lists.
    fn fixed() -> ArrayRef {
        let mut rows = ListBuilder::new(FixedSizeListBuilder::new(Float32Builder::new(), 2));
        for row in [Some(vec![[1.0, 2.0], [3.0, 4.0]]), None, Some(vec![]), Some(vec![[5.0, 6.0]])] {
            for vector in row.iter().flatten() {
                rows.values().values().append_slice(vector);
                rows.values().append(true);
            }
            rows.append(row.is_some());
        }
        Arc::new(rows.finish())
    }

    /// The same as large lists of lists of any width.
    fn ragged(vectors: &[&[Option<f32>]]) -> ArrayRef {
        let mut rows = LargeListBuilder::new(ListBuilder::new(Float32Builder::new()));
        for vector in vectors {
            vector.iter().for_each(|&value| rows.values().values().append_option(value));
            rows.values().append(true);
        }
        rows.append(true);
        Arc::new(rows.finish())
    }

    fn error(column: &ArrayRef) -> String {
        Sequences::new(column, EXPECTED).err().expect("an error").to_string()
    }

    #[test]
    fn rows_are_slices_of_the_columns_own_values() {
        let column = fixed();
        let sequences = Sequences::new(&column, EXPECTED).unwrap();
        assert_eq!(sequences.row(0), Some(&[1.0, 2.0, 3.0, 4.0][..]));
        assert_eq!((sequences.row(1), sequences.row(2)), (None, None));
        assert_eq!(sequences.row(3), Some(&[5.0, 6.0][..]));
        let vectors = column.as_list::<i32>().values().as_fixed_size_list();
        let values = vectors.values().as_primitive::<Float32Type>().values();
        assert_eq!(sequences.row(0).unwrap().as_ptr(), values.as_ptr(), "no copy");
    }

    /// Arrow lets a null list have items, and one of fixed size always has them.
    #[test]
    fn nulls_with_values_below_are_nulls() {
        let rows =
            fixed_rows(3).to_data().into_builder().nulls(Some(NullBuffer::from(vec![true, false, true])));
        let column = make_array(rows.build().unwrap());
        let sequences = Sequences::new(&column, EXPECTED).unwrap();
        assert_eq!((sequences.row(0), sequences.row(1)), (Some(&[0.0, 1.0][..]), None));
        assert_eq!(sequences.row(2), Some(&[4.0, 5.0][..]));
    }

    /// A slice of a record batch keeps the buffers and moves the offsets.
    #[test]
    fn sliced_columns_keep_their_rows() {
        let sequences = Sequences::new(&fixed().slice(2, 2), EXPECTED).unwrap();
        assert_eq!(sequences.len(), 2);
        assert_eq!((sequences.row(0), sequences.row(1)), (None, Some(&[5.0, 6.0][..])));
        let equal = fixed_rows(3).slice(1, 2);
        let sequences = Sequences::new(&equal, EXPECTED).unwrap();
        assert_eq!(sequences.row(0), Some(&[2.0, 3.0][..]));
        assert_eq!(sequences.row(1), Some(&[4.0, 5.0][..]));
    }

    #[test]
    fn equal_neighbours_are_one_slice() {
        let sequences = Sequences::new(&fixed_rows(3), EXPECTED).unwrap();
        assert_eq!(sequences.span(&[0, 1, 2]), Some(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0][..]));
        assert_eq!(sequences.span(&[1, 2]), Some(&[2.0, 3.0, 4.0, 5.0][..]));
        assert_eq!(sequences.span(&[1, 0]), None);
        assert_eq!(sequences.span(&[0, 2]), None);
        let ragged = Sequences::new(&fixed(), EXPECTED).unwrap();
        assert_eq!((ragged.span(&[0, 3]), ragged.span(&[0, 1]), ragged.span(&[])), (None, None, None));
        assert_eq!(ragged.span(&[3]), Some(&[5.0, 6.0][..]));
    }

    /// `rows` sequences of one vector, all lists of fixed size.
    fn fixed_rows(rows: usize) -> ArrayRef {
        let values: ArrayRef = Arc::new(Float32Array::from_iter_values((0..2 * rows).map(|i| i as f32)));
        let list = |size, values: ArrayRef| {
            let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
            Arc::new(FixedSizeListArray::new(field, size, values, None)) as ArrayRef
        };
        list(1, list(2, values))
    }

    #[test]
    fn lists_of_lists_are_read_too() {
        let column = ragged(&[&[Some(1.0), Some(2.0)], &[Some(3.0), Some(4.0)]]);
        let sequences = Sequences::new(&column, EXPECTED).unwrap();
        assert_eq!(sequences.row(0), Some(&[1.0, 2.0, 3.0, 4.0][..]));
    }

    #[test]
    fn wrong_vectors_are_named() {
        let message = error(&ragged(&[&[Some(1.0), Some(2.0)], &[Some(3.0)]]));
        assert!(message.contains("model 'm', row 0 of the record batch, vector 1"), "{message}");
        assert!(message.contains("it has 1 values, but the model takes 2"), "{message}");
        let message = error(&ragged(&[&[Some(1.0), None]]));
        assert!(message.contains("vector 0 of its sequence: its value 1 is null"), "{message}");
    }

    #[test]
    fn a_null_vector_is_an_error() {
        let mut rows = ListBuilder::new(FixedSizeListBuilder::new(Float32Builder::new(), 2));
        rows.values().values().append_slice(&[0.0, 0.0]);
        rows.values().append(false);
        rows.append(true);
        let message = error(&(Arc::new(rows.finish()) as ArrayRef));
        assert!(message.contains("vector 0 of its sequence: it is null"), "{message}");
    }

    #[test]
    fn other_types_are_refused_with_the_conversion() {
        let message = error(&(Arc::new(Float64Array::from(vec![1.0])) as ArrayRef));
        assert!(
            message.contains("Float64") && message.contains("arrow_cast(column, 'List(FixedSizeList(2"),
            "{message}"
        );
        let wide = Expected { model: "m", width: 3 };
        let message = Sequences::new(&fixed(), wide).err().expect("an error").to_string();
        assert!(message.contains("takes vectors of 3 values, but those of the column have 2"), "{message}");
    }
}
