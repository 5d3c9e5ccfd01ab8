#!/usr/bin/env python3
"""Writes what the original frameworks compute with the networks that scripts/real-files fetches.

    real-files-truth.py DIR FRAMEWORK     DIR as for scripts/real-files; writes tests/data/real/FRAMEWORK.json

    pytorch   needs torch 2.15.0 and safetensors 0.8.0
    onnx      needs onnx 1.23.2 and onnxruntime 1.32.0; torch too, for the network without an LSTM node
    keras     needs tensorflow-cpu 2.15.1, whose Keras converts the layout of CuDNNLSTM; Keras 3 does not

Nothing here is this project's own reader. Each network gets an input that tests/real_files rebuilds (`hashed`). Of
output, h_n and c_n the JSON file has some elements, computed in float64, and how far the framework's own float32 result
is from float64 in the whole tensor: twice that is what ours may be. ONNX Runtime has no LSTM in float64: there NumPy
computes the operator's equations, and the script fails if ONNX Runtime is further from it than rounding.
"""

import importlib
import json
import pathlib
import sys

MODULES = {"pytorch": "pytorch", "onnx": "onnx_models", "keras": "keras_weights"}


def main(folder: str, framework: str) -> None:
    module = importlib.import_module(f"real_files_truth.{MODULES[framework]}")
    made_with, networks, *english = module.networks(pathlib.Path(folder))
    document = {"made_with": made_with, "networks": networks}
    if english:
        document["english"] = english[0]
    path = pathlib.Path(__file__).parent.parent / f"tests/data/real/{framework}.json"
    # One line a list
    text = json.dumps(document, separators=(",", ":")).replace('"output":', '\n"output":').replace('"h_n":', '\n"h_n":')
    text = text.replace('"c_n":', '\n"c_n":').replace('{"sources"', '\n{"sources"').replace('"english"', '\n"english"')
    path.write_text(text + "\n")


main(*sys.argv[1:])
