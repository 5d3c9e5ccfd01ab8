//! Keras's files. `tests/data/formats/make_keras.py` makes them, and says what is in each.

mod hostile;
mod layers;
mod refused;
mod storage;

use std::io::{Cursor, Read};

use serde_json::Value;
use wgpu_lstm::ndarray::{Array2, Array3, Axis};
use wgpu_lstm::{FoundLstm, LstmWeights, find_lstms, reference};
use zip::ZipArchive;

/// The file of this name.
fn file(name: &str) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(include_bytes!("../../data/formats/keras.zip"))).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// What Keras computes.
fn truth() -> Value {
    serde_json::from_slice(&file("truth.json")).unwrap()
}

/// The LSTM of this prefix among those of a file.
fn find(name: &str, prefix: &str) -> FoundLstm {
    let found = find_lstms(&file(name)).unwrap();
    found.into_iter().find(|lstm| lstm.prefix == prefix).unwrap_or_else(|| panic!("{name} has no {prefix}"))
}

fn prefixes(name: &str) -> Vec<String> {
    find_lstms(&file(name)).unwrap().into_iter().map(|lstm| lstm.prefix).collect()
}

/// A list of lists of numbers, (T, I).
fn matrix(rows: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(rows.clone()).unwrap();
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).unwrap()
}

/// The output of one sequence, (T, 1, O).
fn compute(weights: &LstmWeights, input: &Array2<f64>) -> Array3<f64> {
    let input = input.view().insert_axis(Axis(1));
    reference::forward(weights, input, None, None).unwrap().0
}

/// Panics unless the network of this prefix computes what Keras computes, for the truth's input.
#[track_caller]
fn assert_computes(name: &str, prefix: &str, truth: &Value) {
    let weights =
        LstmWeights::from_bytes(&file(name), prefix).unwrap_or_else(|e| panic!("{name}: {prefix}: {e}"));
    let actual = compute(&weights, &matrix(&truth["input"]));
    let expected = matrix(&truth["output"]);
    assert_eq!(actual.len(), expected.len(), "{name}: {prefix}");
    let errors = actual.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    let worst = errors.max_by(f64::total_cmp).unwrap();
    assert!(worst < 1e-6, "{name}: {prefix} is off by {worst:.1e}");
}
