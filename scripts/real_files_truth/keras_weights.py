"""Keras' weights: Keras loads, converts and computes."""

import json
import pathlib
from importlib.metadata import version

import h5py
import numpy as np
import tensorflow as tf

from .sample import network

ENGLISH = ("What is the best way to learn a new language when you only have an hour a day? "
           "I have been trying to find a job for the last three months.")


def networks(folder: pathlib.Path) -> tuple:
    path = folder / "textgenrnn/textgenrnn_weights.hdf5"
    source = "textgenrnn/textgenrnn_weights.hdf5"

    def layer(name: str, inputs: int, dtype: str):
        """One layer with the file's weights, as Keras converts them."""
        tf.keras.backend.set_floatx(dtype)
        x, h, c = tf.keras.Input((None, inputs)), tf.keras.Input((128,)), tf.keras.Input((128,))
        lstm = tf.keras.layers.LSTM(128, return_sequences=True, return_state=True, name=name)
        model = tf.keras.Model([x, h, c], lstm(x, initial_state=[h, c]))
        model.load_weights(path, by_name=True)
        return model

    def compute(name: str, inputs: int):
        def run(x, h0, c0):
            results = []
            for dtype in ("float64", "float32"):
                start = [array.astype(dtype) for array in (x.transpose(1, 0, 2), h0[0], c0[0])]
                y, h, c = (part.numpy() for part in layer(name, inputs, dtype)(start))
                results.append([y.transpose(1, 0, 2), h[None], c[None]])
            return results
        return run

    return f"TensorFlow {tf.__version__}, Keras {version('keras')}", [
        network([[source, name]], (inputs, 128, 1, 1), compute(name, inputs))
        for name, inputs in (("rnn_1", 100), ("rnn_2", 128))
    ], {"text": ENGLISH, "nats_per_character": english(folder, layer)}


def english(folder: pathlib.Path, layer) -> float:
    """How well the whole network predicts each character of a text from up to 40 before it, as textgenrnn asks it."""
    vocabulary = json.loads((folder / "textgenrnn/textgenrnn_vocab.json").read_text())
    with h5py.File(folder / "textgenrnn/textgenrnn_weights.hdf5") as file:
        embeddings, attention, kernel, bias = (file[f"{name}:0"][:].astype(np.float64) for name in (
            "embedding/embedding/embeddings", "attention/attention/attention_W", "output/output/kernel",
            "output/output/bias"))
    characters = [vocabulary["<s>"]] + [vocabulary[character] for character in ENGLISH]
    windows = [([0] * 40 + characters[:n])[-40:] for n in range(1, len(characters))]
    x = embeddings[np.array(windows)]
    zeros = np.zeros((len(windows), 128))
    first = layer("rnn_1", 100, "float64")([x, zeros, zeros])[0].numpy()
    second = layer("rnn_2", 128, "float64")([first, zeros, zeros])[0].numpy()
    features = np.concatenate([x, first, second], axis=2)
    attention = np.exp(features @ attention)
    averaged = (features * attention / attention.sum(axis=1, keepdims=True)).sum(axis=1)
    logits = averaged @ kernel + bias
    likely = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return round(-float(np.mean(likely[np.arange(len(windows)), characters[1:]])), 9)
