"""Writes model.onnx into each folder given: the workload's LSTM as PyTorch's exporter lays it out.

Inputs x (T, B, I), h0 and c0 (L·D, B, H); outputs y (T, B, D·H), hn and cn.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

GATES = [0, 3, 1, 2]  # ONNX stacks i, o, f, c where PyTorch stacks i, f, g, o


def restacked(array: np.ndarray) -> np.ndarray:
    return np.concatenate([np.split(array, 4)[gate] for gate in GATES])


def model(folder: pathlib.Path) -> onnx.ModelProto:
    sizes = json.loads((folder / "workload.json").read_text())
    weights = load_file(folder / "weights.safetensors")
    hidden, layers, batch, steps = (sizes[key] for key in ("hidden_size", "layers", "batch", "steps"))
    suffixes = ["", "_reverse"][: 1 + sizes["bidirectional"]]
    directions = len(suffixes)
    nodes, constants = [], []

    def constant(name: str, array: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(array, name))
        return name

    def node(kind: str, inputs: list[str], outputs: list[str], **attributes: object) -> None:
        nodes.append(helper.make_node(kind, inputs, outputs, **attributes))

    starts = {state: [state] for state in ("h0", "c0")}
    if layers > 1:
        sections = constant("sections", np.full(layers, directions, np.int64))
        for state in starts:
            starts[state] = [f"{state}_l{layer}" for layer in range(layers)]
            node("Split", [state, sections], starts[state], axis=0)
    x, ends = "x", {"hn": [], "cn": []}
    for layer in range(layers):
        def stacked(names: list[str]) -> np.ndarray:
            return np.stack([
                np.concatenate([restacked(weights[f"{name}_l{layer}{suffix}"]) for name in names])
                for suffix in suffixes
            ])

        inputs = [x] + [
            constant(f"{short}_{layer}", stacked(names))
            for short, names in (("w", ["weight_ih"]), ("r", ["weight_hh"]), ("b", ["bias_ih", "bias_hh"]))
        ] + ["", starts["h0"][layer], starts["c0"][layer]]
        outputs = [f"{name}_l{layer}" if layers > 1 or name == "y" else name for name in ("y", "hn", "cn")]
        node("LSTM", inputs, outputs, hidden_size=hidden,
             direction="bidirectional" if directions == 2 else "forward")
        ends["hn"].append(outputs[1])
        ends["cn"].append(outputs[2])
        # (T, D, B, H) to (T, B, D·H)
        x = "y" if layer == layers - 1 else f"x_l{layer + 1}"
        if directions == 1:
            node("Squeeze", [outputs[0], constant(f"axis_{layer}", np.array([1]))], [x])
        else:
            node("Transpose", [outputs[0]], [f"turned_{layer}"], perm=[0, 2, 1, 3])
            shape = constant(f"shape_{layer}", np.array([steps, batch, directions * hidden]))
            node("Reshape", [f"turned_{layer}", shape], [x])
    if layers > 1:
        for state, parts in ends.items():
            node("Concat", parts, [state], axis=0)

    def value(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state = (layers * directions, batch, hidden)
    graph = helper.make_graph(
        nodes, sizes["name"],
        [value("x", steps, batch, sizes["input_size"]), value("h0", *state), value("c0", *state)],
        [value("y", steps, batch, directions * hidden), value("hn", *state), value("cn", *state)],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


for argument in sys.argv[1:]:
    target = pathlib.Path(argument)
    onnx.save(model(target), target / "model.onnx")
