//! textgenrnn predicts English text with its LSTMs as this crate reads and computes them: the layout of their weights,
//! CuDNNLSTM's, is right only if the text is likely. Read as a plain LSTM's it costs 50 nats a character.

use std::collections::BTreeMap;

use hdf5_reader::Hdf5File;
use wgpu_lstm::ndarray::{Array1, Array2, Array3, ArrayView3, Axis, concatenate, s};
use wgpu_lstm::{Device, Lstm, LstmWeights};

use crate::truth::{english, path};

const WEIGHTS: &str = "textgenrnn/textgenrnn_weights.hdf5";

/// Characters before the one to predict.
const WINDOW: usize = 40;

/// By how much the mean over 139 characters may differ from Keras' in float64: the float32 results of both layers err
/// by up to 4e-5 with weights up to 7.7, and the layer above adds 356 of them.
const NATS: f64 = 1e-3;

struct File(Hdf5File);

impl File {
    fn values(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let array = self.0.dataset(name).and_then(|dataset| dataset.read_array::<f32>()).expect(name);
        (array.iter().copied().collect(), array.shape().to_vec())
    }

    fn matrix(&self, name: &str) -> Array2<f32> {
        let (values, shape) = self.values(name);
        Array2::from_shape_vec((shape[0], shape[1]), values).expect(name)
    }

    fn vector(&self, name: &str) -> Array1<f32> {
        self.values(name).0.into()
    }
}

fn layer(name: &str, input: ArrayView3<'_, f32>) -> Array3<f32> {
    let weights = LstmWeights::from_file(path(WEIGHTS), name).unwrap();
    Lstm::new(&Device::cpu(), &weights).unwrap().with_batch_first(true).forward(input, None).unwrap().0
}

/// The text's characters as textgenrnn numbers them, after the one that begins a text.
fn numbered(text: &str) -> Vec<usize> {
    let vocabulary = std::fs::read_to_string(path("textgenrnn/textgenrnn_vocab.json")).unwrap();
    let vocabulary: BTreeMap<String, usize> = serde_json::from_str(&vocabulary).unwrap();
    let characters = text.chars().map(|character| vocabulary[&character.to_string()]);
    std::iter::once(vocabulary["<s>"]).chain(characters).collect()
}

#[test]
fn textgenrnn_predicts_english_as_well_as_in_keras() {
    let english = english();
    let file = File(Hdf5File::open(path(WEIGHTS)).unwrap());
    let embeddings = file.matrix("/embedding/embedding/embeddings:0");

    // Each character from up to 40 before it; the number 0 fills the rest.
    let characters = numbered(&english.text);
    let texts = characters.len() - 1;
    let x = Array3::from_shape_fn((texts, WINDOW, embeddings.ncols()), |(text, step, column)| {
        let before = (text + 1 + step).checked_sub(WINDOW);
        embeddings[[before.map_or(0, |place| characters[place]), column]]
    });
    let first = layer("rnn_1", x.view());
    let second = layer("rnn_2", first.view());
    let features = concatenate![Axis(2), x, first, second];

    let attention = file.matrix("/attention/attention/attention_W:0");
    let (kernel, bias) = (file.matrix("/output/output/kernel:0"), file.vector("/output/output/bias:0"));
    let mut nats = 0.0;
    for (features, &character) in features.outer_iter().zip(&characters[1..]) {
        let weight = features.dot(&attention).slice(s![.., 0]).mapv(f32::exp);
        let averaged: Array1<f32> = features.t().dot(&weight) / weight.sum();
        let logits = averaged.dot(&kernel) + &bias;
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        nats += sum.ln() - f64::from(logits[character]);
    }
    let nats = nats / texts as f64;
    println!("{nats:.6} nats a character, Keras {:.6}", english.nats_per_character);
    assert!((nats - english.nats_per_character).abs() < NATS, "{nats} nats a character");
    assert!(nats < 2.0, "{nats} nats a character");
}
